//! Random scenes and tracks, against a second implementation of the definitions.

#![allow(clippy::unwrap_used)]

mod support;

use proptest::prelude::*;
use std::collections::BTreeSet;
use support::{At, asked_for, counts::Asked, slow};
use trackdrop_scenes::Scene;

/// Coordinates on a coarse grid: points on lines, on borders and on corners are common.
fn grid(most: u32) -> impl Strategy<Value = f64> {
    (0..=most / 10).prop_map(|step| f64::from(step * 10))
}

fn points(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<[f64; 2]>> {
    prop::collection::vec((grid(200), grid(100)).prop_map(|(x, y)| [x, y]), count)
}

/// One track: many short steps, few long ones, gaps, boxes of several heights, and another class now and then.
fn track(number: i64) -> impl Strategy<Value = Vec<At>> {
    let (jump, other) = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    let step = (-3_i32..=3, -3_i32..=3, prop_oneof![6 => Just(1_i64), 1 => 2..200_i64], 1_u8..4, jump, other);
    ((0..=20_i32, 0..=10_i32), prop::collection::vec(step, 1..90)).prop_map(move |((mut x, mut y), steps)| {
        (x, y) = (x * 10, y * 10);
        let mut frame = 0;
        let mut rows = Vec::new();
        for (dx, dy, frames, tall, jump, other) in steps {
            let scale = if jump { 20 } else { 5 };
            (x, y) = ((x + dx * scale).clamp(0, 200), (y + dy * scale).clamp(0, 100));
            frame += frames;
            let height = f32::from(tall) * 20.0;
            rows.push(At {
                track: number,
                frame,
                time_s: frame as f64 / 8.0,
                x: x as f32,
                y: y as f32,
                width: 10.0,
                height,
                class: if other { "car" } else { "person" },
                observed: true,
            });
        }
        rows
    })
}

fn drawn(kind: &str, points: &[[f64; 2]], rest: &str) -> Option<Scene> {
    let text = format!(
        "name: s\nvideos: ['*']\npicture: {{width_px: 200, height_px: 100}}\n{rest}\n{kind}: [{{name: it, points: {points:?}}}]"
    );
    Scene::parse(&text).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn crossings_are_those_of_the_slow_walk(
        line in points(2..6), hysteresis in prop_oneof![Just(0.0), Just(0.1), Just(0.25), Just(1.0)],
        tracks in prop::collection::vec(track(0), 1..6),
    ) {
        let Some(scene) = drawn("lines", &line, &format!("hysteresis: {hysteresis}")) else { return Ok(()) };
        let tracks: Vec<Vec<At>> = (1..).zip(tracks).map(|(number, track)| track.into_iter().map(|at| At { track: number, ..at }).collect()).collect();
        let mut expected = Vec::new();
        for track in &tracks {
            for crossing in slow::crossings(&line, hysteresis, track) {
                let direction = if crossing.inwards { "in" } else { "out" };
                expected.push(format!("{},{direction},{},{:?}", track[0].track, crossing.frame, crossing.time_s));
            }
        }
        let mut rows = tracks.concat();
        // The order of rows is of no matter.
        rows.reverse();
        let database = asked_for(scene, &rows, &["line_crossings"]);
        let found = database.ask("SELECT track_id, direction, frame_index, time_s FROM line_crossings ORDER BY track_id, frame_index");
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn visits_are_those_of_the_slow_walk(
        corners in points(3..8), absence_s in prop_oneof![Just(0.0), Just(0.25), Just(2.0)], settle_s in prop_oneof![Just(0.0), Just(1.0)],
        tracks in prop::collection::vec(track(0), 1..6),
    ) {
        let Some(scene) = drawn("zones", &corners, &format!("absence_s: {absence_s}\nsettle_s: {settle_s}")) else { return Ok(()) };
        let tracks: Vec<Vec<At>> = (1..).zip(tracks).map(|(number, track)| track.into_iter().map(|at| At { track: number, ..at }).collect()).collect();
        let mut expected = Vec::new();
        for track in &tracks {
            for (first, last) in slow::visits(&corners, absence_s, settle_s, track) {
                expected.push(format!("{},{},{}", track[0].track, first.frame, last.frame));
            }
        }
        let mut rows = tracks.concat();
        rows.reverse();
        let database = asked_for(scene, &rows, &["zone_visits"]);
        let found = database.ask("SELECT track_id, enter_frame, exit_frame FROM zone_visits ORDER BY ALL");
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn counts_occupancy_and_flows_are_those_of_the_slow_walk(
        line in points(2..5), zone in points(3..6), hysteresis in prop_oneof![Just(0.0), Just(0.1)],
        absence_s in prop_oneof![Just(0.25), Just(2.0)], settle_s in prop_oneof![Just(0.0), Just(1.0)],
        interval_s in prop_oneof![Just(0.7), Just(2.5), Just(60.0)], tracks in prop::collection::vec(track(0), 1..6),
    ) {
        let rest = format!("hysteresis: {hysteresis}\nabsence_s: {absence_s}\nsettle_s: {settle_s}\ninterval_s: {interval_s}\nlines: [{{name: gate, points: {line:?}}}]");
        let Some(scene) = drawn("zones", &zone, &rest) else { return Ok(()) };
        let tracks: Vec<Vec<At>> = (1..).zip(tracks).map(|(number, track)| track.into_iter().map(|at| At { track: number, ..at }).collect()).collect();
        let asked = Asked { line, zone, hysteresis, absence_s, settle_s, interval_s };
        let mut rows = tracks.concat();
        rows.reverse();
        let database = asked_for(scene, &rows, &["line_counts", "zone_occupancy", "flows"]);
        let found = |sql: &str| database.ask(sql).into_iter().collect::<BTreeSet<_>>();
        let counts = found("SELECT direction, class_name, interval_start_s, crossings, near_birth_or_end FROM line_counts");
        prop_assert_eq!(counts, asked.line_counts(&tracks));
        let occupancy = found("SELECT second, class_name, objects, object_seconds, near_birth_or_end FROM zone_occupancy");
        prop_assert_eq!(occupancy, asked.zone_occupancy(&tracks));
        let flows = found("SELECT class_name, origin, destination, moves, identities, moves_near_birth_or_end, identities_near_birth_or_end FROM flows");
        prop_assert_eq!(flows, asked.flows(&tracks));
    }
}
