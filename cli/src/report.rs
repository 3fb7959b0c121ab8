//! `trackdrop requests` and `trackdrop show`: they print the content of manifests.

use crate::{
    args::{RequestsArguments, ShowArguments},
    host::{cloud_of, open_existing, uploads},
    keys,
    output::line,
    probe, timeline, which_request,
};
use anyhow::{Context, bail};
use std::{path::Path, process::ExitCode};
use trackdrop_flow::{
    end,
    known::{self, Known},
    round,
    sweep::{self, Patience, StalledRequest, Treatment},
};
use trackdrop_pipeline::{Delivery, Manifest, manifest::VideoInfo, names::ResultFile};

pub(crate) async fn requests(data: &Path, arguments: &RequestsArguments) -> anyhow::Result<ExitCode> {
    if arguments.sweep {
        return sweep(data, arguments.json).await;
    }
    let rows = match open_existing(data)? {
        Some(local) => known::all(&cloud_of(&local)).await?,
        None => Vec::new(),
    };
    for row in &rows {
        let (Known { uploaded_at, request, video, manifest }, state) = (row, row.state());
        let error = manifest.as_ref().and_then(|manifest| manifest.error.as_ref());
        let version_of = manifest.as_ref().and_then(|manifest| manifest.retrack_of.as_ref());
        if arguments.json {
            let progress = manifest.as_ref().map(|manifest| &manifest.progress);
            let segments = manifest.as_ref().map(|manifest| manifest.segment_count);
            line!(
                "{}",
                serde_json::json!({
                    "request_id": request, "retrack_of": version_of, "video": video, "uploaded_at": uploaded_at, "state": state,
                    "segments": segments, "progress": progress, "error": error,
                    "ledger": manifest.as_ref().and_then(|manifest| manifest.ledger.as_ref()),
                })
            );
            continue;
        }
        let progress = manifest.as_ref().map(progress).unwrap_or_default();
        let version = version_of.map(|root| format!("  (version of {root})")).unwrap_or_default();
        line!("{request}  {state:<10}  {progress:<24}  {}{version}", video.escape_debug());
        if let Some(error) = error {
            line!("    failed in {}: {}", error.stage, error.message);
        }
        if let Some(damaged) = manifest.as_ref().and_then(damage) {
            line!("    {damaged}");
        }
    }
    if rows.is_empty() && !arguments.json {
        line!("no requests yet: trackdrop run VIDEO makes one");
    }
    Ok(ExitCode::SUCCESS)
}

/// On a laptop the queue is known. So a request that has not ended and has nothing in the queue is stalled.
async fn sweep(data: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let Some(local) = open_existing(data)? else { return Ok(ExitCode::SUCCESS) };
    let (mut is_found, mut written, mut first_failure) = (false, Ok(()), None);
    let (ignored, busy) = (uploads()?.ignored(), local.busy().await?);
    sweep::sweep_each(&cloud_of(&local), Patience::NONE, &ignored, &busy, &Delivery::new(), &mut |looked_after| {
        match looked_after {
            Ok(found) => {
                is_found = true;
                // If the reader of the output stops early, all requests are handled all the same.
                if written.is_ok() {
                    written = tell(&found, json);
                }
            }
            Err(failed) => {
                first_failure.get_or_insert(failed);
            }
        }
    })
    .await?;
    written?;
    if let Some((request, failure)) = first_failure {
        bail!("{request} can't be checked: {failure}");
    }
    if !is_found && !json {
        line!("no request is stalled");
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(found: &StalledRequest, json: bool) -> anyhow::Result<()> {
    if json {
        line!("{}", serde_json::to_string(found)?);
        return Ok(());
    }
    line!("{}  is stalled in {}: {}", found.request_id, found.stage, found.why);
    match &found.done {
        Treatment::ToldAgain(events) => {
            line!("    {events} events are queued again: the next `trackdrop run` delivers them")
        }
        Treatment::Healed => line!("    it is restarted: the next `trackdrop run` resumes it"),
        Treatment::Failed(reason) => line!("    failed: {reason}"),
        Treatment::Nothing => {}
    }
    Ok(())
}

/// The number of damaged frames, if there are any.
fn damage(manifest: &Manifest) -> Option<String> {
    let ledger = manifest.ledger.as_ref().filter(|ledger| ledger.frames_damaged > 0)?;
    Some(format!("{} of {} frames are damaged", ledger.frames_damaged, ledger.frames))
}

fn progress(manifest: &Manifest) -> String {
    let (all, progress) = (manifest.segment_count, &manifest.progress);
    if manifest.settings.video {
        format!("tracked {}/{all} drawn {}/{all}", progress.segments_tracked, progress.segments_annotated)
    } else {
        format!("tracked {}/{all}", progress.segments_tracked)
    }
}

pub(crate) async fn show(data: &Path, arguments: &ShowArguments) -> anyhow::Result<ExitCode> {
    let (cloud, manifest) = which_request::stored(data, &arguments.request, arguments.google).await?;
    let request = &manifest.request_id;
    if arguments.timeline {
        timeline::show(&cloud, &manifest, arguments.json).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.json {
        line!("{:#}", keys::of_request(&manifest, &manifest)?);
        return Ok(ExitCode::SUCCESS);
    }
    line!("request   {request}");
    if let Some(root) = &manifest.retrack_of {
        line!("version   of {root}: its chunks and detections, with other settings");
    }
    line!("video     {}", end::video_name(&manifest).escape_debug());
    line!("uploaded  {}, {} bytes", manifest.source.uploaded_at, manifest.source.bytes);
    line!("state     {}", manifest.state.as_str());
    if let Some(error) = &manifest.error {
        line!("error     in {}: {}", error.stage, error.message);
    }
    if let Some(video) = &manifest.source.video {
        let (width, height, rate) = (video.width_px, video.height_px, video.frame_rate);
        line!(
            "source    {} in {}, {width}x{height}, {rate} frames/s, {} frames",
            video.codec,
            video.container,
            video.frame_count
        );
        if let Some(stored) = stored(video) {
            line!("stored    {stored}");
        }
    }
    for note in manifest.notes() {
        line!("note      {note}");
    }
    line!("progress  {} segments, {}", manifest.segment_count, progress(&manifest));
    if let Some(model) = &manifest.model {
        line!("model     {} (sha256 {})", model.name, model.sha256);
    }
    if !manifest.settings.detect_every.is_all() {
        line!("looks     at every {} frames", manifest.detect_every());
    }
    if let Some(choice) = &manifest.stride {
        line!("auto      {}", probe::in_words(choice));
    }
    if let Some(ledger) = &manifest.ledger {
        let passed_over = match ledger.frames_passed_over {
            0 => String::new(),
            frames => format!(", {frames} skipped by plan"),
        };
        let (frames, whole, damaged) = (ledger.frames, ledger.frames_whole, ledger.frames_damaged);
        line!("ledger    {frames} frames, {whole} whole, {damaged} damaged{passed_over}");
    }
    let summary = ResultFile::Summary.object(request);
    // A request that was reopened has the summary of its failure until it ends once more.
    if cloud.find(&summary).await?.is_some_and(|info| round::of(&info) == manifest.reopened_at) {
        let (_, json) = cloud.storage.get(&summary).await?;
        let summary: end::Summary = serde_json::from_slice(&json).context("the summary can't be read")?;
        for (stage, seconds) in &summary.seconds_by_stage {
            line!("work      {stage} {seconds:.2} s");
        }
        line!("finished  {}", summary.finished_at);
    }
    for segment in manifest.segments.iter().take(20) {
        line!(
            "segment   {}  start {:>10} s  duration {:>9} s  frames {}..{}",
            segment.segment_number,
            segment.start_time,
            segment.duration,
            segment.span.first_frame,
            segment.span.end_frame()
        );
    }
    if manifest.segments.len() > 20 {
        line!("segment   ... and {} more (--json shows all)", manifest.segments.len() - 20);
    }
    Ok(ExitCode::SUCCESS)
}

/// How the picture is stored and shown, if that differs from the picture whose pixels boxes are in.
fn stored(video: &VideoInfo) -> Option<String> {
    let (width, height) = (video.stored_width_px?, video.stored_height_px?);
    let mirrored = if video.mirrored? { "mirrored, " } else { "" };
    let turned = format!("{mirrored}turned by {} degrees clockwise", video.rotation_degrees);
    let (shown_width, shown_height) = (video.shown_width_px?, video.shown_height_px?);
    let is_as_shown = (width, height) == (shown_width, shown_height) && !video.mirrored? && video.rotation_degrees == 0;
    (!is_as_shown).then(|| format!("{width}x{height}, {turned}, shown as {shown_width}x{shown_height}"))
}
