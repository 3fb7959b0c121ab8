//! The colours of a box in 64 bytes.

use std::ops::Range;

/// Bytes of a descriptor: four bits for each of 32 bins in four stripes.
pub const DESCRIPTOR_BYTES: usize = BINS * STRIPES / 2;

/// Stripes of the box: head and shoulders, upper and lower body, legs. Left out is what is seen around a person: the outer fifths of the width.
pub(super) const STRIPES: usize = 4;
const HEIGHTS: [Range<f32>; STRIPES] = [0.12..0.32, 0.32..0.52, 0.55..0.75, 0.75..0.95];
const WIDTH: Range<f32> = 0.2..0.8;

/// Colours: 8 hues of 3 saturations; and 8 greys.
const HUES: u32 = 8;
const SATURATIONS: u32 = 3;
const GREYS: u32 = 8;
pub(super) const BINS: usize = (HUES * SATURATIONS + GREYS) as usize;

/// A pixel is of a colour if it is more saturated and brighter than this, out of 255.
const LEAST_SATURATION: u32 = 50;
const LEAST_BRIGHTNESS: u32 = 40;

/// A stripe is sampled at no more points than this, so that a large box costs no more than a small one.
const MOST_COLUMNS: usize = 24;
const MOST_ROWS: usize = 16;

/// The largest number of four bits.
const LARGEST: f64 = 15.0;

/// The colours of a box, of which two can be compared.
///
/// In each of four stripes, one above the other, the shares of 24 colours and 8 greys among its pixels, as square roots in four bits. The
/// sum of products of two such lists is the coefficient of Bhattacharyya. A stripe outside the picture is all 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor(pub [u8; DESCRIPTOR_BYTES]);

/// A picture of red, green and blue planes.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// The planes, each from the first pixel on.
    pub planes: [&'a [u8]; 3],
    /// Bytes from one row to the next.
    pub stride_bytes: usize,
    /// Width, px.
    pub width: u32,
    /// Height, px.
    pub height: u32,
}

impl Descriptor {
    /// The colours of a box; `bbox` is left, top, right and bottom edge, px.
    #[must_use]
    pub fn of(picture: &Picture<'_>, [x1, y1, x2, y2]: [f32; 4]) -> Self {
        let (width, height) = (x2 - x1, y2 - y1);
        let columns = pixels(x1 + WIDTH.start * width..x1 + WIDTH.end * width, picture.width);
        let mut bytes = [0; DESCRIPTOR_BYTES];
        for (stripe, part) in HEIGHTS.into_iter().enumerate() {
            let rows = pixels(y1 + part.start * height..y1 + part.end * height, picture.height);
            let counts = picture.counts(columns.clone(), rows);
            let all: u32 = counts.iter().sum();
            for (bin, &count) in counts.iter().enumerate().filter(|_| all > 0) {
                let level = (LARGEST * (f64::from(count) / f64::from(all)).sqrt()).round() as u8;
                let place = stripe * BINS + bin;
                bytes[place / 2] |= level << (4 * (place % 2));
            }
        }
        Self(bytes)
    }

    /// The square roots of the shares in a stripe, 0 to 15.
    pub(super) fn levels(&self, stripe: usize) -> impl Iterator<Item = u8> {
        let bytes = &self.0[stripe * BINS / 2..][..BINS / 2];
        bytes.iter().flat_map(|byte| [byte & 15, byte >> 4])
    }
}

/// The pixels that a stretch of a side covers, if only a part of them.
fn pixels(stretch: Range<f32>, side: u32) -> Range<usize> {
    // Casts of floats saturate, and take what is no number for 0.
    let inside = |edge: f32| (edge as i64).clamp(0, i64::from(side)) as usize;
    inside(stretch.start.floor())..inside(stretch.end.ceil())
}

impl Picture<'_> {
    /// How many pixels of a rectangle are of each colour.
    fn counts(&self, columns: Range<usize>, rows: Range<usize>) -> [u32; BINS] {
        let mut counts = [0; BINS];
        let (across, down) = (columns.len().div_ceil(MOST_COLUMNS).max(1), rows.len().div_ceil(MOST_ROWS).max(1));
        for row in rows.step_by(down) {
            let [red, green, blue] = self.planes.map(|plane| plane.get(row * self.stride_bytes..).unwrap_or_default());
            for column in columns.clone().step_by(across) {
                if let (Some(&red), Some(&green), Some(&blue)) = (red.get(column), green.get(column), blue.get(column))
                {
                    counts[bin([red, green, blue])] += 1;
                }
            }
        }
        counts
    }
}

/// Which of the colours a pixel is; hue, saturation and brightness in whole numbers.
fn bin(rgb: [u8; 3]) -> usize {
    let [red, green, blue] = rgb.map(u32::from);
    let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
    let spread = most - least;
    let saturation = (255 * spread).checked_div(most).unwrap_or(0);
    if saturation <= LEAST_SATURATION || most <= LEAST_BRIGHTNESS {
        return (HUES * SATURATIONS + most * GREYS / 256) as usize;
    }
    // Around the circle from red: a sixth of it is one spread long.
    let around = if most == red {
        if green >= blue { green - blue } else { 6 * spread + green - blue }
    } else if most == green {
        2 * spread + blue - red
    } else {
        4 * spread + red - green
    };
    let hue = (around * HUES / (6 * spread)).min(HUES - 1);
    let of_saturation = ((saturation - LEAST_SATURATION) * SATURATIONS / (256 - LEAST_SATURATION)).min(SATURATIONS - 1);
    (hue * SATURATIONS + of_saturation) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels of one colour above, of another below row 50.
    fn picture(above: [u8; 3], below: [u8; 3]) -> Vec<Vec<u8>> {
        (0..3).map(|plane| [[above[plane]; 50 * 100], [below[plane]; 50 * 100]].concat()).collect()
    }

    fn described(planes: &[Vec<u8>], bbox: [f32; 4]) -> Descriptor {
        let planes = [&planes[0][..], &planes[1][..], &planes[2][..]];
        Descriptor::of(&Picture { planes, stride_bytes: 100, width: 100, height: 100 }, bbox)
    }

    fn levels(descriptor: &Descriptor, stripe: usize) -> Vec<(usize, u8)> {
        descriptor.levels(stripe).enumerate().filter(|&(_, level)| level > 0).collect()
    }

    #[test]
    fn each_stripe_has_the_shares_of_its_colours() {
        let described = described(&picture([255, 0, 0], [128, 128, 128]), [40.0, 0.0, 60.0, 100.0]);
        // Row 50 and 51 are in the second stripe.
        assert_eq!(levels(&described, 0), [(2, 15)]);
        assert_eq!(levels(&described, 1), [(2, 14), (28, 5)]);
        assert_eq!((levels(&described, 2), levels(&described, 3)), (vec![(28, 15)], vec![(28, 15)]));
    }

    #[test]
    fn hues_go_around_the_circle() {
        let hues = [[255, 0, 0], [255, 255, 0], [0, 255, 0], [0, 255, 255], [0, 0, 255], [255, 0, 255], [255, 0, 20]];
        assert_eq!(hues.map(|rgb| bin(rgb) / 3), [0, 1, 2, 4, 5, 6, 7]);
        assert_eq!([[0; 3], [255; 3], [40, 0, 0]].map(bin), [24, 31, 25]);
    }

    #[test]
    fn what_is_outside_the_picture_has_no_colour() {
        let planes = picture([255, 0, 0], [0, 0, 255]);
        let half = described(&planes, [40.0, -100.0, 60.0, 100.0]);
        assert_eq!((levels(&half, 0), levels(&half, 3)), (vec![], vec![(17, 15)]));
        for odd in [[200.0, 0.0, 220.0, 100.0], [f32::NAN; 4], [9.0, 9.0, 3.0, 3.0], [f32::INFINITY; 4]] {
            assert_eq!(described(&planes, odd), Descriptor([0; DESCRIPTOR_BYTES]), "{odd:?}");
        }
    }
}
