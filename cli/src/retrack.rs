//! `trackdrop retrack`: a request's detections, or anyone's, tracked again with other settings. No detector runs.

use crate::{
    args::RetrackArguments,
    host::{self, Host},
    output::line,
    run::{Job, redrive, see_through},
    settings,
};
use anyhow::{anyhow, bail};
use std::{path::Path, process::ExitCode, time::Instant};
use trackdrop_cloud::local::{LocalCloud, Redrive};
use trackdrop_detector::DeviceChoice;
use trackdrop_exchange::{TrackFile, read_detections};
use trackdrop_flow::{end, manifest, version};
use trackdrop_pipeline::{RequestId, RequestState};
use trackdrop_tracker::Settings;

pub(crate) async fn retrack(data: &Path, arguments: &RetrackArguments) -> anyhow::Result<ExitCode> {
    match (&arguments.request, &arguments.detections, &arguments.out) {
        (Some(request), ..) => retrack_request(data, &request.parse()?, arguments).await,
        (None, Some(detections), Some(out)) => retrack_file(detections, out, arguments),
        (None, ..) => bail!("give a request, or --detections and --out"),
    }
}

/// Makes another version of a request's tracks.
async fn retrack_request(data: &Path, of: &RequestId, arguments: &RetrackArguments) -> anyhow::Result<ExitCode> {
    let unknown = || anyhow!("there is no request {of} in {data:?} (trackdrop requests lists them)");
    if !LocalCloud::exists(data) {
        return Err(unknown());
    }
    let started = Instant::now();
    let host = Host::open(data, host::detectors(DeviceChoice::Auto, None))?;
    let manifest = manifest::read(&host.cloud, of).await?.ok_or_else(unknown)?;
    let asked = settings::of_version(&manifest.settings, arguments)?;
    let version = version::make(&host.cloud, &manifest, asked).await?;
    let request = version.request;
    let mut job = Job { request: request.clone(), video: end::video_name(&manifest), finished_before: false };
    match manifest::state(&host.cloud, &request).await? {
        Some(RequestState::Done) if end::is_told(&host.cloud, &request).await? => {
            job.finished_before = true;
            host.local.restore_results(&request).await?;
        }
        Some(RequestState::Failed | RequestState::DoneWithoutVideo) => {
            end::reopen(&host.cloud, &request, None).await?;
            redrive(&host, &request, &job.video, None, Redrive::Resume).await?;
        }
        // Nothing queued and not over: a crash came between opening it again and queueing its events.
        _ if host.local.pending(&request).await? == 0 => {
            redrive(&host, &request, &job.video, None, Redrive::Resume).await?;
        }
        _ => {}
    }
    see_through(&host, &[job], arguments.json, started).await
}

/// Tracks a file of detections; nothing but the tracker is needed.
fn retrack_file(detections: &Path, out: &Path, arguments: &RetrackArguments) -> anyhow::Result<ExitCode> {
    let deviations = &arguments.deviations;
    let filter = &arguments.filter;
    for (given, option, instead) in [
        (filter.classes.is_some(), "--classes", "leave the others out of the file"),
        (filter.min_score.is_some(), "--min-score", "leave the others out of the file"),
        (deviations.scale_buffer, "--scale-buffer", "--frame-rate scales the buffer"),
        (deviations.per_class, "--per-class", "give each class a file"),
        (deviations.fill_gaps.is_some(), "--fill-gaps", "the formats can't mark rows that were not observed"),
        (deviations.smooth.is_some(), "--smooth", "the formats hold what the tracker gives"),
        (arguments.results.blur.is_some(), "--blur", "no video is made"),
        (arguments.results.boxes.is_some(), "--boxes", "no video is made"),
        (arguments.results.crops, "--crops", "no video is read"),
        (arguments.results.exports.is_some(), "--exports", "--out has one format, by its ending"),
        (deviations.backfill, "--backfill", "the formats can't mark rows that were not observed"),
    ] {
        if given {
            bail!("{option} is for a REQUEST and not for --detections: {instead}");
        }
    }
    let defaults = Settings::default();
    let tracker = &arguments.tracker;
    let settings = Settings {
        track_thresh: tracker.track_thresh.unwrap_or(defaults.track_thresh),
        match_thresh: tracker.match_thresh.unwrap_or(defaults.match_thresh),
        track_buffer: tracker.track_buffer.unwrap_or(defaults.track_buffer),
        frame_rate: arguments.frame_rate.unwrap_or(defaults.frame_rate),
        score_fusion: !tracker.no_score_fusion,
    };
    settings.validate()?;
    let started = Instant::now();
    let frames = read_detections(detections)?;
    let mut file = TrackFile::create(out)?;
    let done = trackdrop_exchange::retrack(&frames, &settings, arguments.frames, &mut file)?;
    let seconds = started.elapsed().as_secs_f64();
    line!("{} frames, {} tracks, {} rows in {seconds:.2} s", done.frames, done.ids, done.rows);
    if done.refused > 0 {
        line!("{} detections without a size or with values that are no numbers were left out", done.refused);
    }
    line!("{}", out.display());
    Ok(ExitCode::SUCCESS)
}
