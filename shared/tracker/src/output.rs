//! What a step returns, and the reference's filter for result files.

/// Smallest area of a box that the reference's evaluator writes to a result file, px². (Its demo uses 10.)
pub const MIN_BOX_AREA_PX2: f64 = 100.0;

/// Largest width / height of a box that the reference writes to a result file. It expects pedestrians.
pub const MAX_ASPECT: f64 = 1.6;

/// One object in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Track {
    /// The same number in every frame of the object. Ids begin at 1. Some numbers are not used.
    pub id: u64,
    /// Left edge of the filtered box (the Kalman posterior, not the detection), px.
    pub x1: f64,
    /// Upper edge, px.
    pub y1: f64,
    /// Right edge, px.
    pub x2: f64,
    /// Lower edge, px.
    pub y2: f64,
    /// Score of the detection matched in this frame.
    pub score: f64,
    /// Index of that detection in the slice given to [`ByteTrack::step`](crate::ByteTrack::step).
    pub detection: usize,
}

impl Track {
    /// Left, top, width and height, px: the columns of a MOTChallenge result file.
    #[must_use]
    pub fn tlwh(&self) -> [f64; 4] {
        [self.x1, self.y1, self.width(), self.height()]
    }

    /// `x2 - x1`, px.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.x2 - self.x1
    }

    /// `y2 - y1`, px.
    #[must_use]
    pub fn height(&self) -> f64 {
        self.y2 - self.y1
    }
}

/// Whether the reference would write this row to a result file. It writes boxes that are larger than `min_box_area_px2`
/// and not wider than `max_aspect` times their height.
///
/// [`ByteTrack::step`](crate::ByteTrack::step) does not apply this filter. It is made for upright pedestrians, and must
/// not influence the state.
#[must_use]
pub fn passes_output_filter(track: &Track, min_box_area_px2: f64, max_aspect: f64) -> bool {
    let (width, height) = (track.width(), track.height());
    width * height > min_box_area_px2 && width / height <= max_aspect
}
