//! Linking the pieces of tracks over the whole video.

use crate::{
    Appearances, parallel,
    pieces::{End, Piece, Pieces, SIZE_DRIFT, VELOCITY},
    row::{Row, Video},
};
use std::{f64::consts::TAU, ops::Range};
use trackdrop_assignment::{Assigner, Edge};

/// Limits of Mahalanobis distances, squared: of position and velocity (4 degrees of freedom), and of size (1).
const MAX_MOTION: f64 = 25.0;
const MAX_SIZE: f64 = 12.0;

/// A link must be this much better than a birth, in natural logarithms, and more for each second without a row.
const PRIOR: f64 = 2.8;
const PER_MISSING_SECOND: f64 = 1.1;

/// What it adds to the score of a link that the tracker had made from one frame to the next.
const AS_TRACKED: f64 = 4.0;

/// Standard deviation of ln h between two objects.
const SIZE_SPREAD: f64 = 0.5;

/// No piece.
const NONE: u32 = u32::MAX;

/// What may be linked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// The longest time between the last row of one piece and the first of the next, s.
    pub max_gap_s: f64,
    /// Whether only pieces of one class are linked, for tracks of classes that were associated each by itself.
    pub per_class: bool,
}

impl Default for Link {
    fn default() -> Self {
        Self { max_gap_s: 3.0, per_class: false }
    }
}

/// Two pieces that were given one identity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkMade {
    /// The identity.
    pub id: u64,
    /// The last frame of the earlier piece.
    pub last_frame: u32,
    /// The first frame of the later one.
    pub first_frame: u32,
    /// How much better this link is than the best other use of one of its two ends: another link, or none. In natural logarithms of
    /// likelihood; below 0 where the whole was better served by a link that is not the best of its own.
    pub margin: f64,
}

/// Tracks whose pieces were linked.
#[derive(Clone, Debug, PartialEq)]
pub struct Linked {
    /// The rows given, in their order, with other ids.
    pub rows: Vec<Row>,
    /// The links, by id and time.
    pub links: Vec<LinkMade>,
}

/// Cuts every track at each missing frame, and decides again which pieces belong together: over the whole video at once, and exactly.
///
/// A tracker decides frame by frame, as if the future were unknown; what it takes up again after a gap is often another object. Here
/// both sides are known. From each piece's last rows follows where the object would be later, from the next one's first rows where it
/// was before. The likelihood that both are one, against that of an object that appears anywhere, is the score of a link; of all ways
/// to link ends and starts one to one, the one with the greatest sum is taken (Zhang, Li & Nevatia, *Global data association for
/// multi-object tracking using network flows*, 2008, for pieces instead of detections). Noise and the camera's motion are estimated
/// from the rows.
///
/// No box changes, and no id is twice in a frame. A track made of pieces has the id of its first one; where the tracker gave that id to
/// another track as well, it is the earlier one's, and the other gets a new id, above all others. `rows` are sorted by frame and have no
/// id twice in one; only their order within a frame is free, and has no effect.
#[must_use]
pub fn link(rows: Vec<Row>, video: &Video, link: &Link) -> Linked {
    link_seen(rows, &Appearances::default(), video, link)
}

/// As [`link()`], where it is known what objects look like.
///
/// What a difference of looks means is calibrated on the video itself, without labels: the beginning and the end of a piece are one object,
/// pieces that are seen in one frame are two. How much likelier the looks of two pieces make it that they are one object is added to the
/// score of their link. Tracks are also cut where boxes overlap by more than 0.3, since with looks it can be decided who is who behind it. A
/// video that says too little is linked as if no looks were known.
#[must_use]
pub fn link_seen(mut rows: Vec<Row>, appearances: &Appearances, video: &Video, link: &Link) -> Linked {
    let pieces = Pieces::cut(&rows, appearances, video);
    let scores = Scores::new(video, link, pieces.acceleration, size_px(&rows, video));
    let Named { ids, links } = decide(&pieces.pieces, &candidates(&pieces, &scores));
    for (piece, &id) in pieces.pieces.iter().zip(&ids) {
        for &place in &pieces.order[piece.rows.clone()] {
            rows[place as usize].id = id;
        }
    }
    Linked { rows, links }
}

/// The id of each piece, and the links.
pub(crate) struct Named {
    pub(crate) ids: Vec<u64>,
    pub(crate) links: Vec<LinkMade>,
}

/// When and where a piece begins and ends.
pub(crate) trait Span {
    fn id(&self) -> u64;
    fn first_frame(&self) -> u32;
    fn last_frame(&self) -> u32;
}

impl Span for Piece {
    fn id(&self) -> u64 {
        self.id
    }

    fn first_frame(&self) -> u32 {
        self.first_frame
    }

    fn last_frame(&self) -> u32 {
        self.last_frame
    }
}

/// Which pieces are one object, by all links that are better than none: rows are ends, columns are starts. They are by row, and those of a row by the
/// time and the number of the start.
pub(crate) fn decide<P: Span>(pieces: &[P], edges: &[Edge]) -> Named {
    let mut assigner = Assigner::default();
    let mut next = vec![NONE; pieces.len()];
    let mut continues = vec![false; pieces.len()];
    let chosen = assigner.maximise(edges);
    for edge in chosen.iter().map(|&edge| edges[edge]) {
        next[edge.row as usize] = edge.column;
        continues[edge.column as usize] = true;
    }
    let ids = names(pieces, &next, &continues);
    Named { links: made(pieces, edges, chosen, &ids), ids }
}

/// The picture, or what the boxes cover.
fn size_px(rows: &[Row], video: &Video) -> [f64; 2] {
    let covered = |axis: usize| {
        let far = rows.iter().map(|row| row.bbox[axis + 2]).fold(f64::NEG_INFINITY, f64::max);
        let near = rows.iter().map(|row| row.bbox[axis]).fold(f64::INFINITY, f64::min);
        size_between(near, far)
    };
    video.size_px.unwrap_or_else(|| [covered(0), covered(1)])
}

/// How large a picture is whose boxes lie between two edges.
pub(crate) fn size_between(near: f64, far: f64) -> f64 {
    (far - near.max(0.0).min(far)).max(1.0)
}

/// What a link scores by the motion of its two ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scores {
    frame_rate: f64,
    acceleration: [f64; 2],
    area_px2: f64,
    /// How many frames a start is after an end, at most.
    frames: u32,
    per_class: bool,
}

impl Scores {
    pub(crate) fn new(video: &Video, link: &Link, acceleration: [f64; 2], [width, height]: [f64; 2]) -> Self {
        let (frame_rate, frames) = (video.frame_rate, video.frames(link.max_gap_s));
        Self { frame_rate, acceleration, area_px2: width * height, frames, per_class: link.per_class }
    }

    /// The first frames of pieces that may follow one that ends in this frame.
    pub(crate) fn starts(&self, last_frame: u32) -> Range<u32> {
        last_frame + 1..last_frame.saturating_add(self.frames).saturating_add(1)
    }

    /// Whether a piece that begins with this class may follow one that begins with the other.
    pub(crate) fn fit(&self, end_class: i32, start_class: i32) -> bool {
        !self.per_class || end_class == start_class
    }

    /// Above 0 for a link that is better than none, and none for others; what else speaks for it is in natural logarithms.
    pub(crate) fn of(&self, end: (u32, &End), start: (u32, &End), other: impl FnOnce() -> f64) -> Option<f64> {
        let seconds = f64::from(start.0 - end.0) / self.frame_rate;
        let missing = seconds - 1.0 / self.frame_rate;
        let likelihood = likelihood(end.1, start.1, seconds, self.acceleration, self.area_px2)?;
        Some(likelihood + other() - PRIOR - PER_MISSING_SECOND * missing).filter(|&score| score > 0.0)
    }
}

/// All links that are better than none, as [`decide`] takes them.
fn candidates(pieces: &Pieces, scores: &Scores) -> Vec<Edge> {
    let Pieces { pieces, likeness, .. } = pieces;
    let mut starts: Vec<u32> = (0..pieces.len() as u32).collect();
    starts.sort_by_key(|&piece| pieces[piece as usize].first_frame);
    let first_from = |frame: u32| starts.partition_point(|&piece| pieces[piece as usize].first_frame < frame);
    let parts = parallel::over(pieces.len(), |part| {
        let mut edges = Vec::new();
        for row in part {
            let end = &pieces[row];
            let Range { start, end: after } = scores.starts(end.last_frame);
            for &column in &starts[first_from(start)..first_from(after)] {
                let start = &pieces[column as usize];
                if !scores.fit(end.class, start.class) {
                    continue;
                }
                let by_looks = || {
                    likeness.as_ref().map_or(0.0, |likeness| {
                        let was_one = end.id == start.id && start.first_frame == end.last_frame + 1;
                        likeness.ratio(row, column as usize) + if was_one { AS_TRACKED } else { 0.0 }
                    })
                };
                let score = scores.of((end.last_frame, &end.tail), (start.first_frame, &start.head), by_looks);
                edges.extend(score.map(|score| Edge { row: row as u32, column, score }));
            }
        }
        edges
    });
    parts.concat()
}

/// The logarithm of how much likelier it is that two pieces are one object than that another one appears; none beyond the limits.
fn likelihood(tail: &End, head: &End, seconds: f64, acceleration: [f64; 2], area_px2: f64) -> Option<f64> {
    let size = head.ln_height - tail.ln_height;
    let size_variance = tail.ln_height_variance + head.ln_height_variance + SIZE_DRIFT * seconds;
    let of_size = size * size / size_variance;
    if of_size >= MAX_SIZE {
        return None;
    }
    let height2 = (tail.ln_height + head.ln_height).exp();
    let (mut of_motion, mut determinants) = (0.0, 1.0);
    for ((tail, before), q) in tail.motion.iter().zip(&head.motion).zip(acceleration) {
        let after = tail.predicted(seconds, q * height2);
        let (xx, xv, vv) = (after.xx + before.xx, after.xv + before.xv, after.vv + before.vv);
        let determinant = (xx * vv - xv * xv).max(1e-12);
        let (x, v) = (before.x - after.x, before.v - after.v);
        of_motion += (vv * x * x - 2.0 * xv * x * v + xx * v * v) / determinant;
        determinants *= determinant;
    }
    if of_motion >= MAX_MOTION {
        return None;
    }
    // Both with the factor 1/√2π of ln h left out.
    let same = -0.5 * (of_motion + determinants.ln() + of_size + size_variance.ln()) - 2.0 * TAU.ln();
    let velocity_variance = VELOCITY * VELOCITY * height2;
    let speed2 = head.motion[0].v.powi(2) + head.motion[1].v.powi(2);
    let birth = -area_px2.ln()
        - (TAU * velocity_variance).ln()
        - 0.5 * speed2 / velocity_variance
        - SIZE_SPREAD.ln()
        - 0.5 * (size / SIZE_SPREAD).powi(2);
    Some(same - birth)
}

/// The id of each piece.
fn names<P: Span>(pieces: &[P], next: &[u32], continues: &[bool]) -> Vec<u64> {
    let mut beginnings: Vec<usize> = (0..pieces.len()).filter(|&piece| !continues[piece]).collect();
    beginnings.sort_by_key(|&piece| (pieces[piece].first_frame(), pieces[piece].id()));
    let mut taken = std::collections::HashSet::new();
    let mut last = pieces.iter().map(Span::id).max().unwrap_or(0);
    let mut ids = vec![0; pieces.len()];
    for beginning in beginnings {
        let mut id = pieces[beginning].id();
        if !taken.insert(id) {
            last += 1;
            id = last;
        }
        let mut piece = beginning as u32;
        while piece != NONE {
            ids[piece as usize] = id;
            piece = next[piece as usize];
        }
    }
    ids
}

fn made<P: Span>(pieces: &[P], edges: &[Edge], chosen: &[usize], ids: &[u64]) -> Vec<LinkMade> {
    // The two best uses of each end and of each start; to stay alone scores 0.
    let (mut of_end, mut of_start) = (vec![[0.0; 2]; pieces.len()], vec![[0.0; 2]; pieces.len()]);
    for edge in edges {
        for best in [&mut of_end[edge.row as usize], &mut of_start[edge.column as usize]] {
            if edge.score > best[0] {
                *best = [edge.score, best[0]];
            } else if edge.score > best[1] {
                best[1] = edge.score;
            }
        }
    }
    let other = |best: [f64; 2], own: f64| if own == best[0] { best[1] } else { best[0] };
    let link = |edge: &Edge| {
        let (end, start) = (edge.row as usize, edge.column as usize);
        let rival = other(of_end[end], edge.score).max(other(of_start[start], edge.score));
        LinkMade {
            id: ids[end],
            last_frame: pieces[end].last_frame(),
            first_frame: pieces[start].first_frame(),
            margin: edge.score - rival,
        }
    };
    let mut links: Vec<LinkMade> = chosen.iter().map(|&edge| link(&edges[edge])).collect();
    links.sort_unstable_by_key(|link| (link.id, link.first_frame));
    links
}
