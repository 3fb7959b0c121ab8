//! Each class associated by itself.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde::{Deserialize, Serialize};

use crate::{ByteTrack, Checkpoint, Detection, RestoreError, Rules, Settings, SettingsError, Track};

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
    /// By class: which of the latest step's detections it was shown.
    places: BTreeMap<i32, Vec<usize>>,
    births: Vec<(u64, usize)>,
}

/// The state of a tracker a class. Opaque, as [`Checkpoint`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerClassCheckpoint {
    /// Of a tracker that has seen nothing: the settings of all.
    unseen: Checkpoint,
    trackers: BTreeMap<i32, Checkpoint>,
    /// Class, the number that its tracker gave, and the number among all.
    ids: Vec<(i32, u64, u64)>,
    began: bool,
}

impl PerClass {
    /// Trackers that have seen nothing.
    ///
    /// # Errors
    /// A setting is out of its range.
    pub fn new(settings: Settings, rules: Rules) -> Result<Self, SettingsError> {
        settings.validate()?;
        let (trackers, ids, places, births) = Default::default();
        Ok(Self { settings, rules, trackers, ids, began: false, places, births })
    }

    /// Takes the detections of the next frame, each with its class, and returns the tracks seen in it: by class, within a
    /// class in the order of its tracker. [`Track::detection`] is an index into `detections`.
    ///
    /// # Errors
    /// As [`new`](Self::new), which has excluded them.
    pub fn step(&mut self, detections: &[(Detection, i32)]) -> Result<Vec<Track>, SettingsError> {
        self.step_after(1, detections)
    }

    /// As [`ByteTrack::births`].
    #[must_use]
    pub fn births(&self) -> &[(u64, usize)] {
        &self.births
    }

    /// As [`step`](Self::step), for the frame that comes this many frames after the one before: see [`ByteTrack::step_after`].
    ///
    /// # Errors
    /// As [`new`](Self::new), which has excluded them.
    pub fn step_after(&mut self, frames: u32, detections: &[(Detection, i32)]) -> Result<Vec<Track>, SettingsError> {
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
        self.births.clear();
        let before = std::mem::take(&mut self.places);
        for (&class, tracker) in &mut self.trackers {
            // Also where nothing of a class was detected: its tracks grow old.
            let (places, shown) = of_class.remove(&class).unwrap_or_default();
            for track in tracker.step_after(frames, &shown) {
                let next = self.ids.len() as u64 + 1;
                let id = *self.ids.entry((class, track.id)).or_insert(next);
                all.push(Track { id, detection: places[track.detection], ..*track });
            }
            let born = |&(id, at): &(u64, usize)| {
                Some((*self.ids.get(&(class, id))?, *before.get(&class).and_then(|places| places.get(at))?))
            };
            self.births.extend(tracker.births().iter().filter_map(born));
            if frames > 1 {
                self.places.insert(class, places);
            }
        }
        Ok(all)
    }

    /// The state after the latest step.
    ///
    /// # Errors
    /// As [`new`](Self::new), which has excluded them.
    pub fn checkpoint(&self) -> Result<PerClassCheckpoint, SettingsError> {
        Ok(PerClassCheckpoint {
            unseen: ByteTrack::with_rules(self.settings.clone(), self.rules)?.checkpoint(),
            trackers: self.trackers.iter().map(|(&class, tracker)| (class, tracker.checkpoint())).collect(),
            ids: self.ids.iter().map(|(&(class, own), &id)| (class, own, id)).collect(),
            began: self.began,
        })
    }

    /// Trackers that continue where the checkpoint was taken.
    ///
    /// # Errors
    /// As [`ByteTrack::restore`]; or numbers that the trackers together can't have given.
    pub fn restore(checkpoint: PerClassCheckpoint) -> Result<Self, RestoreError> {
        let PerClassCheckpoint { unseen, trackers, ids, began } = checkpoint;
        let unseen = ByteTrack::restore(unseen)?;
        let (settings, rules) = (unseen.settings().clone(), *unseen.rules());
        let mut given = BTreeSet::new();
        for &(class, _, id) in &ids {
            if !trackers.contains_key(&class) || !(1..=ids.len() as u64).contains(&id) || !given.insert(id) {
                return Err(RestoreError::Track { id, problem: "has a number that was given twice or never" });
            }
        }
        let restore = |(class, tracker)| Ok((class, ByteTrack::restore(tracker)?));
        let trackers = trackers.into_iter().map(restore).collect::<Result<_, RestoreError>>()?;
        let ids = ids.into_iter().map(|(class, own, id)| ((class, own), id)).collect();
        Ok(Self { settings, rules, trackers, ids, began, places: BTreeMap::new(), births: Vec::new() })
    }

    /// Degenerate detections refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.trackers.values().map(ByteTrack::refused).sum()
    }
}
