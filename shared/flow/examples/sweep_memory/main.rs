//! How much memory a sweep takes, for `scripts/bench/sweep`.
//!
//!   sweep_memory fill STORE REQUESTS UPLOADS    makes REQUESTS requests that are over, and UPLOADS uploads that nothing took
//!   sweep_memory serve REQUESTS UPLOADS         answers for as many at `STORAGE_EMULATOR_HOST`, as Cloud Storage would, and keeps nothing
//!   sweep_memory sweep STORE                    sweeps, and prints what it found, how long it took, and the most memory that the process had
//!
//! STORE is a folder, which becomes a local store, or `emulator`: what answers at `STORAGE_EMULATOR_HOST`, be it an emulator of Cloud Storage, whose
//! buckets `sweep-uploads`, `sweep-work` and `sweep-results` exist, or what is served here. What is published goes nowhere.

mod served;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Instant,
};
use tokio::task::JoinSet;
use trackdrop_cloud::{
    Content, PutOptions, Storage,
    google::{Api, Buckets, CloudStorage},
    local::LocalCloud,
};
use trackdrop_flow::{
    Cloud,
    sweep::{self, Patience},
};
use trackdrop_pipeline::{
    Bucket, Delivery, NamePatterns, RequestId, Timestamp,
    names::{Marker, ObjectName, ResultFile},
};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Writes of the emulator that are made at the same time.
const AT_ONCE: usize = 32;
/// Longer ago than a request may stall, and not so long ago that the sweeper skips it.
const AGE_S: f64 = 86_400.0;

/// As long as a name may be.
fn hostile_name(number: u64) -> String {
    format!("{number:07}{}", "\u{1f3a5}".repeat(254))
}

/// As much as custom metadata may hold.
fn hostile_metadata() -> BTreeMap<String, String> {
    BTreeMap::from([("trackdrop-settings".to_owned(), "x".repeat(8_000))])
}

fn done() -> BTreeMap<String, String> {
    BTreeMap::from([("trackdrop-state".to_owned(), "done".to_owned())])
}

/// What a request leaves behind: its upload, its results and the marker that its end is published.
fn left_by(request: &RequestId, upload: ObjectName) -> Vec<(ObjectName, BTreeMap<String, String>)> {
    let files = [ResultFile::Detections, ResultFile::Tracks, ResultFile::AnnotatedVideo, ResultFile::Summary];
    let mut left = vec![
        (upload, BTreeMap::new()),
        (ResultFile::Manifest.object(request), done()),
        (Marker::Ended.object(request), BTreeMap::new()),
    ];
    left.extend(files.map(|file| (file.object(request), BTreeMap::new())));
    left
}

fn fill_local(folder: &Path, requests: u64, uploads: u64) -> Outcome<()> {
    drop(LocalCloud::open(folder, vec![])?);
    let mut catalog = rusqlite::Connection::open(folder.join(".store/catalog.db"))?;
    let transaction = catalog.transaction()?;
    let mut insert =
        transaction.prepare("INSERT INTO objects VALUES (?1, ?2, ?3, ?4, 1, 0, 'application/octet-stream', ?5)")?;
    let created = Timestamp::from_micros(Timestamp::now().micros() - (AGE_S * 1e6) as i64);
    let mut generation = created.micros();
    let mut put = |object: ObjectName, metadata: &BTreeMap<String, String>| -> Outcome<i64> {
        generation += 1;
        let (name, metadata) = (object.name.as_bytes(), serde_json::to_string(metadata)?);
        insert.execute((object.bucket.as_str(), name, generation, created.micros(), metadata))?;
        Ok(generation)
    };
    for number in 0..requests {
        let upload = ObjectName::new(Bucket::Uploads, format!("videos/{number:07}.mp4"));
        let generation = put(upload.clone(), &BTreeMap::new())?;
        let request = RequestId::of_upload(upload.bucket.as_str(), &upload.name, generation, created);
        for (object, metadata) in left_by(&request, upload).into_iter().skip(1) {
            put(object, &metadata)?;
        }
    }
    for number in 0..uploads {
        put(ObjectName::new(Bucket::Uploads, hostile_name(number)), &hostile_metadata())?;
    }
    drop(insert);
    Ok(transaction.commit()?)
}

async fn fill_emulator(storage: Arc<dyn Storage>, requests: u64, uploads: u64) -> Outcome<()> {
    let put = async |storage: &dyn Storage, object: &ObjectName, metadata: BTreeMap<String, String>| {
        storage.put(object, Content::Bytes("x".into()), PutOptions { metadata, ..Default::default() }).await
    };
    let mut writing = JoinSet::new();
    for number in 0..requests + uploads {
        if writing.len() >= AT_ONCE {
            writing.join_next().await.transpose()?.transpose()?;
        }
        let storage = storage.clone();
        writing.spawn(async move {
            if number >= requests {
                let hostile = ObjectName::new(Bucket::Uploads, hostile_name(number - requests));
                return put(&*storage, &hostile, hostile_metadata()).await.map(drop);
            }
            let upload = ObjectName::new(Bucket::Uploads, format!("videos/{number:07}.mp4"));
            let info = put(&*storage, &upload, BTreeMap::new()).await?;
            let request = RequestId::of_upload(upload.bucket.as_str(), &upload.name, info.generation, info.created);
            for (object, metadata) in left_by(&request, upload).into_iter().skip(1) {
                put(&*storage, &object, metadata).await?;
            }
            Ok(())
        });
    }
    while let Some(written) = writing.join_next().await {
        written??;
    }
    Ok(())
}

/// The most memory that this process has had (Linux).
fn most_mib() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("there is no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? >> 10)
}

async fn sweep(cloud: &Cloud, patience: Patience) -> Outcome<()> {
    let (mut found, mut failed, started) = (0u64, 0u64, Instant::now());
    let before = most_mib()?;
    let note: &mut (dyn FnMut(sweep::LookedAfter) + Send + Sync) = &mut |looked_after| match looked_after {
        Ok(_) => found += 1,
        Err(_) => failed += 1,
    };
    sweep::sweep_each(cloud, patience, &NamePatterns::default(), &BTreeSet::new(), &Delivery::new(), note).await?;
    let (seconds, most) = (started.elapsed().as_secs_f64(), most_mib()?);
    println!(
        "{found} stalled, {failed} could not be checked; {seconds:.1} s; {most} MiB at most ({before} MiB before)"
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    trackdrop_flow::allocator::settle();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let scratch = tempfile::tempdir()?;
    let emulator = |nowhere: &Arc<LocalCloud>| -> Outcome<Cloud> {
        let api = Api::new("", Some(&std::env::var("STORAGE_EMULATOR_HOST")?))?;
        let named = |role: &str| format!("sweep-{role}");
        let buckets = Buckets { uploads: named("uploads"), work: named("work"), results: named("results") };
        let storage = Arc::new(CloudStorage::new(api, buckets)?);
        Ok(Cloud::new(storage, nowhere.clone(), nowhere.clone()))
    };
    let nowhere = Arc::new(LocalCloud::open(scratch.path(), vec![])?);
    match arguments[..] {
        ["fill", "emulator", requests, uploads] => {
            fill_emulator(emulator(&nowhere)?.storage, requests.parse()?, uploads.parse()?).await
        }
        ["fill", folder, requests, uploads] => fill_local(Path::new(folder), requests.parse()?, uploads.parse()?),
        ["serve", requests, uploads] => {
            let address = std::env::var("STORAGE_EMULATOR_HOST")?;
            served::serve(&address, requests.parse()?, uploads.parse()?).await
        }
        // Everything that was just written counts as stalled at once.
        ["sweep", "emulator"] => sweep(&emulator(&nowhere)?, Patience { stalled_s: 0.0, ..Patience::default() }).await,
        ["sweep", folder] => {
            let local = Arc::new(LocalCloud::open(Path::new(folder), vec![])?);
            let cloud = Cloud::new(local.clone(), local.clone(), local);
            sweep(&cloud, Patience::default()).await
        }
        _ => Err("usage: sweep_memory fill STORE REQUESTS UPLOADS | serve REQUESTS UPLOADS | sweep STORE".into()),
    }
}
