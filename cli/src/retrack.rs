//! `trackdrop retrack`: tracks the detections of a request, or of another program, with other settings. No detector runs.

use crate::{
    args::RetrackArguments,
    begin::begin_version,
    host::{self, Host},
    output::line,
    refine,
    run::see_through,
    settings, which_request,
};
use anyhow::{Context, anyhow, bail};
use std::{path::Path, process::ExitCode, time::Instant};
use trackdrop_cloud::local::LocalCloud;
use trackdrop_detector::DeviceChoice;
use trackdrop_exchange::{
    Retracked, TrackFile, read_classes, read_detections, refine_tracks, retrack_file_refined, retrack_refined,
};
use trackdrop_flow::manifest;
use trackdrop_refine::Refine;
use trackdrop_tracker::Settings;

pub(crate) async fn retrack(data: &Path, arguments: &RetrackArguments) -> anyhow::Result<ExitCode> {
    match (&arguments.request, &arguments.out) {
        (Some(request), ..) => retrack_request(data, request, arguments).await,
        (None, Some(out)) => retrack_file(out, arguments),
        (None, None) => bail!("give a request, or --detections and --out, or --tracks and --out"),
    }
}

/// Makes another version of a request's tracks.
async fn retrack_request(data: &Path, asked: &str, arguments: &RetrackArguments) -> anyhow::Result<ExitCode> {
    let unknown = || anyhow!("there is no request {asked:?} in {data:?} (trackdrop requests lists them)");
    if !LocalCloud::exists(data) {
        return Err(unknown());
    }
    let started = Instant::now();
    let host = Host::open(data, host::detectors(DeviceChoice::Auto, None))?;
    let of = which_request::of(&host.cloud, asked).await?;
    let manifest = manifest::read(&host.cloud, &of).await?.ok_or_else(unknown)?;
    let asked = settings::of_version(&manifest.settings, arguments)?;
    let job = begin_version(&host, &manifest, asked).await?;
    see_through(&host, &[job], arguments.json, started).await
}

fn retrack_file(out: &Path, arguments: &RetrackArguments) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let done = of_files(out, arguments)?;
    let seconds = started.elapsed().as_secs_f64();
    line!("{} frames, {} tracks, {} rows in {seconds:.2} s", done.frames, done.ids, done.rows);
    if done.refused > 0 {
        line!("{} detections without a size or with values that are not numbers were left out", done.refused);
    }
    line!("{}", out.display());
    Ok(ExitCode::SUCCESS)
}

/// Tracks a file of detections, or refines a file of tracks; nothing but the tracker and the refinements is needed.
pub(crate) fn of_files(out: &Path, arguments: &RetrackArguments) -> anyhow::Result<Retracked> {
    let deviations = &arguments.deviations;
    let refine = refine::of(&deviations.refine, &arguments.tracker)?;
    let refine = refine.map(|refine| refine::of_classes(refine, deviations.per_class));
    for (given, option, instead) in [
        (arguments.filter.classes.is_some(), "--classes", "leave the others out of the file"),
        (arguments.filter.min_score.is_some(), "--min-score", "leave the others out of the file"),
        (arguments.filter.detect_every.is_some(), "--detect-every", "leave the frames between out of the file"),
        (deviations.scale_buffer && refine.is_none(), "--scale-buffer", "--frame-rate scales the buffer"),
        (deviations.appearance.is_some(), "--appearance", "a file has no pictures"),
        (arguments.results.blur.is_some(), "--blur", "no video is made"),
        (arguments.results.boxes.is_some(), "--boxes", "no video is made"),
        (arguments.results.crops, "--crops", "no video is read"),
        (arguments.results.exports.is_some(), "--exports", "--out has one format, by its ending"),
    ] {
        if given {
            bail!("{option} is for a REQUEST and not for a file: {instead}");
        }
    }
    Ok(match (&arguments.tracks, &arguments.detections) {
        (Some(tracks), detections) => {
            let refine = refine.context(
                "--tracks are refined: give --refine, or some of --link, --recover, --smooth, --fill-gaps, --backfill",
            )?;
            refine_file(tracks, detections.as_deref(), out, &refine, arguments)?
        }
        (None, Some(detections)) => track_file(detections, out, refine.as_ref(), arguments)?,
        (None, None) => bail!("give a request, or --detections and --out, or --tracks and --out"),
    })
}

fn track_file(
    detections: &Path,
    out: &Path,
    refine: Option<&Refine>,
    arguments: &RetrackArguments,
) -> anyhow::Result<Retracked> {
    let (defaults, tracker) = (Settings::default(), &arguments.tracker);
    let video = refine::video(arguments.frame_rate)?;
    let scales_buffer = refine.is_none() || arguments.deviations.scale_buffer;
    let settings = Settings {
        track_thresh: tracker.track_thresh.unwrap_or(defaults.track_thresh),
        match_thresh: tracker.match_thresh.unwrap_or(defaults.match_thresh),
        track_buffer: tracker.track_buffer.unwrap_or(defaults.track_buffer),
        frame_rate: arguments.frame_rate.filter(|_| scales_buffer).unwrap_or(defaults.frame_rate),
        score_fusion: !tracker.no_score_fusion,
    };
    settings.validate()?;
    let create = || TrackFile::create(out, refine.is_some());
    if !arguments.deviations.per_class {
        return Ok(match refine {
            None => trackdrop_exchange::retrack_file(detections, &settings, arguments.frames, create)?,
            Some(refine) => retrack_file_refined(detections, &settings, arguments.frames, refine, &video, create)?,
        });
    }
    let frames = read_detections(detections)?.with_classes(read_classes(detections)?);
    Ok(match refine {
        None => trackdrop_exchange::retrack(&frames, &settings, arguments.frames, &mut create()?)?,
        Some(refine) => retrack_refined(&frames, &settings, arguments.frames, refine, &video, &mut create()?)?,
    })
}

fn refine_file(
    tracks: &Path,
    detections: Option<&Path>,
    out: &Path,
    refine: &Refine,
    arguments: &RetrackArguments,
) -> anyhow::Result<Retracked> {
    let tracker = &arguments.tracker;
    if tracker.match_thresh.is_some() || tracker.track_buffer.is_some() || tracker.no_score_fusion {
        bail!(
            "--match-thresh, --track-buffer and --no-score-fusion are for a tracker, and --tracks are tracked already"
        );
    }
    let given = refine::Given::read(tracks, detections, refine, arguments.frame_rate, arguments.frames)?;
    let mut file = TrackFile::create(out, true)?;
    Ok(refine_tracks(given.rows, &given.detections, &given.video, refine, &mut file)?)
}
