//! What it costs to turn pictures upright: the track stage on a clip as it is, and as if it were stored on its side.

use crate::{
    clip::cut,
    median, ratio,
    stage::{CPU, run_stage, threads},
};
use anyhow::Result;
use std::{path::Path, sync::Arc};
use trackdrop_flow::room::Room;
use trackdrop_media::{Limits, Turn, VideoEngine};
use trackdrop_track::{DetectorPool, MediaSegmentDetector};

/// By turns, so that both see the same machine. The network gets as many pixels either way; only the turn is more.
pub(crate) fn turn(model: &str, video: &str, rounds: usize) -> Result<()> {
    let stage = MediaSegmentDetector {
        pool: Arc::new(DetectorPool::new(threads(), CPU)),
        limits: Limits::default(),
        room: Room::new(u64::MAX),
        decoder_threads: 1,
        video_engine: VideoEngine::Software,
    };
    let upright = cut(Path::new(video), Some(model))?;
    let mut turned = cut(Path::new(video), Some(model))?;
    for (_, segment) in &mut turned.chunks {
        segment.presentation.orientation.turn = Turn::Clockwise;
    }
    let (mut plain, mut with_turn) = (Vec::new(), Vec::new());
    let (mut decoding, mut decoding_turned) = (Vec::new(), Vec::new());
    run_stage(&stage, &upright)?;
    for _ in 0..rounds {
        for (clip, fps, decode_ms) in
            [(&upright, &mut plain, &mut decoding), (&turned, &mut with_turn, &mut decoding_turned)]
        {
            let (of_round, spent) = run_stage(&stage, clip)?;
            fps.push(of_round);
            decode_ms.push(spent.get("decode").copied().unwrap_or_default());
        }
    }
    println!("### Turning pictures upright in the track stage, {rounds} rounds by turns, {} threads\n", threads());
    println!(
        "| stored | frames/s, median | ratio, median of the rounds | decode, scale and turn, ms a frame |\n|---|---|---|---|"
    );
    println!("| upright | {:.1} | 1 | {:.3} |", median(&plain), median(&decoding));
    println!(
        "| on its side | {:.1} | {:.3} | {:.3} |\n",
        median(&with_turn),
        ratio(&with_turn, &plain),
        median(&decoding_turned)
    );
    Ok(())
}
