//! `trackdrop run`: puts the files into `uploads`, delivers the events, and prints the results.

use crate::{
    args::{ProcessingArguments, RunArguments},
    begin::{Again, Job, begin},
    host::{self, Host},
    keys,
    output::line,
    probe,
    progress::{Progress, Tracked},
    settings, upload,
    videos::{self, Given},
};
use anyhow::{Context, bail};
use std::{
    collections::BTreeMap,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::signal::unix::{SignalKind, signal};
use trackdrop_cloud::local::{BusError, BusEvent};
use trackdrop_detector::{DeviceChoice, PassedOver, default_model_path};
use trackdrop_flow::{
    end::{self, Summary},
    manifest,
};
use trackdrop_pipeline::{
    Bucket, FailureKind, Manifest, RequestId, RequestSettings, RequestState, Stage,
    names::{ObjectName, ResultFile},
};
use trackdrop_track::DetectorPool;

/// How often the command reads how far its requests are.
const READ_EVERY: Duration = Duration::from_millis(250);
/// The shell's code for a program that was interrupted.
pub(crate) const INTERRUPTED: u8 = 130;

pub(crate) async fn run(data: &Path, arguments: &RunArguments) -> anyhow::Result<ExitCode> {
    let mut settings = settings::of_run(&arguments.processing)?;
    // Before anything is uploaded: a name that was mistyped must not leave the other videos half way.
    let uploads = host::uploads()?;
    let given = videos::meant(&arguments.videos, arguments.recursive, &uploads)?;
    for video in &given {
        if let Given::File(path) = video {
            upload::check_readable(path)?;
        }
        upload::check_name(&video.name(), &uploads)?;
    }
    let detectors = detectors(&arguments.processing, &mut settings)?;
    let host = Host::open(data, detectors)?;
    let again = if arguments.force { Again::Replace } else { Again::Beside };
    let started = Instant::now();
    let mut jobs: Vec<Job> = Vec::new();
    for video in &given {
        let uploaded = match video {
            Given::File(path) => upload::upload(&host.local, path, &settings).await?,
            Given::Address(address) => address.upload(&host.local, &settings).await?,
        };
        let job = begin(&host, uploaded, &settings, again).await?;
        // The same file given twice is one upload.
        if !jobs.iter().any(|known| known.request == job.request) {
            jobs.push(job);
        }
    }
    see_through(&host, &jobs, arguments.json, started).await
}

/// What detects by these settings, checked.
pub(crate) fn detectors(
    arguments: &ProcessingArguments,
    settings: &mut RequestSettings,
) -> anyhow::Result<Arc<DetectorPool>> {
    let detectors = host::detectors(arguments.device, arguments.batch);
    check(&detectors, arguments.device, settings)?;
    Ok(detectors)
}

/// Classes are named as the model names them from then on. A missing device, a missing model, a model that is not a detector, an appearance
/// network that gives no vectors, a class that the detector does not know: reported before anything is uploaded.
pub(crate) fn check(
    detectors: &DetectorPool,
    device: DeviceChoice,
    settings: &mut RequestSettings,
) -> anyhow::Result<()> {
    let is_there = settings.model.is_none() && default_model_path().is_file();
    let by_network = settings.appearance.as_ref().is_some_and(|asked| asked.network().is_some());
    if device != DeviceChoice::Auto || !is_there || settings.classes.is_some() || by_network {
        let model = detectors.facts(settings)?;
        trackdrop_track::check_classes(settings, &model)?;
        settings.name_classes_as(&model.class_names);
    }
    Ok(())
}

/// Delivers events until every job is over, and tells what came out.
pub(crate) async fn see_through(host: &Host, jobs: &[Job], json: bool, started: Instant) -> anyhow::Result<ExitCode> {
    let unfinished: Vec<&Job> = jobs.iter().filter(|job| !job.finished_before).collect();
    if let Some(code) = wait(host, &unfinished).await? {
        return Ok(code);
    }
    let mut failed = Vec::new();
    for job in jobs {
        failed.extend(tell(host, job, json, started, jobs.len() > 1).await?);
    }
    match failed.len() {
        0 => Ok(ExitCode::SUCCESS),
        _ => bail!("{}", failed.join("\ntrackdrop: ")),
    }
}

/// Prints what came out of a job that is over, and gives what failed.
pub(crate) async fn tell(
    host: &Host,
    job: &Job,
    json: bool,
    started: Instant,
    beside_others: bool,
) -> anyhow::Result<Option<String>> {
    let Some(manifest) = manifest::read(&host.cloud, &job.request).await? else {
        bail!("{} has no manifest", job.request)
    };
    let summary = summary_of(host, &job.request).await?;
    let seconds = (!job.finished_before).then(|| started.elapsed().as_secs_f64());
    if json {
        line!("{}", keys::of_request(&manifest, to_json(host, &manifest, &summary, seconds))?);
    } else if manifest.state.has_rows() {
        print_summary(host, &manifest, &summary, seconds, beside_others)?;
    }
    Ok(failure(job, &manifest))
}

/// Why a job failed, if it did.
pub(crate) fn failure(job: &Job, manifest: &Manifest) -> Option<String> {
    let error = manifest.error.as_ref()?;
    let what = match manifest.state.has_rows() {
        true => "is tracked, but its annotated video is missing: it failed in",
        false => "failed in",
    };
    Some(format!("{:?} {what} {}: {}", job.video, error.stage, error.message))
}

/// Delivers events until every job has ended. Returns an exit code if the run ends earlier.
async fn wait(host: &Host, jobs: &[&Job]) -> anyhow::Result<Option<ExitCode>> {
    if jobs.is_empty() {
        return Ok(None);
    }
    let mut progress = Progress::new();
    let mut interrupted = false;
    let mut stalled = None;
    let (told, mut events) = tokio::sync::mpsc::unbounded_channel::<BusEvent>();
    let stop = async {
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        let mut clock = tokio::time::interval(READ_EVERY);
        let mut idle_reads: BTreeMap<RequestId, u32> = BTreeMap::new();
        loop {
            tokio::select! {
                _ = interrupt.recv() => { interrupted = true; return }
                _ = terminate.recv() => { interrupted = true; return }
                Some(event) = events.recv() => match event {
                    BusEvent::Acknowledged { request, .. } => {
                        // Its last delivery may have ended it: nobody is to wait for the next read.
                        if is_idle(host, &request).await
                            && let Ok(tracked) = read_progress(host, jobs).await
                            && tracked.iter().all(|tracked| tracked.is_over)
                        {
                            progress.show(&tracked, &host.bus.in_flight());
                            return;
                        }
                        continue;
                    }
                    trouble => progress.event(&trouble),
                },
                _ = clock.tick() => {}
            }
            let Ok(tracked) = read_progress(host, jobs).await else { continue };
            progress.show(&tracked, &host.bus.in_flight());
            if tracked.iter().all(|tracked| tracked.is_over) {
                return;
            }
            // Nothing queued for one and the same request that is not over, read after read: it would hang for ever.
            let mut idle = BTreeMap::new();
            for tracked in tracked.iter().filter(|tracked| !tracked.is_over) {
                if host.local.pending(&tracked.request).await.is_ok_and(|pending| pending == 0) {
                    let reads = idle_reads.get(&tracked.request).copied().unwrap_or_default();
                    idle.insert(tracked.request.clone(), reads + 1);
                }
            }
            idle_reads = idle;
            stalled = idle_reads.iter().find(|&(_, &reads)| reads > 8).map(|(request, _)| request.clone());
            if stalled.is_some() {
                return;
            }
        }
    };
    let outcome = host.bus.run(stop, |event| drop(told.send(event))).await;
    progress.finish();
    if let Err(error) = outcome {
        return Err(give_up(host, error).await);
    }
    if let Some(request) = stalled {
        bail!("{request} is stalled: nothing is queued for it. Give the same command again to resume");
    }
    if interrupted {
        eprintln!("trackdrop: stopped. Give the same command again to resume");
        return Ok(Some(ExitCode::from(INTERRUPTED)));
    }
    Ok(None)
}

/// The host itself can't continue. If the reason is a lack of space, the request's failure is recorded while the reserve lasts.
pub(crate) async fn give_up(host: &Host, error: BusError) -> anyhow::Error {
    if let (FailureKind::Exhausted, Some((function, request))) = (error.failure.kind(), &error.during) {
        host.local.release_reserve();
        let stage = Stage::ALL.into_iter().find(|stage| stage.name() == function.as_str());
        if let (Some(stage), Ok(request)) = (stage, request.parse()) {
            let message = error.failure.to_string();
            let unplanned = describe(host, &request).await;
            let round =
                manifest::state_and_round(&host.cloud, &request).await.ok().flatten().and_then(|(_, round)| round);
            if let Err(failure) = end::fail(&host.cloud, &request, stage, &message, round, || unplanned).await {
                tracing::warn!(%request, %failure, "the failure could not be recorded");
            }
        }
    }
    anyhow::Error::from(error).context("stopped; what is finished is stored, and the same command resumes from here")
}

/// What the upload says of a request that has no manifest yet.
pub(crate) async fn describe(host: &Host, request: &RequestId) -> Option<Manifest> {
    let uploads = host.cloud.storage.list(&ObjectName::new(Bucket::Uploads, "")).await.ok()?;
    uploads.into_iter().find_map(|info| {
        let upload = info.finalized();
        let settings = RequestSettings::of_upload(&info.metadata).unwrap_or_default();
        let is_it = upload.request().as_ref() == Some(request);
        is_it.then(|| manifest::unplanned(request, &upload, Some(&info), settings))
    })
}

/// Whether nothing is queued for a request.
async fn is_idle(host: &Host, request: &str) -> bool {
    let Ok(request) = request.parse() else { return false };
    host.local.pending(&request).await.is_ok_and(|pending| pending == 0)
}

async fn read_progress(host: &Host, jobs: &[&Job]) -> anyhow::Result<Vec<Tracked>> {
    let mut all = Vec::with_capacity(jobs.len());
    for job in jobs {
        let is_over = end::is_told(&host.cloud, &job.request).await?;
        all.push(Tracked::read(host, &job.request, is_over).await?);
    }
    Ok(all)
}

async fn summary_of(host: &Host, request: &RequestId) -> anyhow::Result<Summary> {
    end::read_summary(&host.cloud, request).await?.with_context(|| format!("{request} has no summary"))
}

fn result_path(host: &Host, request: &RequestId, file: ResultFile) -> std::path::PathBuf {
    host.local.root().join("results").join(request.as_str()).join(file.file_name())
}

fn to_json(host: &Host, manifest: &Manifest, summary: &Summary, seconds: Option<f64>) -> serde_json::Value {
    let request = &manifest.request_id;
    let (has_rows, done) = (manifest.state.has_rows(), manifest.state == RequestState::Done);
    let (device, passed_over) = host.detectors.device().unzip();
    let passed_over: Vec<_> = passed_over
        .iter()
        .flatten()
        .map(|other| serde_json::json!({ "device": other.device.to_string(), "reason": other.reason }))
        .collect();
    let path = |file, there: bool| there.then(|| result_path(host, request, file));
    serde_json::json!({
        "segments": summary.segments,
        "detect_every": summary.detect_every,
        "stride": manifest.stride,
        "ledger": summary.ledger,
        "detections": summary.detections,
        "track_rows": summary.track_rows,
        "tracks_by_class": summary.tracks_by_class,
        "seconds_by_stage": summary.seconds_by_stage,
        "wall_seconds": seconds,
        "frames_per_second": seconds.map(|seconds| summary.ledger.frames as f64 / seconds),
        "fps_per_instance": summary.fps_per_instance,
        "device": device.map(|device| device.to_string()),
        "passed_over": passed_over,
        "cost": summary.cost,
        "warnings": manifest.source.video.as_ref().map(|_| manifest.notes().collect::<Vec<_>>()),
        "manifest": path(ResultFile::Manifest, true),
        "tracks": path(ResultFile::Tracks, has_rows),
        "annotated": path(ResultFile::AnnotatedVideo, done && manifest.settings.video),
    })
}

fn print_summary(
    host: &Host,
    manifest: &Manifest,
    summary: &Summary,
    seconds: Option<f64>,
    beside_others: bool,
) -> anyhow::Result<()> {
    let request = &manifest.request_id;
    line!("{} ({request})", summary.video.escape_debug());
    if let Some(root) = &manifest.retrack_of {
        line!("  version     of {root}: its detections, with other settings");
    }
    let ledger = &summary.ledger;
    let damaged = match ledger.frames_damaged {
        0 => String::new(),
        damaged => format!(", {damaged} of them damaged"),
    };
    line!("  frames      {}{damaged}, in {} segments", ledger.frames, summary.segments);
    if !summary.detect_every.is_all() {
        line!("  looked at   {} of them, every {} frames", ledger.looks(), summary.detect_every);
    }
    if let Some(choice) = &manifest.stride {
        line!("  auto        {}", probe::in_words(choice));
    }
    line!("  detections  {}", summary.detections);
    let mut classes: Vec<_> = summary.tracks_by_class.iter().collect();
    classes.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
    let classes: Vec<_> = classes.into_iter().map(|(name, count)| format!("{count} {name}")).collect();
    let tracks: u64 = summary.tracks_by_class.values().sum();
    let by_class = if classes.is_empty() { String::new() } else { format!(": {}", classes.join(", ")) };
    line!("  tracks      {tracks}{by_class}");
    let stages: Vec<_> =
        summary.seconds_by_stage.iter().map(|(stage, seconds)| format!("{stage} {seconds:.1} s")).collect();
    line!("  work        {}", stages.join(", "));
    match seconds {
        Some(seconds) if !beside_others => {
            line!("  took        {seconds:.1} s, {:.1} frames/s", ledger.frames as f64 / seconds);
        }
        Some(seconds) => line!("  took        {seconds:.1} s together with the other videos"),
        None => line!("  took        no time: it was finished before (--force processes it again)"),
    }
    if let Some((device, passed_over)) = host.detectors.device() {
        line!("  device      {device}");
        // Most machines have one reason for all of them.
        let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for PassedOver { device, reason } in &passed_over {
            by_reason.entry(reason).or_default().push(device.to_string());
        }
        for (reason, devices) in by_reason {
            line!("              not {}: {reason}", devices.join(", "));
        }
    }
    if let (Some(cost), Some(rate)) = (&summary.cost, summary.fps_per_instance) {
        line!(
            "  cost        about ${:.4} on Cloud Run with L4 GPUs at {rate:.1} frames/s per instance, prices of {}:",
            cost.usd,
            cost.prices_as_of
        );
        line!("              {}", cost.formula);
    }
    line!("  results     {}", host.local.root().join("results").join(request.as_str()).display());
    if manifest.settings.video && manifest.state == RequestState::Done {
        line!("  watch       {}", result_path(host, request, ResultFile::AnnotatedVideo).display());
    }
    for note in manifest.notes() {
        line!("  note        {note}");
    }
    Ok(())
}
