//! The name of every object. `work` is stage-first, so that a trigger can filter by object-name prefix.
//!
//! ```text
//! uploads/   anything the user drops
//! work/      indexed/<request_id>/...                    what was found so far of an upload that takes long to index; deleted when it is cut
//!            split_chunks/<request_id>/000007.mkv        one chunk
//!            detections/<request_id>/000007.parquet      created once; its existence is the count
//!            tracked/<request_id>                        created once, when `track` has finished all segments: all detections exist
//!            tracks/<request_id>/000007.parquet          the final tracks of that segment
//!            merged/<request_id>                         created once, when tracks.parquet exists in results
//!            processed_chunks/<request_id>/000007.mp4    the annotated segment; its existence is the count
//!            crops/<request_id>/000007.parquet           the best crops of that segment's objects, where the request setting `crops` asks for them
//!            annotated/<request_id>                      created once, when all segments are annotated
//!            loaded/<request_id>                         created once, when the rows are in the warehouse
//!            ended/<request_id>                          when the end is published, or the same upload already belongs to another request; a later round overwrites it
//!            swept/<request_id>                          when its events were last published again; starts nothing: the sweeper reads it
//!            uploaded/<hash>                             which request an upload of this name, content and settings made
//!            loads/                                      what waits for the next window of `load`, and the lists of the open windows
//!            waiting_ends/<request_id>/<round>           an end whose row waits for the next window; deleted when it is published
//!            counted/<stage>/<request_id>/000            created once, when a group of 1,000 segments is complete
//! results/   <request_id>/manifest.json, detections.parquet, tracks.parquet, annotated.mp4, summary.json
//!            <request_id>/crops.parquet                  the best crop of each object, where the request setting `crops` asks for them
//!            <request_id>/video-intelligence.json ...    the tracks in another tool's format, where the request setting `exports` asks for it
//! ```

use crate::{export_format::ExportFormat, request::RequestId, segment::SegmentNumber, stage::Stage, time::Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// The three buckets, by role. A back end maps each to a bucket or folder of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Bucket {
    /// What users drop.
    Uploads,
    /// What the functions pass to each other.
    Work,
    /// What users take away.
    Results,
}

impl Bucket {
    /// Every bucket.
    pub const ALL: [Self; 3] = [Self::Uploads, Self::Work, Self::Results];

    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploads => "uploads",
            Self::Work => "work",
            Self::Results => "results",
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An object: a bucket and a name. The name is data: it may hold any text, and no back end may take it for a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectName {
    /// The bucket's role.
    pub bucket: Bucket,
    /// The name inside the bucket.
    pub name: String,
}

impl ObjectName {
    /// An object of this name in this bucket.
    pub fn new(bucket: Bucket, name: impl Into<String>) -> Self {
        Self { bucket, name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    /// For people. Special characters are escaped, so that a name with a newline can't forge a line of the log. Long names are
    /// shortened.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, cut(&self.name, LONGEST_SHOWN).escape_debug())
    }
}

/// Characters of a name that people are shown.
pub const LONGEST_SHOWN: usize = 200;

/// Shortens a text from outside for a message: its first `most` characters, and its length if there are more.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}... ({} bytes)", &text[..at], text.len())),
    }
}

/// The kinds of object of which each segment has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerSegment {
    /// The packets, cut from the source.
    Chunk,
    /// What the detector saw.
    Detections,
    /// The final tracks, with global ids.
    Tracks,
    /// The annotated segment.
    Annotated,
}

impl PerSegment {
    /// The folder of `work` that holds them, and the ending of their names.
    fn folder_and_ending(self) -> (&'static str, &'static str) {
        match self {
            Self::Chunk => ("split_chunks", "mkv"),
            Self::Detections => ("detections", "parquet"),
            Self::Tracks => ("tracks", "parquet"),
            Self::Annotated => ("processed_chunks", "mp4"),
        }
    }

    /// The object of this kind of a segment.
    pub fn object(self, request: &RequestId, segment: SegmentNumber) -> ObjectName {
        let (folder, ending) = self.folder_and_ending();
        ObjectName::new(Bucket::Work, format!("{folder}/{request}/{segment}.{ending}"))
    }

    /// What the names of all of a request's objects of this kind begin with.
    pub fn prefix(self, request: &RequestId) -> String {
        format!("{}/{request}/", self.folder_and_ending().0)
    }
}

/// The kinds of object of which a request has one in `work`. They are empty and created once. Only `Ended` is overwritten: by a
/// later round, or by a deletion, which writes the name of the upload into it. The first three start a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// `track` has finished all segments: all detections exist.
    Tracked,
    /// `tracks.parquet` exists in results.
    Merged,
    /// All segments are annotated.
    Annotated,
    /// The rows are in the warehouse.
    Loaded,
    /// The end of the request is published, to the warehouse and on the topic.
    Ended,
}

impl Marker {
    /// The folder of `work` that holds this marker.
    fn folder(self) -> &'static str {
        match self {
            Self::Tracked => "tracked",
            Self::Merged => "merged",
            Self::Annotated => "annotated",
            Self::Loaded => "loaded",
            Self::Ended => "ended",
        }
    }

    /// The marker of a request.
    pub fn object(self, request: &RequestId) -> ObjectName {
        ObjectName::new(Bucket::Work, format!("{}{request}", self.prefix()))
    }

    /// What the names of all requests' markers of this kind begin with.
    pub fn prefix(self) -> String {
        format!("{}/", self.folder())
    }
}

/// The kinds of object that a user takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultFile {
    /// What the request is and how far it is.
    Manifest,
    /// The detections of all frames that the detector looked at: with a score of 0.1 or more, after suppression of overlapping boxes.
    Detections,
    /// One row per object per frame.
    Tracks,
    /// The video with its tracks drawn.
    AnnotatedVideo,
    /// Counts and timings of a finished request.
    Summary,
    /// The best crop of each object, where the request setting `crops` asks for them.
    Crops,
    /// The tracks in another tool's format, where the request setting `exports` asks for it.
    Export(ExportFormat),
}

impl ResultFile {
    /// The file's name.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest.json",
            Self::Detections => "detections.parquet",
            Self::Tracks => "tracks.parquet",
            Self::AnnotatedVideo => "annotated.mp4",
            Self::Summary => "summary.json",
            Self::Crops => "crops.parquet",
            Self::Export(format) => format.file_name(),
        }
    }

    /// The file of a request.
    pub fn object(self, request: &RequestId) -> ObjectName {
        ObjectName::new(Bucket::Results, format!("{request}/{}", self.file_name()))
    }
}

/// The best crops of a segment's objects.
pub fn crops(request: &RequestId, segment: SegmentNumber) -> ObjectName {
    ObjectName::new(Bucket::Work, format!("{}{segment}.parquet", crops_prefix(request)))
}

fn crops_prefix(request: &RequestId) -> String {
    format!("crops/{request}/")
}

/// What the names of the objects begin with that say what was found so far of a request's upload.
pub fn indexed_prefix(request: &RequestId) -> String {
    format!("indexed/{request}/")
}

const WAITING_ENDS: &str = "waiting_ends/";

/// What the names of all ends begin with whose rows wait for a window.
pub fn waiting_ends() -> ObjectName {
    ObjectName::new(Bucket::Work, WAITING_ENDS)
}

/// The end of a request's round that waits for a window; the round is named by the moment at which it began, or none.
pub fn waiting_end(request: &RequestId, round: Option<Timestamp>) -> ObjectName {
    let round = round.map_or(0, Timestamp::micros);
    ObjectName::new(Bucket::Work, format!("{WAITING_ENDS}{request}/{round}"))
}

/// The request and the round that such an object is of.
pub fn of_waiting_end(object: &ObjectName) -> Option<(RequestId, Option<Timestamp>)> {
    let (request, round) = object.name.strip_prefix(WAITING_ENDS)?.split_once('/')?;
    let round: i64 = round.parse().ok()?;
    Some((request.parse().ok()?, (round != 0).then(|| Timestamp::from_micros(round))))
}

/// What the names of the markers begin with that say which groups of a stage's segments are complete.
pub(crate) fn counted_prefix(stage: Stage, request: &RequestId) -> String {
    format!("counted/{stage}/{request}/")
}

/// What the names of all objects of a request begin with, but for those that are one for several requests; each ends where the request's id ends,
/// or after the `/` that follows it.
pub fn of_request(request: &RequestId) -> Vec<ObjectName> {
    let per_segment = [PerSegment::Chunk, PerSegment::Detections, PerSegment::Tracks, PerSegment::Annotated];
    let markers = [Marker::Tracked, Marker::Merged, Marker::Annotated, Marker::Loaded, Marker::Ended];
    let mut names: Vec<_> = per_segment.iter().map(|kind| kind.prefix(request)).collect();
    names.extend(markers.iter().map(|marker| marker.object(request).name));
    names.push(indexed_prefix(request));
    names.push(crops_prefix(request));
    names.extend([Stage::Track, Stage::Annotate].map(|stage| counted_prefix(stage, request)));
    names.extend([format!("swept/{request}"), format!("loads/waiting/{request}"), format!("{WAITING_ENDS}{request}/")]);
    let mut all: Vec<_> = names.into_iter().map(|name| ObjectName::new(Bucket::Work, name)).collect();
    all.push(ObjectName::new(Bucket::Results, format!("{request}/")));
    all
}

/// The request that an object of `work` or `results` belongs to; none for uploads and for names we never write.
pub fn request_of(object: &ObjectName) -> Option<RequestId> {
    let parts: Vec<&str> = object.name.split('/').collect();
    let id = match (object.bucket, &parts[..]) {
        (Bucket::Uploads, _) => return None,
        (Bucket::Results, [id, _]) => id,
        (Bucket::Work, ["counted", _, id, _] | ["loads", "waiting", id]) => id,
        (Bucket::Work, [_, id] | [_, id, _]) => id,
        _ => return None,
    };
    id.parse().ok()
}

/// The segment that an object such as `detections/<request_id>/000007.parquet` belongs to.
pub fn segment_of(object: &ObjectName) -> Option<SegmentNumber> {
    let file = object.name.rsplit('/').next()?;
    let (digits, _) = file.split_once('.')?;
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    SegmentNumber::new(digits.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counter::Counted;

    fn request() -> RequestId {
        "req_0aZ9bY8c_20261123T182501".parse().unwrap()
    }

    #[test]
    fn every_name_leads_back_to_its_request_and_segment() {
        let seven = SegmentNumber::new(7).unwrap();
        for kind in [PerSegment::Chunk, PerSegment::Detections, PerSegment::Tracks, PerSegment::Annotated] {
            let object = kind.object(&request(), seven);
            assert!(object.name.starts_with(&kind.prefix(&request())), "{object}");
            assert_eq!((request_of(&object), segment_of(&object)), (Some(request()), Some(seven)), "{object}");
        }
        for marker in [Marker::Tracked, Marker::Merged, Marker::Annotated, Marker::Loaded, Marker::Ended] {
            assert_eq!(request_of(&marker.object(&request())), Some(request()));
        }
        assert_eq!(request_of(&ResultFile::Tracks.object(&request())), Some(request()));
    }

    #[test]
    fn all_that_is_of_a_request_is_found_by_its_names_and_nothing_of_another_one() {
        let seven = SegmentNumber::new(7).unwrap();
        let of = |request: &RequestId| {
            vec![
                PerSegment::Chunk.object(request, seven),
                PerSegment::Annotated.object(request, seven),
                Counted::Track.group_marker(request, seven),
                Marker::Ended.object(request),
                crops(request, seven),
                ResultFile::Crops.object(request),
                ResultFile::Export(ExportFormat::Csv).object(request),
                ObjectName::new(Bucket::Work, format!("{}000000", indexed_prefix(request))),
                ObjectName::new(Bucket::Work, format!("loads/waiting/{request}")),
                waiting_end(request, None),
            ]
        };
        assert!(of(&request()).iter().all(|object| request_of(object) == Some(request())));
        let prefixes = of_request(&request());
        let is_found = |object: &ObjectName| {
            prefixes.iter().any(|p| p.bucket == object.bucket && object.name.starts_with(&p.name))
        };
        assert!(of(&request()).iter().all(is_found));
        for other in ["req_0aZ9bY8c_20261123T182502", "req_0aZ9bY8d_20261123T182501"] {
            assert!(!of(&other.parse().unwrap()).iter().any(is_found), "{other}");
        }
    }

    #[test]
    fn names_sort_like_segment_numbers() {
        let name = |n| PerSegment::Annotated.object(&request(), SegmentNumber::new(n).unwrap()).name;
        assert!(name(9) < name(10) && name(9_999) < name(10_000) && name(99_999) < name(100_000));
        assert!(SegmentNumber::new(1_000_000).is_err());
    }

    #[test]
    fn an_end_that_waits_names_its_request_and_its_round() {
        for round in [None, Some(Timestamp::from_micros(1_700_000_000_000_001))] {
            let waiting = waiting_end(&request(), round);
            assert!(waiting.name.starts_with(&waiting_ends().name));
            assert_eq!(of_waiting_end(&waiting), Some((request(), round)));
        }
        for name in
            ["waiting_ends/", "waiting_ends/req_x/0", "waiting_ends/req_0aZ9bY8c_20261123T182501/", "loads/ends.json"]
        {
            assert_eq!(of_waiting_end(&ObjectName::new(Bucket::Work, name)), None, "{name}");
        }
    }

    #[test]
    fn a_long_name_is_shown_cut() {
        let shown = ObjectName::new(Bucket::Uploads, "ü\n".repeat(500)).to_string();
        assert!(shown.starts_with("uploads/ü\\nü") && shown.ends_with("... (1500 bytes)"), "{shown}");
        assert!(shown.len() < 600, "{}", shown.len());
        assert_eq!(ObjectName::new(Bucket::Work, "a".repeat(200)).to_string().len(), 205);
    }

    #[test]
    fn a_strange_name_belongs_to_no_request() {
        for name in [
            "",
            "a",
            "../../etc/passwd",
            "tracked/../x",
            "detections/req_x/000001.parquet",
            "tracked/req_0aZ9bY8c_20261123T182501/a/b",
        ] {
            assert_eq!(request_of(&ObjectName::new(Bucket::Work, name)), None, "{name}");
        }
        assert_eq!(segment_of(&ObjectName::new(Bucket::Work, "x/+00001.mkv")), None);
    }
}
