//! What a person asks of a deployment afterwards: scenes and their views, exports and crops, over the emulators. All of it as on one machine.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, time::Duration};
use trackdrop_e2e::{
    deployment::{Deployment, Finished, appearance_network},
    gateway::Fault,
    local::{LocalRun, clip},
};
use trackdrop_pipeline::{Bucket, RequestId};
use trackdrop_tables::schema::{REQUESTS, TRACKS};

const SETTLES_WITHIN: Duration = Duration::from_secs(120);

/// The clip is 480 x 360; people drift to the left, so that some of them pass the lines.
const STREET: &str = "name: street
videos: ['*.mp4']
picture: {width_px: 480, height_px: 360}
reference: [0.5, 0.5]
lines: [{name: first, points: [[120, 0], [120, 360]]}, {name: second, points: [[300, 360], [300, 180], [320, 0]]}]
zones: [{name: left, points: [[0, 0], [200, 0], [240, 360], [0, 360]]}, {name: right, points: [[200, 0], [480, 0], [480, 360], [240, 360]]}]
encounter: {distance: 200, seconds: 0.2}
";

/// Every view with the columns that are compared.
const QUESTIONS: &[(&str, &str)] = &[
    (
        "line_crossings",
        "line, direction, track_id, class_name, frame_index, pts, ROUND(time_s, 6), ROUND(x, 3), ROUND(y, 3), observed",
    ),
    ("line_counts", "line, direction, class_name, crossings, near_birth_or_end"),
    (
        "zone_visits",
        "zone, track_id, class_name, enter_frame, exit_frame, frames_inside, born_inside, left_scene, near_birth_or_end",
    ),
    ("zone_occupancy", "zone, second, class_name, objects, ROUND(object_seconds, 6), near_birth_or_end"),
    (
        "flows",
        "class_name, origin, destination, moves, identities, moves_near_birth_or_end, identities_near_birth_or_end",
    ),
    ("track_speeds", "track_id, unit, samples, ROUND(median_speed, 4), ROUND(max_error, 4)"),
    ("heatmap", "class_name, cell_x, cell_y, ROUND(seconds, 6)"),
    ("encounters", "track_a, track_b, ROUND(duration_s, 6), unit"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_a_deployment_is_what_is_asked_of_one_machine() {
    let Some(deployment) = Deployment::start().await else { return };
    let video = deployment.folder.path().join("people walking.mp4");
    clip(&video);
    let network = appearance_network().display().to_string();
    let by_network = ["--link", "--appearance", &network];
    let options = ["--segment-seconds", "1", "--crops", "--exports", "video-intelligence"];
    let local = LocalRun::of(&video, &deployment.folder.path().join("local"), &[&options[..], &by_network].concat());
    let mut manifest: Value = serde_json::from_slice(&local.result("manifest.json")).unwrap();
    // There it is a path, here one of those that are offered.
    manifest["settings"]["appearance"] = json!({ "network": "parts" });
    let clip = std::fs::read(&video).unwrap();
    deployment.gateway.begin(Fault::None);
    let request = deployment.upload("people walking.mp4", &clip, Some(&manifest["settings"])).await;
    assert_eq!(deployment.finished(&request).await, Finished { state: "done".into(), error: None });
    deployment.gateway.settled(0, SETTLES_WITHIN).await;

    let detections = deployment.object(Bucket::Results, &format!("{request}/detections.parquet")).await.unwrap();
    assert!(detections == local.result("detections.parquet"), "with what each detection looks like");
    exports_are_the_same(&deployment, &local, &request).await;
    crops_are_the_same(&deployment, &local, &request);
    scenes_are_stored_listed_and_removed(&deployment).await;
    views_answer_the_same(&deployment, &local, &request).await;
    a_deleted_request_has_nothing_to_export(&deployment, &request).await;
}

async fn exports_are_the_same(deployment: &Deployment, local: &LocalRun, request: &RequestId) {
    for format in [
        "mot",
        "coco",
        "cvat",
        "csv",
        "ndjson",
        "video-intelligence",
        "video-intelligence-streaming",
        "rekognition-persons",
    ] {
        let theirs = deployment.trackdrop(&["export", request.as_str(), "--google", "--format", format]);
        let ours = local.trackdrop(&["export", &local.request, "--format", format]);
        assert!(ours.len() > 1000, "{format}: too little to compare");
        assert_eq!(theirs.replace(request.as_str(), "REQUEST"), ours.replace(&local.request, "REQUEST"), "{format}");
    }
    // What the setting asked for is the same file.
    let stored = deployment.object(Bucket::Results, &format!("{request}/video-intelligence.json")).await.unwrap();
    let asked = deployment.trackdrop(&["export", request.as_str(), "--google", "--format", "video-intelligence"]);
    assert_eq!(String::from_utf8(stored.to_vec()).unwrap(), asked);
    let said = deployment.trackdrop_fails(&["export", "req_00000000_20200101T000000", "--google", "--format", "mot"]);
    assert!(said.contains("there is no request \"req_00000000_20200101T000000\" in the bucket"), "{said}");
}

fn crops_are_the_same(deployment: &Deployment, local: &LocalRun, request: &RequestId) {
    let (theirs, ours) = (deployment.folder.path().join("their crops"), deployment.folder.path().join("our crops"));
    let list =
        deployment.trackdrop(&["crops", request.as_str(), "--google", "--json", "--out", theirs.to_str().unwrap()]);
    let same = local.trackdrop(&["crops", &local.request, "--json", "--out", ours.to_str().unwrap()]);
    assert_eq!(list.replace(request.as_str(), "REQUEST"), same.replace(&local.request, "REQUEST"));
    let (theirs, ours) = (files(&theirs), files(&ours));
    assert!(!ours.is_empty() && theirs == ours, "{:?} and {:?}", theirs.keys(), ours.keys());
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

async fn scenes_are_stored_listed_and_removed(deployment: &Deployment) {
    let file = deployment.folder.path().join("street.yaml");
    std::fs::write(&file, STREET).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(deployment.trackdrop(&["scene", "list", "--google"]), "");
    let added = deployment.trackdrop(&["scene", "add", file, "--google"]);
    assert!(added.contains("street: 480x360, videos *.mp4; lines first, second; zones left, right"), "{added}");
    assert_eq!(deployment.trackdrop(&["scene", "list", "--google"]), added);
    let shown = deployment.trackdrop(&["scene", "show", "street", "--google"]);
    let again = deployment.folder.path().join("again.json");
    std::fs::write(&again, shown.replace("\"street\"", "\"again\"")).unwrap();
    deployment.trackdrop(&["scene", "add", again.to_str().unwrap(), "--google"]);
    assert_eq!(deployment.list(Bucket::Results, "scenes/").await.len(), 2);
    deployment.trackdrop(&["scene", "remove", "again", "--google"]);
    let names: Vec<_> = deployment.list(Bucket::Results, "scenes/").await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["scenes/street.ndjson"]);
    let said = deployment.trackdrop_fails(&["scene", "remove", "again", "--google"]);
    assert!(said.contains("there is no scene \"again\""), "{said}");
}

async fn views_answer_the_same(deployment: &Deployment, local: &LocalRun, request: &RequestId) {
    let file = deployment.folder.path().join("street.yaml");
    local.trackdrop(&["scene", "add", file.to_str().unwrap()]);
    deployment.read_scenes().await;
    for (view, columns) in QUESTIONS {
        let mut ours = local.asked(&format!("SELECT {columns} FROM {view}"));
        let mut theirs = deployment.asked(view, columns, request).await;
        ours.sort();
        theirs.sort();
        assert!(!ours.is_empty(), "{view} has no rows to compare");
        assert_eq!(theirs, ours, "{view}");
    }
}

async fn a_deleted_request_has_nothing_to_export(deployment: &Deployment, request: &RequestId) {
    let said = deployment.trackdrop(&["delete", request.as_str(), "--google", "--upload"]);
    assert!(said.contains("is deleted"), "{said}");
    for arguments in
        [["export", request.as_str(), "--google", "--format=mot"], ["crops", request.as_str(), "--google", "--json"]]
    {
        let said = deployment.trackdrop_fails(&arguments);
        assert!(said.contains("there is no request"), "{said}");
    }
    assert!(deployment.list(Bucket::Results, request.as_str()).await.is_empty());
    assert!(deployment.object(Bucket::Uploads, "people walking.mp4").await.is_none());
    for table in [&TRACKS, &REQUESTS] {
        assert!(deployment.rows(table, request).await.is_empty(), "{}", table.name);
    }
    assert_eq!(deployment.list(Bucket::Results, "scenes/").await.len(), 1, "scenes are of no request");
}
