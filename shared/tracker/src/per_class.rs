//! Associates each class separately.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde::{Deserialize, Serialize};

use crate::{ByteTrack, Checkpoint, Detection, RestoreError, Rules, Settings, SettingsError, Track};

/// One tracker per class. Their tracks share one sequence of ids, in the order in which the tracks are first seen.
#[derive(Debug)]
pub struct PerClass {
    settings: Settings,
    rules: Rules,
    /// The trackers by class id. A class that was not seen yet has none.
    trackers: BTreeMap<i32, ByteTrack>,
    /// The shared id, by class id and the id that the tracker of the class gave.
    ids: BTreeMap<(i32, u64), u64>,
    /// Whether the first frame is over. A tracker treats its first frame differently.
    began: bool,
    /// For each class: the indices of its detections in the latest step.
    places: BTreeMap<i32, Vec<usize>>,
    births: Vec<(u64, usize)>,
}

/// The state of a [`PerClass`]. Its fields are private, as those of [`Checkpoint`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerClassCheckpoint {
    /// The state of a new tracker, which has the settings of all.
    unseen: Checkpoint,
    trackers: BTreeMap<i32, Checkpoint>,
    /// Class, the id that its tracker gave, and the shared id.
    ids: Vec<(i32, u64, u64)>,
    began: bool,
}

impl PerClass {
    /// New trackers.
    ///
    /// # Errors
    /// A setting is out of its range.
    pub fn new(settings: Settings, rules: Rules) -> Result<Self, SettingsError> {
        settings.validate()?;
        let (trackers, ids, places, births) = Default::default();
        Ok(Self { settings, rules, trackers, ids, began: false, places, births })
    }

    /// Takes the detections of the next frame, each with its class. Returns the tracks that were seen in the frame,
    /// ordered by class, and within a class as its tracker returns them. [`Track::detection`] is an index into
    /// `detections`.
    ///
    /// # Errors
    /// The same as of [`new`](Self::new). Settings were checked there, so none occurs.
    pub fn step(&mut self, detections: &[(Detection, i32)]) -> Result<Vec<Track>, SettingsError> {
        self.step_after(1, detections)
    }

    /// As [`ByteTrack::births`].
    #[must_use]
    pub fn births(&self) -> &[(u64, usize)] {
        &self.births
    }

    /// The same as [`step`](Self::step), for a frame that is this many frames after the previous one: see
    /// [`ByteTrack::step_after`].
    ///
    /// # Errors
    /// The same as of [`new`](Self::new). Settings were checked there, so none occurs.
    pub fn step_after(&mut self, frames: u32, detections: &[(Detection, i32)]) -> Result<Vec<Track>, SettingsError> {
        let mut of_class: BTreeMap<i32, (Vec<usize>, Vec<Detection>)> = BTreeMap::new();
        for (index, &(detection, class)) in detections.iter().enumerate() {
            let (places, shown) = of_class.entry(class).or_default();
            places.push(index);
            shown.push(detection);
            if let Entry::Vacant(unseen) = self.trackers.entry(class) {
                let tracker = unseen.insert(ByteTrack::with_rules(self.settings.clone(), self.rules)?);
                if self.began {
                    // A tracker has the same state after many empty frames as after one.
                    tracker.step(&[]);
                }
            }
        }
        self.began = true;
        let mut all = Vec::new();
        self.births.clear();
        let before = std::mem::take(&mut self.places);
        for (&class, tracker) in &mut self.trackers {
            // Also for a class without detections, because its tracks become older.
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
    /// The same as of [`new`](Self::new). Settings were checked there, so none occurs.
    pub fn checkpoint(&self) -> Result<PerClassCheckpoint, SettingsError> {
        Ok(PerClassCheckpoint {
            unseen: ByteTrack::with_rules(self.settings.clone(), self.rules)?.checkpoint(),
            trackers: self.trackers.iter().map(|(&class, tracker)| (class, tracker.checkpoint())).collect(),
            ids: self.ids.iter().map(|(&(class, own), &id)| (class, own, id)).collect(),
            began: self.began,
        })
    }

    /// Makes trackers that resume where the checkpoint was taken.
    ///
    /// # Errors
    /// The same as of [`ByteTrack::restore`]. It also refuses ids that the trackers together can't have given.
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
