//! What a visit is, and what it counts.

#![allow(clippy::unwrap_used)]

mod support;

use support::{At, asked, scene, seen, walk};

const TWO: &str = "zones: [{name: left, points: [[50, 20], [100, 20], [100, 80], [50, 80]]}, {name: right, points: [[100, 20], [150, 20], [150, 80], [100, 80]]}]";

fn visits(rest: &str, rows: &[At]) -> Vec<String> {
    asked(scene(rest), rows).ask("SELECT zone, track_id, enter_frame, exit_frame FROM zone_visits ORDER BY ALL")
}

#[test]
fn a_visit_is_from_the_first_position_inside_to_the_last() {
    let rows = seen(1, &[(40., 50.), (60., 50.), (70., 50.), (80., 50.), (80., 90.)]);
    let database = asked(scene(TWO), &rows);
    assert_eq!(
        database.ask("SELECT zone, enter_frame, round(enter_s, 9), exit_frame, round(exit_s, 9), round(dwell_s, 9), frames_inside, born_inside, left_scene FROM zone_visits"),
        ["left,1,0.04,3,0.12,0.08,3,false,false"]
    );
}

#[test]
fn a_point_on_a_common_border_is_in_one_of_the_two_zones() {
    for y in [20.0, 50.0, 79.875] {
        assert_eq!(visits(TWO, &seen(1, &[(100., y)])), ["right,1,0,0"], "{y}");
    }
    let stacked = "zones: [{name: above, points: [[50, 20], [150, 20], [150, 50], [50, 50]]}, {name: below, points: [[50, 50], [150, 50], [150, 80], [50, 80]]}]";
    for x in [50.0, 100.0, 149.875] {
        assert_eq!(visits(stacked, &seen(1, &[(x, 50.)])), ["below,1,0,0"], "{x}");
    }
    let slanted = "zones: [{name: a, points: [[0, 0], [90, 0], [30, 60], [0, 60]]}, {name: b, points: [[30, 60], [90, 0], [120, 0], [120, 60]]}]";
    // From the lower end of the border, where both zones end and the point is in neither, to the upper one.
    let rows: Vec<At> = (0..480)
        .flat_map(|step| {
            let at = step as f32 / 8.0;
            seen(step, &[(30. + at, 60. - at)])
        })
        .collect();
    let zones = asked(scene(slanted), &rows).ask("SELECT track_id, count(*) FROM zone_visits GROUP BY ALL ORDER BY 1");
    assert_eq!(zones, (1..480).map(|step| format!("{step},1")).collect::<Vec<_>>());
}

#[test]
fn an_absence_that_is_tolerated_ends_no_visit() {
    let away = |frames: usize| -> Vec<Option<(f32, f32)>> {
        let inside = Some((70., 50.));
        [vec![inside; 5], vec![Some((70., 90.)); frames], vec![inside; 5]].concat()
    };
    assert_eq!(visits(TWO, &walk(1, &away(24))), ["left,1,0,33"]);
    assert_eq!(visits(TWO, &walk(1, &away(25))), ["left,1,0,4", "left,1,30,34"]);
    let unseen: Vec<_> = away(24).into_iter().map(|at| at.filter(|(_, y)| *y < 90.)).collect();
    assert_eq!(visits(TWO, &walk(1, &unseen)), ["left,1,0,33"]);
}

#[test]
fn a_stay_shorter_than_the_stated_time_is_no_visit() {
    let rest = format!("settle_s: 0.2\n{TWO}");
    assert_eq!(visits(&rest, &seen(1, &[(70., 50.); 5])), [""; 0]);
    assert_eq!(visits(&rest, &seen(1, &[(70., 50.); 6])), ["left,1,0,5"]);
}

#[test]
fn who_vanishes_inside_has_left_the_scene() {
    let database =
        asked(scene(TWO), &[seen(1, &[(70., 50.), (71., 50.)]), seen(2, &[(70., 50.), (71., 90.)])].concat());
    assert_eq!(
        database.ask("SELECT track_id, left_scene, born_inside FROM zone_visits ORDER BY 1"),
        ["1,true,true", "2,false,true"]
    );
}

#[test]
fn a_concave_zone_has_no_inside_in_its_notch() {
    let notched =
        "zones: [{name: u, points: [[20, 20], [40, 20], [40, 60], [60, 60], [60, 20], [80, 20], [80, 80], [20, 80]]}]";
    assert_eq!(visits(notched, &seen(1, &[(50., 40.)])), [""; 0]);
    for (x, y) in [(30., 40.), (70., 40.), (50., 70.), (20., 20.), (60., 20.), (40., 60.)] {
        assert_eq!(visits(notched, &seen(1, &[(x, y)])), ["u,1,0,0"], "{x} {y}");
    }
}

#[test]
fn occupancy_is_what_the_visits_say_second_by_second() {
    // One from 0 to 2.96 s, one from 1 to 1.96 s.
    let mut rows = seen(1, &[(70., 50.); 75]);
    rows.extend(seen(2, &[(71., 50.); 50]).into_iter().filter(|at| at.frame >= 25));
    let database = asked(scene(TWO), &rows);
    assert_eq!(
        database
            .ask("SELECT zone, second, class_name, objects, round(object_seconds, 9) FROM zone_occupancy ORDER BY 2"),
        ["left,0,person,1,1.0", "left,1,person,2,1.96", "left,2,person,1,0.96"]
    );
}

#[test]
fn visits_and_occupancy_are_marked_where_they_depend_on_the_identity() {
    // Eight seconds inside, twice; the second object gets another id after four of them.
    let mut rows = [seen(1, &[(70., 50.); 200]), seen(2, &[(120., 50.); 200])].concat();
    rows[300..].iter_mut().for_each(|at| at.track = 3);
    // Three seconds outside, two inside, three outside.
    let passes = [[(20., 50.); 75].as_slice(), &[(70., 50.); 50], &[(20., 50.); 75]].concat();
    rows.extend(seen(4, &passes));
    let database = asked(scene(TWO), &rows);
    assert_eq!(
        database.ask("SELECT track_id, near_birth_or_end FROM zone_visits ORDER BY 1"),
        ["1,true", "2,true", "3,true", "4,false"]
    );
    let ask = |zone: &str| {
        let columns = "second, objects, near_birth_or_end";
        database.ask(&format!("SELECT {columns} FROM zone_occupancy WHERE zone = '{zone}' ORDER BY second"))
    };
    assert_eq!(ask("left"), ["0,1,1", "1,1,1", "2,1,0", "3,2,0", "4,2,0", "5,1,0", "6,1,1", "7,1,1"]);
    // Around the switch, too.
    assert_eq!(ask("right"), ["0,1,1", "1,1,1", "2,1,1", "3,1,1", "4,1,1", "5,1,1", "6,1,1", "7,1,1"]);
}
