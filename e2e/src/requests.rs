//! What a service asks Cloud Storage for, counted.

use axum::http::{Method, StatusCode, Uri};
use serde::{Deserialize, Serialize};

/// Requests of one service that were answered. What depends on the clock or on who was first is not in it: see [`Requests::undisturbed`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    looks: u64,
    downloads: u64,
    lists: u64,
    writes: u64,
    /// Writes that lost a race.
    lost: u64,
    manifest_writes: u64,
    manifest_lost: u64,
}

/// What a function does of one request that nothing befalls: its events, and its requests to Cloud Storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Events that started it.
    pub events: u64,
    /// Deliveries of them.
    pub deliveries: u64,
    /// Looks at what is known of an object, also of one that is not there.
    pub looks: u64,
    /// Downloads of whole objects; an upload is read in ranges, which are not counted.
    pub downloads: u64,
    /// Pages of listings.
    pub lists: u64,
    /// Objects written.
    pub writes: u64,
}

impl Requests {
    /// Notes a request: the name is that of the object that an upload is to make.
    pub(crate) fn note(&mut self, method: &Method, uri: &Uri, written: Option<&str>, status: StatusCode) {
        if let Some(name) = written {
            let is_manifest = name.ends_with("/manifest.json");
            if status.is_success() {
                self.writes += 1;
                self.manifest_writes += u64::from(is_manifest);
            } else if status == StatusCode::PRECONDITION_FAILED {
                self.lost += 1;
                self.manifest_lost += u64::from(is_manifest);
            }
            return;
        }
        let Some((bucket, object)) = uri.path().strip_prefix("/storage/v1/b/").and_then(|path| path.split_once("/o"))
        else {
            return;
        };
        let is_media = uri.query().is_some_and(|query| query.contains("alt=media"));
        match (method == Method::GET, object.is_empty(), is_media) {
            (true, true, _) => self.lists += 1,
            (true, false, true) => self.downloads += u64::from(!bucket.ends_with("uploads")),
            (true, false, false) => self.looks += 1,
            _ => {}
        }
    }

    /// Without what depends on the clock, the writes of progress (each reads the manifest and writes it), and without what lost a race, which is followed by
    /// a look at what stands. `manifest_writes` are those that the function makes in any case.
    pub(crate) fn undisturbed(&self, manifest_writes: u64) -> Self {
        let folds = self.manifest_writes.saturating_sub(manifest_writes);
        Self {
            looks: self.looks - folds - self.lost - self.manifest_lost,
            downloads: self.downloads - folds - self.manifest_lost,
            writes: self.writes - folds,
            lists: self.lists,
            ..Self::default()
        }
    }

    pub(crate) fn recorded(&self, events: u64, deliveries: u64) -> Recorded {
        let Self { looks, downloads, lists, writes, .. } = *self;
        Recorded { events, deliveries, looks, downloads, lists, writes }
    }
}
