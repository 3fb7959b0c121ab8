//! The whole `split` stage on one video, on the local back end: index, plan, manifest, cut, SHA-256, durable chunks. Prints what it took
//! as JSON; `scripts/bench/split` compares it.
//!
//!     cargo run --release -p trackdrop-split --example split_stage -- VIDEO FOLDER
//!
//! VIDEO is moved into FOLDER, which must be on the same disk and is used as the data directory.

use std::{path::PathBuf, sync::Arc, time::Instant};

use tempfile::TempPath;
use trackdrop_cloud::{Content, PutOptions, Storage, local::LocalCloud};
use trackdrop_flow::{Cloud, manifest, stage::Staged};
use trackdrop_pipeline::{Bucket, Delivery, Event, Handler, names::ObjectName};
use trackdrop_split::{MediaCutter, Split};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(video), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: split_stage VIDEO FOLDER".into());
    };
    let local = Arc::new(LocalCloud::open(&folder, vec![])?);
    let cloud = Cloud::new(local.clone(), local.clone(), local.clone());
    let object = ObjectName::new(Bucket::Uploads, "video");
    let content = Content::File(TempPath::try_from_path(video)?);
    let info = local.put(&object, content, PutOptions::default()).await?;
    let upload = info.finalized();
    let request = upload.request().ok_or("an upload names its request")?;

    let started = Instant::now();
    let split = Staged(Split::new(cloud.clone(), Arc::new(MediaCutter::default())));
    split.handle(&Event::ObjectFinalized(upload), &Delivery::new()).await?;
    let seconds = started.elapsed().as_secs_f64();

    let manifest = manifest::read(&cloud, &request).await?.ok_or("there is no manifest")?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak_kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    let result = serde_json::json!({
        "seconds": seconds, "peak_kib": peak_kib.unwrap_or(0u64), "source_bytes": info.bytes,
        "segments": manifest.segments.len(), "error": manifest.error,
        "chunk_bytes": manifest.segments.iter().filter_map(|segment| segment.bytes).sum::<u64>(),
        "with_sha256": manifest.segments.iter().filter(|segment| segment.sha256.is_some()).count(),
    });
    println!("{result}");
    Ok(())
}
