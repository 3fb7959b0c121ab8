//! What it costs to turn pictures upright: the track stage on a clip as it is, and as if it were stored on its side.

use crate::{
    by_turns::by_turns,
    clip::cut,
    stage::{CPU, detecting, threads},
};
use anyhow::Result;
use std::{path::Path, sync::Arc};
use trackdrop_media::Turn;
use trackdrop_track::DetectorPool;

/// The network gets as many pixels either way; only the turn is more.
pub(crate) fn turn(model: &str, video: &str, rounds: usize) -> Result<()> {
    let stage = detecting(Arc::new(DetectorPool::new(threads(), CPU)));
    let upright = cut(Path::new(video), Some(model))?;
    let mut turned = cut(Path::new(video), Some(model))?;
    for (_, segment) in &mut turned.chunks {
        segment.presentation.orientation.turn = Turn::Clockwise;
    }
    println!("### Turning pictures upright in the track stage\n");
    by_turns(&stage, [("stored upright", &upright), ("stored on its side", &turned)], rounds, "decode, scale and turn")
}
