//! A second implementation of the definitions: walks one track at a time, with exact integers, and shares no code with the SQL. Coordinates are
//! multiples of an eighth of a pixel, so that all of it is exact.

use super::At;
use std::cmp::Ordering;

pub(crate) type Whole = i128;
pub(crate) type Spot = (Whole, Whole);

/// In eighths of a pixel.
fn scaled(x: f64, y: f64) -> Spot {
    ((x * 8.0) as Whole, (y * 8.0) as Whole)
}

fn turn(a: Spot, b: Spot, c: Spot) -> Whole {
    (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0)
}

/// Whether c is right of a to b, where c is moved by a step right and a much smaller one down.
fn right_of(a: Spot, b: Spot, c: Spot) -> bool {
    match turn(a, b, c).cmp(&0) {
        Ordering::Greater => true,
        Ordering::Less => false,
        // Moved right: the turn grows by -(b.y - a.y); moved down: by b.x - a.x.
        Ordering::Equal => (a.1 - b.1, b.0 - a.0) > (0, 0),
    }
}

/// Whether the tip of a line, made longer by the tiniest bit, is right of the way from p to q, where the way is moved as points are.
fn tip_right_of_way(p: Spot, q: Spot, tip: Spot, inner: Option<Spot>) -> bool {
    let here = turn(p, q, tip);
    if here != 0 {
        return here > 0;
    }
    if let Some(inner) = inner {
        // Longer: away from the inner end.
        let inward = turn(p, q, inner);
        if inward != 0 {
            return inward < 0;
        }
    }
    // The way moved right by d is the tip moved left: the turn changes by q.y - p.y; moved down: by -(q.x - p.x).
    (q.1 - p.1, p.0 - q.0) > (0, 0)
}

/// For each segment of the line that a step goes over: whether from left to right.
fn step(line: &[Spot], p: Spot, q: Spot) -> Vec<bool> {
    let mut over = Vec::new();
    for k in 0..line.len() - 1 {
        let (a, b) = (line[k], line[k + 1]);
        let (before, after) = (right_of(a, b, p), right_of(a, b, q));
        let first = tip_right_of_way(p, q, a, (k == 0).then_some(b));
        let last = tip_right_of_way(p, q, b, (k + 2 == line.len()).then_some(a));
        if before != after && first != last {
            over.push(after);
        }
    }
    over
}

/// Whether a point is nearer to the line than `eighths`, or on it.
fn near(line: &[Spot], p: Spot, eighths: f64) -> bool {
    line.windows(2).any(|pair| {
        let (a, b) = (pair[0], pair[1]);
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let along = (p.0 - a.0) * dx + (p.1 - a.1) * dy;
        let length = dx * dx + dy * dy;
        let square = if along <= 0 {
            ((p.0 - a.0).pow(2) + (p.1 - a.1).pow(2)) as f64
        } else if along >= length {
            ((p.0 - b.0).pow(2) + (p.1 - b.1).pow(2)) as f64
        } else {
            (turn(a, b, p).pow(2) as f64) / length as f64
        };
        square < eighths * eighths || square == 0.0
    })
}

/// Crossings of one track: whether inwards, and the frame after the last step over the line.
pub(crate) fn crossings(line: &[[f64; 2]], hysteresis: f64, track: &[At]) -> Vec<(bool, i64)> {
    let line: Vec<_> = line.iter().map(|point| scaled(point[0], point[1])).collect();
    let mut track = track.to_vec();
    track.sort_by_key(|at| at.frame);
    // What was gone over since the track was last away from the line, with the frame after it.
    let (mut found, mut been_away, mut over) = (Vec::new(), false, Vec::new());
    for (index, at) in track.iter().enumerate() {
        let spot = scaled(f64::from(at.x), f64::from(at.y));
        if index > 0 {
            let before = &track[index - 1];
            let ways = step(&line, scaled(f64::from(before.x), f64::from(before.y)), spot);
            over.extend(ways.into_iter().map(|inwards| (inwards, at.frame)));
        }
        if !near(&line, spot, hysteresis * f64::from(at.height) * 8.0) {
            let inwards = over.iter().filter(|(inwards, _)| *inwards).count();
            let outwards = over.len() - inwards;
            if been_away && inwards != outwards {
                found.extend(over.iter().rev().find(|(way, _)| *way == (inwards > outwards)));
            }
            been_away = true;
            over.clear();
        }
    }
    found
}

/// Whether a point is in a polygon: moved right by the tiniest bit and down by a much smaller one, a ray to the right meets an odd number of edges.
pub(crate) fn inside(corners: &[[f64; 2]], x: f64, y: f64) -> bool {
    let corners: Vec<_> = corners.iter().map(|point| scaled(point[0], point[1])).collect();
    let spot = scaled(x, y);
    let mut odd = false;
    for k in 0..corners.len() {
        let (a, b) = (corners[k], corners[(k + 1) % corners.len()]);
        let (upper, lower) = if a.1 <= b.1 { (a, b) } else { (b, a) };
        if upper.1 <= spot.1 && spot.1 < lower.1 {
            // The edge is met where the point is left of it: not on it.
            odd ^= turn(upper, lower, spot) > 0;
        }
    }
    odd
}

/// Visits of one track: first and last frame inside.
pub(crate) fn visits(corners: &[[f64; 2]], absence_s: f64, settle_s: f64, track: &[At]) -> Vec<(i64, i64)> {
    let mut track = track.to_vec();
    track.sort_by_key(|at| at.frame);
    let mut found: Vec<(At, At)> = Vec::new();
    for at in track.iter().filter(|at| inside(corners, f64::from(at.x), f64::from(at.y))) {
        match found.last_mut() {
            Some((_, last)) if at.time_s - last.time_s <= absence_s => *last = at.clone(),
            _ => found.push((at.clone(), at.clone())),
        }
    }
    let long = |(first, last): &(At, At)| last.time_s - first.time_s >= settle_s;
    found.into_iter().filter(long).map(|(first, last)| (first.frame, last.frame)).collect()
}
