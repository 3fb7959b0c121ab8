//! Finds out how often the detector must look at a video, before there is a request.

use crate::{args::PlanArguments, host, settings};
use anyhow::Context;
use std::sync::Arc;
use trackdrop_flow::room::Room;
use trackdrop_media::VideoEngine;
use trackdrop_pipeline::{
    Delivery, DetectEvery, RequestId, StrideChoice, Timestamp, looks::MostLoss, stride::StrideReason,
};
use trackdrop_split::{Budget, Cutter, MediaCutter, Question, probe as look_and_choose};
use trackdrop_track::DetectorProber;

/// As `split` does it for a request with `detect_every: auto`.
pub(crate) fn probe(arguments: &PlanArguments) -> anyhow::Result<StrideChoice> {
    let (settings, limits) = (settings::of_plan(arguments)?, host::limits()?);
    let most = match settings.detect_every {
        DetectEvery::Auto(most) => most,
        DetectEvery::Frames(_) => MostLoss::USUAL,
    };
    let source = settings::source(&arguments.video, &arguments.reading)?;
    let detectors = host::detectors(arguments.device, None);
    let room = Room::new(limits.max_memory_bytes);
    let detector = host::segment_detector(detectors, limits.clone(), room, VideoEngine::from_environment()?);
    let prober = DetectorProber::new(Arc::new(detector));
    let mut video = MediaCutter { limits }.open(&source, &settings)?;
    let scratch = tempfile::tempdir().context("a folder for a few stretches of the video can't be made")?;
    let name = arguments.video.to_string_lossy();
    let request = RequestId::of_upload("plan", &name, 0, Timestamp::from_micros(0));
    let (budget, scratch) = (Budget::default(), scratch.path());
    let question = Question { request: &request, settings: &settings, most, budget, scratch };
    Ok(look_and_choose(&mut *video, &question, &prober, &Delivery::new())?)
}

/// A choice in one line.
pub(crate) fn in_words(choice: &StrideChoice) -> String {
    let (every, most) = (choice.detect_every, choice.most_loss_percent);
    let lost = choice.trials.iter().find(|trial| trial.detect_every == every);
    let loses = lost.map_or(String::new(), |trial| {
        let (loss, error) = (trial.loss_percent, trial.error_percent);
        format!(", which loses {loss:.2} ± {error:.2} % of IDF1")
    });
    let looked_at = match choice.reason {
        StrideReason::TooShort => String::new(),
        _ => format!(" ({} frames were looked at to choose it)", choice.frames_looked_at),
    };
    format!("every {every} frames{loses}, of {most} % allowed: {}{looked_at}", choice.reason.as_text())
}
