//! An upload that takes longer to index than a delivery may take is planned by several, as by one that has the time.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

use async_trait::async_trait;
use bytes::Bytes;
use std::{
    ops::Range,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tempfile::TempDir;
use trackdrop_cloud::{
    Content, LocalFile, ObjectInfo, OpenObject, PutOptions, ReadRange, Storage, StorageError, local::LocalCloud,
};
use trackdrop_flow::{Cloud, manifest, stage::Staged};
use trackdrop_pipeline::{Bucket, Delivery, Event, Failure, Handler, ObjectFinalized, names::ObjectName};
use trackdrop_split::{MediaCutter, NoteEvery, Split};

/// A store of which uploads are read in ranges, and whose reader's time is over after this many bytes.
#[derive(Debug)]
struct Slow {
    local: Arc<LocalCloud>,
    delivery: Mutex<Delivery>,
    left_bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Ranges {
    content: Bytes,
    delivery: Delivery,
    left_bytes: Arc<AtomicU64>,
}

#[async_trait]
impl ReadRange for Ranges {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        let left = self.left_bytes.load(Ordering::Relaxed).saturating_sub(range.end - range.start);
        self.left_bytes.store(left, Ordering::Relaxed);
        if left == 0 {
            self.delivery.cancel();
        }
        Ok(self.content.slice(range.start as usize..range.end as usize))
    }
}

#[async_trait]
impl Storage for Slow {
    async fn put(&self, object: &ObjectName, content: Content, put: PutOptions) -> Result<ObjectInfo, StorageError> {
        self.local.put(object, content, put).await
    }

    async fn stat(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        self.local.stat(object).await
    }

    async fn get(&self, object: &ObjectName) -> Result<(ObjectInfo, Bytes), StorageError> {
        self.local.get(object).await
    }

    async fn fetch(&self, object: &ObjectName, at: Option<i64>) -> Result<(ObjectInfo, LocalFile), StorageError> {
        self.local.fetch(object, at).await
    }

    async fn open(&self, object: &ObjectName, _at: Option<i64>) -> Result<(ObjectInfo, OpenObject), StorageError> {
        let (info, content) = self.local.get(object).await?;
        let (delivery, left_bytes) = (self.delivery.lock().unwrap().clone(), self.left_bytes.clone());
        Ok((info, OpenObject::Ranges(Arc::new(Ranges { content, delivery, left_bytes }))))
    }

    async fn list(&self, prefix: &ObjectName) -> Result<Vec<ObjectInfo>, StorageError> {
        self.local.list(prefix).await
    }

    async fn delete(&self, object: &ObjectName) -> Result<(), StorageError> {
        self.local.delete(object).await
    }

    fn scratch(&self) -> &Path {
        self.local.scratch()
    }
}

struct World {
    local: Arc<LocalCloud>,
    slow: Arc<Slow>,
    split: Staged<Split>,
    upload: ObjectFinalized,
    _folder: TempDir,
}

impl World {
    async fn with(film: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap());
        let slow = Arc::new(Slow { local: local.clone(), delivery: Mutex::default(), left_bytes: Arc::default() });
        let cloud = Cloud::new(slow.clone(), local.clone(), local.clone());
        let split = Split::new(cloud, Arc::new(MediaCutter::default()));
        // As for a long film, on a short one; and what is read twice is read from the store twice.
        let split = split.with_notes_every(NoteEvery { bytes: 64 << 10, overlap_packets: 40 }).with_spool(0);
        let (object, content) = (ObjectName::new(Bucket::Uploads, "film.ts"), std::fs::read(film).unwrap());
        let metadata = [("trackdrop-settings".to_owned(), r#"{"segment_seconds":2}"#.to_owned())].into();
        let options = PutOptions { metadata, ..Default::default() };
        let info = local.put(&object, Content::Bytes(content.into()), options).await.unwrap();
        Self { local, slow, split: Staged(split), upload: info.finalized(), _folder: folder }
    }

    /// A delivery whose time is over after this many bytes.
    async fn deliver(&self, bytes: u64) -> Result<(), Failure> {
        let delivery = Delivery::new();
        *self.slow.delivery.lock().unwrap() = delivery.clone();
        self.slow.left_bytes.store(bytes, Ordering::Relaxed);
        self.split.handle(&Event::ObjectFinalized(self.upload.clone()), &delivery).await
    }

    async fn names(&self, prefix: &str) -> Vec<String> {
        let all = self.local.list(&ObjectName::new(Bucket::Work, prefix)).await.unwrap();
        all.into_iter().map(|info| info.object.name).collect()
    }

    /// Plan and chunks; without what tells requests apart.
    async fn made(&self) -> (serde_json::Value, Vec<Bytes>) {
        let request = self.upload.request().unwrap();
        let cloud = Cloud::new(self.local.clone(), self.local.clone(), self.local.clone());
        let manifest = manifest::read(&cloud, &request).await.unwrap().unwrap();
        let mut plan = serde_json::to_value((&manifest.segments, &manifest.source.video)).unwrap();
        for segment in plan[0].as_array_mut().unwrap() {
            for own in ["request_id", "segment_file"] {
                segment.as_object_mut().unwrap().remove(own).unwrap();
            }
        }
        let mut chunks = Vec::new();
        for name in self.names("split_chunks/").await {
            chunks.push(self.local.get(&ObjectName::new(Bucket::Work, name)).await.unwrap().1);
        }
        (plan, chunks)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_takes_longer_than_a_delivery_is_planned_by_several_as_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.ts");
    let arguments = "-nostdin -v error -y -f lavfi -i testsrc2=s=320x180:r=30:d=20,noise=alls=20:allf=t -c:v libx264 \
                     -preset ultrafast -g 30 -b:v 900k";
    let made = Command::new("ffmpeg").args(arguments.split_whitespace()).arg(&film).status().unwrap();
    assert!(made.success());
    let size = std::fs::metadata(&film).unwrap().len();

    let in_one = World::with(&film).await;
    in_one.deliver(u64::MAX).await.unwrap();
    assert!(in_one.names("indexed/").await.is_empty(), "notes are deleted once all chunks exist");

    let in_several = World::with(&film).await;
    let (mut deliveries, mut indexed_in, mut noted) = (0, 0, 0);
    while let Err(failure) = in_several.deliver(size / 2).await {
        deliveries += 1;
        let now = in_several.names("indexed/").await.len();
        // Later ones may stop while they cut.
        if failure.to_string().contains("its time was over") {
            indexed_in += 1;
            assert!(failure.to_string().contains("the next one resumes there"), "{failure}");
            assert!(now > noted, "delivery {deliveries} noted nothing");
        }
        noted = now;
        assert!(deliveries < 30);
    }
    println!("{deliveries} deliveries before the last one, {indexed_in} of them indexed, {noted} parts");
    assert!(indexed_in >= 2 && noted > 10);
    assert!(in_several.made().await == in_one.made().await);
    assert!(in_several.names("indexed/").await.is_empty());
}
