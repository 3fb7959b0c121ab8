/// One object in one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Left edge, in source pixels; 0 is the left edge of the frame.
    pub x1: f32,
    /// Top edge, in source pixels.
    pub y1: f32,
    /// Right edge, in source pixels; always above `x1` and at most the frame's width.
    pub x2: f32,
    /// Bottom edge, in source pixels; always above `y1` and at most the frame's height.
    pub y2: f32,
    /// The model's confidence, usually within 0 to 1. Scales differ between models: see
    /// [`ModelInfo::track_thresh`](crate::ModelInfo::track_thresh).
    pub score: f32,
    /// Index into [`ModelInfo::class_names`](crate::ModelInfo::class_names).
    pub class_id: u32,
}
