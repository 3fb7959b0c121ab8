//! Plane geometry of the picture: x to the right, y down.

use crate::scene::Point;

/// (b - a) x (p - a). It is above 0 if p is on the right of the line from a to b, as seen in the picture.
pub(crate) fn side(a: Point, b: Point, p: Point) -> f64 {
    (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
}

/// Whether two segments have a point in common.
pub(crate) fn meet(a: Point, b: Point, c: Point, d: Point) -> bool {
    let (s1, s2, s3, s4) = (side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b));
    if s1 * s2 < 0.0 && s3 * s4 < 0.0 {
        return true;
    }
    let on = |s: f64, a: Point, b: Point, p: Point| {
        s == 0.0 && (0..2).all(|k| a[k].min(b[k]) <= p[k] && p[k] <= a[k].max(b[k]))
    };
    on(s1, a, b, c) || on(s2, a, b, d) || on(s3, c, d, a) || on(s4, c, d, b)
}

/// Twice the area of a polygon, without its sign.
pub(crate) fn double_area(points: &[Point]) -> f64 {
    let next = points.iter().cycle().skip(1);
    points.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f64>().abs()
}

/// An edge, from its upper point to its lower one.
pub(crate) type Edge = [Point; 2];

/// A part of a polygon between two heights: on `left` or to its right, to the left of `right`, and from `top` to before
/// `bottom`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trapezoid {
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    pub(crate) left: Edge,
    pub(crate) right: Edge,
}

/// Divides a polygon that does not cross itself into trapezoids that do not overlap. Their sides are whole edges of the
/// polygon, from the upper point to the lower one. So if two polygons share an edge, a point is compared with the same
/// numbers in both, and belongs to exactly one of them.
pub(crate) fn trapezoids(points: &[Point]) -> Vec<Trapezoid> {
    let edges: Vec<Edge> = points
        .iter()
        .zip(points.iter().cycle().skip(1))
        .filter(|(a, b)| a[1] != b[1])
        .map(|(a, b)| if a[1] < b[1] { [*a, *b] } else { [*b, *a] })
        .collect();
    let mut heights: Vec<f64> = points.iter().map(|point| point[1]).collect();
    heights.sort_by(f64::total_cmp);
    heights.dedup();
    let mut parts: Vec<Trapezoid> = Vec::new();
    for slab in heights.windows(2) {
        let (top, bottom) = (slab[0], slab[1]);
        let middle = top + (bottom - top) / 2.0;
        let mut across: Vec<Edge> =
            edges.iter().copied().filter(|[upper, lower]| upper[1] <= top && lower[1] >= bottom).collect();
        across.sort_by(|a, b| x_at(*a, middle).total_cmp(&x_at(*b, middle)));
        for pair in across.chunks_exact(2) {
            let (left, right) = (pair[0], pair[1]);
            // Two parts become one if only the height of another corner separates them.
            match parts.iter_mut().find(|part| part.bottom == top && part.left == left && part.right == right) {
                Some(above) => above.bottom = bottom,
                None => parts.push(Trapezoid { top, bottom, left, right }),
            }
        }
    }
    parts
}

/// The x of an edge at this height.
pub(crate) fn x_at([upper, lower]: Edge, y: f64) -> f64 {
    upper[0] + (lower[0] - upper[0]) * ((y - upper[1]) / (lower[1] - upper[1]))
}
