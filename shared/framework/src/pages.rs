//! The whole `main` of a service that people use, and that no event starts: the console.

use crate::{
    arguments::{self, Start},
    setting::{self, Values},
    telemetry::{Telemetry, TelemetrySettings, traced},
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    process::ExitCode,
    sync::Arc,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use trackdrop_cloud::{Questions, UploadSessions, google::GoogleSettings};
use trackdrop_flow::Cloud;

/// The parts of such a service.
pub struct PagesEnvironment {
    /// Storage, publisher and warehouse of Google Cloud, or of its emulators.
    pub cloud: Cloud,
    /// SQL queries of the same warehouse.
    pub questions: Arc<dyn Questions>,
    /// Uploads that go directly into the same store.
    pub uploads: Arc<dyn UploadSessions>,
    /// The settings that the service reads from its environment ([`crate::setting`]).
    pub values: Values,
    /// The listener for connections.
    pub listener: TcpListener,
    /// Ends when the service is asked to stop.
    pub stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl std::fmt::Debug for PagesEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PagesEnvironment").finish_non_exhaustive()
    }
}

type Ended = Result<(), Box<dyn std::error::Error>>;

/// Runs a service of this name from the settings of its command line and its environment, until it is asked to stop.
pub fn serve_pages(name: &str, serve: impl AsyncFnOnce(PagesEnvironment) -> Ended) -> ExitCode {
    match arguments::follow(name, false) {
        Ok(Start::Ended) => return ExitCode::SUCCESS,
        Ok(Start::Pushed | Start::Pulling) => {}
        Err(error) => return refuse(&error),
    }
    trackdrop_flow::allocator::settle();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("the process can't start its threads: {error}")),
    };
    let telemetry =
        TelemetrySettings::from_environment(name).and_then(|settings| Telemetry::start(&settings, runtime.handle()));
    let telemetry = match telemetry {
        Ok(telemetry) => telemetry,
        Err(error) => return refuse(&error.to_string()),
    };
    let outcome = runtime.block_on(async { serve(environment(name).await?).await });
    telemetry.end();
    // A statement or a picture in progress must not prevent the end of the process.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn refuse(error: &str) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

async fn environment(name: &str) -> Result<PagesEnvironment, Box<dyn std::error::Error>> {
    let values = Values::of_process()?;
    let google = GoogleSettings::from_variables(values.variables())?;
    let (storage, warehouse) = (Arc::new(google.storage()?), Arc::new(google.warehouse()?));
    let cloud = traced(Cloud::new(storage.clone(), Arc::new(google.publisher()?), warehouse.clone()));
    let listen: IpAddr = values.get(&setting::LISTEN)?.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let address = SocketAddr::new(listen, values.get(&setting::PORT)?.unwrap_or(8_080));
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("{address} can't be listened on: {error}"))?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = Box::pin(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    tracing::info!(service = name, %address, "listening");
    Ok(PagesEnvironment { cloud, questions: warehouse, uploads: storage, values, listener, stop })
}
