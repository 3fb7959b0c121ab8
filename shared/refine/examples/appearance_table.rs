//! Prints the table of `docs/tracking.md`: what it adds to links that objects have colours.
//!
//!     cargo run --release -p trackdrop-refine --example appearance_table VIDEO [WIDTH HEIGHT]
//!
//! `VIDEO` has the pictures of MOT15-PETS09-S2L1: vtest.avi, which `scripts/clip` fetches. They are scaled to `WIDTH` x `HEIGHT` px, as for a
//! detector (416 x 312 unless given). Needs the command `ffmpeg` and the golden runs.

#[path = "../tests/support/golden.rs"]
mod golden;

use golden::{MOT15, Result, Tracked};
use std::{
    io::Read,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use trackdrop_refine::{Appearances, Descriptor, Link, Picture, Refine, Smooth};
use trackdrop_tracker::Settings;

fn main() -> Result<()> {
    let Some(folder) = golden::folder() else { return Ok(()) };
    let mut arguments = std::env::args().skip(1);
    let video = arguments.next().ok_or("give the video")?;
    let width: u32 = arguments.next().map_or(Ok(416), |width| width.parse())?;
    let height: u32 = arguments.next().map_or(Ok(312), |height| height.parse())?;
    let mut tracked = Tracked::of(&folder, MOT15[1], Settings::default())?;
    let (appearances, took) = described(&mut tracked, &video, [width, height])?;
    let mean_us = took.as_secs_f64() * 1e6 / tracked.rows.len() as f64;
    println!("{} in {width} x {height} px: {mean_us:.1} µs a descriptor", tracked.name);
    let link = Refine { link: Some(Link::default()), ..Refine::default() };
    let rts = Refine { smooth: Some(Smooth::Rts), ..link.clone() };
    let all = Refine { recover: true, ..rts.clone() };
    println!("\n| | HOTA / AssA / IDF1 / IDSW | ids |\n|---|---|---|");
    for (name, refine) in [("`--link`", link), ("`--link --smooth rts`", rts), ("`--refine`", all)] {
        for (with, appearances) in [("", &Appearances::default()), (", colour", &appearances)] {
            let rows = refine.apply_seen(tracked.rows.clone(), &tracked.detections, appearances, &tracked.video).rows;
            let trackdrop_eval::Evaluation { hota, clear, identity, .. } = tracked.evaluate(&rows)?;
            let ids: std::collections::BTreeSet<u64> = rows.iter().map(|row| row.id).collect();
            let (hota, ass_a, idf1, switches) = (hota.hota, hota.ass_a, identity.idf1, clear.switches);
            println!("| {name}{with} | {hota:.2} / {ass_a:.2} / {idf1:.2} / {switches} | {} |", ids.len());
        }
    }
    Ok(())
}

/// Looks at every row's detection; how long describing took, decoding not included.
fn described(tracked: &mut Tracked, video: &str, [width, height]: [u32; 2]) -> Result<(Appearances, Duration)> {
    let scale = format!("scale={width}:{height}:flags=bilinear");
    let format = ["-f", "rawvideo", "-pix_fmt", "gbrp", "-fps_mode", "passthrough", "-"];
    let mut decoder = Command::new("ffmpeg")
        .args(["-v", "error", "-i", video, "-vf", &scale])
        .args(format)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut pictures = decoder.stdout.take().ok_or("no output")?;
    let (mut appearances, mut took) = (Appearances::default(), Duration::ZERO);
    let [full_width, full_height] = tracked.video.size_px.ok_or("no size")?;
    let by = [f64::from(width) / full_width, f64::from(height) / full_height];
    let pixels = (width * height) as usize;
    let mut picture = vec![0; 3 * pixels];
    for rows in tracked.rows.chunk_by_mut(|a, b| a.frame == b.frame).scan(0, |next, rows| {
        let skipped = rows[0].frame + 1 - *next;
        *next = rows[0].frame + 1;
        Some((skipped, rows))
    }) {
        let (pictures_on, rows) = rows;
        (0..pictures_on).try_for_each(|_| pictures.read_exact(&mut picture))?;
        let planes = [&picture[2 * pixels..], &picture[..pixels], &picture[pixels..2 * pixels]];
        let shown = Picture { planes, stride_bytes: width as usize, width, height };
        let started = Instant::now();
        for row in rows {
            let bbox = std::array::from_fn(|side| (row.measured[side] * by[side % 2]) as f32);
            row.appearance = appearances.add(Descriptor::of(&shown, bbox));
        }
        took += started.elapsed();
    }
    drop(pictures);
    decoder.wait()?;
    Ok((appearances, took))
}
