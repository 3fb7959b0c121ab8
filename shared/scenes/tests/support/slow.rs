//! A second implementation of the definitions: walks one track at a time, with exact integers, and shares no code with the SQL. Coordinates are
//! multiples of an eighth of a pixel, so that all of it is exact.

use super::At;
use std::{cmp::Ordering, collections::BTreeMap};

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

/// For each segment of the line that a step goes over: whether from left to right, and at which share of the step. By share.
fn step(line: &[Spot], p: Spot, q: Spot) -> Vec<(bool, f64)> {
    let mut over = Vec::new();
    for k in 0..line.len() - 1 {
        let (a, b) = (line[k], line[k + 1]);
        let (before, after) = (right_of(a, b, p), right_of(a, b, q));
        let first = tip_right_of_way(p, q, a, (k == 0).then_some(b));
        let last = tip_right_of_way(p, q, b, (k + 2 == line.len()).then_some(a));
        if before != after && first != last {
            let side = turn(a, b, p);
            over.push((after, side as f64 / (side - turn(a, b, q)) as f64));
        }
    }
    over.sort_by(|one, other| one.1.total_cmp(&other.1));
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

/// Height of the picture of these tests, in pixels.
const PICTURE_PX: f64 = 100.0;

/// How tall the boxes of each second count at least, where the picture's upper or lower edge may cut them: as tall as the tallest of the run of such
/// seconds. The class decides which boxes are looked at together.
fn least_heights(track: &[At]) -> BTreeMap<i64, f64> {
    let mut of_class: BTreeMap<(i64, &str), Vec<&At>> = BTreeMap::new();
    for at in track {
        of_class.entry((at.time_s.floor() as i64, at.class)).or_default().push(at);
    }
    let mut tallest = BTreeMap::new();
    for ((second, _), boxes) in of_class {
        let most = |of: fn(&At) -> f32| boxes.iter().map(|at| f64::from(of(at))).fold(f64::NEG_INFINITY, f64::max);
        let (tall, lowest, highest) = (most(|at| at.height), most(|at| at.y), -most(|at| -at.y));
        if highest - tall < PICTURE_PX * 0.01 || lowest > PICTURE_PX * 0.99 {
            let known = tallest.entry(second).or_insert(tall);
            *known = tall.max(*known);
        }
    }
    let in_the_run_of = |second: i64| {
        let back = (0..).map(|k| tallest.get(&(second - k))).take_while(Option::is_some);
        let forth = (1..).map(|k| tallest.get(&(second + k))).take_while(Option::is_some);
        back.chain(forth).flatten().copied().fold(0.0, f64::max)
    };
    tallest.keys().map(|second| (*second, in_the_run_of(*second))).collect()
}

/// A crossing: whether inwards, the frame after the last step over the line, and when that step met the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Crossing {
    pub(crate) inwards: bool,
    pub(crate) frame: i64,
    pub(crate) time_s: f64,
}

/// Crossings of one track.
pub(crate) fn crossings(line: &[[f64; 2]], hysteresis: f64, track: &[At]) -> Vec<Crossing> {
    let line: Vec<_> = line.iter().map(|point| scaled(point[0], point[1])).collect();
    let mut track = track.to_vec();
    track.sort_by_key(|at| at.frame);
    let least = least_heights(&track);
    // What was gone over since the track was last away from the line.
    let (mut found, mut been_away, mut over) = (Vec::new(), false, Vec::new());
    for (index, at) in track.iter().enumerate() {
        let spot = scaled(f64::from(at.x), f64::from(at.y));
        if index > 0 {
            let before = &track[index - 1];
            let ways = step(&line, scaled(f64::from(before.x), f64::from(before.y)), spot);
            over.extend(ways.into_iter().map(|(inwards, share)| Crossing {
                inwards,
                frame: at.frame,
                time_s: before.time_s + (at.time_s - before.time_s) * share,
            }));
        }
        let least = least.get(&(at.time_s.floor() as i64)).copied().unwrap_or(0.0);
        if !near(&line, spot, hysteresis * f64::from(at.height).max(least) * 8.0) {
            let inwards = over.iter().filter(|one| one.inwards).count();
            let outwards = over.len() - inwards;
            if been_away && inwards != outwards {
                found.extend(over.iter().rev().find(|one| one.inwards == (inwards > outwards)));
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

/// Visits of one track: the first and the last position inside.
pub(crate) fn visits(corners: &[[f64; 2]], absence_s: f64, settle_s: f64, track: &[At]) -> Vec<(At, At)> {
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
    found.into_iter().filter(long).collect()
}
