//! A scene drawn over a still of a video, as one SVG file with the still in it.

use crate::{args::ReadingArguments, output::line, settings, whole_file};
use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{fmt::Write as _, io::Write as _, path::Path};
use trackdrop_media::{Canvas, ChunkReader, Cutter, Frame, Limits, index, read_still};
use trackdrop_scenes::{Point, Scene};

/// Seconds of a segment that is cut to see one frame.
const SEGMENT_S: f64 = 1.0;

pub(crate) fn preview(
    scene: &Scene,
    video: &Path,
    out: &Path,
    at_s: f64,
    reading: &ReadingArguments,
) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir().context("making a temporary folder")?;
    let still = still(video, at_s, reading, scratch.path())?;
    let canvas = Canvas::of_still(&still)?;
    let (width, height) = (canvas.width(), canvas.height());
    if !scene.fits(width, height) {
        bail!(
            "the picture of {video:?} is {width}x{height}, and the scene {:?} was drawn on {}x{}, another shape: draw one for this camera",
            scene.name,
            scene.picture.width_px,
            scene.picture.height_px
        );
    }
    let jpeg = scratch.path().join("still.jpg");
    canvas.write_still(&jpeg)?;
    let svg = drawn(scene, &STANDARD.encode(std::fs::read(&jpeg)?));
    whole_file::write(out, |mut file| Ok(file.write_all(svg.as_bytes())?))
        .with_context(|| format!("{} can't be written", out.display()))?;
    line!("{}", out.display());
    Ok(())
}

/// The frame at a time of a video, or a picture.
fn still(video: &Path, at_s: f64, reading: &ReadingArguments, scratch: &Path) -> anyhow::Result<Frame> {
    let limits = crate::host::limits()?;
    let ending = video.extension().unwrap_or_default().to_ascii_lowercase();
    if ["png", "jpg", "jpeg", "bmp", "webp"].iter().any(|known| ending == *known) {
        return Ok(read_still(video, &Limits::default())?);
    }
    let source = settings::source(video, reading)?;
    let found = index(source.clone(), &limits)?;
    let segments = found.plan(SEGMENT_S)?;
    let target = found.origin_pts + (at_s / found.time_base.to_f64()).round() as i64;
    let mut cutter = Cutter::open(source, &found, &segments)?;
    let chunk = scratch.join("chunk.mkv");
    for segment in &segments {
        cutter.next_chunk(&chunk)?;
        if segment.frame_pts.last().is_none_or(|last| *last < target) {
            continue;
        }
        let window = segment.window();
        let orientation = found.orientation;
        let mut reader =
            ChunkReader::open(&chunk, &window, &segment.frame_pts, &limits, 1)?.with_orientation(orientation);
        while let Some(frame) = reader.next()? {
            if frame.pts >= target {
                return Ok(frame);
            }
        }
    }
    bail!("{video:?} has no frame at or after {at_s} s: give an earlier --at")
}

fn drawn(scene: &Scene, jpeg: &str) -> String {
    let (width, height) = (scene.picture.width_px, scene.picture.height_px);
    // Strokes and letters that can be seen in a picture of any size.
    let unit = f64::from(width.max(height)) / 400.0;
    let path = |points: &[Point]| points.iter().map(|[x, y]| format!("{x},{y}")).collect::<Vec<_>>().join(" ");
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"{}\">\n\
         <image href=\"data:image/jpeg;base64,{jpeg}\" width=\"{width}\" height=\"{height}\"/>\n",
        unit * 7.0
    );
    // Writing to a String can't fail. Names are letters, digits, _ and -: nothing of XML.
    for zone in &scene.zones {
        let count = zone.points.len() as f64;
        let [x, y] = [0, 1].map(|k| zone.points.iter().map(|point| point[k]).sum::<f64>() / count);
        let points = path(&zone.points);
        writeln!(
            svg,
            "<polygon points=\"{points}\" fill=\"#2a9d8f\" fill-opacity=\"0.35\" stroke=\"#2a9d8f\" stroke-width=\"{unit}\"/>\n\
             <text x=\"{x}\" y=\"{y}\" fill=\"white\" text-anchor=\"middle\">{}</text>",
            zone.name
        ).ok();
    }
    for line in &scene.lines {
        let middle = (line.points.len() - 1) / 2;
        let ([ax, ay], [zx, zy]) = (line.points[middle], line.points[middle + 1]);
        let (dx, dy) = (zx - ax, zy - ay);
        let scale = 12.0 * unit / dx.hypot(dy);
        // To the right of the way from the first point to the last.
        let (rx, ry) = (-dy * scale, dx * scale);
        let (mx, my) = ((ax + zx) / 2.0, (ay + zy) / 2.0);
        let points = path(&line.points);
        writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"#e76f51\" stroke-width=\"{}\"/>\n\
             <line x1=\"{mx}\" y1=\"{my}\" x2=\"{}\" y2=\"{}\" stroke=\"#e9c46a\" stroke-width=\"{unit}\"/>\n\
             <circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"#e9c46a\"/>\n\
             <text x=\"{}\" y=\"{}\" fill=\"#e9c46a\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"{ax}\" y=\"{ay}\" fill=\"white\">{}</text>",
            unit * 1.5,
            mx + rx,
            my + ry,
            mx + rx,
            my + ry,
            unit * 1.5,
            mx + rx * 1.8,
            my + ry * 1.8,
            line.in_name,
            line.name
        )
        .ok();
    }
    svg.push_str("</svg>\n");
    svg
}
