//! Converts a request's settings to those of the tracker and the refinements.

use trackdrop_pipeline::{Failure, RequestSettings, Smooth as AskedSmooth};
use trackdrop_refine::{Backfill, Gaps, Link, Refine, Smooth, Smoothing};
use trackdrop_tracker::{BIRTH_MARGIN, Settings};

/// How a video is to be tracked.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The tracker's settings.
    pub tracker: Settings,
    /// Whether each class is associated separately.
    pub per_class: bool,
    /// The refinements of the tracks.
    pub refine: Refine,
    /// Frames per second.
    pub frame_rate: f64,
    /// Width and height, px.
    pub size_px: [f64; 2],
}

impl Asked {
    /// From the settings of a request and the facts of its video. `track_thresh` is that of the model's card, if it has
    /// one.
    ///
    /// # Errors
    /// Permanent: the tracker or a refinement refuses a setting.
    pub fn of(
        settings: &RequestSettings,
        track_thresh: Option<f64>,
        frame_rate: f64,
        size_px: [f64; 2],
    ) -> Result<Self, Failure> {
        let tracker = tracker_settings(settings, track_thresh, frame_rate);
        tracker.validate().map_err(Failure::permanent_from)?;
        let refine = refine_of(settings, tracker.track_thresh + BIRTH_MARGIN)?;
        Ok(Self { tracker, per_class: settings.tracker.per_class, refine, frame_rate, size_px })
    }
}

/// The tracker's settings for a request, and a video with this frame rate. `track_thresh` is that of the model's card,
/// if it has one, because scores depend on the model.
pub fn tracker_settings(settings: &RequestSettings, track_thresh: Option<f64>, frame_rate: f64) -> Settings {
    let defaults = Settings::default();
    let overrides = &settings.tracker;
    Settings {
        track_thresh: overrides.track_thresh.or(track_thresh).unwrap_or(defaults.track_thresh),
        match_thresh: overrides.match_thresh.unwrap_or(defaults.match_thresh),
        track_buffer: overrides.track_buffer.unwrap_or(defaults.track_buffer),
        frame_rate: if overrides.scale_buffer { frame_rate } else { defaults.frame_rate },
        score_fusion: overrides.score_fusion.unwrap_or(defaults.score_fusion),
    }
}

/// The refinements that the request sets. `birth_score` is the lowest score from which a track begins.
///
/// # Errors
/// Permanent: the width of the smoothing is not above 0.
pub fn refine_of(settings: &RequestSettings, birth_score: f64) -> Result<Refine, Failure> {
    let (asked, per_class) = (&settings.refine, settings.tracker.per_class);
    let smooth = match asked.smooth {
        None => None,
        Some(AskedSmooth::Named(_)) => Some(Smooth::Rts),
        Some(AskedSmooth::Gaussian(sigma_frames)) => {
            let smoothing = Smoothing::new(sigma_frames);
            Some(Smooth::Gaussian(smoothing.map_err(Failure::permanent_from)?))
        }
    };
    Ok(Refine {
        link: asked.link.map(|max_gap_s| Link { max_gap_s, per_class }),
        recover: asked.recover,
        per_class,
        backfill: asked.backfill.then(|| Backfill { min_score: birth_score, ..Backfill::default() }),
        fill_gaps: asked.fill_gaps.map(|max_missing_frames| Gaps { max_missing_frames, ..Gaps::default() }),
        smooth,
    })
}
