//! The manifest: what a request is, how it was cut, how far it is and how it ended. `results/<request_id>/manifest.json`.

use crate::{
    ledger::{LedgerTotal, PlannedFrames},
    looks::{Looks, Stride},
    pts_list::{FRAME_LIMIT, PtsList},
    request::RequestId,
    segment::{SegmentNumber, SegmentSpan},
    settings::RequestSettings,
    stage::Stage,
    stride::StrideChoice,
    time::{Rational, Timestamp},
    video::VideoParams,
};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, SeqAccess, Visitor},
};
use std::{borrow::Cow, fmt};

/// The state of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Planned; chunks are being cut, and `track` detects objects in each new chunk.
    Splitting,
    /// All chunks are cut; detection continues.
    Tracking,
    /// Identities are being given.
    Merging,
    /// The tracks exist; rows are loaded and segments drawn.
    Annotating,
    /// All results exist.
    Done,
    /// It ended: the tracks exist and their rows are loaded, but the annotated video is missing, and the error says why.
    DoneWithoutVideo,
    /// It ended with a reason.
    Failed,
}

impl RequestState {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::DoneWithoutVideo | Self::Failed)
    }

    /// Whether the tracks exist and their rows are loaded.
    pub fn has_rows(self) -> bool {
        matches!(self, Self::Done | Self::DoneWithoutVideo)
    }

    /// Whether it ended without all that was asked for; it can be reopened.
    pub fn lacks_something(self) -> bool {
        matches!(self, Self::DoneWithoutVideo | Self::Failed)
    }

    /// The state as the manifest writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Splitting => "splitting",
            Self::Tracking => "tracking",
            Self::Merging => "merging",
            Self::Annotating => "annotating",
            Self::Done => "done",
            Self::DoneWithoutVideo => "done_without_video",
            Self::Failed => "failed",
        }
    }
}

/// Facts about the source. They are measured if possible, and not taken from the container's header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceInfo {
    /// Bucket and name of the upload, as a path for people.
    pub uri: String,
    /// Which generation of it.
    pub generation: i64,
    /// When that generation was written.
    pub uploaded_at: Timestamp,
    /// Size in bytes.
    pub bytes: u64,
    /// CRC32C of the bytes, as Cloud Storage writes it (base64, big-endian).
    pub crc32c: String,
    /// What the splitter found in it; none while the request is not planned or the upload is no video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoInfo>,
}

/// The video streams of a file that has several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VideoStreams {
    /// The number of the one that is processed.
    pub taken: u32,
    /// The rule that chose it.
    pub rule: String,
    /// All of them, in the order of the file.
    pub streams: Vec<VideoStream>,
}

/// One of several video streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VideoStream {
    /// Its number for the request setting `video_stream`, from 0.
    pub number: u32,
    /// Its codec.
    pub codec: String,
    /// Width in pixels; 0 where it is not known.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// Number of the programme that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<i32>,
}

/// The one video stream that is processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VideoInfo {
    /// Container format.
    pub container: String,
    /// Codec of the stream.
    pub codec: String,
    /// Width in pixels of the picture that boxes are in: the upright one, before its sample aspect ratio.
    pub width_px: u32,
    /// Height in pixels of that picture.
    pub height_px: u32,
    /// Width of the decoded picture in pixels, as it is stored; none in manifests of older versions, which did not turn pictures
    /// upright.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_width_px: Option<u32>,
    /// Height of the decoded picture in pixels, as it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_height_px: Option<u32>,
    /// Seconds per tick, exact.
    pub time_base: Rational,
    /// Mean frame rate, for people. Nothing is computed from it.
    pub frame_rate: Rational,
    /// Degrees by which the stored picture is turned clockwise to be upright: 0, 90, 180 or 270.
    pub rotation_degrees: i32,
    /// Whether the stored picture is mirrored left to right before it is turned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirrored: Option<bool>,
    /// Width of a pixel of the upright picture divided by its height.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_aspect_ratio: Option<Rational>,
    /// Width that a player shows the upright picture at: a browser's `videoWidth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_width_px: Option<u32>,
    /// Height that a player shows the upright picture at: a browser's `videoHeight`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_height_px: Option<u32>,
    /// Frames that are shown.
    pub frame_count: u64,
    /// The PTS of time 0 of the presentation. All PTS are times after an edit list is applied. In older manifests, without
    /// `presentation.has_presented_times`, the PTS of an MP4 are on the media's own clock.
    pub origin_pts: i64,
    /// First shown PTS.
    pub start_pts: i64,
    /// End of the shown interval, exclusive.
    pub end_pts: i64,
    /// The file's video streams, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_streams: Option<VideoStreams>,
    /// Codec of the audio that goes into the annotated video; none without audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<String>,
    /// Properties that the annotated video has, too (size, aspect, orientation, colours), as the media library writes and reads
    /// them.
    #[schemars(with = "serde_json::Value")]
    pub presentation: VideoParams,
    /// Remarks on how the file was read, such as a rotation that was ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One planned segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestSegment {
    /// The request.
    pub request_id: RequestId,
    /// The chunk's object name in `work`.
    pub segment_file: String,
    /// The number, from 0.
    pub segment_number: SegmentNumber,
    /// Measured start in decimal seconds of the presentation.
    pub start_time: String,
    /// Measured length in decimal seconds.
    pub duration: String,
    /// The upload, as a path for people.
    pub original_video: String,
    /// The frames that it owns.
    #[serde(flatten)]
    pub span: SegmentSpan,
    /// The PTS of every owned frame, run-length coded.
    #[schemars(with = "String")]
    pub frame_pts: PtsList,
    /// SHA-256 over the owned PTS, hex.
    pub pts_sha256: String,
    /// Whether the frames were decoded and re-encoded without loss, because the source has no key frame to cut at for too long.
    /// Otherwise the chunk holds the source's packets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lossless_transcode: bool,
    /// Size of the chunk; none until it is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 of the chunk, hex; none until it is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl VideoInfo {
    /// Seconds that the video is shown for.
    pub fn seconds(&self) -> f64 {
        self.time_base.seconds(self.end_pts.saturating_sub(self.start_pts))
    }
}

impl ManifestSegment {
    /// The segment's line of the ledger's plan.
    pub fn planned(&self, looks: &Looks) -> PlannedFrames<'_> {
        let SegmentSpan { first_frame, frame_count, .. } = self.span;
        let pts_sha256 = match looks.every() {
            1 => Cow::Borrowed(self.pts_sha256.as_str()),
            // Out of a list that increases, so it increases.
            _ => PtsList::new(looks.of(first_frame, self.frame_pts.as_slice()).copied().collect())
                .unwrap_or_default()
                .sha256()
                .into(),
        };
        let looks = looks.count(first_frame, frame_count);
        PlannedFrames { segment: self.segment_number, span: self.span, looks, pts_sha256 }
    }
}

/// The progress of a request, for people. No decision depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Chunks cut.
    pub segments_split: u32,
    /// Segments whose objects are detected.
    pub segments_tracked: u32,
    /// Segments drawn.
    pub segments_annotated: u32,
    /// When the progress was written.
    pub updated_at: Timestamp,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestError {
    /// The stage that failed.
    pub stage: Stage,
    /// What was wrong and what to do, for a person.
    pub message: String,
}

/// A network, identified by the content of its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelIdentity {
    /// The model's name.
    pub name: String,
    /// SHA-256 of the ONNX file, hex.
    pub sha256: String,
}

/// The whole manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// The request.
    pub request_id: RequestId,
    /// The request whose chunks and detections this one uses, where it is another version of that one's tracks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrack_of: Option<RequestId>,
    /// Its state.
    pub state: RequestState,
    /// Why it failed; or, if the tracks do not depend on that, why the annotated video is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RequestError>,
    /// When it was last reopened after it had ended without all results; later than everything that was published about that end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened_at: Option<Timestamp>,
    /// What was uploaded.
    pub source: SourceInfo,
    /// How it is processed.
    pub settings: RequestSettings,
    /// How often the detector looks, and why, if the request setting `detect_every` is `auto`; none until the video is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<StrideChoice>,
    /// The model that made the detections; none until they are merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelIdentity>,
    /// The network that computed a vector for each detection, if the request has one; none until they are merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appearance_network: Option<ModelIdentity>,
    /// The release of Trackdrop that planned it.
    pub version: String,
    /// How far it is.
    pub progress: Progress,
    /// The account of its frames; none until they are merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerTotal>,
    /// Remarks on the annotated video, such as sound that had to be left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub video_notes: Vec<String>,
    /// How many segments it was cut into.
    pub segment_count: u32,
    /// The segments, in order.
    #[serde(deserialize_with = "within_the_frame_limit")]
    pub segments: Vec<ManifestSegment>,
}

/// Reads segments until they have more frames together than a request may have, because a few bytes can claim many frames.
fn within_the_frame_limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ManifestSegment>, D::Error> {
    struct Segments;

    impl<'de> Visitor<'de> for Segments {
        type Value = Vec<ManifestSegment>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of segments")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let (mut segments, mut frames) = (Vec::new(), 0);
            while let Some(segment) = list.next_element::<ManifestSegment>()? {
                frames += segment.frame_pts.len();
                if frames > FRAME_LIMIT {
                    return Err(A::Error::custom(format!("the segments have more than {FRAME_LIMIT} frames")));
                }
                segments.push(segment);
            }
            Ok(segments)
        }
    }

    deserializer.deserialize_seq(Segments)
}

impl Manifest {
    /// How many frames come from one look of the detector to the next: the number in the settings, or the one that `auto` chose.
    pub fn detect_every(&self) -> Stride {
        let chosen = || self.stride.as_ref().map(|choice| choice.detect_every);
        self.settings.detect_every.frames().or_else(chosen).unwrap_or(Stride::ALL)
    }

    /// The frames that are looked at.
    pub fn looks(&self, every: u32) -> Looks {
        let end = self.segments.last().map(|last| last.span.first_frame.saturating_add(last.span.frame_count));
        Looks::new(every, end.and_then(|end| end.checked_sub(1)))
    }

    /// All remarks on the file and the annotated video, for people.
    pub fn notes(&self) -> impl Iterator<Item = &String> {
        self.source.video.iter().flat_map(|video| &video.warnings).chain(&self.video_notes)
    }

    /// The upload's object name, out of its path for people.
    pub fn video(&self) -> &str {
        let uri = &self.source.uri;
        uri.strip_prefix("uploads/").unwrap_or(uri)
    }

    /// The request that the chunks and detections belong to: this one, or the one that it is a version of.
    pub fn detected_in(&self) -> &RequestId {
        self.retrack_of.as_ref().unwrap_or(&self.request_id)
    }

    /// The JSON Schema of the manifest, stored in `shared/pipeline/manifest.schema.json`.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rewrite the file with `UPDATE_SCHEMA=1 cargo test -p trackdrop-pipeline`.
    #[test]
    fn the_committed_json_schema_is_the_manifests() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/manifest.schema.json");
        let schema = serde_json::to_string_pretty(&Manifest::json_schema()).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), schema, "run with UPDATE_SCHEMA=1");
    }
}
