//! `trackdrop simulate --day`: a day at scale, in virtual time.

use crate::{
    args::{DayFormat, SimulateArguments},
    output::line,
};
use anyhow::{Context, bail};
use serde_json::json;
use std::process::ExitCode;
use trackdrop_simulator::day::{BUILT_IN, Profile, SOURCES, simulate};

pub(crate) fn day(name: &str, arguments: &SimulateArguments) -> anyhow::Result<ExitCode> {
    let profile = Profile::parse(&text_of(name)?, &settings(arguments)?).with_context(|| format!("--day {name}"))?;
    if arguments.show_profile {
        let sources: serde_json::Map<_, _> =
            SOURCES.iter().map(|(limit, source)| ((*limit).to_owned(), json!(source))).collect();
        line!("{:#}", json!({ "profile": profile, "sources_of_limits": sources }));
        return Ok(ExitCode::SUCCESS);
    }
    let report = simulate(&profile, arguments.seed)?;
    match arguments.format {
        DayFormat::Json => line!("{}", serde_json::to_string(&report)?),
        DayFormat::Table => line!("{}", report.to_string().trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

/// A built-in profile, or a file's content.
fn text_of(name: &str) -> anyhow::Result<String> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return Ok((*text).to_owned());
    }
    match std::fs::read_to_string(name) {
        Ok(text) => Ok(text),
        Err(error) => {
            let known: Vec<_> = BUILT_IN.iter().map(|(known, _)| *known).collect();
            bail!(
                "--day {name:?} is neither a built-in profile ({}) nor a file that can be read: {error}",
                known.join(", ")
            )
        }
    }
}

/// What the flags set, by path; a flag of its own wins over --set.
fn settings(arguments: &SimulateArguments) -> anyhow::Result<Vec<(String, String)>> {
    let mut settings = vec![];
    for set in &arguments.set {
        match set.split_once('=') {
            Some((path, value)) if !path.is_empty() => settings.push((path.to_owned(), value.to_owned())),
            _ => bail!("--set {set:?} must be PATH=VALUE, such as limits.bucket_writes_per_s=500"),
        }
    }
    if let Some(gpus) = arguments.gpus {
        settings.push(("deployment.gpus".to_owned(), gpus.to_string()));
    }
    if let Some(fps) = arguments.fps_per_gpu {
        settings.push(("times.fps_per_gpu".to_owned(), fps.to_string()));
    }
    Ok(settings)
}
