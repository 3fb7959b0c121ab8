//! What the second pass has in hand between two segments: checks the ledger, folds a segment in, writes its final rows.

use crate::{
    beside,
    blur::{self, Absences},
    classes::{Classes, Votes},
    fold::Fold,
    looks::Strides,
    networks::Networks,
    refine::Refiner,
    table, video_of,
};
use std::{
    collections::{BTreeMap, VecDeque},
    io::BufWriter,
    path::PathBuf,
    sync::Arc,
};
use tempfile::{NamedTempFile, TempPath};
use trackdrop_flow::{Cloud, Doing, end, scratch_file};
use trackdrop_pipeline::{
    Activity, Delivery, Failure, Manifest, RequestSettings, ledger::Ledger, links::IdentityLink,
    manifest::ManifestSegment,
};
use trackdrop_probe::{refine_of, tracker_settings};
use trackdrop_refine::ScratchFiles;
use trackdrop_tables::{
    detections::{AppearanceColumn, DetectionsWriter, SegmentFile, SegmentFooter},
    tracks::{Drawing, TRAIL_FRAMES, TrackRow, TracksOf, TracksWriter},
};
use trackdrop_tracker::BIRTH_MARGIN;

/// The state of the fold between two segments.
pub(crate) struct Merging {
    pub(crate) ledger: Ledger,
    /// From the first segment on.
    fold: Option<(Strides, Fold)>,
    pub(crate) classes: Arc<Classes>,
    /// Where tracks are refined: rows are held until all are known.
    pub(crate) refiner: Option<Refiner>,
    /// With which refined tracks choose their classes: links make other identities than those of the first pass.
    pub(crate) votes: Option<Votes>,
    /// What was linked, where that was asked for.
    pub(crate) links: Option<Vec<IdentityLink>>,
    pub(crate) networks: Networks,
    /// Where rows are held that are refined.
    scratch: Option<ScratchFiles>,
    scratch_folder: PathBuf,
    /// From the first segment on, which says how wide a row is.
    detections: Option<DetectionsWriter<BufWriter<NamedTempFile>>>,
    tracks: TracksWriter<BufWriter<NamedTempFile>>,
    /// Rows of the segment in hand, after the trail that leads into it.
    recent: VecDeque<TrackRow>,
    /// How segments are drawn, with where objects to be blurred are in the whole video.
    drawing: Drawing,
    association: Doing,
}

/// The results, written.
pub(crate) struct Finished {
    pub(crate) detections: TempPath,
    pub(crate) tracks: TempPath,
    pub(crate) rows: u64,
    pub(crate) by_class: BTreeMap<String, u64>,
}

impl Merging {
    pub(crate) fn begin(
        cloud: &Cloud,
        manifest: &Manifest,
        classes: Classes,
        delivery: &Delivery,
    ) -> Result<Self, Failure> {
        let file = || scratch_file(cloud.storage.scratch(), "").map(BufWriter::new);
        let nameless = || {
            let file = tempfile::tempfile_in(cloud.storage.scratch());
            file.map_err(|error| Failure::from_io("making a temporary file", error))
        };
        let scratch = match manifest.settings.refine.is_none() {
            true => None,
            false => Some([nameless()?, nameless()?, nameless()?]),
        };
        Ok(Self {
            scratch,
            ledger: Ledger::default(),
            fold: None,
            classes: Arc::new(classes),
            refiner: None,
            votes: None,
            links: None,
            networks: Networks::default(),
            detections: None,
            scratch_folder: cloud.storage.scratch().to_owned(),
            tracks: TracksWriter::new(file()?, tracks_of(manifest)?).map_err(table)?,
            recent: VecDeque::new(),
            drawing: Drawing::default(),
            association: Doing::begin(delivery, Activity::Association),
        })
    }

    /// Sets what `annotate` will draw into the segments from here on.
    pub(crate) fn set_drawing(&mut self, manifest: &Manifest, blur: Vec<String>, absences: Absences) {
        let RequestSettings { boxes, crops, .. } = &manifest.settings;
        let is_blurred = |track_id: i64| {
            let class = u64::try_from(track_id).ok().and_then(|id| self.classes.of(id));
            class.is_some_and(|(_, name)| blur.iter().any(|blurred| **blurred == **name))
        };
        let between = if blur.is_empty() { Vec::new() } else { absences.of(is_blurred) };
        self.drawing = Drawing { boxes: *boxes, blur, between, crops: *crops };
    }

    /// Checks the ledger and folds one segment in; gives the segment's own tracks where they are to be drawn.
    pub(crate) fn take(
        mut self,
        manifest: &Manifest,
        segment: &ManifestSegment,
        file: SegmentFile,
    ) -> Result<(Self, Option<Vec<u8>>), Failure> {
        let SegmentFile { rows, appearances, footer } = file;
        self.networks.take(manifest, segment.segment_number, &footer)?;
        let (strides, mut fold) = match self.fold.take() {
            Some(fold) => fold,
            None => self.begin_fold(manifest, &footer)?,
        };
        let looks = strides.detected(segment.segment_number, &footer.account)?;
        self.ledger.take(&segment.planned(looks), &footer.account).map_err(Failure::permanent_from)?;
        let asked = manifest.settings.appearance.as_ref().map(|_| &appearances);
        let bytes_each = asked.map_or(0, AppearanceColumn::bytes_each);
        let detections = match &mut self.detections {
            Some(detections) => detections,
            None => {
                let file = BufWriter::new(scratch_file(&self.scratch_folder, "")?);
                self.detections.insert(DetectionsWriter::with_appearance(file, bytes_each).map_err(table)?)
            }
        };
        let write = || {
            rows.iter().enumerate().try_for_each(|(at, &row)| {
                let appearance = asked.and_then(|appearances| appearances.get(at));
                detections.push_seen(row, appearance.unwrap_or_default()).map_err(table)
            })
        };
        let (mut tracks, mut refused) = (Vec::new(), Ok(()));
        let (classes, refiner, association) = (&self.classes, &mut self.refiner, &mut self.association);
        let (written, folded) = beside(write, || {
            association.time(|| {
                fold.frames(segment, &strides.tracked, &rows, asked, |frame_index, pts, frame| match refiner {
                    Some(refiner) if refused.is_ok() => refused = refiner.take(frame_index, frame),
                    Some(_) => {}
                    None => tracks.extend(frame.matched.iter().map(|matched| classes.row(frame_index, pts, matched))),
                })
            })
        });
        written?;
        folded?;
        refused?;
        self.association.frames(segment.span.frame_count);
        self.fold = Some((strides, fold));
        if self.refiner.is_some() { Ok((self, None)) } else { self.emit(manifest, segment, tracks.into_iter().map(Ok)) }
    }

    fn begin_fold(&mut self, manifest: &Manifest, footer: &SegmentFooter) -> Result<(Strides, Fold), Failure> {
        let strides = Strides::of(manifest, &footer.account)?;
        let (settings, frame_rate) = (&manifest.settings, video_of(manifest)?.frame_rate.to_f64());
        if is_refined(settings, &strides) {
            let birth_score = tracker_settings(settings, footer.track_thresh, frame_rate).track_thresh + BIRTH_MARGIN;
            let refine = refine_of(settings, birth_score)?;
            self.refiner = Some(Refiner::new(refine, strides.tracked, manifest, self.scratch.take())?);
            self.votes = Some(Votes::new(footer));
        }
        Ok((strides, Fold::new(settings, footer, frame_rate)?))
    }

    /// Writes the final rows of a segment; gives the segment's own tracks where they are to be drawn.
    pub(crate) fn emit(
        mut self,
        manifest: &Manifest,
        segment: &ManifestSegment,
        rows: impl Iterator<Item = Result<TrackRow, Failure>>,
    ) -> Result<(Self, Option<Vec<u8>>), Failure> {
        let is_drawn = manifest.settings.video;
        if is_drawn {
            let trail_from = segment.span.first_frame.saturating_sub(TRAIL_FRAMES) as i64;
            self.recent.retain(|row| row.frame_index >= trail_from);
        }
        for row in rows {
            let row = row?;
            if is_drawn {
                self.recent.push_back(row.clone());
            }
            self.tracks.push(row).map_err(table)?;
        }
        let tracks = if is_drawn { Some(self.segment_tracks(manifest, segment)?) } else { None };
        Ok((self, tracks))
    }

    /// The segment's own tracks, after those of the frames just before it: what `annotate` draws.
    fn segment_tracks(&self, manifest: &Manifest, segment: &ManifestSegment) -> Result<Vec<u8>, Failure> {
        let mut writer = TracksWriter::new(Vec::new(), tracks_of(manifest)?).map_err(table)?;
        for row in &self.recent {
            writer.push(row.clone()).map_err(table)?;
        }
        let Drawing { boxes, blur, between, crops } = &self.drawing;
        let between = blur::within(between, segment);
        let drawing = Drawing { boxes: *boxes, blur: blur.clone(), between, crops: *crops };
        Ok(writer.finish_segment(&drawing).map_err(table)?.0)
    }

    pub(crate) fn finish(self) -> Result<Finished, Failure> {
        let no_segment = || Failure::permanent("the video has no segment");
        let (detections, _) = self.detections.ok_or_else(no_segment)?.finish(None).map_err(table)?;
        let (tracks, rows) = self.tracks.finish(self.links.as_deref()).map_err(table)?;
        let close = |buffer: BufWriter<NamedTempFile>| {
            let file = buffer.into_inner().map_err(|error| Failure::from_io("writing results", error.into_error()))?;
            Ok::<_, Failure>(file.into_temp_path())
        };
        let by_class = self.classes.count();
        Ok(Finished { detections: close(detections)?, tracks: close(tracks)?, rows, by_class })
    }
}

/// Whether rows are held until all are known.
pub(crate) fn is_refined(settings: &RequestSettings, strides: &Strides) -> bool {
    !settings.refine.is_none() || strides.tracked.every() > 1 || !settings.edits.is_empty()
}

fn tracks_of(manifest: &Manifest) -> Result<TracksOf, Failure> {
    let video = video_of(manifest)?;
    Ok(TracksOf {
        request_id: manifest.request_id.clone(),
        video: end::video_name(manifest),
        uploaded_at: manifest.source.uploaded_at,
        time_base: video.time_base,
        origin_pts: video.origin_pts,
    })
}
