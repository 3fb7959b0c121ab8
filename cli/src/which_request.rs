//! Which request a user means: its id, a beginning of it that no other has, the name of its video, or `latest`.

use crate::{
    google,
    host::{cloud_of, open_existing},
};
use anyhow::{anyhow, bail};
use std::path::Path;
use trackdrop_flow::{
    Cloud, end,
    known::{Known, all},
    manifest,
};
use trackdrop_pipeline::{
    Manifest, RequestId, Timestamp,
    names::{LONGEST_SHOWN, cut},
};

/// The word for the request that was made last.
const LATEST: &str = "latest";
/// What every id begins with.
const ID_START: &str = "req_";
/// The beginning of an id has at least this many characters, so that a short word does not match one by chance.
const SHORTEST_BEGINNING: usize = 4;
/// Requests that are named where a word means several.
const MOST_NAMED: usize = 5;

/// The manifest of the request that `asked` means, and where it is stored: the data directory, or the deployment on Google Cloud.
///
/// # Errors
/// As [`of`], and where there is no such request.
pub(crate) async fn stored(data: &Path, asked: &str, is_on_google: bool) -> anyhow::Result<(Cloud, Manifest)> {
    let (cloud, place) = match is_on_google {
        true => {
            let (cloud, buckets) = google::deployment()?;
            (Some(cloud), format!("the bucket {} (its upload may not have been planned yet)", buckets.results))
        }
        false => {
            let local = open_existing(data)?;
            (local.as_ref().map(cloud_of), format!("{data:?} (trackdrop requests lists them)"))
        }
    };
    let unknown = || anyhow!("there is no request {asked:?} in {place}");
    let cloud = cloud.ok_or_else(unknown)?;
    let request = of(&cloud, asked).await?;
    let manifest = manifest::read(&cloud, &request).await?.ok_or_else(unknown)?;
    Ok((cloud, manifest))
}

/// The request that `asked` means. A whole id is taken as it is, whether there is such a request or not.
///
/// # Errors
/// No request is meant, or several are; the message names them.
pub(crate) async fn of(cloud: &Cloud, asked: &str) -> anyhow::Result<RequestId> {
    if let Ok(request) = asked.parse() {
        return Ok(request);
    }
    let known = all(cloud).await?;
    let shown = cut(asked, LONGEST_SHOWN);
    if known.is_empty() {
        bail!("there is no request {shown:?}: there are none yet; trackdrop run VIDEO or an upload makes one");
    }
    if asked == LATEST {
        return latest(cloud, known).await;
    }
    let begins = |id: &str| {
        let (id, asked) = (id.trim_start_matches(ID_START), asked.trim_start_matches(ID_START));
        asked.chars().count() >= SHORTEST_BEGINNING && id.starts_with(asked)
    };
    // The same file name in another folder is another video, which is stored under its hash.
    let is_named = |video: &str| video == asked || video.rsplit('/').next() == Some(asked);
    let meant: Vec<&Known> =
        known.iter().filter(|known| begins(known.request.as_str()) || is_named(&known.video)).collect();
    match meant[..] {
        [only] => Ok(only.request.clone()),
        [] => bail!(
            "there is no request {shown:?}: give an id or its first {SHORTEST_BEGINNING} characters or more, the name of a video, or {LATEST:?} \
             (trackdrop requests lists those of this machine)"
        ),
        _ => {
            let named = meant.iter().rev().take(MOST_NAMED);
            let named: Vec<String> =
                named.map(|known| format!("{} of {:?}, {}", known.request, known.video, known.state())).collect();
            let more = meant.len().saturating_sub(MOST_NAMED);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            bail!("{shown:?} means {} requests, the latest first: {}{more}", meant.len(), named.join("; "))
        }
    }
}

/// The request that was made last. Another version of a request's tracks was made when that was asked for, and not with its upload.
async fn latest(cloud: &Cloud, known: Vec<Known>) -> anyhow::Result<RequestId> {
    let mut latest: Option<(Timestamp, RequestId)> = None;
    for Known { uploaded_at, request, manifest, .. } in known {
        let made_at = match &manifest {
            Some(manifest) => end::began_at(cloud, manifest).await?,
            None => uploaded_at,
        };
        latest = latest.max(Some((made_at, request)));
    }
    match latest {
        Some((_, request)) => Ok(request),
        None => bail!("there are no requests yet: trackdrop run VIDEO or an upload makes one"),
    }
}
