//! Formats of other tools that tracks are written in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A format of another tool. What each one holds is described where it is written, in `shared/exchange`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExportFormat {
    /// MOTChallenge text: `frame,id,x,y,w,h,score,-1,-1,-1`. Classes are left out.
    #[serde(rename = "mot")]
    MotChallenge,
    /// COCO JSON with `videos`, and `track_id` in the annotations.
    #[serde(rename = "coco")]
    CocoVideo,
    /// CVAT for video 1.1, XML. All rows are held in memory, since CVAT wants them by track.
    #[serde(rename = "cvat")]
    CvatVideo,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object per line.
    Ndjson,
    /// The answer of Google's Video Intelligence API to a finished request: `AnnotateVideoResponse` as JSON.
    VideoIntelligence,
    /// The answers of that API's streaming mode: one `StreamingAnnotateVideoResponse` per line, for each frame with rows.
    VideoIntelligenceStreaming,
    /// The answer of Amazon Rekognition's `GetPersonTracking`, one page per line.
    RekognitionPersons,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 8] = [
        Self::MotChallenge,
        Self::CocoVideo,
        Self::CvatVideo,
        Self::Csv,
        Self::Ndjson,
        Self::VideoIntelligence,
        Self::VideoIntelligenceStreaming,
        Self::RekognitionPersons,
    ];

    /// Its name, in commands and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MotChallenge => "mot",
            Self::CocoVideo => "coco",
            Self::CvatVideo => "cvat",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::VideoIntelligence => "video-intelligence",
            Self::VideoIntelligenceStreaming => "video-intelligence-streaming",
            Self::RekognitionPersons => "rekognition-persons",
        }
    }

    /// The usual ending of its files, without the dot.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::MotChallenge => "txt",
            Self::CocoVideo | Self::VideoIntelligence => "json",
            Self::CvatVideo => "xml",
            Self::Csv => "csv",
            Self::Ndjson | Self::VideoIntelligenceStreaming | Self::RekognitionPersons => "ndjson",
        }
    }

    /// The file's name among the results of a request.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::MotChallenge => "mot.txt",
            Self::CocoVideo => "coco.json",
            Self::CvatVideo => "cvat.xml",
            Self::Csv => "tracks.csv",
            Self::Ndjson => "tracks.ndjson",
            Self::VideoIntelligence => "video-intelligence.json",
            Self::VideoIntelligenceStreaming => "video-intelligence-streaming.ndjson",
            Self::RekognitionPersons => "rekognition-persons.ndjson",
        }
    }

    /// The MIME type of its files.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self.ending() {
            "json" => "application/json",
            "xml" => "application/xml",
            "csv" => "text/csv",
            "txt" => "text/plain",
            _ => "application/x-ndjson",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ExportFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| UnknownFormat { name: name.to_owned() })
    }
}

/// A name that is not an [`ExportFormat`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a format: expected one of {}", ExportFormat::ALL.map(ExportFormat::name).join(", "))]
pub struct UnknownFormat {
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn settings_write_a_format_as_commands_do_and_no_two_share_a_file() {
        for format in ExportFormat::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), format.name());
            assert!(format.file_name().ends_with(format.ending()), "{format}");
        }
        assert_eq!(ExportFormat::ALL.map(ExportFormat::file_name).into_iter().collect::<BTreeSet<_>>().len(), 8);
    }
}
