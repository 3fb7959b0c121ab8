//! The scene file: what is read, and what is refused with the place and the remedy.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use trackdrop_scenes::{CalibrationPair, Homography, HomographyError, Scene};

const HEAD: &str = "name: s\nvideos: ['*']\npicture: {width_px: 200, height_px: 100}\n";

fn refused(rest: &str) -> String {
    Scene::parse(&format!("{HEAD}{rest}")).expect_err(rest).to_string()
}

#[test]
fn yaml_and_json_say_the_same() {
    let yaml = Scene::parse(&format!("{HEAD}lines: [{{name: a, points: [[1, 2], [3, 4]]}}]")).unwrap();
    let json = Scene::parse(
        r#"{"name": "s", "videos": ["*"], "picture": {"width_px": 200, "height_px": 100}, "lines": [{"name": "a", "points": [[1, 2], [3, 4]]}]}"#,
    )
    .unwrap();
    assert_eq!(yaml, json);
    assert_eq!(Scene::of_ndjson(&yaml.ndjson()).unwrap(), yaml);
    assert_eq!(Scene::parse(&serde_json::to_string(&yaml).unwrap()).unwrap(), yaml);
}

#[test]
fn a_bad_scene_is_refused_with_the_place_and_the_remedy() {
    for (rest, place, remedy) in [
        ("", "zones, lines", "draw a zone"),
        (
            "zones: [{name: z, points: [[0, 0], [50, 50], [50, 0], [0, 50]]}]",
            "zone \"z\": the edge from point 1 to 2 meets the one from 3 to 4",
            "order",
        ),
        ("zones: [{name: z, points: [[0, 0], [50, 0], [20, 0]]}]", "zone \"z\"", "order"),
        ("zones: [{name: z, points: [[0, 0], [50, 0]]}]", "zone \"z\"", "three corners"),
        ("zones: [{name: z, points: [[0, 0], [50, 0], [50, 50], [0, 0]]}]", "zone \"z\", point 4", "closes by itself"),
        ("zones: [{name: z, points: [[0, 0], [201, 0], [50, 50]]}]", "zone \"z\", point 2", "move it inside"),
        ("zones: [{name: z, points: [[0, 0], [.nan, 0], [50, 50]]}]", "zone \"z\", point 2", "move it inside"),
        ("zones: [{name: z, points: [[0, 0], [1, 0], [0, 1]]}]", "zone \"z\"", "apart"),
        ("lines: [{name: a, points: [[0, 0]]}]", "line \"a\"", "two points"),
        ("lines: [{name: a, points: [[0, 0], [0, 0]]}]", "line \"a\", point 2", "remove it"),
        ("lines: [{name: a, points: [[0, 0], [50, 0], [25, 0]]}]", "line \"a\"", "order"),
        ("lines: [{name: a, points: [[0, 0], [1, 1]], in: x, out: x}]", "line \"a\"", "two names"),
        ("lines: [{name: 'a b', points: [[0, 0], [1, 1]]}]", "line \"a b\"", "letters"),
        (
            "lines: [{name: a, points: [[0, 0], [9, 9]]}]\nzones: [{name: a, points: [[0, 0], [9, 0], [9, 9]]}]",
            "line \"a\"",
            "rename",
        ),
        ("cell_px: 10\nreference: [0.5, 1.5]", "reference", "[1, 1]"),
        ("cell_px: 10\nreference_by_class: {persn: [0.5, 0.5]}", "reference_by_class.persn", "\"person\""),
        (
            "cell_px: 10\nclasses: [fork lift]\nreference_by_class: {person: [0.5, 0.5]}",
            "reference_by_class.person",
            "\"fork lift\"",
        ),
        ("cell_px: 10\nhysteresis: -1", "hysteresis", "0 to 10"),
        ("cell_px: 10\ninterval_s: 0", "interval_s", "0.001"),
        ("cell_px: 10\nabsence_s: .inf", "absence_s", "86400"),
        (
            "calibration: [{pixel: [0, 0], metre: [0, 0]}, {pixel: [1, 1], metre: [1, 0]}, {pixel: [2, 2], metre: [1, 1]}, {pixel: [3, 3], metre: [0, 1]}]",
            "calibration",
            "spread them",
        ),
        ("calibration: [{pixel: [0, 0], metre: [0, 0]}]", "calibration", "four or more"),
        (
            "calibration: [{pixel: [0, 0], metre: [0, 0]}, {pixel: [9, 0], metre: [1, 0]}, {pixel: [9, 9], metre: [0, 1]}, {pixel: [0, 9], metre: [1, 1]}]",
            "calibration",
            "swapped",
        ),
    ] {
        let said = refused(rest);
        assert!(said.contains(place) && said.contains(remedy), "{rest}\n{said}");
    }
    let twice = refused("hysteresis: -1\nzones: [{name: z, points: [[0, 0]]}]");
    assert_eq!(twice.lines().count(), 2, "{twice}");
}

#[test]
fn what_is_no_scene_is_refused_with_line_and_column() {
    for text in [
        "",
        "[]",
        "name: s",
        "{",
        &format!("{HEAD}zone: []"),
        &format!("{HEAD}lines: [{{name: a, points: [[1, 2, 3], [4, 5]]}}]"),
        &format!("{HEAD}name: t"),
    ] {
        let said = Scene::parse(text).expect_err(text).to_string();
        assert!(!said.is_empty(), "{text}");
    }
    let said = Scene::parse(&format!("{HEAD}zone: []")).unwrap_err().to_string();
    assert!(said.contains("zone") && said.contains("line 4"), "{said}");
}

#[test]
fn the_json_schema_in_the_docs_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scene.schema.json");
    let schema = serde_json::to_string_pretty(&Scene::schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &schema).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap_or_default(),
        schema,
        "UPDATE_SCHEMA=1 cargo test -p trackdrop-scenes writes it"
    );
}

#[test]
fn a_homography_is_that_of_the_camera_and_says_how_far_it_is_off() {
    // A camera that looks down a road: 10 m wide, 10 m and 40 m away.
    let truth = |[x, y]: [f64; 2]| {
        let depth = 0.01 * y - 0.1;
        [(0.05 * x - 5.0) / depth, (-0.1 * y + 12.0) / depth]
    };
    let pixels = [[10.0, 95.0], [190.0, 95.0], [80.0, 40.0], [120.0, 40.0], [100.0, 60.0]];
    let mut pairs: Vec<_> =
        pixels.iter().map(|pixel| CalibrationPair { pixel: *pixel, metre: truth(*pixel) }).collect();
    let exact = Homography::of(&pairs).unwrap();
    assert!(exact.residual_m < 1e-9, "{exact:?}");
    let [x, y] = exact.ground([33.0, 77.0]).unwrap();
    let [u, v] = truth([33.0, 77.0]);
    assert!((x - u).abs() < 1e-9 && (y - v).abs() < 1e-9);
    assert_eq!(exact.ground([100.0, 5.0]), None, "above the horizon");
    pairs[4].metre[0] += 1.0;
    let off = Homography::of(&pairs).unwrap();
    assert!((0.1..1.0).contains(&off.residual_m), "{off:?}");
    pairs.truncate(3);
    assert_eq!(Homography::of(&pairs), Err(HomographyError::TooFew(3)));
}
