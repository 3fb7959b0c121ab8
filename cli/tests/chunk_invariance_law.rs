//! Promise 1 as a law: random detections, cut at random, delivered late, twice and out of order, to one worker or many processes,
//! give the bytes of one undisturbed run; and those are what the tracker gives when it is simply run over all frames, or over every N-th one
//! where the detector looks at no others. Which these are may be the video's own choice: that does not depend on the cut either.
#![allow(clippy::unwrap_used)]

mod stand_ins;

use proptest::prelude::*;
use stand_ins::{Trouble, World, random_frame, seconds};
use std::{collections::BTreeMap, sync::Arc};
use trackdrop_cloud::{
    Storage,
    local::{LocalCloud, Redrive},
};
use trackdrop_flow::Cloud;
use trackdrop_pipeline::{
    Appearance, AppearanceNetwork, DetectEvery, Looks, Refinements, RequestId, RequestSettings, Smooth, StrideChoice,
    names::{ObjectName, ResultFile},
    settings::METADATA_KEY,
};
use trackdrop_tracker::{ByteTrack, Detection, Settings};

#[derive(Clone, Debug)]
struct Cut {
    segment_seconds: f64,
    most_at_once: usize,
    processes: usize,
    deliveries: i64,
    late_by_ms: i64,
}

fn cuts() -> impl Strategy<Value = Cut> {
    (1u32..60, 1usize..5, 1usize..3, 1i64..4, 0i64..40).prop_map(
        |(tenths, most_at_once, processes, deliveries, late_by_ms)| Cut {
            segment_seconds: f64::from(tenths) / 10.0,
            most_at_once,
            processes,
            deliveries,
            late_by_ms,
        },
    )
}

/// From now on every message is queued several times, each copy late by a random while, so that copies meet and orders change.
fn disturb(world: &World, cut: &Cut) {
    let catalog = rusqlite::Connection::open(world.folder.path().join(".store/catalog.db")).unwrap();
    let copies: Vec<_> = (1..cut.deliveries)
        .map(|_| "INSERT INTO messages (function, event, request) VALUES (new.function, new.event, new.request);")
        .collect();
    catalog
        .execute_batch(&format!(
            "PRAGMA recursive_triggers = OFF; DROP TRIGGER IF EXISTS disturb;
             CREATE TRIGGER disturb AFTER INSERT ON messages BEGIN
               UPDATE messages SET not_before = CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)
                 + abs(random()) % {} WHERE id = new.id;
               {}
             END;",
            cut.late_by_ms * 1_000 + 1,
            copies.concat()
        ))
        .unwrap();
}

/// How often the detector looks: at all frames, at every N-th, or as `split` chooses.
fn looks() -> impl Strategy<Value = DetectEvery> {
    prop_oneof![
        Just(DetectEvery::ALL),
        (2u32..9).prop_map(|frames| frames.try_into().unwrap()),
        Just(DetectEvery::AUTO),
        Just("auto:50".parse().unwrap()),
    ]
}

/// A network that describes detections; the stand-in's.
fn network() -> AppearanceNetwork {
    AppearanceNetwork { network: "stand-in".into(), network_sha256: None, network_card_sha256: None }
}

/// The settings of a video that is looked at so often.
fn looking(detect_every: DetectEvery, segment_seconds: f64) -> RequestSettings {
    RequestSettings { detect_every, ..seconds(segment_seconds) }
}

async fn process(
    world: &World,
    request: &RequestId,
    upload: &ObjectName,
    cut: &Cut,
    settings: &RequestSettings,
) -> (Option<StrideChoice>, Vec<bytes::Bytes>) {
    disturb(world, cut);
    let mut metadata = world.local.stat(upload).await.unwrap().metadata;
    let settings = RequestSettings { segment_seconds: cut.segment_seconds, ..settings.clone() };
    metadata.insert(METADATA_KEY.to_owned(), serde_json::to_string(&settings).unwrap());
    assert!(world.local.redrive(request, Some((upload.clone(), metadata)), Redrive::Reset).await.unwrap());
    // Other processes on the same directory, each with its own connection, lock and bus.
    let mut others = vec![];
    for _ in 1..cut.processes {
        let local = Arc::new(LocalCloud::open(world.folder.path(), stand_ins::triggers()).unwrap());
        let cloud = Cloud::new(local.clone(), local.clone(), local.clone());
        let (request, most_at_once) = (request.clone(), cut.most_at_once);
        let other = stand_ins::Hosted { local, cloud, trouble: Trouble::default() };
        others.push(tokio::spawn(async move { other.settle_with(&[request], most_at_once).await.len() }));
    }
    world.settle_with(std::slice::from_ref(request), cut.most_at_once).await;
    for other in others {
        other.await.unwrap();
    }
    results(world, request).await
}

/// What the video chose, the tracks and the detections.
async fn results(world: &World, request: &RequestId) -> (Option<StrideChoice>, Vec<bytes::Bytes>) {
    let files =
        vec![world.bytes(request, ResultFile::Tracks).await, world.bytes(request, ResultFile::Detections).await];
    (world.manifest(request).await.stride, files)
}

/// The tracker by itself over all frames that are looked at: frame, id and box of every row.
fn serial(seed: u64, frames: i64, looks: Looks) -> Vec<(i64, i64, [f32; 4])> {
    let mut tracker = ByteTrack::new(Settings::default()).unwrap();
    let mut rows = vec![];
    let mut last = -1;
    for frame in (0..frames).filter(|&frame| looks.at(frame as u64)) {
        let detections: Vec<_> = random_frame(seed, frame, frame)
            .iter()
            .map(|row| {
                let [x1, y1, x2, y2] = row.bbox.map(f64::from);
                Detection { x1, y1, x2, y2, score: f64::from(row.score) }
            })
            .collect();
        rows.extend(
            tracker.step_after((frame - last) as u32, &detections).iter().map(|track| {
                (frame, track.id as i64, [track.x1, track.y1, track.x2, track.y2].map(|edge| edge as f32))
            }),
        );
        last = frame;
    }
    rows
}

proptest! {
    // Each case is whole runs of the flow; more of them: PROPTEST_CASES=200.
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_order_retry_and_worker_count_gives_the_same_bytes(
        seed in 1u64..1_000_000, frames in 1i64..90, gop in 1i64..12, cuts in prop::collection::vec(cuts(), 2),
        asked in looks()
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let world = World::new(Trouble::default());
            let text = format!("frames={frames} gop={gop} seed={seed}");
            let settings = looking(asked, 1_000.0);
            let (request, upload) = world.upload("v.mp4", &text, &settings).await;
            world.settle(std::slice::from_ref(&request)).await;
            let undisturbed = results(&world, &request).await;
            assert_eq!(undisturbed.0.is_some(), asked.frames().is_none());
            let every = world.manifest(&request).await.detect_every().get();
            let looks = Looks::new(every, Some(frames as u64 - 1));
            let (seen, between): (Vec<_>, Vec<_>) = world.tracks(&request).await.into_iter().partition(|row| row.observed);
            let seen: Vec<_> = seen.iter().map(|row| (row.frame_index, row.track_id, row.bbox)).collect();
            assert_eq!(seen, serial(seed, frames, looks));
            assert!(every > 1 || between.is_empty());
            for pair in seen.iter().flat_map(|a| seen.iter().map(move |b| (a, b))) {
                let ((start, id, _), (end, other, _)) = pair;
                let follows = start < end && (start + 1..*end).all(|frame| !looks.at(frame as u64));
                if id == other && follows {
                    let rows = between.iter().filter(|row| row.track_id == *id && (start..end).contains(&&row.frame_index));
                    assert_eq!(rows.count() as i64, end - start - 1, "every frame between two looks has its row");
                }
            }
            let ledger = world.manifest(&request).await.ledger.unwrap();
            let looked = (0..frames).filter(|&frame| looks.at(frame as u64)).count() as u64;
            assert_eq!((ledger.frames_whole, ledger.frames_passed_over), (looked, frames as u64 - looked));
            for cut in &cuts {
                assert!(process(&world, &request, &upload, cut, &settings).await == undisturbed, "{cut:?}");
                assert_eq!(world.rows().await.len(), 1, "one row a request");
            }
            let loaded: BTreeMap<_, _> =
                world.local.loaded_tracks().await.unwrap().into_iter().map(|file| (file.request_id, file.path)).collect();
            assert_eq!(loaded.len(), 1);
        });
    }

    /// What is decided with the whole video in hand, also by what objects look like.
    #[test]
    fn any_cut_gives_the_same_bytes_of_tracks_that_were_refined(
        seed in 1u64..1_000_000, frames in 100i64..400, gop in 1i64..12, cut in cuts(), link in 0.2f64..4.0,
        recover: bool, rts: bool, looks in 0usize..3, every in 1u32..3
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let world = World::new(Trouble::default());
            let smooth = rts.then_some(Smooth::RTS);
            let settings = RequestSettings {
                refine: Refinements { link: Some(link), recover, smooth, ..Refinements::default() },
                appearance: [None, Some(Appearance::COLOR), Some(Appearance::Network(network()))][looks].clone(),
                ..looking(every.try_into().unwrap(), 1_000.0)
            };
            let text = format!("frames={frames} gop={gop} seed={seed}");
            let (request, upload) = world.upload("v.mp4", &text, &settings).await;
            world.settle(std::slice::from_ref(&request)).await;
            let undisturbed = results(&world, &request).await;
            assert!(process(&world, &request, &upload, &cut, &settings).await == undisturbed, "{cut:?}");
        });
    }
}
