//! Converts pixels to metres on the ground, by a homography. It is computed by least squares over normalised points
//! (Hartley, "In defense of the eight-point algorithm", 1997).

use crate::scene::{CalibrationPair, Point};

/// A projective map from the picture to the ground.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Homography {
    /// Row by row. The third row is above 0 at every point from which the map was made.
    pub h: [[f64; 3]; 3],
    /// Root mean square of the distances between the given and the mapped points, in metres. With four pairs the map is
    /// exact, so it is 0.
    pub residual_m: f64,
}

/// Why pairs define no map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HomographyError {
    /// Fewer than four.
    #[error("there are {0} pairs: give four or more")]
    TooFew(usize),
    /// All points but one, or all, are on one line.
    #[error(
        "the points in {0} do not span a plane (all, or all but one, are on one line): spread them over the ground"
    )]
    Collinear(&'static str),
    /// The map sends some of the points beyond the horizon.
    #[error("no view of a plane maps these pixels to these metres: a pair is wrong, or two are swapped")]
    Impossible,
}

impl Homography {
    /// Computes the map that fits the pairs best.
    ///
    /// # Errors
    /// [`HomographyError`]: there are too few pairs, or they do not define one map.
    pub fn of(pairs: &[CalibrationPair]) -> Result<Self, HomographyError> {
        if pairs.len() < 4 {
            return Err(HomographyError::TooFew(pairs.len()));
        }
        let (pixels, metres): (Vec<Point>, Vec<Point>) = pairs.iter().map(|pair| (pair.pixel, pair.metre)).unzip();
        let (from, to) = (Normal::of(&pixels), Normal::of(&metres));
        for (points, normal, what) in [(&pixels, from, "pixels"), (&metres, to, "metres")] {
            if !spans_a_plane(&points.iter().map(|point| normal.apply(*point)).collect::<Vec<_>>()) {
                return Err(HomographyError::Collinear(what));
            }
        }
        // Normal equations of the direct linear transform with h33 = 1: the centre of the pixels is not on the horizon.
        let mut system = [[0.0; 9]; 8];
        for (pixel, metre) in pixels.iter().zip(&metres) {
            let ([x, y], [u, v]) = (from.apply(*pixel), to.apply(*metre));
            for row in [[x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u], [0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v]] {
                for i in 0..8 {
                    for j in 0..9 {
                        system[i][j] += row[i] * row[j];
                    }
                }
            }
        }
        let [a, b, c, d, e, f, g, h] = solve(system).ok_or(HomographyError::Impossible)?;
        let normalised = [[a, b, c], [d, e, f], [g, h, 1.0]];
        let mut h = product(to.inverse(), product(normalised, from.matrix()));
        let sign = depth(&h, pixels[0]).signum();
        h.iter_mut().flatten().for_each(|value| *value *= sign);
        if pixels.iter().any(|pixel| depth(&h, *pixel).is_nan() || depth(&h, *pixel) <= 0.0) {
            return Err(HomographyError::Impossible);
        }
        let square = |pair: &CalibrationPair| {
            let [x, y] = apply(&h, pair.pixel);
            (x - pair.metre[0]).powi(2) + (y - pair.metre[1]).powi(2)
        };
        let residual_m = (pairs.iter().map(square).sum::<f64>() / pairs.len() as f64).sqrt();
        if residual_m.is_finite() { Ok(Self { h, residual_m }) } else { Err(HomographyError::Impossible) }
    }

    /// The place of a pixel on the ground, in metres. None at the horizon and above it.
    pub fn ground(&self, pixel: Point) -> Option<Point> {
        (depth(&self.h, pixel) > 0.0).then(|| apply(&self.h, pixel))
    }
}

/// A shift and a scale that bring points to mean 0 and mean distance 1.
#[derive(Clone, Copy)]
struct Normal {
    centre: Point,
    scale: f64,
}

impl Normal {
    fn of(points: &[Point]) -> Self {
        let count = points.len() as f64;
        let mean = |k: usize| points.iter().map(|point| point[k]).sum::<f64>() / count;
        let centre = [mean(0), mean(1)];
        let spread = points.iter().map(|point| (point[0] - centre[0]).hypot(point[1] - centre[1])).sum::<f64>() / count;
        Self { centre, scale: if spread > 0.0 { 1.0 / spread } else { 1.0 } }
    }

    fn apply(&self, point: Point) -> Point {
        [(point[0] - self.centre[0]) * self.scale, (point[1] - self.centre[1]) * self.scale]
    }

    fn matrix(&self) -> [[f64; 3]; 3] {
        let [x, y] = self.centre;
        [[self.scale, 0.0, -x * self.scale], [0.0, self.scale, -y * self.scale], [0.0, 0.0, 1.0]]
    }

    fn inverse(&self) -> [[f64; 3]; 3] {
        let [x, y] = self.centre;
        [[1.0 / self.scale, 0.0, x], [0.0, 1.0 / self.scale, y], [0.0, 0.0, 1.0]]
    }
}

/// Whether there are four (normalised) points of which no three are on one line. This is true if, for every line
/// through two points, two others are not on it.
fn spans_a_plane(points: &[Point]) -> bool {
    let off = |a: Point, b: Point, p: Point| crate::geometry::side(a, b, p).abs() > 1e-6;
    points.iter().enumerate().all(|(i, a)| {
        points[i + 1..].iter().all(|b| {
            let apart = (a[0] - b[0]).hypot(a[1] - b[1]) > 1e-6;
            !apart || points.iter().filter(|p| off(*a, *b, **p)).count() >= 2
        })
    }) && points.iter().any(|p| (p[0] - points[0][0]).hypot(p[1] - points[0][1]) > 1e-6)
}

fn depth(h: &[[f64; 3]; 3], [x, y]: Point) -> f64 {
    h[2][0] * x + h[2][1] * y + h[2][2]
}

fn apply(h: &[[f64; 3]; 3], [x, y]: Point) -> Point {
    let depth = depth(h, [x, y]);
    [(h[0][0] * x + h[0][1] * y + h[0][2]) / depth, (h[1][0] * x + h[1][1] * y + h[1][2]) / depth]
}

fn product(a: [[f64; 3]; 3], b: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

/// Gaussian elimination with pivots; none for a singular system.
fn solve(mut system: [[f64; 9]; 8]) -> Option<[f64; 8]> {
    for column in 0..8 {
        let pivot = (column..8).max_by(|a, b| system[*a][column].abs().total_cmp(&system[*b][column].abs()))?;
        if system[pivot][column].abs() < 1e-12 {
            return None;
        }
        system.swap(column, pivot);
        let lead = system[column];
        for row in system.iter_mut().skip(column + 1) {
            let factor = row[column] / lead[column];
            row.iter_mut().zip(lead).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut solution = [0.0; 8];
    for row in (0..8).rev() {
        let known: f64 = (row + 1..8).map(|column| system[row][column] * solution[column]).sum();
        solution[row] = (system[row][8] - known) / system[row][row];
    }
    Some(solution)
}
