//! The pictures of docs/analytics.md: scenes, tracks, and what the SQL says of them. `UPDATE_PICTURES=1` writes them.

#![allow(clippy::unwrap_used)]

mod support;

use support::{
    At, Database, asked,
    drawing::{Drawing, RED, tracks},
    scene, seen, walk,
};

const MIDDLE: &str = "lines: [{name: gate, points: [[100, 85], [100, 15]]}]";

/// Draws a scene of 200 x 100, its tracks, the crossings, and the positions in visits.
fn is_current(name: &str, rest: &str, rows: &[At]) {
    let scene = scene(rest);
    let mut drawing = Drawing::of(&scene);
    let database = asked(scene, rows);
    for (track, of) in tracks(rows) {
        drawing.track(&of);
        crossings(&mut drawing, &database, track);
        visits(&mut drawing, &database, track, &of);
    }
    drawing.assert_current(name);
}

fn crossings(drawing: &mut Drawing, database: &Database, track: i64) {
    let found = database.ask(&format!(
        "SELECT x, y, direction || CASE WHEN observed THEN '' ELSE ', not observed' END || CASE WHEN born_on_line THEN ', born on line' ELSE '' END
         FROM line_crossings WHERE track_id = {track} ORDER BY time_s"
    ));
    for (index, row) in found.iter().enumerate() {
        let [x, y, what] = row.splitn(3, ',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        drawing.add(format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"2.6\" fill=\"none\" stroke=\"{RED}\"/>"));
        let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
        drawing.words(x + 6.0, y + 2.0 + 7.0 * index as f64, RED, what);
    }
}

fn visits(drawing: &mut Drawing, database: &Database, track: i64, of: &[&At]) {
    let found = database
        .ask(&format!("SELECT zone, enter_frame, exit_frame, left_scene FROM zone_visits WHERE track_id = {track}"));
    for (index, row) in found.iter().enumerate() {
        let [zone, enter, exit, left] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let (enter, exit): (i64, i64) = (enter.parse().unwrap(), exit.parse().unwrap());
        let inside: Vec<_> = of.iter().filter(|at| (enter..=exit).contains(&at.frame)).collect();
        for at in &inside {
            let (x, y) = (at.x, at.y);
            drawing.add(format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"2.2\" fill=\"none\" stroke=\"#2a9d8f\"/>"));
        }
        let left = if left == "true" { ", left_scene" } else { "" };
        let (x, y) = (inside[0].x - 4.0, inside[0].y - 5.0 - 7.0 * index as f32);
        let words = format!("{zone}: frames {enter} to {exit}{left}");
        drawing.words(f64::from(x), f64::from(y), "#1b6f65", &words);
    }
}

#[test]
fn a_crossing_and_what_is_none() {
    let tracks = [
        seen(1, &[(40., 20.), (70., 22.), (90., 24.), (110., 26.), (150., 28.)]),
        seen(2, &[(40., 40.), (80., 40.), (99., 42.), (80., 44.), (40., 44.)]),
        seen(
            3,
            &[
                (60., 55.),
                (90., 55.),
                (99., 56.),
                (101., 57.),
                (99., 58.),
                (101., 59.),
                (99., 60.),
                (90., 62.),
                (60., 62.),
            ],
        ),
        seen(4, &[(60., 80.), (90., 95.), (110., 95.), (140., 80.)]),
    ];
    is_current("crossing", MIDDLE, &tracks.concat());
}

#[test]
fn to_and_fro_is_two_crossings() {
    is_current(
        "to-and-fro",
        MIDDLE,
        &seen(1, &[(40., 40.), (80., 42.), (120., 44.), (140., 50.), (120., 56.), (80., 58.), (40., 60.)]),
    );
}

#[test]
fn through_a_vertex_is_one_crossing() {
    let line = "lines: [{name: gate, points: [[80, 85], [100, 50], [80, 15]]}]";
    is_current("vertex", line, &seen(1, &[(40., 50.), (70., 50.), (100., 50.), (130., 50.), (160., 50.)]));
}

#[test]
fn who_is_born_on_the_line() {
    let tracks = [
        seen(1, &[(100., 30.), (120., 32.), (150., 34.)]),
        seen(2, &[(100., 65.), (120., 60.), (130., 64.), (120., 68.), (70., 70.), (40., 70.)]),
    ];
    is_current("born-on-line", MIDDLE, &tracks.concat());
}

#[test]
fn a_crossing_in_a_gap() {
    is_current(
        "gap",
        MIDDLE,
        &walk(1, &[Some((40., 50.)), Some((60., 50.)), None, None, None, Some((140., 50.)), Some((160., 50.))]),
    );
}

#[test]
fn a_visit_with_a_tolerated_absence() {
    let zone = "absence_s: 0.1\nzones: [{name: counter, points: [[60, 30], [140, 30], [140, 80], [60, 80]]}]";
    let mut rows = seen(1, &[(40., 55.), (70., 55.), (80., 70.), (90., 85.), (100., 70.), (120., 55.), (160., 55.)]);
    rows.extend(seen(2, &[(40., 40.), (70., 42.), (90., 44.)]));
    is_current("visit", zone, &rows);
}

#[test]
fn a_common_border_belongs_to_one_zone() {
    let zones = "zones: [{name: left, points: [[40, 20], [100, 20], [100, 80], [40, 80]]}, {name: right, points: [[100, 20], [160, 20], [160, 80], [100, 80]]}]";
    is_current("border", zones, &seen(1, &[(100., 40.), (100., 50.), (100., 60.)]));
}
