//! The detector for real video. Decoding is a few frames ahead of the network, in a separate thread.

use crate::{DetectorPool, ModelFacts, SegmentDetections, SegmentDetector, appearance::Describer};
use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};
use trackdrop_detector::{AppearanceModel, BatchDetections, Detection, Detector, ImageBatch, Resize};
use trackdrop_flow::{Doing, room::Room};
use trackdrop_media::{
    ChunkDescription, ChunkReader, Frame, Limits, ResizeFilter, RgbScaler, Source, VideoEngine, VideoWork, Window,
};
use trackdrop_pipeline::{
    Activity, Delivery, Failure, Looks, RequestSettings, SegmentDescription, VideoParams, ledger::FrameAccount,
};
use trackdrop_tables::detections::{AppearanceColumn, DetectionRow};
use trackdrop_tracker::Settings;

/// Detections below this score are never stored, whatever the thresholds of the request.
const LOWEST_SCORE: f32 = trackdrop_tracker::LOW_FLOOR as f32;
/// How many batches decoding can be ahead of the network. It is enough if one frame is slow, and needs little memory.
const BATCHES_AHEAD: usize = 2;

/// Decodes with FFmpeg, and detects with ONNX Runtime.
#[derive(Debug)]
pub struct MediaSegmentDetector {
    /// The pool of loaded detectors.
    pub pool: Arc<DetectorPool>,
    /// The bounds on videos.
    pub limits: Limits,
    /// The memory for pictures, which all segments of this process share.
    pub room: Room,
    /// Threads of a decoder.
    pub decoder_threads: usize,
    /// The preferred decoder: software or a GPU.
    pub video_engine: VideoEngine,
}

impl SegmentDetector for MediaSegmentDetector {
    fn model(&self, settings: &RequestSettings, delivery: &Delivery) -> Result<ModelFacts, Failure> {
        Doing::begin(delivery, Activity::Model).time(|| self.pool.facts(settings))
    }

    fn detect(
        &self,
        chunk: &Path,
        segment: &SegmentDescription,
        looks: Looks,
        delivery: &Delivery,
    ) -> Result<SegmentDetections, Failure> {
        let detector = self.pool.get(segment.settings.model.as_deref())?;
        let network = self.pool.appearance(&segment.settings)?;
        let networks = Networks { detector: &detector, appearance: network.as_deref() };
        let chunk = Source::from(chunk).named(segment.chunk_name());
        let source = ChunkDescription::read(&chunk, &self.limits)?;
        check_owner(&source, segment)?;
        let params = &segment.presentation;
        let threads = params.effort(self.decoder_threads).threads;
        let _room = self.room.take(params.decoding_bytes(threads) + networks.held_bytes(params), delivery)?;
        let to_look_at: Vec<i64> = looks.of(segment.span.first_frame, &source.frame_pts).copied().collect();
        let open = |engine| {
            let ChunkDescription { window, frame_pts, .. } = &source;
            ChunkReader::open_on(engine, &chunk, window, frame_pts, &self.limits, threads)
                .map(|reader| reader.with_orientation(params.orientation).only(&to_look_at))
        };
        let reader = open(self.video_engine)?;
        let in_hardware = reader.is_in_hardware();
        let mut found = self.detect_frames(reader, networks, segment, &source, delivery)?;
        if in_hardware && !is_whole(&to_look_at, &found.seen) {
            tracing::warn!(
                frames = found.seen.len(),
                planned = to_look_at.len(),
                "the GPU's video engine does not give every frame whole: the segment is decoded again in software, which reports \
                 what is damaged"
            );
            found = self.detect_frames(open(VideoEngine::Software)?, networks, segment, &source, delivery)?;
        }
        let Found { rows, appearances, seen } = found;
        let account = FrameAccount::of(&to_look_at, &seen, looks.every()).map_err(Failure::permanent_from)?;
        Ok(SegmentDetections { rows, appearances, frame_pts: source.frame_pts, account })
    }
}

/// Whether each look was decoded without damage.
fn is_whole(planned: &[i64], seen: &[Seen]) -> bool {
    seen.iter().map(|&(pts, _)| pts).eq(planned.iter().copied()) && seen.iter().all(|&(_, is_damaged)| !is_damaged)
}

/// A frame that was decoded: its PTS, and whether it is damaged.
type Seen = (i64, bool);

/// What processes the frames.
#[derive(Clone, Copy)]
struct Networks<'a> {
    detector: &'a Detector,
    /// The appearance network, if there is one.
    appearance: Option<&'a AppearanceModel>,
}

impl Networks<'_> {
    /// Bytes of the whole pictures that are held for crops: as decoded, and one per lane in RGB.
    fn held_bytes(&self, params: &VideoParams) -> u64 {
        let lanes = self.detector.lanes();
        let pictures = (BATCHES_AHEAD + lanes + 1) * self.detector.batch();
        let rgb = 3 * u64::from(params.width) * u64::from(params.height) * lanes as u64;
        self.appearance.map_or(0, |_| params.held_bytes(pictures as u64) + rgb)
    }

    /// Half of the detector's track threshold. Detections with a lower score have no vector.
    fn least_score(&self) -> f32 {
        (self.detector.info().track_thresh.unwrap_or(Settings::default().track_thresh) / 2.0) as f32
    }

    fn describer(&self, settings: &RequestSettings) -> Describer<'_> {
        Describer::new(settings.appearance.as_ref(), self.appearance, self.least_score())
    }
}

/// Pictures for the network, and their frames.
struct Batch {
    images: ImageBatch,
    frames: Vec<Seen>,
    /// The whole pictures, if an appearance network needs crops of them.
    whole: Vec<Frame>,
}

/// The detections of one lane, in its order of work.
#[derive(Default)]
struct LaneFound {
    /// Each frame, and the end of its detections.
    frames: Vec<(Seen, usize)>,
    detections: Vec<Detection>,
    /// The appearance of each detection, if it is requested.
    appearances: AppearanceColumn,
}

/// The detections of all lanes, in the order of the frames.
struct Found {
    rows: Vec<DetectionRow>,
    appearances: AppearanceColumn,
    seen: Vec<Seen>,
}

impl MediaSegmentDetector {
    fn detect_frames(
        &self,
        reader: ChunkReader,
        networks: Networks<'_>,
        segment: &SegmentDescription,
        source: &ChunkDescription,
        delivery: &Delivery,
    ) -> Result<Found, Failure> {
        let (full_sender, full) = sync_channel::<Batch>(BATCHES_AHEAD);
        // Empty batches return to the decoder, so that pictures are reused.
        let lanes = networks.detector.lanes();
        let (empty_sender, empty) = sync_channel::<Batch>(BATCHES_AHEAD + lanes);
        // None after a lane has failed. This stops the decoder and the other lanes.
        let full = Mutex::new(Some(full));
        let span = tracing::Span::current();
        let lanes = std::thread::scope(|scope| -> Result<Vec<LaneFound>, Failure> {
            let of_decoder = span.clone();
            let decoding =
                scope.spawn(move || of_decoder.in_scope(|| decode(reader, networks, empty, full_sender, delivery)));
            let (full, span) = (&full, &span);
            let workers: Vec<_> = (0..lanes)
                .map(|_| {
                    let empty_sender = empty_sender.clone();
                    scope.spawn(move || {
                        let describer = networks.describer(&segment.settings);
                        let detector = networks.detector;
                        let found =
                            span.in_scope(|| detect_batches(full, &empty_sender, detector, describer, delivery));
                        if found.is_err() {
                            drop(full.lock().unwrap_or_else(PoisonError::into_inner).take());
                        }
                        found
                    })
                })
                .collect();
            let mut all = Vec::new();
            let mut outcome = Ok(());
            for worker in workers {
                match worker.join().unwrap_or_else(|_| {
                    drop(full.lock().unwrap_or_else(PoisonError::into_inner).take());
                    Err(Failure::transient("the detector stopped unexpectedly"))
                }) {
                    Ok(found) => all.push(found),
                    Err(failure) => outcome = outcome.and(Err(failure)),
                }
            }
            let decoded =
                decoding.join().unwrap_or_else(|_| Err(Failure::transient("the decoder stopped unexpectedly")));
            outcome.and(decoded).map(|()| all)
        })?;
        Ok(in_order(&lanes, segment, source))
    }
}

/// Lanes finish in any order, but rows must be in the order of frames.
fn in_order(lanes: &[LaneFound], segment: &SegmentDescription, source: &ChunkDescription) -> Found {
    let mut frames: Vec<(Seen, &[Detection], &AppearanceColumn, usize)> = Vec::with_capacity(source.frame_pts.len());
    for lane in lanes {
        let mut start = 0;
        for &(seen, end) in &lane.frames {
            frames.push((seen, &lane.detections[start..end], &lane.appearances, start));
            start = end;
        }
    }
    // The reader returns frames with ascending PTS, so this is the order of decoding.
    frames.sort_unstable_by_key(|((pts, _), ..)| *pts);
    let mut rows = Vec::with_capacity(lanes.iter().map(|lane| lane.detections.len()).sum());
    let bytes_each = lanes.iter().map(|lane| lane.appearances.bytes_each()).max().unwrap_or(0);
    let mut appearances = AppearanceColumn::new(bytes_each);
    for &((pts, _), detections, column, start) in &frames {
        (start..start + detections.len()).for_each(|at| appearances.push(column.get(at).unwrap_or_default()));
        let place = source.frame_pts.partition_point(|&planned| planned < pts) as u64;
        rows.extend(detections.iter().map(|found| DetectionRow {
            frame_index: (segment.span.first_frame + place) as i64,
            pts,
            bbox: [found.x1, found.y1, found.x2, found.y2],
            score: found.score,
            class_id: found.class_id as i32,
        }));
    }
    Found { rows, appearances, seen: frames.into_iter().map(|(seen, ..)| seen).collect() }
}

/// One lane: it processes batches until there are no more.
fn detect_batches(
    full: &Mutex<Option<Receiver<Batch>>>,
    empty: &SyncSender<Batch>,
    detector: &Detector,
    mut describer: Describer<'_>,
    delivery: &Delivery,
) -> Result<LaneFound, Failure> {
    let mut inference = Doing::begin(delivery, Activity::Inference);
    let (mut all, mut found) = (LaneFound::default(), BatchDetections::default());
    loop {
        // The lane holds the lock while it waits, because only one lane may take the next batch.
        let next = full.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|full| full.recv().ok());
        let Some(mut batch) = next else {
            all.appearances = inference.time(|| describer.finish())?;
            return Ok(all);
        };
        // Segments share the lanes. So the time until a lane is free does not count as inference.
        let mut lane = detector.wait_for_lane();
        inference.time(|| lane.detect_into(&batch.images, batch.frames.len(), LOWEST_SCORE, &mut found))?;
        drop(lane);
        inference.frames(batch.frames.len() as u64);
        for (slot, (&seen, detections)) in batch.frames.iter().zip(found.pictures()).enumerate() {
            delivery.step()?;
            all.detections.extend_from_slice(detections);
            inference.time(|| describer.take(&batch.images, slot, batch.whole.get(slot), detections))?;
            all.frames.push((seen, all.detections.len()));
        }
        batch.frames.clear();
        // The decoder can have ended already.
        empty.try_send(batch).ok();
    }
}

fn decode(
    mut reader: ChunkReader,
    Networks { detector, appearance }: Networks<'_>,
    empty: Receiver<Batch>,
    full: SyncSender<Batch>,
    delivery: &Delivery,
) -> Result<(), Failure> {
    let info = detector.info();
    let mut decoding = Doing::begin(delivery, Activity::Decode);
    let mut scaler = RgbScaler::with_filter(filter_of(info.resize));
    let mut batch: Option<Batch> = None;
    while let Some(frame) = decoding.time(|| reader.next())? {
        let mut filling = batch.take().unwrap_or_else(|| {
            empty.try_recv().unwrap_or_else(|_| Batch {
                images: ImageBatch::new(info, detector.batch(), frame.width(), frame.height()),
                frames: Vec::with_capacity(detector.batch()),
                whole: Vec::new(),
            })
        });
        if filling.frames.is_empty() {
            filling.whole.drain(..).for_each(|seen| reader.take_back(seen));
        }
        let slot = filling.frames.len();
        let placement = info.placement(frame.width(), frame.height());
        filling.images.set_placement(slot, placement);
        let (planes, stride_bytes) = filling.images.slot_mut(slot);
        decoding.time(|| {
            frame.rgb_scaled_into(&mut scaler, placement.inner_width, placement.inner_height, planes, stride_bytes)
        })?;
        decoding.frames(1);
        filling.frames.push((frame.pts, frame.is_damaged));
        match appearance {
            Some(_) => filling.whole.push(frame),
            None => reader.take_back(frame),
        }
        if filling.frames.len() < detector.batch() {
            batch = Some(filling);
        } else if full.send(filling).is_err() {
            // The network failed. Its failure is reported, and not this one.
            return Ok(());
        }
    }
    if let Some(last) = batch {
        full.send(last).ok();
    }
    Ok(())
}

/// The filter that a model needs for the scaling of pictures.
pub fn filter_of(resize: Resize) -> ResizeFilter {
    match resize {
        Resize::Swscale => ResizeFilter::Swscale,
        Resize::OpenCv => ResizeFilter::OpenCv,
        Resize::Pillow => ResizeFilter::Pillow,
    }
}

/// Checks that the chunk is the one that the manifest describes.
fn check_owner(source: &ChunkDescription, segment: &SegmentDescription) -> Result<(), Failure> {
    let Window { start_pts, end_pts, .. } = source.window;
    if (start_pts, end_pts) != (segment.span.start_pts, segment.span.end_pts)
        || source.frame_pts.sha256() != segment.pts_sha256
    {
        return Err(Failure::permanent(format!(
            "the chunk of segment {} holds other frames than its description says: process the video again",
            segment.segment_number
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_whole_if_each_planned_frame_came_out_undamaged() {
        let planned = [0, 40, 80];
        assert!(is_whole(&planned, &[(0, false), (40, false), (80, false)]));
        for seen in [&[(0, false), (40, true), (80, false)][..], &[(0, false), (80, false)], &[]] {
            assert!(!is_whole(&planned, seen), "{seen:?}");
        }
    }
}
