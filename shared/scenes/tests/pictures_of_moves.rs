//! The pictures of docs/analytics.md of flows, speed, heat and encounters. `UPDATE_PICTURES=1` writes them.

#![allow(clippy::unwrap_used)]

mod support;

use support::{
    At, asked,
    drawing::{Drawing, INK, RED, tracks},
    scene, seen,
};

fn numbers(row: &str) -> Vec<f64> {
    row.split(',').filter_map(|field| field.parse().ok()).collect()
}

#[test]
fn flows_between_lines() {
    let junction = scene(
        "lines: [{name: south, points: [[60, 75], [110, 75]], in: in, out: out}, {name: west, points: [[50, 20], [50, 65]], in: out, out: in},
  {name: east, points: [[120, 65], [120, 20]], in: out, out: in}]",
    );
    let way = |track: i64, shift: f32, end: (f32, f32)| {
        let points = [(85. + shift, 95.), (85. + shift, 82.), (85. + shift, 66.), (85. + shift, 50. - shift), end];
        seen(track, &points)
    };
    let rows = [
        way(1, -9.0, (30., 50.)),
        way(2, -3.0, (30., 44.)),
        way(3, 4.0, (140., 46.)),
        seen(4, &[(140., 30.), (125., 30.), (85., 30.), (40., 30.), (30., 30.)]),
    ]
    .concat();
    let mut drawing = Drawing::of(&junction);
    tracks(&rows).iter().for_each(|(_, of)| drawing.track(of));
    for (line, x, y) in [("south", 88., 73.), ("west", 33., 18.), ("east", 112., 18.)] {
        drawing.words(x, y, "#b54a2e", line);
    }
    let flows = asked(junction, &rows)
        .ask("SELECT origin, destination, identities FROM flows WHERE identities > 0 ORDER BY identities DESC, origin, destination");
    for (index, flow) in flows.iter().enumerate() {
        let [from, to, count] = flow.split(',').collect::<Vec<_>>()[..] else { panic!("{flow}") };
        drawing.words(128.0, 74.0 + 8.0 * index as f64, RED, &format!("{from}, {to}: {count}"));
    }
    drawing.assert_current("flows");
}

#[test]
fn a_speed_is_between_averages_of_half_seconds() {
    let calibrated = scene(
        "calibration: [{pixel: [0, 0], metre: [0, 0]}, {pixel: [100, 0], metre: [10, 0.1]}, {pixel: [0, 100], metre: [0, 10.1]},
  {pixel: [200, 100], metre: [20, 10]}, {pixel: [100, 100], metre: [10, 9.9]}]",
    );
    // Slow, fast, slow again; the box shakes.
    let mut x = 20.0;
    let points: Vec<(f32, f32)> = (0..75)
        .map(|k| {
            x += if (25..50).contains(&k) { 3.5 } else { 1.5 };
            (x, 50.0 + [2.0, -1.0, -2.0, 1.0, 0.0][k % 5])
        })
        .collect();
    let rows = seen(1, &points);
    let mut drawing = Drawing::of(&calibrated);
    drawing.track(&rows.iter().collect::<Vec<_>>());
    let of_half = |half: i64| rows.iter().filter(move |at| (at.time_s * 2.0).floor() as i64 == half);
    let averages: Vec<(f32, f32)> = (0..6)
        .map(|half| {
            let count = of_half(half).count() as f32;
            let sum = of_half(half).fold((0.0, 0.0), |sum, at| (sum.0 + at.x, sum.1 + at.y));
            (sum.0 / count, sum.1 / count)
        })
        .collect();
    for pair in averages.windows(2) {
        let ((x1, y1), (x2, y2)) = (pair[0], pair[1]);
        drawing.add(format!(
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{RED}\" stroke-width=\"0.8\"/>"
        ));
    }
    for (x, y) in averages {
        drawing.add(format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"2.4\" fill=\"#f4f1ea\" stroke=\"{RED}\"/>"));
    }
    let speeds = asked(calibrated, &rows).ask(
        "SELECT ROUND(median_speed, 2), ROUND(median_error, 2), ROUND(max_speed, 2), ROUND(max_error, 2), unit FROM track_speeds",
    );
    let [median, median_error, most, most_error] = numbers(&speeds[0])[..] else { panic!("{speeds:?}") };
    let unit = speeds[0].rsplit(',').next().unwrap();
    drawing.words(20.0, 26.0, RED, &format!("median_speed {median} {unit}, median_error {median_error}"));
    drawing.words(20.0, 34.0, RED, &format!("max_speed {most} {unit}, max_error {most_error}"));
    drawing.words(20.0, 80.0, INK, "10 pixels are about 1 m; a position each 0.04 s");
    drawing.assert_current("speed");
}

#[test]
fn heat_is_seconds_in_cells() {
    let grid = scene("cell_px: 20");
    let walks = |track: i64, y: f32| {
        (0..90).map(move |k| (10.0 + k as f32 * 2.0, y + k as f32 * 0.2)).map(move |at| (track, at))
    };
    let rows: Vec<At> = [
        seen(1, &walks(1, 25.0).map(|(_, at)| at).collect::<Vec<_>>()),
        seen(2, &walks(2, 55.0).map(|(_, at)| at).chain([(190., 74.); 10]).collect::<Vec<_>>()),
        seen(3, &[(110., 55.); 100]),
    ]
    .concat();
    let mut drawing = Drawing::of(&grid);
    let cells = asked(grid, &rows).ask("SELECT cell_x, cell_y, cell_px, ROUND(seconds, 1) FROM heatmap ORDER BY 2, 1");
    let hottest = cells.iter().map(|row| numbers(row)[3]).fold(0.0, f64::max);
    for cell in &cells {
        let [x, y, side, seconds] = numbers(cell)[..] else { panic!("{cell}") };
        let (left, top, share) = (x * side, y * side, seconds / hottest);
        drawing.add(format!("<rect x=\"{left}\" y=\"{top}\" width=\"{side}\" height=\"{side}\" fill=\"{RED}\" fill-opacity=\"{:.2}\" stroke=\"#f4f1ea\"/>", 0.1 + 0.8 * share));
        drawing.words(left + 2.0, top + 8.0, INK, &format!("{seconds} s"));
    }
    for (_, of) in tracks(&rows) {
        let points: Vec<String> = of.iter().map(|at| format!("{},{}", at.x, at.y)).collect();
        drawing.add(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{INK}\" stroke-width=\"0.6\"/>",
            points.join(" ")
        ));
        drawing.add(format!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"2.2\" fill=\"none\" stroke=\"{INK}\" stroke-width=\"0.5\"/>",
            of[0].x, of[0].y
        ));
    }
    drawing.assert_current("heat");
}

#[test]
fn an_encounter_is_two_tracks_near_each_other() {
    let near = scene("encounter: {distance: 30, seconds: 0.2}");
    let towards = |k: usize| 20.0 + (k as f32 * 6.0).min(78.0);
    let one: Vec<_> = (0..24).map(|k| (towards(k), 55.0)).collect();
    let other: Vec<_> =
        (0..24).map(|k| (200.0 - towards(k) - if k > 18 { (18.0 - k as f32) * 8.0 } else { 0.0 }, 45.0)).collect();
    // It passes both in less than the stated time.
    let third: Vec<_> = (0..24).map(|k| (150.0 - k as f32 * 4.0, (k as f32 * 26.0 - 200.0).clamp(8.0, 92.0))).collect();
    let rows = [seen(1, &one), seen(2, &other), seen(3, &third)].concat();
    let mut drawing = Drawing::of(&near);
    let found = asked(near, &rows).ask(
        "SELECT track_a, track_b, ROUND(start_s, 2), ROUND(end_s, 2), ROUND(min_distance, 1), unit FROM encounters ORDER BY ALL",
    );
    for (index, encounter) in found.iter().enumerate() {
        let [a, b, start, end, least] = numbers(encounter)[..] else { panic!("{encounter}") };
        let of = |track: f64| rows.iter().filter(move |at| at.track == track as i64);
        for (one, other) in of(a).flat_map(|one| of(b).map(move |other| (one, other))) {
            if one.frame == other.frame && one.time_s >= start - 0.005 && one.time_s <= end + 0.005 {
                drawing.add(format!(
                    "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{RED}\" stroke-width=\"0.6\"/>",
                    one.x, one.y, other.x, other.y
                ));
            }
        }
        let words =
            format!("{a} and {b}: {start} to {end} s, min_distance {least} {}", encounter.rsplit(',').next().unwrap());
        drawing.words(6.0, 76.0 + 8.0 * index as f64, RED, &words);
    }
    for (track, of) in tracks(&rows) {
        drawing.track(&of);
        drawing.words(f64::from(of[0].x) + 3.0, f64::from(of[0].y) - 4.0, INK, &track.to_string());
    }
    drawing.assert_current("encounter");
}
