//! A world to run the real handlers in, with the simulator's stand-ins for decoder, detector, encoder and joiner.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs, missing_debug_implementations)]

pub mod held;

use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tempfile::TempDir;
use trackdrop_annotate::Annotate;
use trackdrop_cloud::{
    Content, PutOptions, Storage,
    local::{Bus, BusEvent, LocalCloud},
};
use trackdrop_fail::Fail;
use trackdrop_flow::{
    Cloud, end, manifest,
    stage::{StageHandler, Staged},
};
use trackdrop_join::Join;
use trackdrop_load::Load;
use trackdrop_merge::Merge;
use trackdrop_pipeline::{
    Bucket, Handler, Manifest, RequestId, RequestSettings,
    names::{ObjectName, ResultFile},
    settings::METADATA_KEY,
    trigger::Trigger,
};
#[allow(unused_imports, reason = "each test file uses its part")]
pub use trackdrop_simulator::stand_ins::{BUDGET, StandIn, Trouble, random_frame};
use trackdrop_split::Split;
use trackdrop_tables::tracks::{self, TrackRow};
use trackdrop_track::Track;

/// The triggers of the product with waits that a test can bear.
pub fn triggers() -> Vec<Trigger> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../triggers");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let yaml = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let mut trigger = Trigger::parse(&yaml).unwrap();
            (trigger.retry.min_backoff_s, trigger.retry.max_backoff_s) = (0.0, 0.01);
            trigger
        })
        .collect()
}

/// The functions of one process over a data directory.
pub struct Hosted {
    pub local: Arc<LocalCloud>,
    pub cloud: Cloud,
    pub trouble: Trouble,
}

/// A data directory of its own, and one process on it.
pub struct World {
    pub hosted: Hosted,
    pub folder: TempDir,
}

impl std::ops::Deref for World {
    type Target = Hosted;

    fn deref(&self) -> &Hosted {
        &self.hosted
    }
}

impl World {
    pub fn new(trouble: Trouble) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalCloud::open(folder.path(), triggers()).unwrap());
        let cloud = Cloud::new(local.clone(), local.clone(), local.clone());
        Self { hosted: Hosted { local, cloud, trouble }, folder }
    }
}

impl Hosted {
    fn handlers(&self) -> BTreeMap<String, Arc<dyn Handler>> {
        fn named<S: StageHandler + 'static>(stage: S) -> (String, Arc<dyn Handler>) {
            (S::STAGE.name().to_owned(), Arc::new(Staged(stage)))
        }
        let (cloud, stand_in) = (&self.cloud, Arc::new(StandIn(self.trouble.clone())));
        BTreeMap::from([
            named(Split::new(cloud.clone(), stand_in.clone()).with_prober(stand_in.clone()).with_budget(BUDGET)),
            named(Track::new(cloud.clone(), stand_in.clone())),
            named(Merge::new(cloud.clone())),
            named(Load::new(cloud.clone())),
            named(Annotate::new(cloud.clone(), stand_in.clone())),
            named(Join::new(cloud.clone(), stand_in)),
            ("fail".to_owned(), Arc::new(Fail::new(cloud.clone())) as Arc<dyn Handler>),
        ])
    }

    pub async fn upload(&self, name: &str, text: &str, settings: &RequestSettings) -> (RequestId, ObjectName) {
        let object = ObjectName::new(Bucket::Uploads, name);
        let metadata = BTreeMap::from([(METADATA_KEY.to_owned(), serde_json::to_string(settings).unwrap())]);
        let options = PutOptions { metadata, ..Default::default() };
        let info = self.local.put(&object, Content::Bytes(text.to_owned().into()), options).await.unwrap();
        let upload = info.finalized();
        (upload.request().unwrap(), object)
    }

    /// Delivers until every request is over and no message is left.
    pub async fn settle(&self, requests: &[RequestId]) -> Vec<BusEvent> {
        self.settle_with(requests, 8).await
    }

    /// The same with a bound on how many deliveries of a function run at the same time.
    pub async fn settle_with(&self, requests: &[RequestId], most_at_once: usize) -> Vec<BusEvent> {
        let bus = Bus::new(self.local.clone(), self.handlers(), most_at_once);
        let mut seen = vec![];
        let stop = async {
            loop {
                let mut left = 0;
                for request in requests {
                    left += self.local.pending(request).await.unwrap();
                    left += i64::from(!end::is_told(&self.cloud, request).await.unwrap());
                }
                if left == 0 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let watch = |event| match event {
            BusEvent::Acknowledged { .. } => {}
            trouble => seen.push(trouble),
        };
        let outcome = tokio::time::timeout(Duration::from_secs(120), bus.run(stop, watch)).await;
        outcome.unwrap().unwrap();
        seen
    }

    pub async fn manifest(&self, request: &RequestId) -> Manifest {
        manifest::read(&self.cloud, request).await.unwrap().unwrap()
    }

    pub async fn bytes(&self, request: &RequestId, file: ResultFile) -> bytes::Bytes {
        self.local.get(&file.object(request)).await.unwrap().1
    }

    pub async fn tracks(&self, request: &RequestId) -> Vec<TrackRow> {
        tracks::read(self.bytes(request, ResultFile::Tracks).await).unwrap()
    }

    pub async fn rows(&self) -> Vec<serde_json::Value> {
        self.local.request_rows().await.unwrap().iter().map(|row| serde_json::from_str(row).unwrap()).collect()
    }
}

pub fn seconds(segment_seconds: f64) -> RequestSettings {
    RequestSettings { segment_seconds, ..Default::default() }
}
