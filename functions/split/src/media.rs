//! The cutter for real video.

use crate::{Cutter, OpenVideo, PlannedSegment};
use std::{ops::Range, path::Path};
use tempfile::TempPath;
use trackdrop_flow::scratch_file;
use trackdrop_media::{Limits, Source, VideoIndex, VideoWork};
use trackdrop_pipeline::{
    Failure, RequestSettings, SegmentNumber,
    manifest::{VideoInfo, VideoStream, VideoStreams},
};

/// Cuts by packet copy with FFmpeg.
#[derive(Clone, Debug, Default)]
pub struct MediaCutter {
    /// The bounds on videos.
    pub limits: Limits,
}

impl Cutter for MediaCutter {
    fn open(&self, source: &Source, settings: &RequestSettings) -> Result<Box<dyn OpenVideo>, Failure> {
        let source = source.clone().read_as(settings.into());
        let index = trackdrop_media::index(&source, &self.limits)?;
        index.video_params().check_memory(&self.limits)?;
        let planned = index.plan(settings.segment_seconds)?;
        self.check_segments(planned.len() as u64, &index, settings.segment_seconds)?;
        Ok(Box::new(Video { source, index, planned }))
    }
}

impl MediaCutter {
    /// Each segment is a separate delivery, and one upload must not fill the queue for all others.
    fn check_segments(&self, segments: u64, index: &VideoIndex, target_s: f64) -> Result<(), Failure> {
        let bound = self.limits.max_segments;
        if segments <= bound {
            return Ok(());
        }
        let ticks = index.shown_end_pts.saturating_sub(index.shown_start_pts);
        let seconds = index.time_base.seconds(ticks);
        Err(Failure::permanent(format!(
            "segments of {target_s} s would be {segments}; the maximum is {bound}: give segment_seconds of {:.0} or more, \
             or raise max_segments in TRACKDROP_LIMITS",
            (seconds / bound.max(1) as f64 * 2.0).max(target_s * 2.0).ceil()
        )))
    }
}

struct Video {
    source: Source,
    index: VideoIndex,
    planned: Vec<trackdrop_media::PlannedSegment>,
}

impl OpenVideo for Video {
    fn info(&self) -> VideoInfo {
        let index = &self.index;
        let mut warnings = index.warnings.clone();
        let reencoded = self.planned.iter().filter(|segment| segment.is_reencoded).count();
        if reencoded > 0 {
            let reason = match index.can_be_copied {
                true => "the source has no key frame to cut at".to_owned(),
                false => format!("chunks can't hold {} as the source's container does", index.codec),
            };
            warnings.push(format!(
                "{reencoded} of {} segments are re-encoded without loss (lossless_transcode): {reason}",
                self.planned.len()
            ));
        }
        let params = index.video_params();
        let ((width_px, height_px), (shown_width_px, shown_height_px)) = (params.upright_size(), params.shown_size());
        VideoInfo {
            container: index.container.clone(),
            codec: index.codec.clone(),
            width_px,
            height_px,
            stored_width_px: Some(index.width),
            stored_height_px: Some(index.height),
            time_base: index.time_base,
            frame_rate: index.frame_rate,
            rotation_degrees: index.orientation.turn.degrees(),
            mirrored: Some(index.orientation.mirrored),
            sample_aspect_ratio: Some(params.upright_aspect()),
            shown_width_px: Some(shown_width_px),
            shown_height_px: Some(shown_height_px),
            frame_count: index.frame_count(),
            origin_pts: index.origin_pts,
            start_pts: index.shown_start_pts,
            end_pts: index.shown_end_pts,
            video_streams: index.video_streams.as_ref().map(|all| VideoStreams {
                taken: all.taken,
                rule: all.rule.clone(),
                streams: all
                    .streams
                    .iter()
                    .map(|stream| VideoStream {
                        number: stream.number,
                        codec: stream.codec.clone(),
                        width_px: stream.width_px,
                        height_px: stream.height_px,
                        program: stream.program,
                    })
                    .collect(),
            }),
            audio_codec: index.audio.as_ref().map(|audio| audio.codec.clone()),
            presentation: params,
            warnings,
        }
    }

    fn segments(&self) -> Vec<PlannedSegment> {
        self.planned.iter().map(to_plan).collect()
    }

    fn cut(
        &mut self,
        wanted: &[SegmentNumber],
        scratch: &Path,
        take: &mut dyn FnMut(SegmentNumber, TempPath) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let segments: Vec<_> = wanted.iter().filter_map(|number| self.planned.get(number.index()).cloned()).collect();
        let mut cutter = trackdrop_media::Cutter::open(&self.source, &self.index, &segments)?;
        loop {
            let chunk = scratch_file(scratch, ".mkv")?.into_temp_path();
            let Some(number) = cutter.next_chunk(&chunk)? else { return Ok(()) };
            let number = SegmentNumber::new(u64::from(number)).map_err(Failure::permanent_from)?;
            write_back(&chunk);
            take(number, chunk)?;
        }
    }

    fn key_frames(&self) -> Vec<u64> {
        self.index.key_frame_indices()
    }

    /// Uses a separate cutter, which seeks to the stretch if the format allows it.
    fn cut_stretch(&mut self, frames: &Range<u64>, scratch: &Path) -> Result<(PlannedSegment, TempPath), Failure> {
        let stretch = self.index.stretch(frames)?;
        let chunk = scratch_file(scratch, ".mkv")?.into_temp_path();
        trackdrop_media::cut(&self.source, &self.index, &stretch, &chunk)?;
        Ok((to_plan(&stretch), chunk))
    }
}

fn to_plan(segment: &trackdrop_media::PlannedSegment) -> PlannedSegment {
    PlannedSegment {
        span: segment.span,
        frame_pts: segment.frame_pts.clone(),
        lossless_transcode: segment.is_reencoded,
    }
}

/// Begins to write a chunk to the disk while the next one is cut. Correctness does not depend on it, because the store
/// syncs the chunk and waits for that.
fn write_back(chunk: &Path) {
    if let Ok(file) = std::fs::File::open(chunk) {
        // If the thread can't be started, this only costs time.
        std::thread::Builder::new().name("write-back".into()).spawn(move || file.sync_data()).ok();
    }
}
