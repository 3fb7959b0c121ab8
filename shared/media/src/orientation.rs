//! How a stored picture is turned or mirrored, and how it becomes upright.

use ffmpeg::{codec::packet::side_data, ffi, frame};
use ffmpeg_next as ffmpeg;

use crate::{Orientation, Turn};

/// If a matrix differs from a quarter turn by at most this many degrees, it counts as one, as in FFmpeg's
/// `-autorotate`.
const TOLERANCE_DEGREES: f64 = 1.0;
/// A warning is made if the sides that a matrix makes differ from those of the picture by more than this share.
const SCALE_TOLERANCE: f64 = 0.01;

/// The orientation that a display matrix states (ISO/IEC 14496-12, 6.2.2: `[a b u  c d v  x y w]`, 16.16 and 2.30 fixed
/// point), and a text about what is ignored. A rotation that is not a multiple of 90 degrees is ignored, as in browsers
/// and OpenCV.
pub(crate) fn of_matrix(matrix: &[i32; 9]) -> (Orientation, Option<String>) {
    let [a, b, u, c, d, v, ..] = matrix.map(|cell| f64::from(cell) / 65_536.0);
    let determinant = a * d - b * c;
    if determinant == 0.0 {
        let reason = format!("the display matrix [{a} {b}; {c} {d}] leaves nothing of the picture and is not followed");
        return (Orientation::UPRIGHT, Some(reason));
    }
    let mirrored = determinant < 0.0;
    let sign = if mirrored { -1.0 } else { 1.0 };
    // Of both axes: a matrix that shears turns them differently.
    let angles = [(sign * b).atan2(sign * a), (-c).atan2(d)].map(|angle| angle.to_degrees().rem_euclid(360.0));
    let off = |turn: Turn, angle: f64| {
        let difference = (angle - f64::from(turn.degrees())).abs();
        difference.min(360.0 - difference)
    };
    let fits = |turn: &Turn| angles.iter().all(|&angle| off(*turn, angle) <= TOLERANCE_DEGREES);
    let Some(turn) = Turn::ALL.into_iter().find(fits) else {
        let reason = format!(
            "the display matrix turns the picture by {:.0} degrees, which is no quarter turn: it is tracked and drawn as it is stored, as \
             browsers and OpenCV show it. Turn the pictures themselves and process the video again to have it upright",
            angles[0]
        );
        return (Orientation::UPRIGHT, Some(reason));
    };
    let (scale_x, scale_y) = (a.hypot(c), b.hypot(d));
    let odd = if u != 0.0 || v != 0.0 {
        Some("the display matrix has a perspective, which is left out; boxes count stored pixels".to_owned())
    } else if (scale_x - 1.0).abs() > SCALE_TOLERANCE || (scale_y - 1.0).abs() > SCALE_TOLERANCE {
        Some(format!(
            "the display matrix also scales the picture, by {scale_x:.2} across and {scale_y:.2} down: boxes count stored pixels"
        ))
    } else {
        None
    };
    (Orientation { mirrored, turn }, odd)
}

/// The orientation of a photograph's EXIF tag `Orientation` (EXIF 2.32, 4.6.4). Upright for invalid numbers.
pub(crate) fn of_exif(number: u32) -> Orientation {
    let (mirrored, turn) = match number {
        2 => (true, Turn::None),
        3 => (false, Turn::Half),
        4 => (true, Turn::Half),
        5 => (true, Turn::CounterClockwise),
        6 => (false, Turn::Clockwise),
        7 => (true, Turn::Clockwise),
        8 => (false, Turn::CounterClockwise),
        _ => (false, Turn::None),
    };
    Orientation { mirrored, turn }
}

/// Copies a plane of `stored_size` bytes upright. Rows start a stride apart; what lies between them is left alone.
pub(crate) fn copy_upright(
    orientation: Orientation,
    stored: &[u8],
    stored_stride: usize,
    stored_size: (usize, usize),
    upright: &mut [u8],
    upright_stride: usize,
) {
    let (width, height) = stored_size;
    let (from_right, from_bottom) = match orientation.turn {
        Turn::None => (orientation.mirrored, false),
        Turn::Clockwise => (orientation.mirrored, true),
        Turn::Half => (!orientation.mirrored, true),
        Turn::CounterClockwise => (!orientation.mirrored, false),
    };
    let row_of = |y: usize| &stored[if from_bottom { height - 1 - y } else { y } * stored_stride..][..width];
    if !orientation.swaps_sides() {
        for (y, target) in upright.chunks_mut(upright_stride).take(height).enumerate() {
            let target = &mut target[..width];
            target.copy_from_slice(row_of(y));
            if from_right {
                target.reverse();
            }
        }
        return;
    }
    // Column x of what is stored becomes this row.
    let place = |x: usize| if from_right { width - 1 - x } else { x } * upright_stride;
    let (whole_width, whole_height) = (width / TILE * TILE, height / TILE * TILE);
    for across in (0..whole_height).step_by(TILE) {
        for x in (0..whole_width).step_by(TILE) {
            let rows = std::array::from_fn(|n| eight(&row_of(across + n)[x..]));
            for (n, column) in transposed(rows).into_iter().enumerate() {
                upright[place(x + n) + across..][..TILE].copy_from_slice(&column.to_le_bytes());
            }
        }
    }
    for across in 0..height {
        let row = row_of(across);
        let rest = if across < whole_height { whole_width } else { 0 };
        for x in rest..width {
            upright[place(x) + across] = row[x];
        }
    }
}

/// Bytes a side of what is turned at once: a register of the processor holds this many.
const TILE: usize = 8;

fn eight(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

/// Rows of bytes, the first in the lowest bits, to columns: by swapping ever smaller squares beside the diagonal.
fn transposed(mut rows: [u64; TILE]) -> [u64; TILE] {
    for (side, mask) in [(4, 0x0000_0000_ffff_ffff), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)] {
        for upper in (0..TILE).filter(|row| row & side == 0) {
            let lower = upper + side;
            let swapped = ((rows[upper] >> (8 * side)) ^ rows[lower]) & mask;
            rows[upper] ^= swapped << (8 * side);
            rows[lower] ^= swapped;
        }
    }
    rows
}

/// The display matrix that a container states for a stream.
pub(crate) fn matrix_of_stream(stream: &ffmpeg::Stream<'_>) -> Option<[i32; 9]> {
    let data = stream.side_data().find(|data| data.kind() == side_data::Type::DisplayMatrix)?;
    matrix(data.data())
}

/// The display matrix of a picture: H.264 and HEVC have a message for it (display orientation).
pub(crate) fn matrix_of_picture(picture: &frame::Video) -> Option<[i32; 9]> {
    // SAFETY: the frame is live; what comes back is null or belongs to the frame and holds as many bytes as it says.
    unsafe {
        let data = ffi::av_frame_get_side_data(picture.as_ptr(), ffi::AVFrameSideDataType::AV_FRAME_DATA_DISPLAYMATRIX);
        if data.is_null() || (*data).data.is_null() {
            return None;
        }
        matrix(std::slice::from_raw_parts((*data).data, (*data).size))
    }
}

fn matrix(bytes: &[u8]) -> Option<[i32; 9]> {
    let cells = bytes.as_chunks::<4>().0.get(..9)?;
    let mut matrix = [0; 9];
    matrix.iter_mut().zip(cells).for_each(|(cell, bytes)| *cell = i32::from_ne_bytes(*bytes));
    Some(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: f64 = 65_536.0;

    fn fixed(a: f64, b: f64, c: f64, d: f64) -> [i32; 9] {
        let [a, b, c, d] = [a, b, c, d].map(|cell| (cell * ONE).round() as i32);
        [a, b, 0, c, d, 0, 0, 0, 1 << 30]
    }

    fn all() -> impl Iterator<Item = Orientation> {
        Turn::ALL.into_iter().flat_map(|turn| [false, true].map(|mirrored| Orientation { mirrored, turn }))
    }

    /// The matrix by which an orientation is written.
    fn written(orientation: Orientation) -> [i32; 9] {
        let (cos, sin) = match orientation.turn {
            Turn::None => (1.0, 0.0),
            Turn::Clockwise => (0.0, 1.0),
            Turn::Half => (-1.0, 0.0),
            Turn::CounterClockwise => (0.0, -1.0),
        };
        let sign = if orientation.mirrored { -1.0 } else { 1.0 };
        fixed(sign * cos, sign * sin, -sin, cos)
    }

    #[test]
    fn each_orientation_is_read_from_its_matrix_and_scaling_does_not_change_it() {
        for orientation in all() {
            let matrix = written(orientation);
            assert_eq!(of_matrix(&matrix), (orientation, None));
            let doubled = matrix.map(|cell| if cell == 1 << 30 { cell } else { cell * 2 });
            let (read, odd) = of_matrix(&doubled);
            assert_eq!(read, orientation);
            assert!(odd.unwrap().contains("2.00 across and 2.00 down"));
        }
    }

    /// By the definition of the matrix: stored pixel (x, y) is seen at (a x + c y, b x + d y), moved into the picture.
    #[test]
    fn pixels_go_where_the_matrix_says_for_any_size() {
        for orientation in all() {
            for (width, height) in [(1, 1), (8, 8), (7, 3), (16, 9), (23, 40), (64, 17)] {
                let stride = width + 3;
                let stored: Vec<u8> = (0..stride * height).map(|i| (i * 31 % 251) as u8).collect();
                let (seen_width, seen_height) = orientation.size((width as u32, height as u32));
                let (seen_width, seen_height) = (seen_width as usize, seen_height as usize);
                let seen_stride = seen_width + 5;
                let mut seen = vec![255; seen_stride * seen_height];
                copy_upright(orientation, &stored, stride, (width, height), &mut seen, seen_stride);
                let [a, b, _, c, d, ..] = written(orientation).map(|cell| f64::from(cell) / ONE);
                for y in 0..height {
                    for x in 0..width {
                        let (cx, cy) = (x as f64 + 0.5 - width as f64 / 2.0, y as f64 + 0.5 - height as f64 / 2.0);
                        let u = (a * cx + c * cy + seen_width as f64 / 2.0 - 0.5).round() as usize;
                        let v = (b * cx + d * cy + seen_height as f64 / 2.0 - 0.5).round() as usize;
                        assert_eq!(
                            seen[v * seen_stride + u],
                            stored[y * stride + x],
                            "{orientation:?} {width}x{height}"
                        );
                    }
                }
                let between = seen.chunks(seen_stride).flat_map(|row| &row[seen_width..]);
                assert!(between.into_iter().all(|&byte| byte == 255), "{orientation:?} {width}x{height}");
            }
        }
    }

    #[test]
    fn what_is_no_quarter_turn_is_left_as_it_is_stored_and_told() {
        let (sin, cos) = 45f64.to_radians().sin_cos();
        for (matrix, told) in [
            (fixed(cos, sin, -sin, cos), "45 degrees"),
            (fixed(1.0, 0.3, 0.0, 1.0), "17 degrees"),
            (fixed(0.0, 0.0, 0.0, 0.0), "nothing of the picture"),
            (fixed(1.0, 1.0, 1.0, 1.0), "nothing of the picture"),
        ] {
            let (orientation, odd) = of_matrix(&matrix);
            assert!(orientation.is_upright());
            assert!(odd.as_deref().is_some_and(|odd| odd.contains(told)), "{odd:?}");
        }
        let (sin, cos) = 89.5f64.to_radians().sin_cos();
        let nearly = Orientation { mirrored: false, turn: Turn::Clockwise };
        assert_eq!(of_matrix(&fixed(cos, sin, -sin, cos)).0, nearly);
    }

    #[test]
    fn hostile_matrices_are_read_without_a_panic() {
        for matrix in [[i32::MIN; 9], [i32::MAX; 9], [0; 9], [1, -1, i32::MAX, i32::MIN, 0, 0, 5, 5, 5]] {
            of_matrix(&matrix);
        }
    }
}
