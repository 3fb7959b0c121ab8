//! The results so far of indexing an upload that takes long. They are stored in `work`, so that later attempts continue.

use std::io;
use tokio::runtime::Handle;
use trackdrop_flow::{Cloud, NewObject};
use trackdrop_media::Notes;
use trackdrop_pipeline::{
    Bucket, Failure, RequestId,
    names::{ObjectName, indexed_prefix},
};

/// The notes of one request. Each part is created once. So it is complete, whichever delivery writes it first, and for
/// any number of writers.
pub(crate) struct InWork {
    cloud: Cloud,
    request: RequestId,
    runtime: Handle,
}

impl InWork {
    /// Make it inside the runtime.
    pub(crate) fn of(cloud: &Cloud, request: &RequestId) -> Self {
        Self { cloud: cloud.clone(), request: request.clone(), runtime: Handle::current() }
    }

    fn object(&self, name: &str) -> ObjectName {
        ObjectName::new(Bucket::Work, format!("{}{name}", indexed_prefix(&self.request)))
    }
}

impl Notes for InWork {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let part = self.runtime.block_on(self.cloud.get(&self.object(name))).map_err(io::Error::other)?;
        Ok(part.map(|(_, part)| part.into()))
    }

    fn write(&self, name: &str, part: Vec<u8>) -> io::Result<()> {
        let new = NewObject::of_bytes(self.object(name), part, "application/zlib");
        self.runtime.block_on(self.cloud.create(new)).map(drop).map_err(io::Error::other)
    }
}

/// Deletes a request's notes. If a crash leaves some, the lifecycle rule of the bucket deletes them with other objects
/// of their age.
pub(crate) async fn forget(cloud: &Cloud, request: &RequestId) -> Result<(), Failure> {
    for part in cloud.storage.list(&ObjectName::new(Bucket::Work, indexed_prefix(request))).await? {
        cloud.storage.delete(&part.object).await?;
    }
    Ok(())
}
