//! What a crossing is.

#![allow(clippy::unwrap_used)]

mod support;

use support::{At, Database, REQUEST, asked, scene, seen, walk};
use trackdrop_scenes::sql;

/// A line up the middle of the picture: from left to right is `in`. Boxes are 20 high, so 2 pixels from it are off it.
const MIDDLE: &str = "lines: [{name: gate, points: [[100, 80], [100, 20]]}]";

fn crossings(rows: &[At]) -> Vec<String> {
    asked(scene(MIDDLE), rows).ask("SELECT direction, frame_index FROM line_crossings ORDER BY track_id, frame_index")
}

fn along_y50(xs: &[f32]) -> Vec<At> {
    seen(1, &xs.iter().map(|x| (*x, 50.0)).collect::<Vec<_>>())
}

#[test]
fn a_track_that_walks_over_the_line_crosses_it_once() {
    assert_eq!(crossings(&along_y50(&[80., 90., 99., 101., 110.])), ["in,3"]);
    assert_eq!(crossings(&along_y50(&[110., 101., 99., 90.])), ["out,2"]);
    assert_eq!(crossings(&along_y50(&[80., 120.])), ["in,1"]);
}

#[test]
fn a_touch_and_return_is_none() {
    assert_eq!(crossings(&along_y50(&[90., 100., 90.])), [""; 0]);
    assert_eq!(crossings(&along_y50(&[90., 100., 100., 100., 90.])), [""; 0]);
    assert_eq!(crossings(&along_y50(&[90., 101., 90.])), [""; 0], "over the line by less than the hysteresis");
    assert_eq!(crossings(&along_y50(&[90., 99., 100., 101., 90.])), [""; 0]);
}

#[test]
fn jitter_on_the_line_is_none_and_a_crossing_with_jitter_is_one() {
    assert_eq!(crossings(&along_y50(&[99., 101., 99., 101., 99., 101.])), [""; 0]);
    assert_eq!(crossings(&along_y50(&[90., 99., 101., 99., 101., 100., 99., 90.])), [""; 0]);
    assert_eq!(crossings(&along_y50(&[90., 99., 101., 99., 101., 100., 99., 101., 110.])), ["in,7"]);
}

#[test]
fn to_and_fro_is_two() {
    assert_eq!(crossings(&along_y50(&[90., 110., 90.])), ["in,1", "out,2"]);
    assert_eq!(crossings(&along_y50(&[90., 100., 110., 100., 90., 100., 110.])), ["in,1", "out,4", "in,5"]);
}

#[test]
fn who_starts_on_the_line_crosses_it_only_later_and_is_marked() {
    let ask = |xs: &[f32]| {
        asked(scene(MIDDLE), &along_y50(xs))
            .ask("SELECT direction, frame_index, born_on_line FROM line_crossings ORDER BY 2")
    };
    assert_eq!(ask(&[100., 110.]), [""; 0]);
    assert_eq!(ask(&[99., 101., 110.]), [""; 0]);
    assert_eq!(ask(&[100., 110., 90.]), ["out,2,true"]);
    assert_eq!(ask(&[90., 110., 90.]), ["in,1,false", "out,2,false"]);
}

#[test]
fn who_ends_on_the_line_has_not_crossed_it() {
    assert_eq!(crossings(&along_y50(&[90., 101.])), [""; 0]);
    assert_eq!(crossings(&along_y50(&[90., 100.])), [""; 0]);
}

#[test]
fn the_line_is_finite_and_its_ends_belong_to_it() {
    let at = |y: f32| crossings(&seen(1, &[(90., y), (110., y)]));
    assert_eq!(at(19.0), [""; 0]);
    assert_eq!(at(81.0), [""; 0]);
    for y in [20.0, 20.5, 50.0, 79.5, 80.0] {
        assert_eq!(at(y), ["in,1"], "{y}");
    }
    let diagonal = crossings(&seen(1, &[(90., 10.), (110., 30.), (90., 10.)]));
    assert_eq!(diagonal, ["in,1", "out,2"], "through the end, to and fro");
    assert_eq!(crossings(&seen(1, &[(90., 50.), (90., 10.), (110., 10.), (110., 50.)])), [""; 0], "around its end");
}

#[test]
fn through_a_vertex_is_one() {
    for points in [
        "[[100, 80], [100, 50], [100, 20]]",
        "[[100, 80], [120, 50], [100, 20]]",
        "[[100, 80], [80, 50], [100, 20]]",
        "[[90, 80], [100, 50], [90, 20]]",
        "[[100, 80], [100, 50], [130, 20]]",
    ] {
        let database = asked(
            scene(&format!("lines: [{{name: gate, points: {points}}}]")),
            &[
                seen(1, &[(50., 50.), (150., 50.)]),
                seen(2, &[(50., 50.), (100., 50.), (150., 50.)]),
                seen(3, &[(150., 50.), (50., 50.)]),
                seen(4, &[(50., 40.), (100., 50.), (150., 60.)]),
                seen(5, &[(150., 60.), (100., 50.), (50., 40.)]),
            ]
            .concat(),
        );
        let rows = database.ask("SELECT track_id, direction FROM line_crossings ORDER BY ALL");
        assert_eq!(rows, ["1,in", "2,in", "3,out", "4,in", "5,out"], "{points}");
    }
}

#[test]
fn time_and_place_are_where_the_way_meets_the_line() {
    let database = asked(scene(MIDDLE), &seen(1, &[(85., 40.), (105., 60.)]));
    assert_eq!(
        database.ask("SELECT frame_index, pts, round(time_s, 9), x, y, observed FROM line_crossings"),
        ["1,512,0.03,100.0,55.0,true"]
    );
}

#[test]
fn a_crossing_in_a_gap_is_one_that_was_not_observed() {
    let gap = walk(1, &[Some((80., 50.)), Some((90., 50.)), None, None, None, Some((110., 50.))]);
    let ask = "SELECT direction, frame_index, round(time_s, 9), observed FROM line_crossings";
    assert_eq!(asked(scene(MIDDLE), &gap).ask(ask), ["in,5,0.12,false"]);
    let mut filled = along_y50(&[80., 90., 110., 120.]);
    filled[2].observed = false;
    assert_eq!(asked(scene(MIDDLE), &filled).ask(ask), ["in,2,0.06,false"], "a row that a refinement added");
}

#[test]
fn a_gap_of_many_frames_is_one_step() {
    let mut rows = along_y50(&[80., 90.]);
    rows.push(At { frame: 1000, time_s: 40.0, x: 110.0, ..rows[0].clone() });
    assert_eq!(crossings(&rows), ["in,1000"]);
}

#[test]
fn who_is_away_for_long_and_elsewhere_makes_no_step_over_the_line() {
    // Near the line on its left; away, around its end, for many frames; near it on its right.
    let mut points: Vec<(f32, f32)> = (0..100).map(|k| (60.0 + k as f32 * 0.3, 50.0)).collect();
    points.extend((0..200).map(|_| (20.0, 95.0)));
    points.extend((0..200).map(|_| (180.0, 95.0)));
    points.extend((0..100).map(|k| (150.0 - k as f32 * 0.3, 50.0)));
    assert_eq!(crossings(&seen(1, &points)), [""; 0]);
}

#[test]
fn births_and_ends_near_the_crossing_are_marked_and_counted() {
    let long = |before: usize, after: usize| -> Vec<(f32, f32)> {
        (0..before).map(|_| (80.0, 50.0)).chain((0..after).map(|_| (120.0, 50.0))).collect()
    };
    let rows = [seen(1, &long(100, 100)), seen(2, &long(20, 100)), seen(3, &long(100, 20)), seen(4, &long(100, 100))];
    let database = asked(scene(MIDDLE), &rows.concat());
    assert_eq!(
        database.ask("SELECT track_id, near_birth_or_end FROM line_crossings ORDER BY 1"),
        ["1,false", "2,true", "3,true", "4,false"]
    );
    assert_eq!(
        database.ask("SELECT line, direction, class_name, interval_start_s, crossings, near_birth_or_end, share_near_birth_or_end FROM line_counts"),
        ["gate,in,person,0.0,4,2,0.5"]
    );
}

#[test]
fn stop_and_go_is_one_crossing() {
    // One step a frame; where it stops, its box shakes by a pixel for four seconds.
    let with_stops = |stops: &[usize]| -> Vec<f32> {
        let stop = |place: usize| {
            let frames = if stops.contains(&place) { 100 } else { 1 };
            (0..frames).map(move |k| 80.0 + place as f32 * 2.0 + [0.0, 1.0, 0.0, -1.0][k % 4])
        };
        (0..=20).flat_map(stop).collect()
    };
    let count = |stops: &[usize]| crossings(&along_y50(&with_stops(stops))).len();
    // Before the line, at its hysteresis, on the line, behind it, and at several of these.
    for stops in [&[][..], &[4], &[8], &[9], &[10], &[11], &[12], &[16], &[9, 11], &[8, 10, 12], &[9, 10, 11]] {
        assert_eq!(count(stops), 1, "stops at {stops:?}");
    }
    // Who stops on the line and returns has not crossed it, however long the stop lasts.
    let mut back = with_stops(&[10]);
    back.truncate(110);
    back.extend([97.0, 90.0, 80.0]);
    assert_eq!(crossings(&along_y50(&back)), [""; 0]);
}

/// A way from left to right, in steps of 4 pixels, whose id is another one from a position on.
fn switched(at: usize) -> Vec<At> {
    let mut rows = along_y50(&(0..=10).map(|k| 80.0 + k as f32 * 4.0).collect::<Vec<_>>());
    rows[at..].iter_mut().for_each(|row| row.track = 2);
    rows
}

#[test]
fn an_id_that_is_switched_at_the_line_counts_once_or_not_at_all_and_is_marked() {
    let database = |at: usize| asked(scene(MIDDLE), &switched(at));
    for at in 1..=10 {
        let found = database(at).ask("SELECT track_id, direction, near_birth_or_end FROM line_crossings");
        // The positions 4, 5 and 6 are left of the line, on it, and right of it. A switch between 4 and 6 cuts the crossing in two.
        let expected: &[&str] = match at {
            ..=4 => &["2,in,true"],
            5 | 6 => &[],
            7.. => &["1,in,true"],
        };
        assert_eq!(found, expected, "switched at position {at}");
    }
}

#[test]
fn two_ids_that_are_swapped_at_the_line_keep_the_balance_of_in_and_out() {
    let way = |track: i64, direction: f32, y: f32| {
        seen(track, &(0..=10).map(|k| (100.0 + direction * (k as f32 * 4.0 - 20.0), y)).collect::<Vec<_>>())
    };
    // In and out, where the two take each other's id from a position on.
    let counts = |other_way: f32, at: usize| -> (usize, usize) {
        let (mut one, mut two) = (way(1, 1.0, 50.0), way(2, other_way, 54.0));
        one[at..].iter_mut().for_each(|row| row.track = 2);
        two[at..].iter_mut().for_each(|row| row.track = 1);
        let found = crossings(&[one, two].concat());
        let inwards = found.iter().filter(|row| row.starts_with("in")).count();
        (inwards, found.len() - inwards)
    };
    for at in 1..=10 {
        // Side by side: whichever has which id, two go over the line.
        assert_eq!(counts(1.0, at), (2, 0), "swapped at position {at}");
        // Against each other: on the line each id touches it and returns. Before and behind it, each id jumps over it and goes back.
        let each = if matches!(at, 5 | 6) { 0 } else { 2 };
        assert_eq!(counts(-1.0, at), (each, each), "swapped at position {at}");
    }
}

#[test]
fn the_class_is_the_identitys() {
    let mut rows = along_y50(&[80., 90., 110., 120., 130.]);
    rows[1].class = "bicycle";
    rows[2].class = "bicycle";
    let database = asked(scene(MIDDLE), &rows);
    assert_eq!(database.ask("SELECT class_name FROM line_crossings"), ["person"]);
}

#[test]
fn a_class_has_its_own_anchor() {
    let scene = scene(
        "reference_by_class: {car: [0.5, 0.5]}\nlines: [{name: gate, points: [[0, 50], [200, 50]], in: down, out: up}]",
    );
    // Lower sides go from 45 to 55, centres from 35 to 45.
    let mut rows = seen(1, &[(50., 45.), (50., 55.)]);
    rows.extend(rows.clone().into_iter().map(|at| At { track: 2, class: "car", ..at }));
    assert_eq!(asked(scene, &rows).ask("SELECT track_id, direction FROM line_crossings"), ["1,down"]);
}

#[test]
fn the_hysteresis_is_in_heights_of_the_box() {
    let mut rows = along_y50(&[80., 103., 80.]);
    assert_eq!(crossings(&rows), ["in,1", "out,2"]);
    rows[1].height = 40.0;
    assert_eq!(crossings(&rows), [""; 0], "3 pixels are less than a tenth of 40");
    let scene = scene("hysteresis: 0\nlines: [{name: gate, points: [[100, 80], [100, 20]]}]");
    let counts = |xs: &[f32]| {
        asked(scene.clone(), &along_y50(xs)).ask("SELECT direction FROM line_crossings ORDER BY frame_index")
    };
    assert_eq!(counts(&[99.5, 100.5, 99.5]), ["in", "out"]);
    assert_eq!(counts(&[99.5, 100., 99.5]), [""; 0]);
    assert_eq!(counts(&[100., 99.5]), [""; 0]);
    assert_eq!(counts(&[99.5, 100., 100., 100.5]), ["in"]);
}

#[test]
fn a_scene_is_scaled_to_pictures_of_its_shape_and_not_asked_of_others() {
    let database = Database::new(&[scene(MIDDLE)]);
    let double: Vec<At> =
        seen(1, &[(170., 100.), (230., 100.)]).into_iter().map(|at| At { height: 40.0, ..at }).collect();
    database.request("a", "x", 400, 200).rows("a", &double);
    database.request("b", "x", 400, 300).rows("b", &double);
    database.views(sql::VIEWS);
    assert_eq!(database.ask("SELECT request_id, x, y, round(time_s, 9) FROM line_crossings"), ["a,200.0,100.0,0.02"]);
}

#[test]
fn a_scene_is_asked_of_its_own_videos() {
    let mut own = scene(MIDDLE);
    own.videos = vec!["gate/*.mp4".to_owned(), "yard (1)?.mov".to_owned()];
    let database = Database::new(&[own.clone()]);
    let rows = along_y50(&[80., 120.]);
    let names = [
        "gate/a.mp4",
        "gate/b/c.mp4",
        "Gate/a.mp4",
        "xgate/a.mp4",
        "gate/amp4",
        "yard (1)x.mov",
        "yard 1x.mov",
        "gate/\n.mp4",
    ];
    for name in names {
        database.request(name, name, 200, 100).rows(name, &rows);
    }
    database.views(sql::VIEWS);
    let found = database.ask("SELECT DISTINCT request_id FROM line_crossings");
    for name in names {
        assert_eq!(found.contains(&name.to_owned()), own.is_for(name), "{name:?}");
    }
    assert_eq!(found.len(), 4);
}

#[test]
fn two_scenes_of_one_video_are_asked_each_for_itself() {
    let mut other = scene("lines: [{name: gate, points: [[50, 20], [50, 80]]}]");
    other.name = "t".to_owned();
    let database = Database::new(&[scene(MIDDLE), other]);
    database.request(REQUEST, "a", 200, 100).rows(REQUEST, &along_y50(&[20., 80., 120.])).views(sql::VIEWS);
    assert_eq!(
        database.ask("SELECT scene, direction, frame_index FROM line_crossings ORDER BY ALL"),
        ["s,in,2", "t,out,1"]
    );
}

#[test]
fn a_view_that_was_not_asked_for_by_name_answers_the_same() {
    let rows = along_y50(&[80., 120., 80.]);
    let database = Database::new(&[scene(MIDDLE)]);
    database.request(REQUEST, "a", 200, 100).rows(REQUEST, &rows).views(&[]);
    let ask = "SELECT * FROM line_crossings ORDER BY frame_index";
    assert_eq!(
        database.ask(ask),
        asked(scene(MIDDLE), &rows).ask(ask).into_iter().map(|row| row.replace("gate/a.mp4", "a")).collect::<Vec<_>>()
    );
    for view in sql::VIEWS {
        database.ask(&format!("SELECT * FROM {view}"));
    }
}

/// The cases of the table in docs/analytics.md, where supervision's numbers are those that scripts/bench/analytics finds.
#[test]
fn the_cases_of_the_comparison_count_what_the_docs_say() {
    let line = "lines: [{name: gate, points: [[100, 85], [100, 15]]}]";
    let count = |rows: &[At]| asked(scene(line), rows).ask("SELECT * FROM line_crossings").len();
    assert_eq!(count(&seen(1, &[(70., 22.), (90., 24.), (110., 26.), (130., 28.)])), 1);
    assert_eq!(count(&seen(1, &[(80., 40.), (100., 42.), (80., 44.)])), 0);
    assert_eq!(count(&seen(1, &[(90., 50.), (101., 50.), (90., 50.)])), 0);
    let jitter = [(90., 55.), (99., 56.), (101., 57.), (99., 58.), (101., 59.)];
    assert_eq!(count(&seen(1, &[&jitter[..], &[(99., 60.), (90., 62.)]].concat())), 0);
    assert_eq!(count(&seen(1, &[&jitter[..], &[(120., 60.)]].concat())), 1);
    assert_eq!(count(&seen(1, &[(90., 50.), (90., 95.), (110., 95.), (110., 50.)])), 0);
    assert_eq!(count(&seen(1, &[(100., 30.), (80., 30.), (50., 30.)])), 0);
    assert_eq!(count(&seen(1, &[(80., 95.), (120., 65.), (150., 60.)])), 1);
    assert_eq!(count(&walk(1, &[Some((60., 50.)), None, None, Some((140., 50.))])), 1);
}
