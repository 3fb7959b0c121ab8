//! `trackdrop`: drop a video, query its object tracks in SQL. The same handlers as in the cloud, on one machine.

mod address;
mod args;
mod begin;
mod completions;
mod console;
mod crops;
mod dead_letters;
mod delete;
mod doctor;
mod download;
mod evaluate;
mod export;
mod google;
mod host;
mod keys;
mod links;
mod model;
mod model_get;
mod output;
mod plan;
mod probe;
mod progress;
mod query;
mod refine;
mod report;
mod retrack;
mod run;
mod scene;
mod schema;
mod settings;
mod sha256_hex;
mod simulate;
mod timeline;
mod upload;
mod verify;
mod videos;
mod watch;
mod which_request;
mod whole_file;
mod wishes;
mod workshop;

use args::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    trackdrop_flow::allocator::settle();
    let arguments = Arguments::parse();
    // The user gets progress lines and one message; the log is for a user who asks for it with RUST_LOG.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("trackdrop: the program can't start its threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match &arguments.command {
            Command::Run(run) => run::run(&arguments.data, run).await,
            Command::Watch(watch) => watch::watch(&arguments.data, watch).await,
            Command::Query(query) => query::query(&arguments.data, query).await.map(|()| ExitCode::SUCCESS),
            Command::Console(console) => console::console(&arguments.data, console).await.map(|()| ExitCode::SUCCESS),
            Command::Scene(command) => scene::scene(&arguments.data, command).await.map(|()| ExitCode::SUCCESS),
            Command::Requests(requests) => report::requests(&arguments.data, requests).await,
            Command::Show(show) => report::show(&arguments.data, show).await,
            Command::Retrack(retrack) => retrack::retrack(&arguments.data, retrack).await,
            Command::Eval(eval) => evaluate::eval(eval).map(|()| ExitCode::SUCCESS),
            Command::Export(export) => export::export(&arguments.data, export).await.map(|()| ExitCode::SUCCESS),
            Command::Links(links) => links::links(&arguments.data, links).await.map(|()| ExitCode::SUCCESS),
            Command::Crops(crops) => crops::crops(&arguments.data, crops).await.map(|()| ExitCode::SUCCESS),
            Command::Delete(delete) => delete::delete(&arguments.data, delete).await.map(|()| ExitCode::SUCCESS),
            Command::Model(model) => model::model(model).await.map(|()| ExitCode::SUCCESS),
            Command::Plan(plan) => plan::plan(plan).map(|()| ExitCode::SUCCESS),
            Command::DeadLetters(command) => dead_letters::dead_letters(command).await.map(|()| ExitCode::SUCCESS),
            Command::Schema(command) => schema::schema(command).map(|()| ExitCode::SUCCESS),
            Command::Doctor(doctor) => doctor::doctor(&arguments.data, doctor).await,
            Command::Completions(completions) => completions::completions(completions).map(|()| ExitCode::SUCCESS),
            Command::Man(man) => completions::man(man).map(|()| ExitCode::SUCCESS),
            Command::Simulate(simulate) => simulate::simulate(simulate),
            Command::Verify(arguments) => verify::verify(arguments),
        }
    });
    // Work that does not notice that it is to stop must not keep the program from ending.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(error) if output::nobody_reads(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trackdrop: {}", output::explain(&error));
            ExitCode::FAILURE
        }
    }
}
