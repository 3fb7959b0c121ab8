//! Which settings a result depends on. From that, Trackdrop knows which work of an earlier request can be used again.

use super::{Appearance, RequestSettings};
use crate::looks::DetectEvery;

impl RequestSettings {
    /// Whether both give the same results. The segment length is not compared, because results do not depend on it (promise 1).
    /// The path of a model is not compared if its hash is known.
    pub fn same_results(&self, other: &Self) -> bool {
        let essence = |settings: &Self| Self {
            segment_seconds: 0.0,
            classes: settings.classes.clone().map(|mut classes| {
                classes.sort();
                classes
            }),
            model: settings.model.clone().filter(|_| settings.model_sha256.is_none()),
            appearance: settings.appearance.as_ref().map(Appearance::essence),
            ..settings.clone()
        };
        essence(self) == essence(other)
    }

    /// The settings on which detections depend. If these are the same, the detector has to run only once.
    pub fn of_detections(&self) -> Self {
        Self {
            segment_seconds: 0.0,
            model: self.model.clone().filter(|_| self.model_sha256.is_none()),
            model_sha256: self.model_sha256.clone(),
            card_sha256: self.card_sha256.clone(),
            detect_every: self.detect_every,
            video_stream: self.video_stream,
            raw_frame_rate: self.raw_frame_rate,
            source_clock: self.source_clock,
            appearance: self.appearance.as_ref().map(Appearance::essence),
            ..Self::default()
        }
    }

    /// Whether tracks by `other` can be made of the detections that were made by these, so that no detector has to run.
    pub fn detections_serve(&self, other: &Self) -> bool {
        let every_frame =
            |settings: &Self| Self { detect_every: DetectEvery::ALL, appearance: None, ..settings.of_detections() };
        let has = |asked: &Appearance| self.appearance.as_ref().is_some_and(|stored| stored.is_same(asked));
        let appearance_serves = other.appearance.as_ref().is_none_or(has);
        let looks_serve = match (self.detect_every.frames(), other.detect_every.frames()) {
            (Some(ours), Some(others)) => others.get().is_multiple_of(ours.get()),
            // A version keeps the stride that the video chose. Which one that was is not in the settings.
            _ => self.detect_every == other.detect_every,
        };
        looks_serve && appearance_serves && every_frame(self) == every_frame(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{AppearanceNetwork, Refinements, TrackerOverrides};

    #[test]
    fn the_segment_length_is_no_part_of_what_the_results_are() {
        let a = RequestSettings::default();
        assert!(a.same_results(&RequestSettings { segment_seconds: 2.0, ..a.clone() }));
        assert!(!a.same_results(&RequestSettings { video: false, ..a.clone() }));
    }

    #[test]
    fn detections_serve_other_filters_and_trackers_and_fewer_looks_but_no_other_model() {
        let every = |frames: u32| DetectEvery::try_from(frames).unwrap();
        let chosen = RequestSettings { detect_every: DetectEvery::AUTO, ..Default::default() };
        assert!(chosen.detections_serve(&RequestSettings { min_score: Some(0.5), ..chosen.clone() }));
        assert!(!chosen.detections_serve(&RequestSettings { detect_every: every(2), ..chosen.clone() }));
        assert!(!RequestSettings::default().detections_serve(&chosen));
        let a = RequestSettings { detect_every: every(2), model_sha256: Some("00".into()), ..Default::default() };
        let tracker = TrackerOverrides { track_buffer: Some(7), ..Default::default() };
        for other in [
            RequestSettings { classes: Some(vec!["car".into()]), min_score: Some(0.5), video: false, ..a.clone() },
            RequestSettings { tracker, refine: Refinements::best(), segment_seconds: 1.0, ..a.clone() },
            RequestSettings { detect_every: every(4), model: Some("elsewhere.onnx".into()), ..a.clone() },
        ] {
            assert!(a.detections_serve(&other), "{other:?}");
        }
        for other in [
            RequestSettings { detect_every: every(3), ..a.clone() },
            RequestSettings { detect_every: every(1), ..a.clone() },
            RequestSettings { model_sha256: Some("01".into()), ..a.clone() },
            RequestSettings { card_sha256: Some("01".into()), ..a.clone() },
            RequestSettings { video_stream: Some(1), ..a.clone() },
            RequestSettings { source_clock: true, ..a.clone() },
            RequestSettings { appearance: Some(Appearance::COLOR), ..a.clone() },
        ] {
            assert!(!a.detections_serve(&other), "{other:?}");
            assert_ne!(a.of_detections(), other.of_detections());
        }
        let colored = RequestSettings { appearance: Some(Appearance::COLOR), ..a.clone() };
        assert!(colored.detections_serve(&a) && colored.detections_serve(&colored));
    }

    #[test]
    fn a_network_serves_wherever_it_lies_and_no_other_one_does() {
        let by = |network: &str, sha256: Option<&str>, card: &str| RequestSettings {
            appearance: Some(Appearance::Network(AppearanceNetwork {
                network: network.into(),
                network_sha256: sha256.map(str::to_owned),
                network_card_sha256: Some(card.into()),
            })),
            ..Default::default()
        };
        let a = by("/a/osnet.onnx", Some("00"), "11");
        assert!(a.detections_serve(&by("/b/osnet.onnx", Some("00"), "11")));
        assert!(a.same_results(&by("/b/osnet.onnx", Some("00"), "11")));
        assert!(by("osnet", None, "").detections_serve(&by("osnet", None, "")));
        let colored = RequestSettings { appearance: Some(Appearance::COLOR), ..Default::default() };
        for other in [by("/a/osnet.onnx", Some("01"), "11"), by("/a/osnet.onnx", Some("00"), "12"), colored] {
            assert!(!a.detections_serve(&other) && !other.detections_serve(&a), "{other:?}");
        }
        assert!(!by("osnet", None, "").detections_serve(&by("other", None, "")));
    }
}
