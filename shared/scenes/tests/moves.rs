//! Flows, speeds, heat and encounters.

#![allow(clippy::unwrap_used)]

mod support;

use support::{At, asked, scene, seen};

/// Coming from below over `south` and leaving to the left over `west`, to the right over `east`, or back.
const JUNCTION: &str = "lines: [{name: south, points: [[80, 70], [120, 70]], in: away, out: here},
  {name: west, points: [[80, 30], [80, 70]]}, {name: east, points: [[120, 30], [120, 70]]}]
zones: [{name: middle, points: [[85, 35], [115, 35], [115, 65], [85, 65]]}]";

fn turning(track: i64, ends: &[(f32, f32)]) -> Vec<At> {
    seen(track, &[&[(100., 90.), (100., 75.), (100., 50.)], ends].concat())
}

#[test]
fn flows_count_who_came_over_one_line_and_left_over_another() {
    let rows = [
        turning(1, &[(70., 50.)]),
        turning(2, &[(70., 50.)]),
        turning(3, &[(130., 50.)]),
        turning(4, &[(100., 75.), (100., 90.)]),
        seen(5, &[(100., 90.), (100., 75.)]),
    ];
    let database = asked(scene(JUNCTION), &rows.concat());
    assert_eq!(
        database.ask("SELECT origin, destination, moves, identities FROM flows ORDER BY ALL"),
        [
            "middle,east out,1,0",
            "middle,south away,1,0",
            "middle,west in,2,0",
            "south here,east out,0,1",
            "south here,middle,4,0",
            "south here,south away,0,1",
            "south here,west in,0,2",
        ]
    );
}

#[test]
fn flows_say_how_many_of_them_depend_on_the_identity() {
    // Each position lasts for 1.6 s: nothing happens within a second of the track's first or last position.
    let slowly: Vec<_> =
        [(100., 90.), (100., 75.), (100., 50.), (70., 50.)].into_iter().flat_map(|at| [at; 40]).collect();
    // The same, but that it ends half a second after the line in the west.
    let soon_lost = &slowly[..132];
    let database = asked(scene(JUNCTION), &[seen(1, &slowly), seen(2, soon_lost)].concat());
    assert_eq!(
        database.ask("SELECT origin, destination, moves, moves_near_birth_or_end, identities, identities_near_birth_or_end FROM flows ORDER BY ALL"),
        ["middle,west in,2,1,0,0", "south here,middle,2,1,0,0", "south here,west in,0,0,2,1"]
    );
}

/// Ten metres are 100 pixels, both ways.
const CALIBRATED: &str = "calibration: [{pixel: [0, 0], metre: [0, 0]}, {pixel: [100, 0], metre: [10, 0]},
  {pixel: [0, 100], metre: [0, 10]}, {pixel: [200, 100], metre: [20, 10]}, {pixel: [100, 100], metre: [10, 10]}]";

#[test]
fn speeds_are_metres_a_second_with_a_calibration_and_pixels_without() {
    // A pixel a frame, 25 frames a second, then standing.
    let rows = seen(1, &(0..100).map(|k| (20.0 + k.min(75) as f32, 50.0)).collect::<Vec<_>>());
    let ask =
        "SELECT unit, samples, round(median_speed, 3), round(max_speed, 3), round(max_error, 3) FROM track_speeds";
    assert_eq!(asked(scene(CALIBRATED), &rows).ask(ask), ["m/s,7,2.5,2.5,0.0"]);
    let pixels = asked(scene("lines: [{name: a, points: [[1, 1], [2, 2]]}]"), &rows);
    assert_eq!(pixels.ask(ask), ["px/s,7,25.0,25.0,0.0"]);
}

#[test]
fn a_box_that_shakes_widens_the_error_of_a_speed() {
    let shaken =
        |by: f32| seen(1, &(0..50).map(|k| (20.0 + k as f32, 50.0 + [by, -by, -by, by][k % 4])).collect::<Vec<_>>());
    let error = |by: f32| -> f64 {
        asked(scene(CALIBRATED), &shaken(by)).ask("SELECT max_error FROM track_speeds")[0].parse().unwrap()
    };
    assert!(error(0.0) < 1e-6 && error(2.0) > 0.05 && error(4.0) > 1.9 * error(2.0), "{} {}", error(2.0), error(4.0));
}

/// Each of four pixels is given twice, 0.3 m above and below where it is: the map is the one between, and misses every pair by 0.3 m.
const ROUGH: &str = "calibration: [{pixel: [0, 0], metre: [0, -0.3]}, {pixel: [0, 0], metre: [0, 0.3]},
  {pixel: [200, 0], metre: [20, -0.3]}, {pixel: [200, 0], metre: [20, 0.3]},
  {pixel: [0, 100], metre: [0, 9.7]}, {pixel: [0, 100], metre: [0, 10.3]},
  {pixel: [200, 100], metre: [20, 9.7]}, {pixel: [200, 100], metre: [20, 10.3]}]";

#[test]
fn a_rough_calibration_widens_the_error_of_a_speed_at_both_ends() {
    let asked_of = |calibration: &str, by: f32| -> (f64, f64) {
        let rows = seen(1, &(0..25).map(|k| (20.0 + k as f32, 50.0 + [by, -by, -by, by][k % 4])).collect::<Vec<_>>());
        let database = asked(scene(calibration), &rows);
        let number = |column: &str| database.ask(&format!("SELECT {column} FROM track_speeds"))[0].parse().unwrap();
        (number("median_speed"), number("median_error"))
    };
    // Two half seconds, so one speed. Their averages are half a second apart, and both ends may be 0.3 m off.
    let (speed, error) = asked_of(ROUGH, 0.0);
    assert!((speed - 2.5).abs() < 1e-6, "{speed}");
    let of_the_map = 2.0_f64.sqrt() * 0.3 / 0.5;
    assert!((error - of_the_map).abs() < 1e-6, "{error}, not {of_the_map}");
    // A box that shakes adds to it as independent errors add.
    let (_, of_the_box) = asked_of(CALIBRATED, 4.0);
    let (_, both) = asked_of(ROUGH, 4.0);
    assert!(of_the_box > 0.1 && (both - of_the_map.hypot(of_the_box)).abs() < 1e-6, "{both} {of_the_box}");
}

#[test]
fn a_track_too_short_for_two_half_seconds_has_no_speed() {
    assert_eq!(
        asked(scene(CALIBRATED), &seen(1, &[(20., 50.), (21., 50.)])).ask("SELECT * FROM track_speeds"),
        [""; 0]
    );
}

#[test]
fn the_heatmap_is_seconds_in_cells_whatever_the_frame_rate_is() {
    // A second at 25 frames in one cell, then at 5 frames a second in another.
    let fast = seen(1, &[(10., 10.); 25]);
    let slow = (0..5).map(|k| At { frame: 25 + k, time_s: 1.0 + k as f64 / 5.0, x: 60.0, ..fast[0].clone() });
    let rows: Vec<At> = fast.iter().cloned().chain(slow).collect();
    let database = asked(scene("cell_px: 50"), &rows);
    assert_eq!(
        database.ask("SELECT class_name, cell_x, cell_y, cell_px, round(seconds, 6) FROM heatmap ORDER BY 2"),
        ["person,0,0,50.0,1.0", "person,1,0,50.0,1.0"]
    );
}

#[test]
fn an_encounter_is_two_tracks_close_for_long_enough() {
    let rest = "encounter: {distance: 10, seconds: 0.2}";
    let still = |track, x| seen(track, &[(x, 50.0); 20]);
    let passing = seen(3, &(0..20).map(|k| (k as f32 * 10.0, 50.0)).collect::<Vec<_>>());
    let database = asked(scene(rest), &[still(1, 50.0), still(2, 59.0), still(4, 70.0), passing].concat());
    assert_eq!(
        database.ask("SELECT track_a, track_b, class_a, class_b, round(start_s, 6), round(duration_s, 6), min_distance, unit FROM encounters"),
        ["1,2,person,person,0.0,0.76,9.0,px"]
    );
    let metres = format!("encounter: {{distance: 1, seconds: 0.2}}\n{CALIBRATED}");
    let database = asked(scene(&metres), &[still(1, 50.0), still(2, 59.0), still(4, 70.0)].concat());
    assert_eq!(database.ask("SELECT track_a, track_b, round(min_distance, 6), unit FROM encounters"), ["1,2,0.9,m"]);
}
