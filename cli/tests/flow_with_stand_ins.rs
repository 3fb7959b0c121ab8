//! The real handlers, store and bus, with stand-ins for decoder, detector and encoder: what holds whatever the video is.
#![allow(clippy::unwrap_used)]

mod stand_ins;

use stand_ins::{Hosted, StandIn, Trouble, World, held::Held, seconds};
use std::sync::{Arc, atomic::AtomicU32};
use trackdrop_cloud::{Storage, local::Redrive};
use trackdrop_flow::{
    Cloud, NewObject, WorkReport, busy_seconds,
    end::{self, Summary},
    manifest,
    stage::StageHandler,
};
use trackdrop_pipeline::{
    Bucket, Delivery, DetectEvery, FailureKind, Manifest, RequestSettings, RequestState, SegmentDescription,
    SegmentNumber, Stage,
    names::{Marker, ObjectName, PerSegment, ResultFile},
    settings::METADATA_KEY,
    stride::StrideReason,
};
use trackdrop_split::Split;
use trackdrop_tables::tracks;

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_becomes_tracks_rows_and_a_video() {
    let world = World::new(Trouble::default());
    let (request, _) = world.upload("a b.mp4", "frames=95 gop=10", &seconds(2.0)).await;
    assert!(world.settle(std::slice::from_ref(&request)).await.is_empty());
    let manifest = world.manifest(&request).await;
    assert_eq!((manifest.state, manifest.segment_count), (RequestState::Done, 5));
    let starts: Vec<_> = manifest.segments.iter().map(|segment| segment.start_time.as_str()).collect();
    assert_eq!(starts, ["0", "2", "4", "6", "8"]);
    assert_eq!(manifest.segments[4].duration, "1.5");
    assert_eq!(manifest.segments[4].span.first_frame, 80);
    assert!(manifest.segments.iter().all(|segment| segment.sha256.is_some() && segment.bytes.is_some()));
    assert_eq!(manifest.ledger.unwrap().frames_whole, 95);
    let tracks = world.tracks(&request).await;
    assert_eq!(tracks.len(), 2 * 95);
    assert!(
        tracks.iter().all(|row| (row.class_name.as_ref() == "person") == (row.track_id == 1)),
        "one class an identity"
    );
    let video = world.bytes(&request, ResultFile::AnnotatedVideo).await;
    assert_eq!(std::str::from_utf8(&video).unwrap().matches("part").count(), 5);
    assert_eq!(world.rows().await.len(), 1);
    assert_eq!(world.local.loaded_tracks().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tracks_do_not_depend_on_how_the_video_was_cut() {
    let world = World::new(Trouble::default());
    let (request, upload) = world.upload("v.mp4", "frames=400 gop=5", &seconds(0.5)).await;
    world.settle(std::slice::from_ref(&request)).await;
    assert_eq!(world.manifest(&request).await.segment_count, 80);
    let results = [ResultFile::Tracks, ResultFile::Detections];
    let mut expected = vec![];
    for file in results {
        expected.push(world.bytes(&request, file).await);
    }
    for (length, segments) in [(2.0, 20), (1_000.0, 1), (7.3, 6)] {
        let info = world.local.stat(&upload).await.unwrap();
        let mut metadata = info.metadata.clone();
        metadata.insert(METADATA_KEY.to_owned(), serde_json::to_string(&seconds(length)).unwrap());
        assert!(world.local.redrive(&request, Some((upload.clone(), metadata)), Redrive::Reset).await.unwrap());
        world.settle(std::slice::from_ref(&request)).await;
        assert_eq!(world.manifest(&request).await.segment_count, segments);
        for (file, expected) in results.iter().zip(&expected) {
            assert!(world.bytes(&request, *file).await == *expected, "{file:?} at {length} s");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_all_come_again_change_nothing() {
    let world = World::new(Trouble::default());
    let (request, upload) = world.upload("v.mp4", "frames=60 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    let mut generations = vec![];
    for bucket in [Bucket::Work, Bucket::Results] {
        generations.extend(world.local.list(&ObjectName::new(bucket, "")).await.unwrap());
    }
    let metadata = world.local.stat(&upload).await.unwrap().metadata;
    assert!(world.local.redrive(&request, Some((upload.clone(), metadata)), Redrive::Resume).await.unwrap());
    world.settle(std::slice::from_ref(&request)).await;
    let mut after = vec![];
    for bucket in [Bucket::Work, Bucket::Results] {
        after.extend(world.local.list(&ObjectName::new(bucket, "")).await.unwrap());
    }
    // Only the manifest may be written again, with the same content but for the time of its progress.
    let manifest = ResultFile::Manifest.object(&request);
    generations.retain(|info| info.object != manifest);
    after.retain(|info| info.object != manifest);
    assert_eq!(after, generations);
    assert_eq!(world.manifest(&request).await.state, RequestState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_fails_for_a_while_is_repeated_and_changes_nothing() {
    let calm = World::new(Trouble::default());
    let trouble = Trouble { busy_detector: Arc::new(AtomicU32::new(4)), ..Default::default() };
    let busy = World::new(trouble);
    let mut results = vec![];
    for world in [&calm, &busy] {
        let (request, _) = world.upload("v.mp4", "frames=60 gop=10", &seconds(1.0)).await;
        let events = world.settle(std::slice::from_ref(&request)).await;
        assert_eq!(events.len() as u32, if std::ptr::eq(world, &busy) { 4 } else { 0 }, "{events:?}");
        results.push(world.tracks(&request).await);
    }
    assert_eq!(results[0], results[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_never_succeeds_ends_the_request_with_the_last_reason() {
    let trouble = Trouble { busy_detector: Arc::new(AtomicU32::new(u32::MAX)), ..Default::default() };
    let world = World::new(trouble);
    let (request, _) = world.upload("v.mp4", "frames=10 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    let manifest = world.manifest(&request).await;
    let error = manifest.error.unwrap();
    assert_eq!((manifest.state, error.stage), (RequestState::Failed, Stage::Track));
    assert_eq!(error.message, "abandoned after 5 attempts: the GPU is busy");
    let rows = world.rows().await;
    assert_eq!((rows[0]["state"].as_str(), rows[0]["error_stage"].as_str()), (Some("failed"), Some("track")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_fails_for_good_ends_the_request_in_manifest_and_table() {
    for stage in [Stage::Split, Stage::Track] {
        let world = World::new(Trouble { broken: Some(stage), ..Default::default() });
        let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
        assert!(world.settle(std::slice::from_ref(&request)).await.is_empty(), "{stage}: no attempt is repeated");
        let error = world.manifest(&request).await.error.unwrap();
        assert_eq!((error.stage, error.message), (stage, format!("{stage} is broken")));
        let rows = world.rows().await;
        assert_eq!((rows.len(), rows[0]["error"].as_str().unwrap()), (1, &*format!("{stage} is broken")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_hang_on_the_annotated_video() {
    let calm = World::new(Trouble::default());
    let (whole, _) = calm.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    calm.settle(std::slice::from_ref(&whole)).await;
    for stage in [Stage::Annotate, Stage::Join] {
        let mut world = World::new(Trouble { broken: Some(stage), ..Default::default() });
        let (request, upload) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
        assert!(world.settle(std::slice::from_ref(&request)).await.is_empty(), "{stage}: no attempt is repeated");
        let manifest = world.manifest(&request).await;
        let error = manifest.error.unwrap();
        assert_eq!((error.stage, error.message), (stage, format!("{stage} is broken")));
        assert_eq!(manifest.state, RequestState::DoneWithoutVideo);
        let rows = world.rows().await;
        assert_eq!((rows.len(), rows[0]["state"].as_str()), (1, Some("done_without_video")), "{rows:?}");
        assert_eq!(rows[0]["error"].as_str().unwrap(), format!("{stage} is broken"));
        assert_eq!(rows[0]["track_rows"], calm.tracks(&whole).await.len());
        assert!(world.cloud.find(&Marker::Loaded.object(&request)).await.unwrap().is_some(), "its rows are loaded");

        // The missing result is made once the reason is gone, and then no error is left.
        world.hosted.trouble.broken = None;
        end::reopen(&world.cloud, &request, None).await.unwrap();
        let metadata = world.local.stat(&upload).await.unwrap().metadata;
        assert!(world.local.redrive(&request, Some((upload, metadata)), Redrive::Resume).await.unwrap());
        world.settle(std::slice::from_ref(&request)).await;
        let manifest = world.manifest(&request).await;
        assert_eq!((manifest.state, manifest.error), (RequestState::Done, None), "{stage}");
        let rows = world.rows().await;
        assert_eq!((rows.len(), rows[0]["state"].as_str()), (1, Some("done")), "{rows:?}");
        let video = ResultFile::AnnotatedVideo;
        assert!(world.bytes(&request, video).await == calm.bytes(&whole, video).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_drawing_that_was_given_up_waits_for_the_rows() {
    // The reason is known before the rows exist: the request is not over.
    let world = World::new(Trouble::default());
    let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    manifest::update(&world.cloud, &request, |manifest| {
        manifest.state = RequestState::Annotating;
        true
    })
    .await
    .unwrap();
    for object in
        [ResultFile::AnnotatedVideo.object(&request), Marker::Loaded.object(&request), Marker::Ended.object(&request)]
    {
        world.local.delete(&object).await.unwrap();
    }
    end::fail_in_stage(&world.cloud, &request, Stage::Annotate, "too dark", None, || None).await.unwrap();
    end::fail_in_stage(&world.cloud, &request, Stage::Join, "too long", None, || None).await.unwrap();
    let state = async || {
        let manifest = world.manifest(&request).await;
        (manifest.state, manifest.error.map(|error| error.message))
    };
    assert_eq!(state().await, (RequestState::Annotating, Some("too dark".into())), "the first reason stays");
    world.cloud.create(NewObject::of_bytes(Marker::Loaded.object(&request), "", "")).await.unwrap();
    end::finish_if_complete(&world.cloud, &request).await.unwrap();
    assert_eq!(state().await, (RequestState::DoneWithoutVideo, Some("too dark".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mostly_damaged_video_fails_and_names_the_damage_unless_a_setting_allows_it() {
    let world = World::new(Trouble { missing_frame: Some(17), ..Default::default() });
    let strict = RequestSettings { max_damaged_share: Some(0.03), ..seconds(1.0) };
    let lenient = RequestSettings { max_damaged_share: Some(0.04), ..seconds(1.0) };
    let (refused, _) = world.upload("strict.mp4", "frames=30 gop=10", &strict).await;
    let (allowed, _) = world.upload("lenient.mp4", "frames=30 gop=10", &lenient).await;
    world.settle(&[refused.clone(), allowed.clone()]).await;
    assert_eq!(world.manifest(&allowed).await.state, RequestState::Done);
    let manifest = world.manifest(&refused).await;
    let error = manifest.error.unwrap();
    assert_eq!((manifest.state, error.stage), (RequestState::Failed, Stage::Merge));
    assert!(error.message.starts_with("1 of 30 frames are damaged"), "{}", error.message);
    assert!(error.message.contains("frame 17 at 1.7 s, which could not be decoded"), "{}", error.message);
    assert!(error.message.contains("max_damaged_share"), "{}", error.message);
    assert!(world.cloud.find(&ResultFile::Tracks.object(&refused)).await.unwrap().is_none(), "no rows of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_lost_in_silence_fails_loudly_and_one_reported_missing_is_counted() {
    let world = World::new(Trouble { lost_frame: Some(17), ..Default::default() });
    let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    let error = world.manifest(&request).await.error.unwrap();
    assert_eq!(error.stage, Stage::Merge);
    assert!(
        error.message.contains("segment 000001 was planned with 10 frames to look at, but 9 were decoded"),
        "{}",
        error.message
    );

    let world = World::new(Trouble { missing_frame: Some(17), ..Default::default() });
    let (request, _) = world.upload("v.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    let manifest = world.manifest(&request).await;
    let ledger = manifest.ledger.unwrap();
    assert_eq!((manifest.state, ledger.frames, ledger.frames_damaged), (RequestState::Done, 30, 1));
    let tracks = world.tracks(&request).await;
    assert!(tracks.iter().all(|row| row.frame_index == row.pts && row.pts != 17), "later frames keep their indices");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_segments_than_one_listing_page_are_counted_through_the_tree() {
    let world = World::new(Trouble::default());
    let settings = RequestSettings { video: false, ..seconds(0.1) };
    let (request, _) = world.upload("long.mp4", "frames=1203 gop=1", &settings).await;
    world.settle(std::slice::from_ref(&request)).await;
    let manifest = world.manifest(&request).await;
    assert_eq!((manifest.state, manifest.segment_count), (RequestState::Done, 1_203));
    let groups = world.local.list(&ObjectName::new(Bucket::Work, "counted/track/")).await.unwrap();
    assert_eq!(groups.len(), 2);
    assert_eq!(world.tracks(&request).await.len(), 2 * 1_203);
}

#[tokio::test(flavor = "multi_thread")]
async fn unwanted_classes_and_scores_are_not_tracked_and_unknown_classes_are_refused() {
    let world = World::new(Trouble::default());
    let cars = RequestSettings { classes: Some(vec!["car".into()]), ..seconds(1.0) };
    let sure = RequestSettings { min_score: Some(0.5), ..seconds(1.0) };
    let unknown = RequestSettings { classes: Some(vec!["persn".into()]), ..seconds(1.0) };
    let mut requests = vec![];
    for (name, settings) in [("cars", &cars), ("sure", &sure), ("unknown", &unknown)] {
        requests.push(world.upload(name, "frames=30 gop=10", settings).await.0);
    }
    world.settle(&requests).await;
    assert!(world.tracks(&requests[0]).await.iter().all(|row| row.class_name.as_ref() == "car"));
    assert!(world.tracks(&requests[1]).await.iter().all(|row| row.score >= 0.5));
    let error = world.manifest(&requests[2]).await.error.unwrap().message;
    assert!(error.contains("\"persn\"") && error.contains("person, car"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_gone_or_no_video_fails_with_its_name() {
    let world = World::new(Trouble::default());
    let (text, _) = world.upload("notes.mp4", "no video at all", &seconds(1.0)).await;
    let (gone, object) = world.upload("gone.mp4", "frames=30 gop=10", &seconds(1.0)).await;
    world.local.delete(&object).await.unwrap();
    world.settle(&[text.clone(), gone.clone()]).await;
    let message = |manifest: Manifest| manifest.error.unwrap().message;
    assert_eq!(message(world.manifest(&text).await), "\"notes.mp4\" is not a video");
    assert!(message(world.manifest(&gone).await).contains("gone.mp4 was deleted or overwritten"));
    assert!(world.folder.path().join("results").join(text.as_str()).join("manifest.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segments_tracks_lead_in_with_the_trail_of_the_frames_before() {
    let world = World::new(Trouble::default());
    let (request, _) = world.upload("v.mp4", "frames=120 gop=10", &seconds(5.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    let object = PerSegment::Tracks.object(&request, SegmentNumber::new(2).unwrap());
    let rows = tracks::read(world.local.get(&object).await.unwrap().1).unwrap();
    let frames: Vec<i64> = rows.iter().map(|row| row.frame_index).collect();
    assert_eq!((frames[0], frames[frames.len() - 1]), (100 - trackdrop_tables::tracks::TRAIL_FRAMES as i64, 119));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_of_a_summary_is_that_of_the_time_in_which_instances_were_busy() {
    let world = World::new(Trouble::default());
    let (request, _) = world.upload("v.mp4", "frames=120 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&request)).await;
    let summary: Summary = serde_json::from_slice(&world.bytes(&request, ResultFile::Summary).await).unwrap();
    let detections = ObjectName::new(Bucket::Work, PerSegment::Detections.prefix(&request));
    let all = world.local.list(&detections).await.unwrap();
    let reports: Vec<_> = all.iter().map(|info| WorkReport::from_metadata(&info.metadata)).collect();
    assert!(reports.iter().all(|report| report.instance.is_some() && report.instance == reports[0].instance));
    let busy_s = busy_seconds(&reports);
    // Read back from JSON, its last bit may differ.
    assert!((summary.fps_per_instance.unwrap() * busy_s - 120.0).abs() < 1e-9, "{summary:?}");
    assert!(busy_s <= summary.seconds_by_stage[&Stage::Track] + 1e-6, "{reports:?}");
    assert!(summary.cost.unwrap().formula.starts_with(&format!("track {busy_s:.1} s x (")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_chooses_once_how_often_it_is_looked_at() {
    let world = World::new(Trouble::default());
    // So short stretches cost a walker some frames at their ends.
    let asked: DetectEvery = "auto:20".parse().unwrap();
    let settings = RequestSettings { detect_every: asked, ..seconds(2.0) };
    let (request, upload) = world.upload("v.mp4", "frames=120 gop=5", &settings).await;
    world.settle(std::slice::from_ref(&request)).await;
    let manifest = world.manifest(&request).await;
    assert_eq!((manifest.state, manifest.settings.detect_every), (RequestState::Done, asked));
    let choice = manifest.stride.clone().unwrap();
    let every = choice.detect_every.get();
    assert!(every > 1, "the two who walk there are easy to follow: {choice:?}");
    let stretches: Vec<_> = choice.stretches.iter().map(|at| (at.first_frame, at.frame_count)).collect();
    assert_eq!((stretches, choice.frames_looked_at), (vec![(20, 12), (60, 12), (100, 12)], 36));
    assert!(choice.trials.iter().all(|trial| trial.detect_every > choice.detect_every || trial.is_within(20.0)));
    let next = choice.trials.iter().find(|trial| trial.detect_every > choice.detect_every);
    let because = if next.is_some() { StrideReason::NextLosesMore } else { StrideReason::LongestTried };
    assert_eq!((choice.reason, next.is_some_and(|trial| trial.is_within(20.0))), (because, false));
    // The ledger, the summary and what chunks say of themselves go by the number.
    let looked_at = 1 + 119_u64.div_ceil(every.into());
    let ledger = manifest.ledger.unwrap();
    assert_eq!((ledger.frames_whole, ledger.frames_passed_over), (looked_at, 120 - looked_at));
    let summary = end::read_summary(&world.cloud, &request).await.unwrap().unwrap();
    assert_eq!(summary.detect_every, choice.detect_every.into());
    assert_eq!(world.tracks(&request).await.len(), 2 * 120, "every frame has its rows");
    let chunk = PerSegment::Chunk.object(&request, SegmentNumber::new(3).unwrap());
    let description = async || {
        let info = world.local.stat(&chunk).await.unwrap();
        SegmentDescription::from_metadata(&info.metadata).unwrap()
    };
    assert_eq!(description().await.settings.detect_every, choice.detect_every.into());
    // As if split had died before this chunk, and came once more where nobody could look: the plan has the answer.
    world.local.delete(&chunk).await.unwrap();
    manifest::update(&world.cloud, &request, |manifest| {
        manifest.state = RequestState::Splitting;
        manifest.segments.iter_mut().for_each(|segment| (segment.bytes, segment.sha256) = (None, None));
        true
    })
    .await
    .unwrap();
    let split = Split::new(world.cloud.clone(), Arc::new(StandIn(Trouble::default())));
    let event = world.local.stat(&upload).await.unwrap().finalized();
    split.work(&request, &event, &Delivery::new()).await.unwrap();
    assert_eq!(description().await.settings.detect_every, choice.detect_every.into());
    assert_eq!(world.manifest(&request).await.stride, Some(choice));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_without_objects_or_of_a_few_frames_is_looked_at_in_full() {
    let world = World::new(Trouble::default());
    let settings = RequestSettings { detect_every: DetectEvery::AUTO, ..seconds(2.0) };
    for (name, text, reason, looked_at) in [
        ("short.mp4", "frames=19 gop=5", StrideReason::TooShort, 0),
        ("one_key_frame.mp4", "frames=90 gop=1000", StrideReason::TooShort, 0),
        ("empty.mp4", "frames=120 gop=5 seed=7", StrideReason::NothingSeen, 36),
    ] {
        let (request, _) = world.upload(name, text, &settings).await;
        world.settle(std::slice::from_ref(&request)).await;
        let manifest = world.manifest(&request).await;
        let choice = manifest.stride.unwrap();
        assert_eq!(
            (choice.detect_every.get(), choice.reason, choice.frames_looked_at),
            (1, reason, looked_at),
            "{name}"
        );
        assert_eq!(manifest.ledger.unwrap().frames_passed_over, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_is_refused_where_nobody_can_look() {
    let world = World::new(Trouble::default());
    let settings = RequestSettings { detect_every: "auto:2.5".parse().unwrap(), ..seconds(2.0) };
    let (request, upload) = world.upload("v.mp4", "frames=120 gop=5", &settings).await;
    let event = world.local.stat(&upload).await.unwrap().finalized();
    let split = Split::new(world.cloud.clone(), Arc::new(StandIn(Trouble::default())));
    let failure = split.work(&request, &event, &Delivery::new()).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Permanent);
    let message = failure.to_string();
    assert!(message.starts_with("detect_every is auto:2.5, and `split` has no detector"), "{message}");
    assert!(manifest::read(&world.cloud, &request).await.unwrap().is_none(), "nothing is planned");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_frame_was_looked_at_or_is_damaged_or_was_passed_over() {
    // Frames 0, 3 and so on to 57 are looked at, and 59, the last one.
    for (missing_frame, damaged) in [(None, 0), (Some(12), 1), (Some(59), 1), (Some(7), 0)] {
        let world = World::new(Trouble { missing_frame, lost_frame: Some(8), ..Default::default() });
        let settings = RequestSettings { detect_every: 3.try_into().unwrap(), ..seconds(1.0) };
        let (request, _) = world.upload("v.mp4", "frames=60 gop=10", &settings).await;
        world.settle(std::slice::from_ref(&request)).await;
        let ledger = world.manifest(&request).await.ledger.unwrap();
        let expected = (60, 21 - damaged, damaged, 39);
        let counts = (ledger.frames, ledger.frames_whole, ledger.frames_damaged, ledger.frames_passed_over);
        assert_eq!(counts, expected, "{missing_frame:?} is missing");
        let (seen, between): (Vec<_>, Vec<_>) = world.tracks(&request).await.into_iter().partition(|row| row.observed);
        assert!(seen.iter().all(|row| row.frame_index % 3 == 0 || row.frame_index == 59));
        assert!(between.iter().all(|row| row.frame_index % 3 != 0), "a look without an object is no row");
        // Two objects walk. Without a look nobody knows where they are on either side of it.
        let lost_rows = match missing_frame {
            Some(12) => 2 * 5,
            Some(59) => 2 * 2,
            _ => 0,
        };
        assert_eq!(seen.len() + between.len(), 2 * 60 - lost_rows, "{missing_frame:?} is missing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_drawn_while_merge_still_writes() {
    for (every, held_is_whole) in [(1, false), (1, true), (3, false), (3, true)] {
        let world = World::new(Trouble::default());
        let settings = RequestSettings { detect_every: every.try_into().unwrap(), ..seconds(1.0) };
        let (request, _) = world.upload("v.mp4", "frames=200 gop=10", &settings).await;
        let of_segment = |kind: PerSegment, segment| kind.object(&request, SegmentNumber::new(segment).unwrap());
        let drawn = |segment| of_segment(PerSegment::Annotated, segment);
        // The tracks of the whole video wait until all of it is drawn; those of its last segment until the first one is.
        let (object, until) = match held_is_whole {
            true => (ResultFile::Tracks.object(&request), (0..20).map(drawn).collect()),
            false => (of_segment(PerSegment::Tracks, 19), vec![drawn(0)]),
        };
        let held = Arc::new(Held { local: world.local.clone(), object, until });
        let cloud = Cloud::new(held, world.local.clone(), world.local.clone());
        let hosted = Hosted { local: world.local.clone(), cloud, trouble: Trouble::default() };
        hosted.settle(std::slice::from_ref(&request)).await;
        assert_eq!(world.manifest(&request).await.state, RequestState::Done);
        let video = world.bytes(&request, ResultFile::AnnotatedVideo).await;
        let frames: std::collections::BTreeSet<_> =
            std::str::from_utf8(&video).unwrap().lines().filter_map(|line| line.strip_suffix(" 1 person")).collect();
        assert_eq!(frames.len(), 200, "every frame has boxes");
    }
}
