//! What it took to make an object, in that object's custom metadata: the summary adds these up, nothing else counts.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The work that made an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkReport {
    /// Seconds that the work took.
    pub seconds: f64,
    /// Frames that were worked on.
    pub frames: u64,
    /// Rows that were written.
    #[serde(default)]
    pub rows: u64,
    /// Identities by class name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tracks: BTreeMap<String, u64>,
}

const METADATA_KEY: &str = "trackdrop-work";

impl WorkReport {
    /// As custom metadata.
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        // A struct of numbers and text keys always serialises; without the report only a sum is missing.
        serde_json::to_string(self).map(|json| BTreeMap::from([(METADATA_KEY.to_owned(), json)])).unwrap_or_default()
    }

    /// From custom metadata; nothing where it carries no report.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Self {
        metadata.get(METADATA_KEY).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }
}
