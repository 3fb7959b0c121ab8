//! What every function of the flow shares, written once over the cloud's traits.
//!
//! - [`activity`]: what an attempt spends its time on, as spans of its trace and for the report of its work.
//! - [`allocator`]: what every process does first.
//! - [`beside`]: writes and other waiting, so much of it at the same time.
//! - [`blocking`](mod@blocking): work that blocks, off the threads that wait.
//! - [`chunks`]: what the chunks are, recorded in the manifest.
//! - [`claim`]: what is uploaded again as it was makes no second request.
//! - [`count`]: a worker reports its segment complete; whoever completes the stage creates its marker.
//! - [`manifest`]: the manifest is created once and changed by compare-and-set.
//! - [`end`]: how a request ends, well or badly, exactly once in effect.
//! - [`room`]: memory that is shared out among what a process works on at a time.
//! - [`round`]: a request that is opened again ends another time, and what is told of its ends does not mix.
//! - [`version`]: another version of a request's tracks, from the detections that stand.
//! - `store`: get, mark and put on a condition, each said once; its types are at the root.
//! - [`sweep`]: requests that stand still are found and set going again, or fail with the reason.
//! - [`trace`]: which trace the work belongs to that the clock starts.
//! - [`stage`]: the frame around a handler: which request, whether it is over already, and what a permanent failure does.

pub mod activity;
pub mod allocator;
pub mod beside;
pub mod blocking;
pub mod chunks;
pub mod claim;
pub mod count;
pub mod end;
pub mod manifest;
pub mod room;
pub mod round;
pub mod stage;
mod store;
pub mod sweep;
pub mod trace;
pub mod version;
mod work;

use std::{path::Path, sync::Arc};
use trackdrop_cloud::{Publisher, Storage, Warehouse};
use trackdrop_pipeline::{
    Failure,
    names::{LONGEST_SHOWN, cut},
};

pub use activity::Doing;
pub use blocking::blocking;
pub use store::{Created, NewObject};
pub use work::{WorkReport, busy_seconds};

/// The version that manifests and rows carry.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A cloud, whichever it is.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// Objects.
    pub storage: Arc<dyn Storage>,
    /// Messages.
    pub publisher: Arc<dyn Publisher>,
    /// Rows.
    pub warehouse: Arc<dyn Warehouse>,
}

/// A message that speaks of a stored or fetched file speaks of what people call it instead, which may be long.
pub fn named(failure: Failure, path: &Path, name: &str) -> Failure {
    let message = failure.to_string();
    let renamed = message.replace(&format!("{path:?}"), &format!("{:?}", cut(name, LONGEST_SHOWN)));
    if renamed == message { failure } else { Failure::new(failure.kind(), renamed) }
}
