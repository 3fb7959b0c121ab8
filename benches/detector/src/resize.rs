//! What the filter of a family's own program costs: the track stage with a model that asks for it, and with FFmpeg's filter.

use crate::{
    by_turns::by_turns,
    clip::{Clip, cut},
    stage::{CPU, detecting, threads},
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{fs, path::Path, sync::Arc};
use tempfile::TempDir;
use trackdrop_track::DetectorPool;

/// The same model with two cards.
pub(crate) fn resize(model: &str, video: &str, rounds: usize) -> Result<()> {
    let stage = detecting(Arc::new(DetectorPool::new(threads(), CPU)));
    let folder = tempfile::tempdir()?;
    let [swscale, opencv] = ["swscale", "opencv"].map(|filter| clip_for(filter, &folder, model, video));
    println!("### The filter in the track stage\n");
    by_turns(&stage, [("`swscale`", &swscale?), ("`opencv`", &opencv?)], rounds, "decode and scale")
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
