//! Requests whose events are lost, at every point of the flow: the sweeper finds them, says why, and sets them going again.
#![allow(clippy::unwrap_used)]

mod stand_ins;

use stand_ins::{Trouble, World, seconds};
use std::collections::BTreeSet;
use trackdrop_cloud::Storage;
use trackdrop_flow::{
    manifest,
    sweep::{self, Patience, StalledRequest, Treatment},
};
use trackdrop_pipeline::{
    Bucket, Delivery, FailureKind, NamePatterns, RequestId, RequestState, SegmentNumber, Stage, Timestamp,
    clock::ClockInPlace,
    names::{Marker, ObjectName, PerSegment, ResultFile},
};

/// All messages are lost.
fn lose_messages(world: &World) {
    let catalog = rusqlite::Connection::open(world.folder.path().join(".store/catalog.db")).unwrap();
    catalog.execute("DELETE FROM messages", []).unwrap();
}

async fn sweep_at_once(world: &World) -> Vec<StalledRequest> {
    let swept = sweep::sweep(
        &world.cloud,
        Patience::NONE,
        &NamePatterns::default(),
        &world.local.busy().await.unwrap(),
        &Delivery::new(),
    )
    .await
    .unwrap();
    assert!(swept.failed.is_empty(), "{:?}", swept.failed);
    swept.found
}

fn segment(number: u32) -> SegmentNumber {
    SegmentNumber::new(number.into()).unwrap()
}

/// The objects that come after a point of the flow, the latest point first.
fn stages(request: &RequestId) -> Vec<(Stage, &'static str, Vec<ObjectName>)> {
    let of = |kind: PerSegment, from: u32| -> Vec<ObjectName> {
        (from..3).map(|number| kind.object(request, segment(number))).collect()
    };
    vec![
        (Stage::Load, "all results exist, but the end was not published", vec![Marker::Ended.object(request)]),
        (Stage::Join, "not joined", vec![ResultFile::AnnotatedVideo.object(request)]),
        (Stage::Annotate, "all segments are drawn, but the marker is missing", vec![Marker::Annotated.object(request)]),
        (Stage::Annotate, "1 of 3 segments are drawn; missing: 1, 2", of(PerSegment::Annotated, 1)),
        (Stage::Load, "its rows are not loaded", vec![Marker::Loaded.object(request)]),
        (Stage::Merge, "not merged", [vec![Marker::Merged.object(request)], of(PerSegment::Tracks, 0)].concat()),
        (
            Stage::Track,
            "all segments have detections, but the marker is missing",
            vec![Marker::Tracked.object(request)],
        ),
        (Stage::Track, "1 of 3 segments have detections; missing: 1, 2", of(PerSegment::Detections, 1)),
        (Stage::Split, "2 of 3 chunks are cut", of(PerSegment::Chunk, 2)),
        (Stage::Split, "was never planned", {
            let cut = [of(PerSegment::Chunk, 0), of(PerSegment::Detections, 0)].concat();
            [vec![ResultFile::Manifest.object(request)], cut].concat()
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_events_are_lost_the_request_is_found_and_comes_to_the_same_end() {
    let world = World::new(Trouble::default());
    let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    assert!(sweep_at_once(&world).await.is_empty(), "what is over does not stall");
    let tracks = world.bytes(&request, ResultFile::Tracks).await;
    for point in 0..stages(&request).len() {
        let stages = stages(&request);
        for object in stages[..=point].iter().flat_map(|(.., objects)| objects) {
            world.local.delete(object).await.unwrap();
        }
        world.local.delete(&ResultFile::Summary.object(&request)).await.unwrap();
        if manifest::state(&world.cloud, &request).await.unwrap().is_some() {
            let back = |manifest: &mut trackdrop_pipeline::Manifest| {
                manifest.state = RequestState::Tracking;
                if stages[point].1.contains("are cut") {
                    manifest.state = RequestState::Splitting;
                    manifest.segments.iter_mut().for_each(|segment| segment.sha256 = None);
                }
                true
            };
            manifest::update(&world.cloud, &request, back).await.unwrap();
        }
        let (stage, why, _) = &stages[point];
        let found = sweep_at_once(&world).await;
        assert_eq!((found.len(), &found[0].request_id, found[0].stage), (1, &request, *stage), "{found:?}");
        assert!(found[0].why.contains(why), "{:?} says nothing of {why:?}", found[0].why);
        world.settle(std::slice::from_ref(&request)).await;
        assert_eq!(world.manifest(&request).await.state, RequestState::Done, "{why}");
        assert!(world.bytes(&request, ResultFile::Tracks).await == tracks, "{why}");
        assert!(sweep_at_once(&world).await.is_empty(), "{why}");
    }
    assert_eq!(world.rows().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_told_again_beside_the_lost_ones_change_nothing() {
    let world = World::new(Trouble::default());
    let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    // Published again three times by three sweepers, while the event itself still waits.
    for _ in 0..3 {
        sweep::sweep(&world.cloud, Patience::NONE, &NamePatterns::default(), &BTreeSet::new(), &Delivery::new())
            .await
            .unwrap();
    }
    assert_eq!(world.local.pending(&request).await.unwrap(), 4);
    world.settle(std::slice::from_ref(&request)).await;
    assert_eq!(world.manifest(&request).await.state, RequestState::Done);
    assert_eq!((world.rows().await.len(), world.local.loaded_tracks().await.unwrap().len()), (1, 1));
}

#[tokio::test]
async fn the_time_until_the_next_telling_doubles_and_in_the_end_it_fails_with_the_reason() {
    const HOUR_US: i64 = 3_600_000_000;
    let world = World::new(Trouble::default());
    let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    lose_messages(&world);
    let began = Timestamp::now().micros();
    let mut told = Vec::new();
    for hour in 0..=110 {
        // A clock that is called a little later every time, as clocks are.
        let clock = ClockInPlace::new(move || Timestamp::from_micros(began + hour * HOUR_US + hour * hour * 1_000_000));
        let found = sweep::sweep(
            &world.cloud,
            Patience::default(),
            &NamePatterns::default(),
            &BTreeSet::new(),
            &Delivery::new(),
        )
        .await
        .unwrap()
        .found;
        drop(clock);
        match found.as_slice() {
            [] => assert!(hour < 2, "hour {hour}"),
            [one] if one.done == Treatment::Nothing => assert!(hour > 2),
            [one] if one.done == Treatment::ToldAgain(1) => told.push(hour),
            [one] => {
                assert_eq!(hour, 110, "{one:?}");
                let Treatment::Failed(reason) = &one.done else { panic!("{one:?}") };
                assert!(
                    reason.contains("no activity for 113 hours, although its events were published again 6 times")
                        && reason.contains("never planned"),
                    "{reason}"
                );
            }
            more => panic!("{more:?}"),
        }
    }
    assert_eq!(told, [2, 4, 8, 16, 32, 64]);
    let manifest = world.manifest(&request).await;
    assert_eq!((manifest.state, manifest.error.unwrap().stage), (RequestState::Failed, Stage::Split));
    assert_eq!(world.rows().await[0]["state"], "failed");
}

#[tokio::test]
async fn days_in_a_queue_fail_nothing_that_was_not_told_again_in_vain() {
    const DAY_US: i64 = 86_400_000_000;
    let world = World::new(Trouble::default());
    let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    let began = Timestamp::now().micros();
    // No sweep ran for five days. After its event was published again, the request waits once more for longer than the patience with stalled
    // requests.
    for (day, expected) in [(5, Treatment::ToldAgain(1)), (6, Treatment::Nothing)] {
        let clock = ClockInPlace::new(move || Timestamp::from_micros(began + day * DAY_US));
        let found = sweep::sweep(
            &world.cloud,
            Patience::default(),
            &NamePatterns::default(),
            &BTreeSet::new(),
            &Delivery::new(),
        )
        .await
        .unwrap()
        .found;
        drop(clock);
        assert_eq!(found.iter().map(|found| &found.done).collect::<Vec<_>>(), [&expected], "day {day}");
    }
    assert_eq!(world.local.pending(&request).await.unwrap(), 2);
}

#[tokio::test]
async fn a_sweep_that_is_asked_to_stop_looks_at_nothing_more() {
    let world = World::new(Trouble::default());
    let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    lose_messages(&world);
    let delivery = Delivery::new();
    delivery.cancel();
    let stopped = sweep::sweep(&world.cloud, Patience::NONE, &NamePatterns::default(), &BTreeSet::new(), &delivery)
        .await
        .unwrap_err();
    assert_eq!((stopped.kind(), world.local.pending(&request).await.unwrap()), (FailureKind::Cancelled, 0));
    sweep::sweep(&world.cloud, Patience::NONE, &NamePatterns::default(), &BTreeSet::new(), &Delivery::new())
        .await
        .unwrap();
    assert_eq!(world.local.pending(&request).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_go_on_fails_with_the_reason() {
    let world = World::new(Trouble::default());
    let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    // A chunk that was cut is gone: it can't be cut again, the plan says that it is.
    let chunk_is_gone = PerSegment::Chunk.object(&request, segment(2));
    for (.., objects) in &stages(&request)[..8] {
        for object in objects {
            world.local.delete(object).await.unwrap();
        }
    }
    world.local.delete(&chunk_is_gone).await.unwrap();
    manifest::update(&world.cloud, &request, |manifest| {
        manifest.state = RequestState::Tracking;
        true
    })
    .await
    .unwrap();
    let found = sweep_at_once(&world).await;
    let Treatment::Failed(reason) = &found[0].done else { panic!("{found:?}") };
    assert!(reason.contains("are gone: upload the video again"), "{reason}");
    assert_eq!(world.manifest(&request).await.state, RequestState::Failed);
    let swept = world.local.list(&ObjectName::new(Bucket::Work, "swept/")).await.unwrap();
    assert!(swept.is_empty(), "nothing was told again");
}
