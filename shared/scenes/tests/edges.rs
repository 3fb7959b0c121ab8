//! What the picture's edge does to counts: it cuts the boxes of objects that enter, leave or stay there.

#![allow(clippy::unwrap_used)]

mod support;

use support::{At, asked_for, scene};

const WIDE: f32 = 20.0;
const TALL: f32 = 40.0;

/// The boxes that a detector sees of an object whose lower middle is at these points: of each what is in the picture of 200 x 100.
fn in_the_picture(points: &[(f32, f32)]) -> Vec<At> {
    let one = |(frame, (x, y)): (usize, &(f32, f32))| {
        let (x1, x2) = ((x - WIDE / 2.0).max(0.0), (x + WIDE / 2.0).min(200.0));
        let (y1, y2) = ((y - TALL).max(0.0), y.min(100.0));
        let frame = frame as i64;
        let seen = x2 - x1 >= 1.0 && y2 - y1 >= 1.0;
        seen.then(|| At {
            track: 1,
            frame,
            time_s: frame as f64 / 25.0,
            x: (x1 + x2) / 2.0,
            y: y2,
            width: x2 - x1,
            height: y2 - y1,
            class: "person",
            observed: true,
        })
    };
    points.iter().enumerate().filter_map(one).collect()
}

/// An edge: its name, a line that is so far inside of it, and the point so far inside of it. Over the line to the outside is `in`.
struct Edge {
    name: &'static str,
    line: fn(f32) -> [[f32; 2]; 2],
    point: fn(f32) -> (f32, f32),
}

const EDGES: [Edge; 4] = [
    Edge { name: "upper", line: |inside| [[200., inside], [0., inside]], point: |inside| (100., inside) },
    Edge {
        name: "lower",
        line: |inside| [[0., 100. - inside], [200., 100. - inside]],
        point: |inside| (100., 100. - inside),
    },
    Edge { name: "left", line: |inside| [[inside, 0.], [inside, 100.]], point: |inside| (inside, 70.) },
    Edge {
        name: "right",
        line: |inside| [[200. - inside, 100.], [200. - inside, 0.]],
        point: |inside| (200. - inside, 70.),
    },
];

/// Directions of the crossings of a line so far inside an edge, by an object that is so far inside of it in each frame.
fn crossings(edge: &Edge, line: f32, way: &[f32]) -> Vec<String> {
    let scene = scene(&format!("lines: [{{name: gate, points: {:?}}}]", (edge.line)(line)));
    let rows = in_the_picture(&way.iter().map(|inside| (edge.point)(*inside)).collect::<Vec<_>>());
    asked_for(scene, &rows, &["line_crossings"]).ask("SELECT direction FROM line_crossings ORDER BY time_s")
}

/// From well inside to where nothing of the object is in the picture, by `step` pixels a frame.
fn leaving(step: f32) -> Vec<f32> {
    (0..).map(|k| 45.0 - step * k as f32).take_while(|inside| *inside > -45.0).collect()
}

#[test]
fn who_leaves_or_enters_over_an_edge_crosses_a_line_near_it_once() {
    for edge in &EDGES {
        // The hysteresis is a tenth of a height: 4 pixels.
        for line in [4.0, 5.0, 8.0] {
            for step in [0.5, 7.0] {
                let out = leaving(step);
                let back: Vec<f32> = out.iter().rev().copied().collect();
                let to_and_fro = [&out[..], &back[..]].concat();
                let what = format!("{} edge, line {line} px inside, {step} px a frame", edge.name);
                // At the upper edge, and at the sides, the last that is seen of the object is not yet at the edge.
                let is_counted = line > 4.0 || edge.name == "lower";
                let expected =
                    |all: &[&str]| if is_counted { all.iter().map(|way| (*way).to_owned()).collect() } else { vec![] };
                if step <= 1.0 {
                    assert_eq!(crossings(edge, line, &out), expected(&["in"]), "{what}");
                    assert_eq!(crossings(edge, line, &back), expected(&["out"]), "{what}");
                    assert_eq!(crossings(edge, line, &to_and_fro), expected(&["in", "out"]), "{what}");
                }
                assert!(crossings(edge, line, &out).len() <= 1 && crossings(edge, line, &back).len() <= 1, "{what}");
            }
        }
    }
}

#[test]
fn a_line_nearer_to_an_edge_than_the_hysteresis_counts_no_one() {
    for edge in &EDGES {
        for line in [0.0, 1.0, 3.5] {
            let out = leaving(0.5);
            let back: Vec<f32> = out.iter().rev().copied().collect();
            let what = format!("{} edge, line {line} px inside", edge.name);
            assert_eq!(crossings(edge, line, &out), [""; 0], "{what}");
            assert_eq!(crossings(edge, line, &back), [""; 0], "{what}");
        }
    }
}

#[test]
fn who_waits_at_an_edge_while_the_box_shakes_crosses_no_line_there_for_being_cut() {
    for edge in &EDGES {
        // Five seconds at the line, where the upper edge cuts seven eighths of the box, the lower one up to all, the sides up to a half.
        let waits = (0..125).map(|k| 6.0 + [1.5, -1.5, 0.5, -1.0][k % 4]);
        let comes = (0..40).map(|k| 45.0 - k as f32);
        let stays: Vec<f32> = comes.clone().chain(waits.clone()).collect();
        let returns: Vec<f32> = stays.iter().copied().chain(comes.clone().rev()).collect();
        let leaves: Vec<f32> = stays.iter().copied().chain((0..60).map(|k| 5.0 - k as f32)).collect();
        assert_eq!(crossings(edge, 6.0, &stays), [""; 0], "{} edge, stays", edge.name);
        assert_eq!(crossings(edge, 6.0, &returns), [""; 0], "{} edge, returns", edge.name);
        assert_eq!(crossings(edge, 6.0, &leaves), ["in"], "{} edge, leaves", edge.name);
    }
    // The lower edge: feet below the picture, where the detector sees the end of the box now at the edge and now above it.
    let half_seen: Vec<At> = in_the_picture(&[(100., 130.); 250])
        .into_iter()
        .map(|at| {
            let up = [0.0, 1.5][at.frame as usize % 2];
            At { y: at.y - up, height: at.height - up, ..at }
        })
        .collect();
    let line = scene("hysteresis: 0.2\nlines: [{name: gate, points: [[0, 99.25], [200, 99.25]]}]");
    let found = asked_for(line, &half_seen, &["line_crossings"]).ask("SELECT frame_index FROM line_crossings");
    assert_eq!(found, [""; 0]);
}

#[test]
fn who_walks_along_an_edge_crosses_only_what_is_across() {
    for edge in &EDGES {
        let along = scene(&format!(
            "lines: [{{name: along, points: {:?}}}, {{name: across, points: {:?}}}]",
            (edge.line)(6.0),
            match edge.name {
                "upper" | "lower" => [[100, 0], [100, 100]],
                _ => [[0, 70], [200, 70]],
            }
        ));
        // Half of the object is outside; it moves by 60 pixels along the edge, and shakes.
        let out = if edge.name == "lower" { -TALL / 2.0 } else { 0.0 };
        let points: Vec<(f32, f32)> = (0..=120)
            .map(|k| {
                let (x, y) =
                    (edge.point)(if edge.name == "upper" { TALL / 2.0 } else { out } + [0.0, 1.0, -1.0][k % 3]);
                let moved = k as f32 * 0.5 - 30.0;
                if matches!(edge.name, "upper" | "lower") { (x + moved, y) } else { (x, y + moved / 1.5) }
            })
            .collect();
        let found =
            asked_for(along, &in_the_picture(&points), &["line_crossings"]).ask("SELECT line FROM line_crossings");
        assert_eq!(found, ["across"], "{} edge", edge.name);
    }
}
