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
    asked::{Candidate, LATEST, meant},
};

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
    if asked == LATEST && !known.is_empty() {
        return latest(cloud, known).await;
    }
    let candidates =
        known.iter().map(|known| Candidate { request: &known.request, video: &known.video, state: known.state() });
    let candidates: Vec<Candidate<'_>> = candidates.collect();
    Ok(meant(asked, &candidates)?.clone())
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
