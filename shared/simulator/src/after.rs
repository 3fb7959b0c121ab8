//! The state after a run, for the checks.

use crate::{fault::Placed, memory::State, scenario::Upload, world::GivenUp};
use std::collections::{BTreeMap, BTreeSet};
use trackdrop_cloud::ObjectInfo;
use trackdrop_pipeline::{RequestId, names::ObjectName};

/// The state after a run, for the checks.
pub(crate) struct After {
    pub(crate) state: State,
    pub(crate) dropped: Vec<Dropped>,
    pub(crate) faults: Vec<Placed>,
    pub(crate) tries: BTreeMap<(String, String), BTreeSet<String>>,
    pub(crate) told_again: Vec<ObjectName>,
    pub(crate) killed: Vec<String>,
    pub(crate) given_up: Vec<GivenUp>,
}

/// A request of a run.
#[derive(Clone, Debug)]
pub(crate) struct Dropped {
    pub(crate) upload: Upload,
    pub(crate) info: ObjectInfo,
    pub(crate) request: RequestId,
    /// Whether the upload was deleted or overwritten while the flow still needed it.
    pub(crate) taken_away: bool,
}
