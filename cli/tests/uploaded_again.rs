//! What is uploaded again as it was makes no second request, unless that is asked for; and what is no video makes none at all.
#![allow(clippy::unwrap_used)]

mod stand_ins;

use stand_ins::{Trouble, World, seconds};
use std::collections::{BTreeMap, BTreeSet};
use trackdrop_cloud::{Content, PutOptions, Storage};
use trackdrop_flow::{
    claim::AGAIN_KEY,
    manifest,
    sweep::{self, Patience},
};
use trackdrop_pipeline::{
    Bucket, Delivery, NamePatterns, RequestId, RequestSettings, RequestState, names::ObjectName, settings::METADATA_KEY,
};

const CLIP: &str = "frames=30 gop=10 seed=3";

async fn has_manifest(world: &World, request: &RequestId) -> bool {
    manifest::read(&world.cloud, request).await.unwrap().is_some()
}

/// The uploads of `requests` are over, and this many requests have rows.
async fn come_to(world: &World, requests: &[RequestId], rows: usize) {
    world.settle(requests).await;
    assert_eq!(world.rows().await.len(), rows);
    assert_eq!(world.local.loaded_tracks().await.unwrap().len(), rows);
    // Nothing is expected of what made no request.
    let (ignored, busy, delivery) = (NamePatterns::default(), BTreeSet::new(), Delivery::new());
    let swept = sweep::sweep(&world.cloud, Patience::NONE, &ignored, &busy, &delivery).await.unwrap();
    assert_eq!(swept.found, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_generation_with_the_same_content_makes_no_second_request() {
    let world = World::new(Trouble::default());
    let (first, _) = world.upload("v.mp4", CLIP, &seconds(1.0)).await;
    come_to(&world, std::slice::from_ref(&first), 1).await;
    // Another length of segments changes no result.
    for length in [1.0, 2.0] {
        let (again, _) = world.upload("v.mp4", CLIP, &seconds(length)).await;
        assert_ne!(again, first);
        come_to(&world, std::slice::from_ref(&again), 1).await;
        assert!(!has_manifest(&world, &again).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_content_another_name_other_settings_and_a_wish_make_a_new_request() {
    let world = World::new(Trouble::default());
    let (first, _) = world.upload("v.mp4", CLIP, &seconds(1.0)).await;
    come_to(&world, &[first], 1).await;
    let (content, _) = world.upload("v.mp4", "frames=30 gop=10 seed=4", &seconds(1.0)).await;
    come_to(&world, &[content], 2).await;
    let (copy, _) = world.upload("copy/v.mp4", CLIP, &seconds(1.0)).await;
    come_to(&world, &[copy], 3).await;
    let without_video = RequestSettings { video: false, ..seconds(1.0) };
    let (settings, _) = world.upload("v.mp4", CLIP, &without_video).await;
    come_to(&world, &[settings], 4).await;
    let metadata = BTreeMap::from([
        (METADATA_KEY.to_owned(), serde_json::to_string(&seconds(1.0)).unwrap()),
        (AGAIN_KEY.to_owned(), "2026-11-29".to_owned()),
    ]);
    let (object, options) = (ObjectName::new(Bucket::Uploads, "v.mp4"), PutOptions { metadata, ..Default::default() });
    let info = world.local.put(&object, Content::Bytes(CLIP.into()), options).await.unwrap();
    let wished = info.finalized().request().unwrap();
    come_to(&world, &[wished], 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_processed_when_it_is_uploaded_again() {
    let world = World::new(Trouble::default());
    let unknown = RequestSettings { classes: Some(vec!["persn".to_owned()]), ..seconds(1.0) };
    for _ in 0..2 {
        let (request, _) = world.upload("v.mp4", CLIP, &unknown).await;
        world.settle(std::slice::from_ref(&request)).await;
        assert_eq!(world.manifest(&request).await.state, RequestState::Failed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_video_by_its_name_makes_no_request_row_or_message() {
    let world = World::new(Trouble::default());
    let part = "gcloud/tmp/parallel_composite_uploads/see_gcloud_storage_cp_help_for_details/6f1e_da39a3ee_0";
    for name in [part, "folder/", "clip.srt", ".DS_Store", "clip.mp4.part"] {
        let (request, _) = world.upload(name, CLIP, &seconds(1.0)).await;
        assert_eq!(world.local.pending(&request).await.unwrap(), 0, "{name}");
    }
    let ignored = trackdrop_pipeline::trigger::of_uploads(None).unwrap().ignored();
    let swept = sweep::sweep(&world.cloud, Patience::NONE, &ignored, &BTreeSet::new(), &Delivery::new()).await.unwrap();
    assert_eq!(swept.found, [], "nothing is expected of them");
    assert_eq!(world.rows().await.len(), 0);
}
