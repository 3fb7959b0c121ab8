//! Intersection over union in the reference's pixel-inclusive convention.

/// A box by its corners, px.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rect {
    pub(crate) x1: f64,
    pub(crate) y1: f64,
    pub(crate) x2: f64,
    pub(crate) y2: f64,
}

impl Rect {
    pub(crate) fn from_tlwh(x: f64, y: f64, width: f64, height: f64) -> Self {
        Self { x1: x, y1: y, x2: x + width, y2: y + height }
    }

    /// `IoU = I / (A + B - I)`; 0 if the boxes do not overlap. Every side is `extra` px longer than the difference of
    /// its corners (1 in the reference).
    pub(crate) fn iou(&self, other: &Self, extra: f64) -> f64 {
        let width = self.x2.min(other.x2) - self.x1.max(other.x1) + extra;
        let height = self.y2.min(other.y2) - self.y1.max(other.y1) + extra;
        if width <= 0.0 || height <= 0.0 {
            return 0.0;
        }
        let intersection = width * height;
        intersection / (self.area(extra) + other.area(extra) - intersection)
    }

    fn area(&self, extra: f64) -> f64 {
        (self.x2 - self.x1 + extra) * (self.y2 - self.y1 + extra)
    }
}

#[cfg(test)]
mod tests {
    use super::Rect;

    #[test]
    fn boxes_that_touch_share_one_pixel() {
        let left = Rect { x1: 0.0, y1: 0.0, x2: 9.0, y2: 9.0 };
        let right = Rect { x1: 9.0, y1: 0.0, x2: 18.0, y2: 9.0 };
        assert_eq!(left.iou(&right, 1.0), 10.0 / 190.0);
        assert_eq!(left.iou(&right, 0.0), 0.0);
    }

    #[test]
    fn boxes_one_pixel_apart_share_nothing() {
        let left = Rect { x1: 0.0, y1: 0.0, x2: 9.0, y2: 9.0 };
        let right = Rect { x1: 10.0, y1: 0.0, x2: 19.0, y2: 9.0 };
        assert_eq!(left.iou(&right, 1.0), 0.0);
    }
}
