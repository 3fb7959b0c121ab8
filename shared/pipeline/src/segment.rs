//! Segments: the planned intervals of a video, and the description that each chunk has in its metadata.

use crate::{request::RequestId, settings::RequestSettings, time::Rational, video::VideoParams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The number of a segment, from 0; written with six digits in object names so that names sort like numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
pub struct SegmentNumber(u32);

/// A number that six digits cannot write.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("segment number {0} is out of range (0 to 999999): use longer segments")]
pub struct SegmentNumberError(u64);

impl SegmentNumber {
    /// The most segments a request can have.
    pub const LIMIT: u32 = 1_000_000;

    /// Checks the range. After that the type can't hold a bad number.
    ///
    /// # Errors
    /// A number of more than six digits.
    pub fn new(number: u64) -> Result<Self, SegmentNumberError> {
        match u32::try_from(number) {
            Ok(value) if value < Self::LIMIT => Ok(Self(value)),
            _ => Err(SegmentNumberError(number)),
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The number as an index into the plan.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl TryFrom<u32> for SegmentNumber {
    type Error = SegmentNumberError;

    fn try_from(number: u32) -> Result<Self, SegmentNumberError> {
        Self::new(u64::from(number))
    }
}

impl From<SegmentNumber> for u32 {
    fn from(number: SegmentNumber) -> Self {
        number.0
    }
}

impl fmt::Display for SegmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

/// Which frames of the video a segment owns: those with `start_pts <= pts < end_pts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SegmentSpan {
    /// Index in the whole video of the first owned frame.
    pub first_frame: u64,
    /// How many frames the segment owns.
    pub frame_count: u64,
    /// First owned PTS.
    pub start_pts: i64,
    /// End of the owned interval, exclusive.
    pub end_pts: i64,
    /// Seconds per tick.
    pub time_base: Rational,
}

impl SegmentSpan {
    /// Seconds that the segment is shown for.
    pub fn seconds(&self) -> f64 {
        self.time_base.seconds(self.end_pts.saturating_sub(self.start_pts))
    }

    /// Index in the whole video of the first frame after it.
    pub fn end_frame(&self) -> u64 {
        self.first_frame + self.frame_count
    }
}

/// Everything that a worker must know about a chunk. It is in the custom metadata of the chunk object, so that no other read is
/// needed.
///
/// The chunk owns the frames with `start_pts <= pts < end_pts`; it may hold more packets than that, which decoders need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentDescription {
    /// The request that the chunk belongs to.
    pub request_id: RequestId,
    /// Which segment this is.
    pub segment_number: SegmentNumber,
    /// How many segments the request has.
    pub segment_count: u32,
    /// The frames that it owns.
    #[serde(flatten)]
    pub span: SegmentSpan,
    /// SHA-256 over the owned PTS list (little-endian i64), hex.
    pub pts_sha256: String,
    /// SHA-256 of the chunk file, hex.
    pub sha256: String,
    /// The stored picture, and how to make it upright. `track` decodes with these parameters, and the annotated segment has them,
    /// too.
    pub presentation: VideoParams,
    /// How this request is to be processed.
    pub settings: RequestSettings,
}

/// The one key of a chunk's custom metadata.
const METADATA_KEY: &str = "trackdrop-segment";

/// Cloud Storage takes 8 KiB of custom metadata an object. The report of the work and the trace need the rest.
const LONGEST_BYTES: usize = 7 << 10;

/// Custom metadata that does not describe a segment.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    /// The key is not there.
    #[error("the object has no `{METADATA_KEY}` metadata: it was not written by the splitter")]
    Missing,
    /// The value does not parse.
    #[error("the object's `{METADATA_KEY}` metadata can't be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It would not fit into what an object may carry.
    #[error(
        "what a chunk must carry of its video is {0} bytes; the maximum is {LONGEST_BYTES}: give fewer or shorter settings"
    )]
    TooLong(usize),
}

impl SegmentDescription {
    /// The name of the chunk in messages, independent of the place of its file.
    pub fn chunk_name(&self) -> String {
        format!("chunk {}", self.segment_number)
    }

    /// As an object's custom metadata, within the 8 KiB that Cloud Storage allows.
    ///
    /// # Errors
    /// [`DescriptionError::TooLong`].
    pub fn to_metadata(&self) -> Result<BTreeMap<String, String>, DescriptionError> {
        let json = serde_json::to_string(self)?;
        match json.len() {
            0..=LONGEST_BYTES => Ok(BTreeMap::from([(METADATA_KEY.to_owned(), json)])),
            bytes => Err(DescriptionError::TooLong(bytes)),
        }
    }

    /// From an object's custom metadata.
    ///
    /// # Errors
    /// [`DescriptionError::Missing`] or [`DescriptionError::Malformed`].
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Self, DescriptionError> {
        Ok(serde_json::from_str(metadata.get(METADATA_KEY).ok_or(DescriptionError::Missing)?)?)
    }
}
