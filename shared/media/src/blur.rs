//! Makes a part of a picture unrecognisable, by large blocks of one colour each.

use crate::{Canvas, canvas::Surface, paint::Rect};

/// Largest number of blocks across the shorter side of an area. Of a face in a person's box only the colour remains.
const BLOCKS_ACROSS: i32 = 4;
/// Smallest side of a block, px. Small areas have a few blocks, or one.
const SMALLEST_BLOCK_PX: i32 = 16;
/// The margin of the covered area on each side of the box, as a share of the box's longer side.
const MARGIN: f32 = 0.1;

/// Covers areas, and a margin around each, with blocks that have the mean colour of their pixels. An area is `[x1, y1,
/// x2, y2]` in pixels of the upright picture. Any coordinate is safe: parts outside the picture are clipped, and areas
/// with a NaN are left out.
pub fn pixelate(canvas: &mut Canvas, areas: &[[f32; 4]]) {
    let surface = &mut canvas.surface();
    for area in areas {
        if let Some((rect, block)) = covered(surface, *area) {
            cover(surface, rect, block);
        }
    }
}

/// The pixels of an area, and the side of its blocks. Edges are even, because four pixels share one colour sample.
fn covered(surface: &Surface<'_>, [x1, y1, x2, y2]: [f32; 4]) -> Option<(Rect, i32)> {
    if [x1, y1, x2, y2].iter().any(|edge| edge.is_nan()) {
        return None;
    }
    let margin = MARGIN * (x2 - x1).abs().max((y2 - y1).abs());
    // Far beyond any picture, far below overflow.
    let whole = |edge: f32| edge.clamp(-1e6, 1e6) as i32;
    let down = |edge: f32| whole((edge / 2.0).floor()) * 2;
    let up = |edge: f32| whole((edge / 2.0).ceil()) * 2;
    let all = Rect {
        x0: down(x1.min(x2) - margin),
        y0: down(y1.min(y2) - margin),
        x1: up(x1.max(x2) + margin),
        y1: up(y1.max(y2) + margin),
    };
    // By the whole area, not by the part of it that is in the picture.
    let shorter = (all.x1 - all.x0).min(all.y1 - all.y0);
    let block = ((shorter + BLOCKS_ACROSS - 1) / BLOCKS_ACROSS).max(SMALLEST_BLOCK_PX);
    let rect =
        Rect { x0: all.x0.max(0), y0: all.y0.max(0), x1: all.x1.min(surface.width), y1: all.y1.min(surface.height) };
    (rect.x0 < rect.x1 && rect.y0 < rect.y1).then_some((rect, block + block % 2))
}

fn cover(surface: &mut Surface<'_>, rect: Rect, block: i32) {
    for plane in 0..3 {
        let half = if plane == 0 { 1 } else { 2 };
        // An odd side of the picture has a last sample of colour of its own.
        let end = |edge: i32| ((edge + half - 1) / half) as usize;
        let (x0, x1, y0, y1) = ((rect.x0 / half) as usize, end(rect.x1), (rect.y0 / half) as usize, end(rect.y1));
        let side = (block / half) as usize;
        let (bytes, stride) = surface.plane(plane);
        for top in (y0..y1).step_by(side) {
            let bottom = (top + side).min(y1);
            for left in (x0..x1).step_by(side) {
                let right = (left + side).min(x1);
                let rows = || (top..bottom).map(|y| y * stride + left..y * stride + right);
                let sum: u64 = rows().flat_map(|row| &bytes[row]).map(|&sample| u64::from(sample)).sum();
                let count = ((bottom - top) * (right - left)) as u64;
                let mean = ((sum + count / 2) / count) as u8;
                rows().for_each(|row| bytes[row].fill(mean));
            }
        }
    }
}
