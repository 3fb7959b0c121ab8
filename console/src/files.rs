//! Objects as files. They are cached while they are used, because a store in a cloud makes a copy each time.

use crate::problem::Problem;
use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use trackdrop_cloud::{LocalFile, ObjectInfo, Storage};
use trackdrop_pipeline::names::ObjectName;

/// Files that are cached, and their bytes: copies may be in an instance's memory.
const MOST_KEPT: usize = 8;
const MOST_BYTES: u64 = 600 << 20;

/// An object as a file.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) info: ObjectInfo,
    file: LocalFile,
}

impl Fetched {
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }
}

fn bytes_of(kept: &VecDeque<Arc<Fetched>>) -> u64 {
    kept.iter().map(|one| one.info.bytes).sum()
}

/// The files that were asked for last, the latest at the end.
#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<VecDeque<Arc<Fetched>>>);

impl Files {
    /// The object as it is now.
    pub(crate) async fn get(&self, storage: &dyn Storage, object: &ObjectName) -> Result<Arc<Fetched>, Problem> {
        let now = storage.stat(object).await?;
        let is_it = |kept: &Arc<Fetched>| kept.info.object == *object && kept.info.generation == now.generation;
        if let Some(kept) = self.kept().iter().find(|kept| is_it(kept)) {
            return Ok(kept.clone());
        }
        let (info, file) = storage.fetch(object, Some(now.generation)).await?;
        let fetched = Arc::new(Fetched { info, file });
        let mut kept = self.kept();
        kept.retain(|one| one.info.object != *object);
        kept.push_back(fetched.clone());
        // The one that is asked for stays, whatever its size is.
        while kept.len() > 1 && (kept.len() > MOST_KEPT || bytes_of(&kept) > MOST_BYTES) {
            kept.pop_front();
        }
        Ok(fetched)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<Fetched>>> {
        // A panic elsewhere leaves a list of whole files.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
