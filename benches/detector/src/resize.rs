//! What the filter of a family's own program costs: the track stage with a model that asks for it, and with FFmpeg's filter.

use crate::{
    clip::{Clip, cut},
    median, ratio,
    stage::{CPU, run_stage, threads},
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{fs, path::Path, sync::Arc};
use tempfile::TempDir;
use trackdrop_flow::room::Room;
use trackdrop_media::{Limits, VideoEngine};
use trackdrop_track::{DetectorPool, MediaSegmentDetector};

/// By turns, so that both see the same machine.
pub(crate) fn resize(model: &str, video: &str, rounds: usize) -> Result<()> {
    let stage = MediaSegmentDetector {
        pool: Arc::new(DetectorPool::new(threads(), CPU)),
        limits: Limits::default(),
        room: Room::new(u64::MAX),
        decoder_threads: 1,
        video_engine: VideoEngine::Software,
    };
    let folder = tempfile::tempdir()?;
    let (swscale, opencv) = (clip_for("swscale", &folder, model, video)?, clip_for("opencv", &folder, model, video)?);
    let (mut with_swscale, mut with_opencv) = (Vec::new(), Vec::new());
    let (mut scaling_swscale, mut scaling_opencv) = (Vec::new(), Vec::new());
    run_stage(&stage, &swscale)?;
    run_stage(&stage, &opencv)?;
    for _ in 0..rounds {
        for (clip, fps, decode_ms) in
            [(&swscale, &mut with_swscale, &mut scaling_swscale), (&opencv, &mut with_opencv, &mut scaling_opencv)]
        {
            let (of_round, spent) = run_stage(&stage, clip)?;
            fps.push(of_round);
            decode_ms.push(spent.get("decode").copied().unwrap_or_default());
        }
    }
    println!("### The filter in the track stage, {rounds} rounds by turns, {} threads\n", threads());
    println!(
        "| `resize` | frames/s, median | ratio, median of the rounds | decode and scale, ms a frame |\n|---|---|---|---|"
    );
    println!("| `swscale` | {:.1} | 1 | {:.3} |", median(&with_swscale), median(&scaling_swscale));
    println!(
        "| `opencv` | {:.1} | {:.3} | {:.3} |\n",
        median(&with_opencv),
        ratio(&with_opencv, &with_swscale),
        median(&scaling_opencv)
    );
    Ok(())
}

/// The clip for a copy of the model whose card asks for the filter.
fn clip_for(filter: &str, folder: &TempDir, model: &str, video: &str) -> Result<Clip> {
    let copy = folder.path().join(format!("{filter}.onnx"));
    fs::copy(model, &copy).with_context(|| format!("{model} can't be copied"))?;
    let card = Path::new(model).with_extension("json");
    let mut fields = match fs::read(&card) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("{} is not JSON", card.display()))?,
        Err(_) => json!({}),
    };
    if let Value::Object(fields) = &mut fields {
        fields.insert("resize".to_owned(), json!(filter));
    }
    fs::write(copy.with_extension("json"), fields.to_string())?;
    cut(Path::new(video), copy.to_str())
}
