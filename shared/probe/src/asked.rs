//! What a request's settings mean for the tracker and the refinements.

use trackdrop_pipeline::{Failure, RequestSettings, Smooth as AskedSmooth};
use trackdrop_refine::{Backfill, Gaps, Link, Refine, Smooth, Smoothing};
use trackdrop_tracker::{BIRTH_MARGIN, Settings};

/// How a video is to be tracked.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The tracker's settings.
    pub tracker: Settings,
    /// Whether each class is associated by itself.
    pub per_class: bool,
    /// What is done to the tracks.
    pub refine: Refine,
    /// Frames per second.
    pub frame_rate: f64,
    /// Width and height, px.
    pub size_px: [f64; 2],
}

impl Asked {
    /// By the settings of a request of a video. `track_thresh` is the model's own, if its card has one.
    ///
    /// # Errors
    /// Permanent: settings that the tracker or a refinement refuses.
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

/// The tracker's parameters for a request of a video of this many frames per second. `track_thresh` is the model's own, if its card has
/// one: the score scale is the model's.
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

/// What the request asks for. `birth_score` is the least from which a track is born.
///
/// # Errors
/// Permanent: a smoothing that is not above 0.
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
