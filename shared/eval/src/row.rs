//! One box of one object in one frame.

/// One line of a track file or of ground truth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Frame number, from 1.
    pub frame: u32,
    /// The id of the object: any number, the same in every frame.
    pub id: u64,
    /// Left edge, px.
    pub x: f64,
    /// Upper edge, px.
    pub y: f64,
    /// Width, px, not negative. A box without area overlaps nothing.
    pub w: f64,
    /// Height, px; not negative.
    pub h: f64,
    /// The score of a track's row. In ground truth, 0 means that the row does not count.
    pub score: f64,
    /// The class number of MOTChallenge, which only ground truth needs: see [`Preprocessing`](crate::Preprocessing).
    pub class: Option<u16>,
    /// False if the tracker did not return the row, for example because a refinement added it.
    pub observed: bool,
}

impl Row {
    /// An observed row of score 1 and no class; `tlwh` is left, top, width and height in px.
    #[must_use]
    pub fn new(frame: u32, id: u64, tlwh: [f64; 4]) -> Self {
        let [x, y, w, h] = tlwh;
        Self { frame, id, x, y, w, h, score: 1.0, class: None, observed: true }
    }

    /// The same, for a frame index from 0, and left, top, right and bottom edge in px.
    #[must_use]
    pub fn of_corners(frame_index: u32, id: u64, [x1, y1, x2, y2]: [f64; 4]) -> Self {
        Self::new(frame_index + 1, id, [x1, y1, x2 - x1, y2 - y1])
    }

    /// Left, top, right and bottom edge, px. The metrics compare these.
    #[must_use]
    pub fn corners(&self) -> [f64; 4] {
        [self.x, self.y, self.x + self.w, self.y + self.h]
    }

    /// The frame's index, from 0.
    #[must_use]
    pub fn frame_index(&self) -> u32 {
        self.frame.saturating_sub(1)
    }

    /// Left, top, width and height, px.
    #[must_use]
    pub fn tlwh(&self) -> [f64; 4] {
        [self.x, self.y, self.w, self.h]
    }
}
