use crate::Detection;

/// The detections of a batch. Within a picture they are ordered by score, the best one first. Fill it again for the
/// next batch: it reuses its memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchDetections {
    detections: Vec<Detection>,
    /// For each picture, the end of its detections.
    ends: Vec<usize>,
}

impl BatchDetections {
    /// The detections of each picture, in the order of the batch's slots.
    pub fn pictures(&self) -> impl ExactSizeIterator<Item = &[Detection]> {
        (0..self.ends.len()).map(|picture| {
            let start = picture.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.detections[start..self.ends[picture]]
        })
    }

    pub(crate) fn clear(&mut self) {
        self.detections.clear();
        self.ends.clear();
    }

    /// The place for the next picture's detections.
    pub(crate) fn open(&mut self) -> &mut Vec<Detection> {
        &mut self.detections
    }

    /// Ends the picture's detections. `finish` can change or remove each of them.
    pub(crate) fn close(&mut self, finish: impl Fn(Detection) -> Option<Detection>) {
        let start = self.ends.last().copied().unwrap_or(0);
        let mut end = start;
        for place in start..self.detections.len() {
            if let Some(detection) = finish(self.detections[place]) {
                self.detections[end] = detection;
                end += 1;
            }
        }
        self.detections.truncate(end);
        self.ends.push(end);
    }
}
