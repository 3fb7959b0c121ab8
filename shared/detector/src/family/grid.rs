//! The cells of detection heads without anchors: one candidate a cell, level by level, row by row.

use super::Size;

/// The strides that heads in use have, in input pixels.
const KNOWN: [&[u32]; 2] = [&[8, 16, 32], &[8, 16, 32, 64]];

/// The strides that make this many cells, if there are such.
pub(super) fn strides_for(rows: usize, input: Size) -> Option<&'static [u32]> {
    KNOWN.into_iter().find(|strides| cells(strides, input).count() == rows)
}

/// Column, row and stride of each cell, in the order of the outputs.
pub(super) fn cells(strides: &[u32], input: Size) -> impl Iterator<Item = (f32, f32, f32)> {
    strides.iter().flat_map(move |&stride| {
        let (columns, rows) = (input.width.div_ceil(stride), input.height.div_ceil(stride));
        (0..rows).flat_map(move |row| (0..columns).map(move |column| (column as f32, row as f32, stride as f32)))
    })
}

/// What to say of an output whose rows are not the cells of the input.
pub(super) fn no_such_grid(rows: usize, input: Size) -> String {
    let counts = KNOWN.map(|strides| format!("{} (strides {strides:?})", cells(strides, input).count()));
    format!(
        "it has {rows} rows, but an input of {} x {} pixels has {} cells",
        input.width,
        input.height,
        counts.join(" or ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_cells_of_the_published_models() {
        let square = |side| Size { width: side, height: side };
        assert_eq!(strides_for(8400, square(640)), Some(&[8, 16, 32][..]), "YOLOX-s");
        assert_eq!(strides_for(3549, square(416)), Some(&[8, 16, 32][..]), "NanoDet-g 416");
        assert_eq!(strides_for(3598, square(416)), Some(&[8, 16, 32, 64][..]), "NanoDet-Plus-m 416");
        assert_eq!(strides_for(25200, square(640)), None, "YOLOv5 has three anchors a cell");
    }

    #[test]
    fn cells_come_row_by_row_and_level_by_level() {
        let all: Vec<_> = cells(&[8, 16], Size { width: 16, height: 24 }).collect();
        assert_eq!(all.len(), 2 * 3 + 2);
        assert_eq!((all[1], all[2]), ((1.0, 0.0, 8.0), (0.0, 1.0, 8.0)));
        assert_eq!((all[6], all[7]), ((0.0, 0.0, 16.0), (0.0, 1.0, 16.0)));
    }
}
