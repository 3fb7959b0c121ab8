//! How long refining an hour of video takes: 108,000 frames with 50 objects in each, tracked by ByteTrack.
//!
//!     cargo run --release -p trackdrop-refine --example refine_hour [FRAMES [OBJECTS [MISSED]]]
//!
//! People walk at random; a share `MISSED` of the detections is missing (0.02 unless given), which cuts the tracks into pieces.

use fastrand::Rng;
use std::{error::Error, f64::consts::TAU, time::Instant};
use trackdrop_refine::{Detection, Link, Refine, Row, Smooth, Video, link, recover, smooth_rts};
use trackdrop_tracker::{ByteTrack, Settings};

const AREA_PX: [f64; 2] = [1920.0, 1080.0];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: f64| arguments.next().map_or(Ok(usual), |argument| argument.parse::<f64>());
    let (frame_count, objects, missed) = (number(108_000.0)? as u32, number(50.0)? as u32, number(0.02)?);
    let detections = crowd(frame_count, objects, missed);
    let start = Instant::now();
    let (rows, free) = track(&detections, frame_count)?;
    println!("{} rows tracked in {:.2} s", rows.len(), start.elapsed().as_secs_f64());
    let video = Video { frame_rate: 30.0, frame_count, size_px: Some(AREA_PX) };

    let pieces = 1 + {
        let mut by_id: Vec<(u64, u32)> = rows.iter().map(|row| (row.id, row.frame)).collect();
        by_id.sort_unstable();
        by_id.windows(2).filter(|two| two[0].0 != two[1].0 || two[0].1 + 1 != two[1].1).count()
    };
    let start = Instant::now();
    let linked = link(&rows, &video, &Link::default());
    println!("link: {pieces} pieces, {} links in {:.2} s", linked.links.len(), start.elapsed().as_secs_f64());
    let start = Instant::now();
    let recovered = recover(&linked.rows, &free, &video, false);
    println!("recover: {} rows added in {:.2} s", recovered.len() - rows.len(), start.elapsed().as_secs_f64());
    let start = Instant::now();
    let smoothed = smooth_rts(&recovered, &video);
    println!("rts: {} rows added in {:.2} s", smoothed.len() - recovered.len(), start.elapsed().as_secs_f64());
    drop((linked, recovered, smoothed));
    let all = Refine { link: Some(Link::default()), recover: true, smooth: Some(Smooth::Rts), ..Refine::default() };
    let start = Instant::now();
    let refined = all.apply(rows, &free, &video);
    println!("all in one: {} rows in {:.2} s", refined.rows.len(), start.elapsed().as_secs_f64());
    Ok(())
}

/// ByteTrack's rows, and the detections that have none.
fn track(detections: &[Detection], frame_count: u32) -> Result<(Vec<Row>, Vec<Detection>), Box<dyn Error>> {
    let mut tracker = ByteTrack::new(Settings::default())?;
    let (mut rows, mut free, mut rest) = (Vec::with_capacity(detections.len()), Vec::new(), detections);
    let mut input = Vec::new();
    for frame in 0..frame_count {
        let (now, after) = rest.split_at(rest.iter().take_while(|detection| detection.frame == frame).count());
        input.clear();
        input.extend(now.iter().map(|detection| {
            let [x1, y1, x2, y2] = detection.bbox;
            trackdrop_tracker::Detection { x1, y1, x2, y2, score: detection.score }
        }));
        let mut taken = vec![false; now.len()];
        for track in tracker.step(&input) {
            let measured = now[track.detection].bbox;
            let row = Row::new(frame, track.id, [track.x1, track.y1, track.x2, track.y2]);
            rows.push(Row { measured, score: track.score, ..row });
            taken[track.detection] = true;
        }
        free.extend(now.iter().zip(taken).filter(|(_, taken)| !taken).map(|(detection, _)| *detection));
        rest = after;
    }
    Ok((rows, free))
}

fn crowd(frame_count: u32, objects: u32, missed: f64) -> Vec<Detection> {
    let mut random = Rng::with_seed(1);
    let mut walkers: Vec<([f64; 2], [f64; 2], f64)> =
        (0..objects).map(|_| (AREA_PX.map(|side| side * random.f64()), [0.0; 2], 60.0 + 80.0 * random.f64())).collect();
    let mut detections = Vec::new();
    for frame in 0..frame_count {
        for (centre, velocity, height) in &mut walkers {
            for ((centre, velocity), bound) in centre.iter_mut().zip(velocity).zip(AREA_PX) {
                *velocity = (*velocity + 0.2 * normal(&mut random)).clamp(-4.0, 4.0);
                *centre += *velocity;
                if !(0.0..=bound).contains(centre) {
                    *centre = centre.clamp(0.0, bound);
                    *velocity = -*velocity;
                }
            }
            let [x, y] = centre.map(|centre| centre + normal(&mut random));
            let (w, h) = (*height * 0.4, *height * (1.0 + 0.015 * normal(&mut random)));
            let score = (0.82 + 0.12 * normal(&mut random)).clamp(0.05, 0.99);
            if random.f64() >= missed {
                let bbox = [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0];
                detections.push(Detection { frame, bbox, score, class: 0 });
            }
        }
    }
    detections
}

/// Box and Muller.
fn normal(random: &mut Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (TAU * random.f64()).cos()
}
