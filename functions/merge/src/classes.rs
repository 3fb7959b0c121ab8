//! One class an identity.
//!
//! ByteTrack associates without looking at classes, so a person may be matched now and then with a faint detection of another class.
//! Over the whole video the detections of an identity vote with their scores, and all its rows carry the winner: a
//! `WHERE class_name = 'person'` finds whole tracks. What the detector said in each frame stays in `detections.parquet`.

use crate::fold::Matched;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use trackdrop_tables::{detections::SegmentFooter, tracks::TrackRow};

/// The votes so far.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    names: Vec<Arc<str>>,
    /// By identity and class id: the sum of scores.
    scores: BTreeMap<u64, BTreeMap<i32, f64>>,
}

/// The class of every identity.
#[derive(Debug, Default)]
pub(crate) struct Classes(HashMap<u64, (i32, Arc<str>)>);

impl Votes {
    pub(crate) fn new(footer: &SegmentFooter) -> Self {
        let names = footer.class_names.iter().map(|name| Arc::from(name.as_str())).collect();
        Self { names, scores: BTreeMap::new() }
    }

    /// The model's classes, by their ids.
    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    pub(crate) fn take(&mut self, frame: &[Matched<'_>]) {
        for Matched { track, detection } in frame {
            self.vote(track.id, detection.class_id, f64::from(detection.score));
        }
    }

    /// One detection of an identity.
    pub(crate) fn vote(&mut self, id: u64, class_id: i32, score: f64) {
        *self.scores.entry(id).or_default().entry(class_id).or_default() += score;
    }

    pub(crate) fn decide(self) -> Classes {
        let name_of = |id: i32| {
            let name = usize::try_from(id).ok().and_then(|index| self.names.get(index));
            name.cloned().unwrap_or_else(|| format!("class_{id}").into())
        };
        let winner = |votes: &BTreeMap<i32, f64>| {
            // Of equals the lowest class id.
            let best = votes.iter().max_by(|(id_a, a), (id_b, b)| a.total_cmp(b).then(id_b.cmp(id_a)));
            best.map_or(0, |(&id, _)| id)
        };
        let decided = self.scores.iter().map(|(&track, votes)| (track, winner(votes)));
        Classes(decided.map(|(track, id)| (track, (id, name_of(id)))).collect())
    }
}

impl FromIterator<(u64, (i32, Arc<str>))> for Classes {
    fn from_iter<T: IntoIterator<Item = (u64, (i32, Arc<str>))>>(classes: T) -> Self {
        Self(classes.into_iter().collect())
    }
}

impl Classes {
    /// The row of an object in a frame.
    pub(crate) fn row(&self, frame_index: i64, pts: i64, matched: &Matched<'_>) -> TrackRow {
        let Matched { track, detection } = matched;
        let (class_id, class_name) = match self.of(track.id) {
            Some((id, name)) => (*id, name.clone()),
            None => (detection.class_id, format!("class_{}", detection.class_id).into()),
        };
        TrackRow {
            frame_index,
            pts,
            track_id: track.id as i64,
            class_id,
            class_name,
            score: detection.score,
            bbox: matched.bbox(),
            observed: true,
        }
    }

    /// The class of an identity.
    pub(crate) fn of(&self, track: u64) -> Option<&(i32, Arc<str>)> {
        self.0.get(&track)
    }

    /// How many identities there are of each class.
    pub(crate) fn count(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (_, name) in self.0.values() {
            *counts.entry(name.to_string()).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackdrop_pipeline::{PtsList, ledger::FrameAccount, manifest::ModelIdentity};
    use trackdrop_tables::detections::DetectionRow;
    use trackdrop_tracker::Track;

    fn votes() -> Votes {
        Votes::new(&SegmentFooter {
            frame_pts: PtsList::default(),
            account: FrameAccount {
                frames_decoded: 0,
                missing_pts: vec![],
                damaged_pts: vec![],
                pts_sha256: String::new(),
                detect_every: 1,
            },
            model: ModelIdentity { name: "m".into(), sha256: String::new() },
            class_names: vec!["person".into(), "skis".into()],
            track_thresh: None,
            appearance: None,
            appearance_network: None,
        })
    }

    fn vote(votes: &mut Votes, id: u64, class_id: i32, score: f32) {
        let track = Track { id, x1: 0.0, y1: 0.0, x2: 9.0, y2: 9.0, score: f64::from(score), detection: 0 };
        let detection = DetectionRow { frame_index: 0, pts: 0, bbox: [0.0; 4], score, class_id };
        votes.take(&[Matched { track, detection: &detection }]);
    }

    #[test]
    fn an_identity_is_what_its_surest_detections_say() {
        let mut votes = votes();
        vote(&mut votes, 1, 1, 0.14);
        vote(&mut votes, 1, 1, 0.14);
        vote(&mut votes, 1, 0, 0.7);
        vote(&mut votes, 2, 1, 0.5);
        vote(&mut votes, 3, 1, 0.5);
        vote(&mut votes, 3, 0, 0.5);
        vote(&mut votes, 4, 7, 0.5);
        let counts = votes.decide().count();
        let expected = [("class_7", 1), ("person", 2), ("skis", 1)].map(|(name, count)| (name.to_owned(), count));
        assert_eq!(counts, BTreeMap::from(expected));
    }
}
