//! A source to its annotated video, with a mark that is drawn instead of a detector's.

use std::path::{Path, PathBuf};

use trackdrop_media::{
    Annotation, BoxMark, Canvas, ChunkReader, Cutter, JoinPart, JoinReport, Limits, SegmentEncoder, VideoIndex, draw,
    index, join,
};

/// Cuts, decodes, draws, encodes and joins, as the pipeline does; gives the PTS of the frames that were encoded.
pub fn annotate(source: &Path, out: &Path, segment_seconds: f64) -> (VideoIndex, JoinReport, Vec<i64>) {
    let dir = tempfile::tempdir().unwrap();
    let video = index(source, &Limits::default()).unwrap();
    let params = video.video_params();
    let segments = video.plan(segment_seconds).unwrap();
    let mut cutter = Cutter::open(source, &video, &segments).unwrap();
    let mut canvas = Canvas::new(&params).unwrap();
    let (mut files, mut given) = (Vec::<PathBuf>::new(), Vec::new());
    for segment in &segments {
        let chunk = dir.path().join("chunk.mkv");
        cutter.next_chunk(&chunk).unwrap();
        let window = segment.window();
        let mut reader = ChunkReader::open(&chunk, &window, &segment.frame_pts, &Limits::default(), 1)
            .unwrap()
            .with_orientation(params.orientation);
        let file = dir.path().join(format!("{:06}.mp4", segment.number));
        let mut encoder = SegmentEncoder::create(&file, &params, &window, 2).unwrap();
        while let Some(frame) = reader.next().unwrap() {
            canvas.load(&frame).unwrap();
            let mark = BoxMark { x1: 40.0, y1: 30.0, x2: 140.0, y2: 120.0, track_id: 3, label: "person", score: 0.9 };
            draw(&mut canvas, &Annotation { boxes: &[mark], trails: &[] });
            encoder.write(&mut canvas, frame.pts).unwrap();
            given.push(frame.pts);
        }
        assert_eq!(encoder.finish().unwrap(), reader.report().frames);
        files.push(file);
    }
    let parts: Vec<JoinPart<'_>> =
        files.iter().zip(&segments).map(|(path, s)| JoinPart { path, start_pts: s.span.start_pts }).collect();
    let report = join(&parts, Some(&source.into()), &params, out).unwrap();
    (video, report, given)
}
