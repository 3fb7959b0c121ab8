//! What a user asks for with an upload. The settings travel with the request; no function has settings of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How one request is to be processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestSettings {
    /// Target length of a segment in seconds; cuts fall on keyframes, so segments are at least this long.
    pub segment_seconds: f64,
    /// The detector's ONNX file (a path locally, an object in the cloud); none means the default model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// SHA-256 of the model file, so that a changed file is noticed; hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_sha256: Option<String>,
    /// SHA-256 of the model's card, where it has one; hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card_sha256: Option<String>,
    /// Only objects of these classes are tracked; none means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Detections that score below this are ignored. Detections up to 0.1 never count (ByteTrack's floor).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_score: Option<f32>,
    /// Whether the annotated video is made.
    pub video: bool,
    /// Where the tracker departs from its defaults.
    pub tracker: TrackerOverrides,
}

/// ByteTrack's parameters, each left to its default unless given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrackerOverrides {
    /// Score above which a detection takes part in the first association.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_thresh: Option<f64>,
    /// Cost limit of the first association.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_thresh: Option<f64>,
    /// Frames (at 30 fps) that a lost track is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_buffer: Option<u32>,
}

/// Settings that cannot be honoured.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum SettingsError {
    /// The target length is not a positive number.
    #[error("segment length {0} s is not a positive number")]
    SegmentSeconds(f64),
    /// The score bound is outside 0 to 1.
    #[error("minimum score {0} is not between 0 and 1")]
    MinScore(f32),
    /// A class list that names nothing.
    #[error("the list of classes is empty or has an empty name in it")]
    Classes,
    /// The settings of an upload do not parse.
    #[error("the upload's `trackdrop-settings` metadata can't be read: {0}")]
    Malformed(String),
}

/// The key of an upload's custom metadata that holds its settings as JSON.
pub const METADATA_KEY: &str = "trackdrop-settings";

impl Default for RequestSettings {
    fn default() -> Self {
        Self {
            segment_seconds: 10.0,
            model: None,
            model_sha256: None,
            card_sha256: None,
            classes: None,
            min_score: None,
            video: true,
            tracker: TrackerOverrides::default(),
        }
    }
}

impl RequestSettings {
    /// The settings an upload carries in its custom metadata; the defaults where it carries none.
    pub fn of_upload(metadata: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let Some(json) = metadata.get(METADATA_KEY) else { return Ok(Self::default()) };
        let settings: Self = serde_json::from_str(json).map_err(|error| SettingsError::Malformed(error.to_string()))?;
        settings.check()?;
        Ok(settings)
    }

    /// Refuses values that no stage could honour.
    pub fn check(&self) -> Result<(), SettingsError> {
        if !(self.segment_seconds > 0.0 && self.segment_seconds.is_finite()) {
            return Err(SettingsError::SegmentSeconds(self.segment_seconds));
        }
        match (self.min_score, &self.classes) {
            (Some(score), _) if !(0.0..=1.0).contains(&score) => Err(SettingsError::MinScore(score)),
            (_, Some(classes)) if classes.is_empty() || classes.iter().any(|name| name.trim().is_empty()) => {
                Err(SettingsError::Classes)
            }
            _ => Ok(()),
        }
    }

    /// Whether both give the same results. The segment length is left out: results do not depend on it (promise 1). So is where the
    /// model lies, when it is known what it is.
    pub fn same_results(&self, other: &Self) -> bool {
        let essence = |settings: &Self| Self {
            segment_seconds: 0.0,
            model: settings.model.clone().filter(|_| settings.model_sha256.is_none()),
            ..settings.clone()
        };
        essence(self) == essence(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_no_stage_could_honour_are_refused_with_the_value() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(RequestSettings { segment_seconds: bad, ..Default::default() }.check().is_err(), "{bad}");
        }
        let settings = RequestSettings { min_score: Some(1.5), ..Default::default() };
        assert_eq!(settings.check().unwrap_err().to_string(), "minimum score 1.5 is not between 0 and 1");
        assert_eq!(
            RequestSettings { classes: Some(vec![]), ..Default::default() }.check(),
            Err(SettingsError::Classes)
        );
        let misspelt = BTreeMap::from([(METADATA_KEY.to_owned(), r#"{"segment_secs": 3}"#.to_owned())]);
        assert!(RequestSettings::of_upload(&misspelt).is_err());
    }

    #[test]
    fn the_segment_length_is_no_part_of_what_the_results_are() {
        let a = RequestSettings::default();
        assert!(a.same_results(&RequestSettings { segment_seconds: 2.0, ..a.clone() }));
        assert!(!a.same_results(&RequestSettings { video: false, ..a.clone() }));
    }
}
