//! The fold itself: the detections of one frame after the other in, the tracks of that frame out.

use trackdrop_pipeline::{Failure, Looks, RequestSettings, manifest::ManifestSegment};
use trackdrop_probe::tracker_settings;
use trackdrop_tables::detections::{AppearanceColumn, DetectionRow, SegmentFooter};
use trackdrop_tracker::{ByteTrack, Detection, PerClass, Rules, SettingsError, Track};

/// An object in a frame: what the tracker says, and the detection that it was matched with.
#[derive(Debug)]
pub(crate) struct Matched<'a> {
    pub(crate) track: Track,
    pub(crate) detection: &'a DetectionRow,
}

impl Matched<'_> {
    /// The tracker's estimate, as rows have it.
    pub(crate) fn bbox(&self) -> [f32; 4] {
        let Track { x1, y1, x2, y2, .. } = self.track;
        [x1, y1, x2, y2].map(|edge| edge as f32)
    }
}

/// What a frame that is looked at comes to.
pub(crate) struct Looked<'a> {
    /// The tracks seen in it.
    pub(crate) matched: &'a [Matched<'a>],
    /// Of tracks that were born in the look before, and are seen in this one: the id, and the detection of their birth.
    pub(crate) births: &'a [(u64, DetectionRow)],
    detections: &'a [DetectionRow],
    /// What those of the segment look like, and which of them is the first of this frame; none where it is not known.
    appearances: Option<(&'a AppearanceColumn, usize)>,
    shown: &'a [usize],
}

impl<'a> Looked<'a> {
    /// What a track's detection looks like.
    pub(crate) fn appearance(&self, matched: &Matched<'_>) -> Option<&'a [u8]> {
        let (column, first) = self.appearances?;
        column.get(first + *self.shown.get(matched.track.detection)?)
    }

    /// The detections that the tracker was shown.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &'a DetectionRow> + use<'a> {
        let detections = self.detections;
        self.shown.iter().map(|&i| &detections[i])
    }
}

/// The tracker, and what of the detections it is shown.
pub(crate) struct Fold {
    association: Association,
    /// By class id: whether the user wants it.
    wanted: Option<Vec<bool>>,
    min_score: f32,
    /// The detections shown in this frame: which row each is.
    shown: Vec<usize>,
    input: Vec<Detection>,
    /// The frame that was looked at last, and what the tracker was shown in it where frames were skipped by plan before it.
    last_look: Option<i64>,
    last_shown: Vec<DetectionRow>,
    births: Vec<(u64, DetectionRow)>,
}

/// How detections become tracks: all together as in the paper, or each class by itself.
enum Association {
    Together(Box<ByteTrack>),
    PerClass(PerClass),
}

impl Fold {
    pub(crate) fn new(settings: &RequestSettings, footer: &SegmentFooter, frame_rate: f64) -> Result<Self, Failure> {
        let per_class = settings.tracker.per_class;
        let of_tracker = tracker_settings(settings, footer.track_thresh, frame_rate);
        let association = if per_class {
            PerClass::new(of_tracker, Rules::REFERENCE).map(Association::PerClass)
        } else {
            ByteTrack::new(of_tracker).map(|tracker| Association::Together(Box::new(tracker)))
        };
        let association = association.map_err(refused)?;
        let wanted = settings.wanted_classes(&footer.class_names);
        let min_score = settings.min_score.unwrap_or(0.0);
        let (shown, input, last_shown, births) = Default::default();
        Ok(Self { association, wanted, min_score, shown, input, last_look: None, last_shown, births })
    }

    /// Steps once for every frame of a segment that is looked at, also where nothing was detected; `take` gets its index and PTS, and what it
    /// comes to. `appearances` says what each row looks like, if anything does.
    pub(crate) fn frames(
        &mut self,
        segment: &ManifestSegment,
        looks: &Looks,
        rows: &[DetectionRow],
        appearances: Option<&AppearanceColumn>,
        mut take: impl FnMut(i64, i64, Looked<'_>),
    ) -> Result<(), Failure> {
        let mut rest = rows;
        for (i, &pts) in segment.frame_pts.as_slice().iter().enumerate() {
            let frame_index = (segment.span.first_frame + i as u64) as i64;
            let (of_frame, after) = rest.split_at(rest.partition_point(|row| row.frame_index <= frame_index));
            if let Some(row) = of_frame.iter().find(|row| row.frame_index != frame_index || row.pts != pts) {
                return Err(foreign(segment, row));
            }
            let appearances = appearances.map(|column| (column, rows.len() - rest.len()));
            rest = after;
            // A version of tracks may be made of fewer frames than the detector looked at.
            if !looks.at(frame_index as u64) {
                continue;
            }
            let passed = self.last_look.map_or(1, |last| frame_index - last);
            self.last_look = Some(frame_index);
            let matched = self.step(passed as u32, of_frame)?;
            let (shown, births) = (&self.shown, &self.births);
            take(frame_index, pts, Looked { matched: &matched, births, detections: of_frame, appearances, shown });
        }
        rest.first().map_or(Ok(()), |row| Err(foreign(segment, row)))
    }

    /// A step over this many frames.
    fn step<'a>(&mut self, frames: u32, detections: &'a [DetectionRow]) -> Result<Vec<Matched<'a>>, Failure> {
        self.shown.clear();
        let shown = detections.iter().enumerate().filter(|(_, row)| shows(&self.wanted, self.min_score, row));
        self.shown.extend(shown.map(|(i, _)| i));
        let shown = &self.shown;
        let input = |i: &usize| {
            let [x1, y1, x2, y2] = detections[*i].bbox.map(f64::from);
            Detection { x1, y1, x2, y2, score: f64::from(detections[*i].score) }
        };
        let matched = |track: &Track| Matched { track: *track, detection: &detections[shown[track.detection]] };
        let (matched, births) = match &mut self.association {
            Association::Together(tracker) => {
                self.input.clear();
                self.input.extend(shown.iter().map(input));
                let matched = tracker.step_after(frames, &self.input).iter().map(matched).collect();
                (matched, tracker.births())
            }
            Association::PerClass(trackers) => {
                let shown: Vec<_> = shown.iter().map(|i| (input(i), detections[*i].class_id)).collect();
                let matched = trackers.step_after(frames, &shown).map_err(refused)?.iter().map(matched).collect();
                (matched, trackers.births())
            }
        };
        let last_shown = &self.last_shown;
        self.births.clear();
        self.births.extend(births.iter().filter_map(|&(id, at)| Some((id, *last_shown.get(at)?))));
        self.last_shown.clear();
        if frames > 1 {
            self.last_shown.extend(shown.iter().map(|&i| detections[i]));
        }
        Ok(matched)
    }
}

/// Whether the user wants a detection to be tracked; `wanted` is by class id.
fn shows(wanted: &Option<Vec<bool>>, min_score: f32, row: &DetectionRow) -> bool {
    let wanted = match wanted {
        Some(wanted) => usize::try_from(row.class_id).is_ok_and(|id| wanted.get(id) == Some(&true)),
        None => true,
    };
    wanted && row.score >= min_score
}

fn refused(error: SettingsError) -> Failure {
    Failure::permanent_from(error)
}

fn foreign(segment: &ManifestSegment, row: &DetectionRow) -> Failure {
    Failure::permanent(format!(
        "the detections of segment {} contain frame {} (PTS {}), which is outside the segment",
        segment.segment_number, row.frame_index, row.pts
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classes::Classes;
    use proptest::prelude::*;
    use trackdrop_pipeline::{
        PtsList, Rational, Timestamp, ledger::FrameAccount, manifest::ModelIdentity, settings::TrackerOverrides,
    };
    use trackdrop_tables::tracks::{TracksOf, TracksWriter};

    /// At one place, two frames of each in turn: a person, a car, a person.
    fn frame(class_id: i32, frame_index: i64, x: f32) -> DetectionRow {
        DetectionRow { frame_index, pts: frame_index, bbox: [x, 0.0, x + 50.0, 80.0], score: 0.9, class_id }
    }

    fn fold(tracker: TrackerOverrides) -> Fold {
        let footer = SegmentFooter {
            frame_pts: PtsList::default(),
            account: FrameAccount {
                frames_decoded: 0,
                missing_pts: vec![],
                damaged_pts: vec![],
                pts_sha256: "".into(),
                detect_every: 1,
            },
            model: ModelIdentity { name: "m".into(), sha256: String::new() },
            class_names: vec!["person".into(), "car".into()],
            track_thresh: None,
            appearance: None,
            appearance_network: None,
        };
        Fold::new(&RequestSettings { tracker, ..Default::default() }, &footer, 25.0).unwrap()
    }

    fn ids(per_class: bool) -> Vec<(i32, u64)> {
        let mut fold = fold(TrackerOverrides { per_class, ..Default::default() });
        let mut seen = Vec::new();
        for i in 0..6 {
            let rows = [frame((i / 2 % 2) as i32, i, 100.0 + i as f32)];
            seen.extend(
                fold.step(1, &rows).unwrap().iter().map(|matched| (matched.detection.class_id, matched.track.id)),
            );
        }
        seen
    }

    /// Both refuse, in the same words: settings before anything is detected, and the tracker.
    #[test]
    fn an_upload_may_ask_for_whatever_the_tracker_takes_and_for_nothing_else() {
        let values = [-0.1, 0.0, 1e-9, 0.5, 1.0, 1.1, f64::NAN];
        for (track_thresh, match_thresh) in values.iter().flat_map(|&one| values.iter().map(move |&other| (one, other)))
        {
            let tracker = TrackerOverrides {
                track_thresh: Some(track_thresh),
                match_thresh: Some(match_thresh),
                ..TrackerOverrides::default()
            };
            let settings = RequestSettings { tracker, ..RequestSettings::default() };
            let by_the_tracker = tracker_settings(&settings, None, 30.0).validate().map_err(|error| error.to_string());
            let told = settings.check().map_err(|error| error.to_string());
            assert_eq!(told, by_the_tracker, "{track_thresh} {match_thresh}");
        }
    }

    #[test]
    fn classes_are_associated_together_unless_each_is_asked_for_by_itself() {
        assert_eq!(ids(false), [(0, 1), (0, 1), (1, 1), (1, 1), (0, 1), (0, 1)]);
        // The car's first detection is no track yet: the video's first frame is over.
        assert_eq!(ids(true), [(0, 1), (0, 1), (1, 2), (0, 1), (0, 1)]);
    }

    /// The fold as another process would resume it: its trackers are restored from checkpoints that were text.
    fn handed_on(fold: Fold) -> Fold {
        let restored = |tracker: &ByteTrack| {
            let text = serde_json::to_string(&tracker.checkpoint()).unwrap();
            ByteTrack::restore(serde_json::from_str(&text).unwrap()).unwrap()
        };
        let association = match fold.association {
            Association::Together(tracker) => Association::Together(Box::new(restored(&tracker))),
            Association::PerClass(trackers) => {
                let text = serde_json::to_string(&trackers.checkpoint().unwrap()).unwrap();
                Association::PerClass(PerClass::restore(serde_json::from_str(&text).unwrap()).unwrap())
            }
        };
        Fold { association, shown: Vec::new(), input: Vec::new(), ..fold }
    }

    /// Rows to the bit, and the file that they make; before each of the frames in `borders` the fold is handed on.
    fn folded(tracker: &TrackerOverrides, video: &[Vec<DetectionRow>], borders: &[usize]) -> (Vec<[u64; 6]>, Vec<u8>) {
        let of = TracksOf {
            request_id: "req_0aZ9bY8c_20261123T182501".parse().unwrap(),
            video: "v.mp4".into(),
            uploaded_at: Timestamp::from_micros(0),
            time_base: Rational::new(1, 25).unwrap(),
            origin_pts: 0,
        };
        let mut file = TracksWriter::new(Vec::new(), of).unwrap();
        let (mut fold, mut rows) = (fold(tracker.clone()), Vec::new());
        for (frame_index, detections) in video.iter().enumerate() {
            if borders.contains(&frame_index) {
                fold = handed_on(fold);
            }
            for matched in fold.step(1, detections).unwrap() {
                let Track { id, x1, y1, x2, y2, score, .. } = matched.track;
                let [x1, y1, x2, y2, score] = [x1, y1, x2, y2, score].map(f64::to_bits);
                rows.push([id, x1, y1, x2, y2, score]);
                let index = frame_index as i64;
                file.push(Classes::default().row(index, index, &matched)).unwrap();
            }
        }
        (rows, file.finish(None).unwrap().0)
    }

    /// Up to six people and cars, each near a place of its own, who come, go and waver between scores and classes.
    fn videos() -> impl Strategy<Value = Vec<Vec<DetectionRow>>> {
        let detection = |place: usize| {
            (0.0f32..12.0, 0.0f32..12.0, 0.05f32..1.0, 0i32..2).prop_map(move |(dx, dy, score, class_id)| {
                let (x, y) = (30.0 * place as f32 + dx, 20.0 + dy);
                DetectionRow { frame_index: 0, pts: 0, bbox: [x, y, x + 40.0, y + 90.0], score, class_id }
            })
        };
        let frame = prop::collection::vec((0usize..6).prop_flat_map(detection), 0..8);
        prop::collection::vec(frame, 1..60)
    }

    proptest! {
        #[test]
        fn a_fold_handed_on_between_segments_gives_the_bits_of_one_that_was_never_interrupted(
            video in videos(), borders in prop::collection::vec(0usize..60, 1..8), per_class: bool, buffer in 0u32..6
        ) {
            let tracker = TrackerOverrides { per_class, track_buffer: Some(buffer), ..Default::default() };
            let whole = folded(&tracker, &video, &[]);
            prop_assert!(folded(&tracker, &video, &borders) == whole);
            // A prefix is folded as if nothing came after it: what is known of it never changes.
            let prefix = folded(&tracker, &video[..video.len() / 2], &borders).0;
            prop_assert_eq!(&whole.0[..prefix.len()], &prefix[..]);
        }
    }
}
