//! `trackdrop doctor`: what the command needs on this machine, what is missing, and how to install it.

use crate::{
    args::DoctorArguments,
    host::{cloud_of, open_existing},
    output::line,
};
use serde::Serialize;
use std::{path::Path, process::ExitCode};
use trackdrop_detector::{Detector, DetectorOptions, find_runtime, onnx_runtime};
use trackdrop_flow::manifest;
use trackdrop_media::InstalledFfmpeg;

/// A data directory with less free space than this, in bytes, gets a warning: a video is copied, cut and drawn there.
const LITTLE_SPACE: u64 = 5 << 30;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It exists.
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// It must be installed or repaired before a video can be processed.
    Missing,
}

/// One thing that is needed.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, state: State::Ok, found: found.into(), remedy: None }
    }

    fn missing(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, state: State::Missing, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn warning(what: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Warning, ..Self::missing(what, found, remedy) }
    }
}

/// Exit code 1: something is missing.
pub(crate) async fn doctor(data: &Path, arguments: &DoctorArguments) -> anyhow::Result<ExitCode> {
    let mut findings = vec![ffmpeg(), runtime()];
    findings.extend(model_and_device());
    findings.extend([data_directory(data).await, space(data)]);
    for finding in &findings {
        if arguments.json {
            line!("{}", serde_json::to_string(finding)?);
            continue;
        }
        let state = match finding.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Missing => "missing",
        };
        line!("{state:<8} {:<15} {}", finding.what, finding.found);
        if let Some(remedy) = &finding.remedy {
            line!("{:<24} {remedy}", "");
        }
    }
    Ok(if findings.iter().any(|finding| finding.state == State::Missing) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn ffmpeg() -> Finding {
    let InstalledFfmpeg { version, license, lacks } = InstalledFfmpeg::find();
    if lacks.is_empty() {
        return Finding::ok("FFmpeg", format!("{version} ({license})"));
    }
    let found = format!("{version}, without {}", lacks.join(", "));
    let remedy =
        "install a build with these: on Debian and Ubuntu the packages libavcodec-extra or libavcodec with libx264";
    match lacks.contains(&"libx264") {
        true => Finding::warning("FFmpeg", found, format!("{remedy}; without libx264 run with --no-video")),
        false => Finding::warning("FFmpeg", found, remedy),
    }
}

fn runtime() -> Finding {
    match onnx_runtime().and_then(|_| find_runtime()) {
        Ok(path) => Finding::ok("ONNX Runtime", path.display().to_string()),
        Err(error) => Finding::missing("ONNX Runtime", error.to_string(), "scripts/setup fetches it"),
    }
}

/// The default model, opened as `run` does; the device that it opens on, and why it is not a better one.
fn model_and_device() -> Vec<Finding> {
    let options = DetectorOptions::default();
    match Detector::open(&options) {
        Err(error) => vec![Finding::missing(
            "model",
            error.to_string(),
            "scripts/setup fetches the default one, `trackdrop model get` others for --model",
        )],
        Ok(detector) => {
            let info = detector.info();
            let model =
                format!("{} ({}, {} classes)", options.model.display(), info.family.name(), info.class_names.len());
            let device = match detector.passed_over() {
                [] => Finding::ok("device", detector.device().to_string()),
                others => {
                    let why: Vec<String> =
                        others.iter().map(|other| format!("{}: {}", other.device, first_line(&other.reason))).collect();
                    Finding::ok("device", format!("{}; not {}", detector.device(), why.join("; not ")))
                }
            };
            vec![Finding::ok("model", model), device]
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

async fn data_directory(data: &Path) -> Finding {
    let shown = data.display();
    if !data.exists() {
        return Finding::ok("data directory", format!("{shown} (made by the first run)"));
    }
    let opened = match open_existing(data) {
        Ok(None) => return Finding::ok("data directory", format!("{shown}, no requests")),
        Ok(Some(local)) => manifest::all(&cloud_of(&local)).await.map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    match opened {
        Ok(requests) => Finding::ok("data directory", format!("{shown}, {} requests", requests.len())),
        Err(error) => Finding::missing(
            "data directory",
            format!("{shown}: {error:#}"),
            "give another one with --data or TRACKDROP_DATA",
        ),
    }
}

/// Room where the data directory is, or will be.
fn space(data: &Path) -> Finding {
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let there = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(there) {
        Err(error) => Finding::missing("disk", format!("{}: {error}", there.display()), "give another --data"),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let found = format!("{:.1} GB free at {}", free as f64 / 1e9, there.display());
            match free < LITTLE_SPACE {
                true => Finding::warning(
                    "disk",
                    found,
                    "a run copies, cuts and draws its video there: free some, or give another --data",
                ),
                false => Finding::ok("disk", found),
            }
        }
    }
}
