//! The renderer for real video. Decoding and drawing run in a separate thread, a few pictures ahead of the encoder.

use crate::{Rendered, Renderer, drawing::FrameDrawer, pick::Picked};
use std::{
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};
use trackdrop_flow::{Doing, room::Room};
use trackdrop_media::{
    Canvas, ChunkDescription, ChunkReader, Limits, MediaError, SegmentEncoder, Source, VideoEngine, VideoParams,
    VideoWork,
};
use trackdrop_pipeline::{Activity, Delivery, Failure, SegmentDescription};
use trackdrop_tables::tracks::SegmentTracks;

/// How many encoder threads one thread of decoding and drawing can supply. With its preset, the encoder needs about
/// four times as long for a picture as decoding and drawing (docs/speed.md). More threads would only add overhead.
const ENCODER_THREADS_A_DECODER: usize = 4;

/// Decodes and encodes with FFmpeg.
#[derive(Clone, Debug)]
pub struct MediaRenderer {
    /// The bounds on videos.
    pub limits: Limits,
    /// Threads of an encoder.
    pub threads: usize,
    /// The memory for pictures, which all segments of this process share.
    pub room: Room,
    /// The engine that encodes if it can. Decoding is always in software, because damage must be detected.
    pub video_engine: VideoEngine,
}

impl Renderer for MediaRenderer {
    fn render(
        &self,
        chunk: &Path,
        segment: &SegmentDescription,
        tracks: &SegmentTracks,
        out: &Path,
        delivery: &Delivery,
    ) -> Result<Rendered, Failure> {
        let params = &segment.presentation;
        let chunk = Source::from(chunk).named(segment.chunk_name());
        let source = ChunkDescription::read(&chunk, &self.limits)?;
        let effort = params.effort(self.threads);
        let _room = self.room.take(params.drawing_bytes(self.threads), delivery)?;
        let threads = (effort.threads / ENCODER_THREADS_A_DECODER).max(1);
        let reader = ChunkReader::open(&chunk, &source.window, &source.frame_pts, &self.limits, threads)?
            .with_orientation(params.orientation);
        let mut encoder = SegmentEncoder::create_on(self.video_engine, out, params, &source.window, self.threads)?;
        let mut encoding = Doing::begin(delivery, Activity::Encoding);

        let (drawn_sender, drawn) = sync_channel(effort.pictures_ahead);
        // Canvases are returned and reused: those ahead, one that is drawn on, and one that is encoded.
        let (used_sender, used) = sync_channel(effort.pictures_ahead + 2);
        let drawer = FrameDrawer::before(segment.span.first_frame as i64, tracks);
        let span = tracing::Span::current();
        let picked = std::thread::scope(|scope| -> Result<Vec<Picked>, Failure> {
            let drawing = scope
                .spawn(move || span.in_scope(|| draw_frames(reader, drawer, params, used, drawn_sender, delivery)));
            let encoded = encode_frames(|canvas, pts| encoder.write(canvas, pts), drawn, used_sender, &mut encoding);
            // If the encoder failed, drawing stopped without a failure of its own.
            let picked = drawing.join().unwrap_or_else(|_| Err(Failure::transient("drawing stopped unexpectedly")))?;
            encoded.map(|()| picked)
        })?;
        let frames = encoding.time(|| encoder.finish())?;
        encoding.frames(frames);
        encoding.bytes(std::fs::metadata(out).map_or(0, |file| file.len()));
        let crops =
            picked.into_iter().map(|picked| picked.into_crop(segment.span.time_base, params.origin_pts)).collect();
        Ok(Rendered { frames, crops })
    }
}

/// A picture that is ready for the encoder, and when it is shown.
type Drawn = (Canvas, i64);

/// Decodes and draws until there are no more frames, or the receiver does not exist any more. Returns the crops.
fn draw_frames(
    mut reader: ChunkReader,
    mut drawer: FrameDrawer<'_>,
    params: &VideoParams,
    used: Receiver<Canvas>,
    drawn: SyncSender<Drawn>,
    delivery: &Delivery,
) -> Result<Vec<Picked>, Failure> {
    let mut decoding = Doing::begin(delivery, Activity::Decode);
    let mut drawing = Doing::begin(delivery, Activity::Drawing);
    while let Some(frame) = decoding.time(|| reader.next())? {
        delivery.step()?;
        decoding.frames(1);
        let pts = frame.pts;
        let canvas = drawing.time(|| -> Result<Canvas, Failure> {
            let mut canvas = used.try_recv().or_else(|_| Canvas::new(params))?;
            canvas.load(&frame)?;
            drawer.draw_frame(&mut canvas, pts)?;
            Ok(canvas)
        })?;
        drawing.frames(1);
        reader.take_back(frame);
        if drawn.send((canvas, pts)).is_err() {
            // The encoder failed. Its failure is reported, and not this one.
            return Ok(Vec::new());
        }
    }
    Ok(drawer.picked())
}

/// Encodes picture after picture until there are no more. The time of waiting for a picture does not count as encoding.
fn encode_frames(
    mut write: impl FnMut(&mut Canvas, i64) -> Result<(), MediaError>,
    drawn: Receiver<Drawn>,
    used: SyncSender<Canvas>,
    encoding: &mut Doing,
) -> Result<(), Failure> {
    for (mut canvas, pts) in drawn {
        encoding.time(|| write(&mut canvas, pts))?;
        // The decoder can have ended already.
        used.try_send(canvas).ok();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeMap,
        sync::{
            Arc,
            atomic::{AtomicI64, Ordering},
        },
    };
    use trackdrop_pipeline::{Rational, Timestamp, clock::ClockInPlace};

    const PICTURES: i64 = 4;

    #[test]
    fn waiting_for_a_picture_is_no_encoding() {
        let params = VideoParams::plain(16, 16, Rational::ONE, Rational::ONE);
        let micros = Arc::new(AtomicI64::new(0));
        let pass = |seconds: i64| micros.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
        let clock = micros.clone();
        let _in_place = ClockInPlace::new(move || Timestamp::from_micros(clock.load(Ordering::SeqCst)));
        let delivery = Delivery::new();
        let mut encoding = Doing::begin(&delivery, Activity::Encoding);
        let (drawn_sender, drawn) = sync_channel(0);
        let (used_sender, used) = sync_channel(1);
        let (params, pass) = (&params, &pass);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut canvas = Canvas::new(params).unwrap();
                for pts in 0..PICTURES {
                    // Drawing takes 100 s, in which the encoder has nothing to do: it has given the last picture back.
                    pass(100);
                    drawn_sender.send((canvas, pts)).unwrap();
                    canvas = used.recv().unwrap();
                }
            });
            let write = |_: &mut Canvas, _| {
                pass(1);
                Ok(())
            };
            encode_frames(write, drawn, used_sender, &mut encoding).unwrap();
        });
        drop(encoding);
        assert_eq!(delivery.take_spent(), BTreeMap::from([(Activity::Encoding, PICTURES as f64)]));
    }
}
