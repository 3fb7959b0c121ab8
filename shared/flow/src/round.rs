//! The rounds of a request: one that failed may be opened again, and then ends another time.
//!
//! A round is named by the moment at which it began ([`Manifest::reopened_at`](trackdrop_pipeline::Manifest::reopened_at)); the first has none
//! and comes before all others. What is told of an end says of which round: the summary and the marker `ended` carry it in their metadata, as
//! the manifest does, so that listings show it. Nothing is deleted when a request is opened again, and a later round writes over what an earlier
//! one told, never the other way round. So a late delivery that publishes the end of an earlier round finds it published, and changes nothing.
//!
//! A round begins after all that was told of the one before ([`crate::end::reopen`]), by the moments themselves and not by anyone's clock.

use std::collections::BTreeMap;
use trackdrop_cloud::ObjectInfo;
use trackdrop_pipeline::{RequestId, Timestamp};

const KEY: &str = "trackdrop-reopened-at";
/// On a marker `ended` of a request that never was one: its content has made the request that is named here.
const LEFT_TO: &str = "trackdrop-left-to";

/// On a marker `ended` of a request that was deleted: what is still told of it has no effect.
const DELETED: &str = "trackdrop-deleted";

/// When a round began; none for the first one.
pub type Round = Option<Timestamp>;

/// Custom metadata that says to which round an object belongs; none for the first one.
pub(crate) fn metadata(round: Round) -> BTreeMap<String, String> {
    round.iter().map(|at| (KEY.to_owned(), at.to_string())).collect()
}

/// Custom metadata of a marker `ended` that tells of no round's end: the upload is left to another request.
pub(crate) fn left_to(other: &RequestId) -> BTreeMap<String, String> {
    BTreeMap::from([(LEFT_TO.to_owned(), other.to_string())])
}

/// The round whose end a summary or a marker `ended` tells of; none, which comes before all rounds, where it tells of no end.
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

/// The round that a manifest is in, or that a summary or a marker `ended` tells of.
pub fn of(info: &ObjectInfo) -> Round {
    info.metadata.get(KEY)?.parse().ok()
}
