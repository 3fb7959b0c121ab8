//! Chooses how often the detector looks at a video whose request has `detect_every: auto`. The detector looks at some stretches
//! in full before the video is planned. The plan has the answer, and no chunk is cut before the plan exists.

use crate::OpenVideo;
use std::{ops::Range, path::Path};
use trackdrop_pipeline::{
    Delivery, DetectEvery, Failure, RequestId, RequestSettings, SegmentDescription, SegmentNumber, StrideChoice,
    looks::MostLoss, manifest::VideoInfo, stride::FrameRange,
};
use trackdrop_probe::{Asked, Budget, Prober, choose};

/// The input of the choice.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The request; it names the stretches.
    pub request: &'a RequestId,
    /// Its settings.
    pub settings: &'a RequestSettings,
    /// The largest allowed loss.
    pub most: MostLoss,
    /// The budget: how much of the video the detector may look at.
    pub budget: Budget,
    /// The folder in which stretches are cut.
    pub scratch: &'a Path,
}

/// Runs the detector on all frames of some stretches of a video, and chooses the stride. The same video, settings and
/// model always give the same result, and it does not depend on how the video is cut.
///
/// # Errors
/// Those of cutting and of the prober; permanent: settings that the tracker refuses.
pub fn probe(
    video: &mut dyn OpenVideo,
    question: &Question<'_>,
    prober: &dyn Prober,
    delivery: &Delivery,
) -> Result<StrideChoice, Failure> {
    let info = video.info();
    let places = question.budget.stretches(&video.key_frames(), info.frame_count);
    let (mut stretches, mut track_thresh) = (Vec::new(), None);
    for (number, place) in places.iter().enumerate() {
        delivery.step()?;
        let number = SegmentNumber::new(number as u64).map_err(Failure::permanent_from)?;
        let (chunk, description) = cut(video, &info, question, number, place)?;
        let seen = prober.look(&chunk, &description, delivery)?;
        let frame_count = u32::try_from(description.span.frame_count).unwrap_or(u32::MAX);
        stretches.push(seen.stretch(question.settings, description.span.first_frame, frame_count));
        track_thresh = seen.track_thresh;
    }
    let size_px = [f64::from(info.width_px), f64::from(info.height_px)];
    let asked = Asked::of(question.settings, track_thresh, info.frame_rate.to_f64(), size_px)?;
    let range = |place: &Range<u64>| FrameRange { first_frame: place.start, frame_count: place.end - place.start };
    let choice = choose(&stretches, &asked, question.most)?;
    tracing::info!(detect_every = choice.detect_every.get(), reason = choice.reason.as_text(), "auto chose");
    Ok(StrideChoice { stretches: places.iter().map(range).collect(), ..choice })
}

/// Cuts a stretch as if it were a segment.
fn cut(
    video: &mut dyn OpenVideo,
    info: &VideoInfo,
    question: &Question<'_>,
    segment_number: SegmentNumber,
    place: &Range<u64>,
) -> Result<(tempfile::TempPath, SegmentDescription), Failure> {
    let (segment, chunk) = video.cut_stretch(place, question.scratch)?;
    let description = SegmentDescription {
        request_id: question.request.clone(),
        segment_number,
        segment_count: segment_number.get().saturating_add(1),
        span: segment.span,
        pts_sha256: segment.frame_pts.sha256(),
        // No other process reads it.
        sha256: String::new(),
        presentation: info.presentation.clone(),
        settings: RequestSettings { detect_every: DetectEvery::ALL, ..question.settings.clone() },
    };
    Ok((chunk, description))
}
