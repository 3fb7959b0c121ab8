//! Each class associated by itself.

use std::collections::{BTreeMap, btree_map::Entry};

use crate::{ByteTrack, Detection, Rules, Settings, SettingsError, Track};

/// A tracker a class; they number their tracks together, in the order in which these are first seen.
#[derive(Debug)]
pub struct PerClass {
    settings: Settings,
    rules: Rules,
    /// By class id; a class that was not seen yet has none.
    trackers: BTreeMap<i32, ByteTrack>,
    /// By class id and the number that its tracker gave.
    ids: BTreeMap<(i32, u64), u64>,
    /// Whether the first frame is over, which a tracker treats differently.
    began: bool,
}

impl PerClass {
    /// Trackers that have seen nothing.
    ///
    /// # Errors
    /// A setting is out of its range.
    pub fn new(settings: Settings, rules: Rules) -> Result<Self, SettingsError> {
        settings.validate()?;
        Ok(Self { settings, rules, trackers: BTreeMap::new(), ids: BTreeMap::new(), began: false })
    }

    /// Takes the detections of the next frame, each with its class, and returns the tracks seen in it: by class, within a
    /// class in the order of its tracker. [`Track::detection`] is an index into `detections`.
    ///
    /// # Errors
    /// As [`new`](Self::new), which has excluded them.
    pub fn step(&mut self, detections: &[(Detection, i32)]) -> Result<Vec<Track>, SettingsError> {
        let mut of_class: BTreeMap<i32, (Vec<usize>, Vec<Detection>)> = BTreeMap::new();
        for (index, &(detection, class)) in detections.iter().enumerate() {
            let (places, shown) = of_class.entry(class).or_default();
            places.push(index);
            shown.push(detection);
            if let Entry::Vacant(unseen) = self.trackers.entry(class) {
                let tracker = unseen.insert(ByteTrack::with_rules(self.settings.clone(), self.rules)?);
                if self.began {
                    // Many empty frames leave a tracker as one does.
                    tracker.step(&[]);
                }
            }
        }
        self.began = true;
        let mut all = Vec::new();
        for (&class, tracker) in &mut self.trackers {
            // Also where nothing of a class was detected: its tracks grow old.
            let (places, shown) = of_class.remove(&class).unwrap_or_default();
            for track in tracker.step(&shown) {
                let next = self.ids.len() as u64 + 1;
                let id = *self.ids.entry((class, track.id)).or_insert(next);
                all.push(Track { id, detection: places[track.detection], ..*track });
            }
        }
        Ok(all)
    }

    /// Degenerate detections refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.trackers.values().map(ByteTrack::refused).sum()
    }
}
