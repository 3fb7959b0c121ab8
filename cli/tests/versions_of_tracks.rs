//! Another version of a request's tracks: the same detections with other settings.
#![allow(clippy::unwrap_used)]

mod stand_ins;

use stand_ins::{Trouble, World, seconds};
use std::collections::{BTreeMap, BTreeSet};
use trackdrop_cloud::Storage;
use trackdrop_flow::version;
use trackdrop_pipeline::{
    Appearance, AppearanceNetwork, Bucket, FailureKind, Refinements, RequestId, RequestSettings, RequestState, Smooth,
    TrackerOverrides,
    links::IdentityLink,
    names::{ObjectName, ResultFile},
};
use trackdrop_tables::tracks::{self, TrackRow};

/// A version of `of` with settings changed by `change`, settled.
async fn versioned(world: &World, of: &RequestId, change: impl FnOnce(&mut RequestSettings)) -> RequestId {
    let manifest = world.manifest(of).await;
    let mut settings = manifest.settings.clone();
    change(&mut settings);
    let made = version::make(&world.cloud, &manifest, settings).await.unwrap();
    world.settle(std::slice::from_ref(&made.request)).await;
    assert_eq!(world.manifest(&made.request).await.state, RequestState::Done);
    made.request
}

async fn generations(world: &World) -> BTreeMap<ObjectName, i64> {
    let mut all = BTreeMap::new();
    for bucket in Bucket::ALL {
        let objects = world.local.list(&ObjectName::new(bucket, "")).await.unwrap();
        all.extend(objects.into_iter().map(|info| (info.object, info.generation)));
    }
    all
}

fn core(rows: &[TrackRow]) -> Vec<TrackRow> {
    rows.iter().filter(|row| row.observed).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_a_separate_request_without_a_detector_and_changes_no_other() {
    let world = World::new(Trouble::default());
    let (first, _) = world.upload("v.mp4", "frames=95 gop=10", &seconds(2.0)).await;
    world.settle(std::slice::from_ref(&first)).await;
    let before = generations(&world).await;
    let people = versioned(&world, &first, |settings| settings.classes = Some(vec!["person".into()])).await;

    let after = generations(&world).await;
    assert!(before.iter().all(|(object, generation)| after.get(object) == Some(generation)));
    let detections_of_version = format!("detections/{people}/");
    assert!(!after.keys().any(|object| object.name.starts_with(&detections_of_version)), "no detector ran");
    let rows = world.tracks(&people).await;
    assert_eq!((rows.len(), world.tracks(&first).await.len()), (95, 2 * 95));
    assert!(rows.iter().all(|row| &*row.class_name == "person"));
    let video = world.bytes(&people, ResultFile::AnnotatedVideo).await;
    assert_eq!(std::str::from_utf8(&video).unwrap().matches("part").count(), 5, "its chunks are the first's");
    assert_eq!(world.bytes(&people, ResultFile::Detections).await, world.bytes(&first, ResultFile::Detections).await);
    assert_eq!(world.local.loaded_tracks().await.unwrap().len(), 2);
    let rows = world.rows().await;
    let row_of = |request: &RequestId| rows.iter().find(|row| row["request_id"] == request.as_str()).unwrap();
    assert_eq!(row_of(&people)["retrack_of"], first.as_str());
    assert!(row_of(&first)["retrack_of"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_settings_give_the_same_version_also_for_a_version_of_a_version() {
    let world = World::new(Trouble::default());
    let (first, _) = world.upload("v.mp4", "frames=40 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&first)).await;
    let buffer = |frames| move |settings: &mut RequestSettings| settings.tracker.track_buffer = Some(frames);
    let seven = versioned(&world, &first, buffer(7)).await;
    let before = generations(&world).await;
    assert_eq!(versioned(&world, &first, buffer(7)).await, seven);
    assert_eq!(generations(&world).await, before, "asking again changes nothing");
    let nine = versioned(&world, &seven, buffer(9)).await;
    assert_eq!(world.manifest(&nine).await.retrack_of, Some(first.clone()));
    assert_eq!(versioned(&world, &first, buffer(9)).await, nine);
}

/// Settings of a request whose frames are looked at so often.
fn looking(every: u32, refine: &Refinements) -> RequestSettings {
    RequestSettings { detect_every: every.try_into().unwrap(), refine: refine.clone(), ..seconds(2.0) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_fewer_looks_is_what_so_few_looks_give() {
    let video = "frames=200 gop=10 seed=104";
    for refine in [Refinements::default(), Refinements::best()] {
        let world = World::new(Trouble::default());
        let mut requests = Vec::new();
        for every in [1, 2, 4, 6] {
            let name = format!("{every}.mp4");
            requests.push(world.upload(&name, video, &looking(every, &refine)).await.0);
        }
        world.settle(&requests).await;
        let [all, two, four, six] = requests.try_into().unwrap();
        for (of, every, same) in [(&all, 4, &four), (&two, 4, &four), (&two, 6, &six), (&all, 6, &six)] {
            let fewer = |settings: &mut RequestSettings| settings.detect_every = every.try_into().unwrap();
            let version = versioned(&world, of, fewer).await;
            assert!(world.tracks(&version).await == world.tracks(same).await, "every {every} of {of}");
            assert_eq!(world.manifest(&version).await.detect_every().get(), every);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_a_version_is_refused_for_good() {
    let world = World::new(Trouble::default());
    let (first, _) = world.upload("v.mp4", "frames=40 gop=10", &seconds(1.0)).await;
    world.settle(std::slice::from_ref(&first)).await;
    let manifest = world.manifest(&first).await;
    let same = version::make(&world.cloud, &manifest, manifest.settings.clone()).await.unwrap_err();
    assert!(same.kind() == FailureKind::Permanent && same.to_string().contains("same settings"), "{same}");

    let broken = World::new(Trouble { lost_frame: Some(3), ..Default::default() });
    let (unfinished, _) = broken.upload("w.mp4", "no video", &seconds(1.0)).await;
    broken.settle(std::slice::from_ref(&unfinished)).await;
    let manifest = broken.manifest(&unfinished).await;
    let settings = RequestSettings { min_score: Some(0.5), ..manifest.settings.clone() };
    let undetected = version::make(&broken.cloud, &manifest, settings).await.unwrap_err();
    assert!(undetected.kind() == FailureKind::Permanent, "{undetected}");
    assert!(undetected.to_string().contains("no complete set of detections"), "{undetected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refinements_add_marked_rows_and_do_not_depend_on_the_cut() {
    let gaussian = Some(Smooth::Gaussian(2.0));
    let none = Refinements::default();
    let refinements = [
        Refinements { fill_gaps: Some(20), ..none.clone() },
        Refinements { backfill: true, ..none.clone() },
        Refinements { fill_gaps: Some(20), smooth: gaussian, backfill: true, ..none.clone() },
        Refinements { smooth: Some(Smooth::RTS), ..none.clone() },
        Refinements { link: Some(3.0), ..none.clone() },
        // One missing frame at most: longer gaps end an identity, so that ids change.
        Refinements { link: Some(0.2), recover: true, fill_gaps: Some(5), ..none.clone() },
        Refinements::best(),
    ];
    let mut of_cut = Vec::new();
    for length in [0.5, 1_000.0] {
        let world = World::new(Trouble::default());
        let (first, _) = world.upload("v.mp4", "frames=400 gop=5 seed=104", &seconds(length)).await;
        world.settle(std::slice::from_ref(&first)).await;
        let tracked = world.tracks(&first).await;
        let mut of_version = Vec::new();
        for refine in refinements.clone() {
            let Refinements { smooth, link, .. } = refine;
            let version = versioned(&world, &first, |settings| settings.refine = refine.clone()).await;
            let rows = world.tracks(&version).await;
            assert!(rows.len() > tracked.len() || refine == refinements[4], "rows were added: {refine:?}");
            let place = |row: &TrackRow| (row.frame_index, row.pts, row.score.to_bits());
            let identity = |row: &TrackRow| (place(row), row.track_id, row.class_id);
            let observed = core(&rows);
            assert!(observed.iter().map(place).eq(tracked.iter().map(place)), "frames and scores stay");
            let ids_stay = observed.iter().map(identity).eq(tracked.iter().map(identity));
            assert!(ids_stay || link.is_some(), "only links change ids: {refine:?}");
            assert!(!ids_stay || link != Some(0.2), "a short link changes some");
            let boxes_stay = observed.iter().zip(&tracked).all(|(is, was)| is.bbox == was.bbox);
            assert_eq!(boxes_stay, smooth.is_none(), "boxes stay unless they are smoothed: {refine:?}");
            assert!(rows.is_sorted_by_key(|row| row.frame_index));
            assert!(rows.iter().all(|row| row.observed || (0.0..=1.0).contains(&row.score)));
            let mut seen = BTreeSet::new();
            assert!(rows.iter().all(|row| seen.insert((row.frame_index, row.track_id))), "no id twice: {refine:?}");
            let file = world.bytes(&version, ResultFile::Tracks).await;
            let links = tracks::read_links(file).unwrap();
            assert_eq!(links.is_some(), link.is_some());
            of_version.push((rows, links));
        }
        of_cut.push(of_version);
    }
    assert!(of_cut[0] == of_cut[1], "80 segments and 1 give the same rows and links");
}

/// The rows of a version, and the links between them.
async fn linked(world: &World, version: &RequestId) -> (Vec<TrackRow>, Option<Vec<IdentityLink>>) {
    let links = tracks::read_links(world.bytes(version, ResultFile::Tracks).await).unwrap();
    (world.tracks(version).await, links)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_objects_look_like_is_stored_where_it_is_asked_for_and_links_go_by_it() {
    let video = "frames=400 gop=5 seed=104";
    let network = AppearanceNetwork { network: "stand-in".into(), network_sha256: None, network_card_sha256: None };
    for asked in [Appearance::COLOR, Appearance::Network(network)] {
        looks_are_stored_and_links_go_by_them(video, &asked).await;
    }
}

async fn looks_are_stored_and_links_go_by_them(video: &str, asked: &Appearance) {
    let mut of_cut = Vec::new();
    for length in [0.5, 1_000.0] {
        let world = World::new(Trouble::default());
        let colored = RequestSettings { appearance: Some(asked.clone()), ..seconds(length) };
        let (plain, _) = world.upload("plain.mp4", video, &seconds(length)).await;
        let (first, _) = world.upload("v.mp4", video, &colored).await;
        world.settle(&[plain.clone(), first.clone()]).await;
        assert!(world.tracks(&first).await == world.tracks(&plain).await, "without links it changes no track");
        let [of_plain, of_first] =
            [world.bytes(&plain, ResultFile::Detections).await, world.bytes(&first, ResultFile::Detections).await];
        assert!(of_first.len() > of_plain.len(), "the file has one column more");

        let link = |settings: &mut RequestSettings| settings.refine = Refinements::best();
        let blind = versioned(&world, &first, |settings| {
            link(settings);
            settings.appearance = None;
        });
        let blind = linked(&world, &blind.await).await;
        let of_plain = versioned(&world, &plain, link).await;
        assert!(blind == linked(&world, &of_plain).await, "without it links are as they were");
        let seeing = versioned(&world, &first, link).await;
        let seeing = linked(&world, &seeing).await;
        assert_ne!(seeing.1, blind.1, "links go by it");
        of_cut.push((seeing, of_first));

        let manifest = world.manifest(&plain).await;
        let by_network = world.manifest(&first).await.appearance_network.map(|network| network.name);
        assert_eq!(by_network, asked.network().map(|network| network.network.clone()), "the manifest names it");
        let asked = RequestSettings { appearance: Some(asked.clone()), ..manifest.settings.clone() };
        let refused = version::make(&world.cloud, &manifest, asked).await.unwrap_err();
        assert_eq!(refused.kind(), FailureKind::Permanent);
        assert!(refused.to_string().contains("process the video again"), "{refused}");
    }
    assert!(of_cut[0] == of_cut[1], "80 segments and 1 give the same rows, links and detections");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tracker_s_deviations_are_options_of_a_request() {
    let world = World::new(Trouble::default());
    // Classes waver in a random video, so that associating each by itself gives other tracks.
    let (first, _) = world.upload("v.mp4", "frames=300 gop=10 seed=104", &seconds(3.0)).await;
    world.settle(std::slice::from_ref(&first)).await;
    let tracks = async |tracker: &TrackerOverrides| {
        world.tracks(&versioned(&world, &first, |settings| settings.tracker = tracker.clone()).await).await
    };
    let base = TrackerOverrides { match_thresh: Some(0.3), track_buffer: Some(3), ..Default::default() };
    let expected = tracks(&base).await;
    for tracker in [
        TrackerOverrides { per_class: true, ..base.clone() },
        TrackerOverrides { scale_buffer: true, ..base.clone() }, // 10 frames a second: 1 frame instead of 3
        TrackerOverrides { score_fusion: Some(false), ..base.clone() },
        TrackerOverrides { track_thresh: Some(0.3), ..base.clone() },
        TrackerOverrides { match_thresh: None, ..base.clone() },
        TrackerOverrides { track_buffer: None, ..base.clone() },
    ] {
        assert!(tracks(&tracker).await != expected, "{tracker:?} has no effect");
    }
}
