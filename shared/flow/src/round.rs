//! The rounds of a request: a failed request may be reopened, and then ends a second time.
//!
//! A round is named by the time at which it began
//! ([`Manifest::reopened_at`](trackdrop_pipeline::Manifest::reopened_at)). The first round has no such time, and comes
//! before all others. Every object that publishes an end names its round: manifest, summary and the marker `ended` have
//! it in their metadata, so that listings show it. Reopening a request deletes nothing. A later round overwrites what
//! an earlier round published, and never the reverse. So if a late delivery publishes the end of an earlier round, it
//! finds that the end is published, and changes nothing.
//!
//! The time of a round is later than all times that the previous round published ([`crate::end::reopen`]). So rounds
//! are ordered by these times, and not by the clocks of machines.

use std::collections::BTreeMap;
use trackdrop_cloud::ObjectInfo;
use trackdrop_pipeline::{RequestId, Timestamp};

const KEY: &str = "trackdrop-reopened-at";
/// Metadata of a marker `ended` of a request that was never planned: the request to which the content belongs.
const LEFT_TO: &str = "trackdrop-left-to";

/// Metadata of a marker `ended` of a deleted request. Anything that is published about it later has no effect.
const DELETED: &str = "trackdrop-deleted";

/// When a round began; none for the first one.
pub type Round = Option<Timestamp>;

/// Custom metadata that says to which round an object belongs; none for the first one.
pub(crate) fn metadata(round: Round) -> BTreeMap<String, String> {
    round.iter().map(|at| (KEY.to_owned(), at.to_string())).collect()
}

/// Custom metadata of a marker `ended` that marks no round's end: the upload is left to another request.
pub(crate) fn left_to(other: &RequestId) -> BTreeMap<String, String> {
    BTreeMap::from([(LEFT_TO.to_owned(), other.to_string())])
}

/// The round whose end a summary or a marker `ended` records; none, which sorts before all rounds, if it records no end.
pub(crate) fn told(info: &ObjectInfo) -> Option<Round> {
    (!info.metadata.contains_key(LEFT_TO) && !is_of_deleted(info)).then(|| of(info))
}

/// Custom metadata of a marker `ended` of a request that was deleted.
pub(crate) fn deleted() -> BTreeMap<String, String> {
    BTreeMap::from([(DELETED.to_owned(), "true".to_owned())])
}

/// Whether a marker `ended` says that its request was deleted.
pub(crate) fn is_of_deleted(info: &ObjectInfo) -> bool {
    info.metadata.contains_key(DELETED)
}

/// The round that a manifest is in, or that a summary or a marker `ended` records.
pub fn of(info: &ObjectInfo) -> Round {
    info.metadata.get(KEY)?.parse().ok()
}
