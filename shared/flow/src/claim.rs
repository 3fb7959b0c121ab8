//! One request for one content under one name: uploading the same content again creates no second request.
//!
//! Several actions write a new generation with the same content: a script that runs again, a restore from soft delete, a rewrite
//! into another storage class, the same parts composed again. Each generation has a different request id. Before a request stores
//! its plan, it claims its upload. A claim is made from the name, the content (size and CRC32C) and the settings; the length of
//! segments is left out, because no result depends on it. A request that finds the claim of another one does nothing if that
//! other one is cut or done. It takes over the claim of a request that failed: the user uploaded the file again because of the
//! failure.
//!
//! A copy with another name is another video, because rows have the name, and two users who upload the same film both
//! expect to find it. To process the same file again, upload it with other settings, or with a new text as custom
//! metadata [`AGAIN_KEY`].

use crate::{
    Cloud, Created, NewObject, end, manifest,
    round::{self, Round},
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use trackdrop_cloud::{Listing, ObjectInfo, Precondition};
use trackdrop_pipeline::{
    Bucket, Failure, RequestId, RequestSettings, RequestState, Stage, Timestamp,
    names::{Marker, ObjectName},
};

/// A key of an upload's custom metadata. Uploads with the same content, but with another text under this key, are different
/// uploads.
pub const AGAIN_KEY: &str = "trackdrop-again";
/// The key of a claim's custom metadata that holds the request.
const REQUEST_KEY: &str = "trackdrop-request";
/// How long a request may need from its claim to its plan, which is one write. If it needs longer, it finds that it
/// lost its claim.
const PLANNED_WITHIN_S: f64 = 30.0;
/// The prefix of the names of claims in `work`.
pub const PREFIX: &str = "uploaded/";
/// Attempts to take over a claim. If all of them lose, the delivery fails as transient, and a redelivery tries again.
const ATTEMPTS: u32 = 5;

/// A claim of an upload; none if its store does not report a checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim(Option<ObjectName>);

/// Who holds a claim.
enum Holder {
    /// No request, or one that can't continue. With the generation that a new claim overwrites.
    Free(Option<i64>),
    /// This request.
    Ours,
    /// A request that is cut.
    Other(RequestId),
    /// A request that is being cut from a generation that this upload has overwritten.
    InTheWay(RequestId, Round),
    /// A request that is about to write its plan.
    Undecided(RequestId),
}

impl Claim {
    /// The claim of an upload with these settings.
    pub fn of(upload: &ObjectInfo, settings: &RequestSettings) -> Self {
        let usual = RequestSettings::default();
        let settings = RequestSettings { segment_seconds: usual.segment_seconds, ..settings.clone() };
        let (Some(crc32c), Ok(settings)) = (upload.crc32c, serde_json::to_vec(&settings)) else { return Self(None) };
        let again = upload.metadata.get(AGAIN_KEY).map(String::as_bytes).unwrap_or_default();
        let (bytes, crc32c) = (upload.bytes.to_be_bytes(), crc32c.to_be_bytes());
        let mut hash = Sha256::new();
        // Lengths before the texts keep ("a", "bc") and ("ab", "c") apart.
        for part in [upload.object.name.as_bytes(), &bytes, &crc32c, &settings, again] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(Some(ObjectName::new(Bucket::Work, format!("{PREFIX}{:x}", hash.finalize()))))
    }

    /// Returns another request of the same content, if it continues without this upload.
    ///
    /// # Errors
    /// Transient: the store did not answer.
    pub async fn is_taken(&self, cloud: &Cloud, request: &RequestId) -> Result<Option<RequestId>, Failure> {
        let Some(claim) = &self.0 else { return Ok(None) };
        Ok(match holder(cloud, claim, request).await? {
            Holder::Other(other) => Some(other),
            Holder::Free(_) | Holder::Ours | Holder::InTheWay(..) | Holder::Undecided(_) => None,
        })
    }

    /// Checks, after a request has written its plan, that the claim still belongs to it.
    ///
    /// # Errors
    /// Permanent: the claim is another request's by now. Transient: the store did not answer.
    pub async fn check(&self, cloud: &Cloud, request: &RequestId) -> Result<(), Failure> {
        let Some(claim) = &self.0 else { return Ok(()) };
        let holder = cloud.find(claim).await?.and_then(|info| info.metadata.get(REQUEST_KEY).cloned());
        match holder {
            Some(other) if other != request.as_str() => Err(Failure::permanent(format!(
                "the upload was deleted or overwritten before it was planned: request {other} has the same content"
            ))),
            _ => Ok(()),
        }
    }

    /// Claims the upload for a request. If another request already has the claim, returns that one.
    ///
    /// If that request is still being cut, it fails, because this upload has overwritten its source.
    ///
    /// # Errors
    /// Transient: the other request is about to write its plan.
    pub async fn take(&self, cloud: &Cloud, request: &RequestId) -> Result<Option<RequestId>, Failure> {
        let Some(claim) = &self.0 else { return Ok(None) };
        let metadata = BTreeMap::from([(REQUEST_KEY.to_owned(), request.to_string())]);
        for _ in 0..ATTEMPTS {
            let new = || NewObject::marker(claim.clone()).with_metadata(metadata.clone());
            if let Created::Now(_) = cloud.create(new()).await? {
                return Ok(None);
            }
            let generation = match holder(cloud, claim, request).await? {
                Holder::Ours => return Ok(None),
                Holder::Other(other) => return Ok(Some(other)),
                Holder::InTheWay(other, round) => {
                    let reason = format!(
                        "the upload was deleted or overwritten before it was cut: request {request} has the same content"
                    );
                    end::fail(cloud, &other, Stage::Split, &reason, round, || None).await?;
                    continue;
                }
                Holder::Undecided(other) => {
                    return Err(Failure::transient(format!(
                        "the same content was uploaded before, and {other} is about to cut it"
                    )));
                }
                Holder::Free(generation) => generation,
            };
            let Some(generation) = generation else { continue };
            if cloud.put_if(Precondition::Generation(generation), new()).await?.is_some() {
                return Ok(None);
            }
        }
        Err(Failure::transient(format!("the claim {claim} was written by others {ATTEMPTS} times in a row")))
    }
}

/// The claims that a request holds. Their names do not contain the request, so all claims are read.
pub(crate) async fn held_by(cloud: &Cloud, request: &RequestId) -> Result<Vec<ObjectName>, Failure> {
    let mut held = Vec::new();
    let mut claims = Listing::of(&*cloud.storage, ObjectName::new(Bucket::Work, PREFIX));
    while let Some(claim) = claims.next().await? {
        if claim.metadata.get(REQUEST_KEY).is_some_and(|holder| holder == request.as_str()) {
            held.push(claim.object);
        }
    }
    Ok(held)
}

/// Which request holds a claim. Only the manifest of the request decides this. If it was planned or reopened, it holds
/// the claim.
async fn holder(cloud: &Cloud, claim: &ObjectName, request: &RequestId) -> Result<Holder, Failure> {
    let Some(info) = cloud.find(claim).await? else { return Ok(Holder::Free(None)) };
    let free = Holder::Free(Some(info.generation));
    let Some(other) = info.metadata.get(REQUEST_KEY).and_then(|text| text.parse::<RequestId>().ok()) else {
        return Ok(free);
    };
    if other == *request {
        return Ok(Holder::Ours);
    }
    let is_young = Timestamp::now().seconds_since(info.created) < PLANNED_WITHIN_S;
    Ok(match manifest::state_and_round(cloud, &other).await? {
        Some((RequestState::Failed, _)) => free,
        Some((RequestState::Splitting, round)) => Holder::InTheWay(other, round),
        Some(_) => Holder::Other(other),
        None if is_young => Holder::Undecided(other),
        // It died before it was planned, or its objects were deleted.
        None => free,
    })
}

/// Records that an upload makes no request, because its content has made another one. Then the sweeper does not search
/// for its request.
///
/// # Errors
/// Transient: the store did not answer.
pub async fn leave_to(
    cloud: &Cloud,
    request: &RequestId,
    upload: &ObjectName,
    other: &RequestId,
) -> Result<(), Failure> {
    let marker = NewObject::marker(Marker::Ended.object(request));
    cloud.create(marker.with_metadata(round::left_to(other))).await?;
    let reason = format!("{upload} was uploaded before with this content and these settings: {other}");
    tracing::info!(function = "split", %request, reason, "upload ignored");
    Ok(())
}
