//! Picks the best crop of each object of a segment.

use std::collections::BTreeMap;
use trackdrop_media::{Canvas, CropPicture, View};
use trackdrop_pipeline::{Failure, Rational};
use trackdrop_tables::{crops::Crop, tracks::TrackRow};

/// Side of a square of pixels that is large enough. Above it, size does not increase the quality.
const LARGE_ENOUGH_PX: f64 = 320.0;
/// The sharpness that counts as half of the maximum.
const HALF_SHARP: f64 = 6.0;
/// Factor of the quality if the box touches the picture's edge.
const CUT: f64 = 0.5;

/// The best crops so far. In memory is one JPEG of at most 40 kB per object.
#[derive(Debug, Default)]
pub(crate) struct Picker(BTreeMap<i64, Picked>);

/// A crop, and its row.
#[derive(Debug)]
pub(crate) struct Picked {
    row: TrackRow,
    quality: f64,
    picture: CropPicture,
}

/// The quality, from 0 to 1.
fn quality(score: f32, view: &View) -> f64 {
    let size = (view.area_px.sqrt() / LARGE_ENOUGH_PX).min(1.0);
    let sharp = view.sharpness / (view.sharpness + HALF_SHARP);
    let whole = if view.is_cut { CUT } else { 1.0 };
    f64::from(score.clamp(0.0, 1.0)) * size * sharp * whole
}

impl Picker {
    /// Takes the crop of a row from the picture, if it is the best one of its object so far. Of equal ones the first
    /// remains.
    pub(crate) fn consider(&mut self, canvas: &Canvas, row: &TrackRow) -> Result<(), Failure> {
        let Some(view) = canvas.view(row.bbox) else { return Ok(()) };
        let quality = quality(row.score, &view);
        if self.0.get(&row.track_id).is_some_and(|best| best.quality >= quality) {
            return Ok(());
        }
        if let Some(picture) = canvas.crop(row.bbox)? {
            self.0.insert(row.track_id, Picked { row: row.clone(), quality, picture });
        }
        Ok(())
    }

    /// By track id.
    pub(crate) fn picked(self) -> Vec<Picked> {
        self.0.into_values().collect()
    }
}

impl Picked {
    pub(crate) fn into_crop(self, time_base: Rational, origin_pts: i64) -> Crop {
        let Self { row, quality, picture: CropPicture { width, height, jpeg } } = self;
        Crop {
            track_id: row.track_id,
            class_id: row.class_id,
            class_name: row.class_name,
            frame_index: row.frame_index,
            pts: row.pts,
            time_s: time_base.seconds(row.pts - origin_pts),
            score: row.score,
            quality,
            bbox: row.bbox,
            // At most some hundred pixels.
            width: width as i32,
            height: height as i32,
            jpeg,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_is_better_by_score_size_and_sharpness_and_when_the_object_is_whole() {
        let view = View { area_px: 10_000.0, is_cut: false, sharpness: 5.0 };
        let of = |view: View| quality(0.8, &view);
        assert!(quality(0.9, &view) > of(view));
        assert!(of(View { area_px: 20_000.0, ..view }) > of(view));
        assert!(of(View { sharpness: 9.0, ..view }) > of(view));
        assert!(of(View { is_cut: true, ..view }) < of(view));
        assert!((0.0..=1.0).contains(&quality(1.0, &View { area_px: 1e9, is_cut: false, sharpness: 255.0 })));
    }
}
