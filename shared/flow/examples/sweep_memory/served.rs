//! A store that has as much as is asked for and keeps nothing: the JSON interface of Cloud Storage, in pages of as many objects as it gives.

use crate::{AGE_S, Outcome, hostile_metadata, hostile_name, left_by};
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use trackdrop_pipeline::{
    Bucket, RequestId, Timestamp,
    names::{Marker, ObjectName},
};

/// Objects on a page, as Cloud Storage has at most.
const PAGE: u64 = 1_000;
/// CRC32C of `x`, which is what every object holds.
const CRC32C_OF_X: &str = "qTxfkw==";

struct Served {
    hostile: u64,
    created: Timestamp,
    /// In the order of their ids.
    requests: Vec<RequestId>,
}

/// Answers until the process ends.
pub(crate) async fn serve(address: &str, requests: u64, hostile: u64) -> Outcome<()> {
    let created = Timestamp::from_micros(Timestamp::now().micros() - (AGE_S * 1e6) as i64);
    let request = |number| RequestId::of_upload(Bucket::Uploads.as_str(), &upload(number), generation(number), created);
    let mut requests: Vec<_> = (0..requests).map(request).collect();
    requests.sort_unstable();
    let router = Router::new()
        .route("/storage/v1/b/{bucket}/o", get(list))
        .route("/storage/v1/b/{bucket}/o/{name}", get(async || StatusCode::NOT_FOUND))
        .route("/upload/storage/v1/b/{bucket}/o", post(put))
        .with_state(Arc::new(Served { hostile, created, requests }));
    Ok(axum::serve(tokio::net::TcpListener::bind(address).await?, router).await?)
}

fn upload(number: u64) -> String {
    format!("videos/{number:07}.mp4")
}

fn generation(number: u64) -> i64 {
    number as i64 + 1
}

impl Served {
    /// How many objects of a bucket are listed.
    fn count(&self, bucket: Bucket) -> u64 {
        let requests = self.requests.len() as u64;
        match bucket {
            Bucket::Uploads => self.hostile + requests,
            Bucket::Work => requests,
            Bucket::Results => requests * self.results(0).len() as u64,
        }
    }

    /// What a request has in `results`, in the order of the names.
    fn results(&self, number: usize) -> Vec<(ObjectName, BTreeMap<String, String>)> {
        let Some(request) = self.requests.get(number) else { return vec![] };
        let mut left = left_by(request, ObjectName::new(Bucket::Uploads, ""));
        left.retain(|(object, _)| object.bucket == Bucket::Results);
        left.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        left
    }

    /// The object at a place of a listing.
    fn object(&self, bucket: Bucket, at: u64) -> (String, i64, BTreeMap<String, String>) {
        match (bucket, at.checked_sub(self.hostile)) {
            (Bucket::Uploads, None) => (hostile_name(at), 1, hostile_metadata()),
            (Bucket::Uploads, Some(number)) => (upload(number), generation(number), BTreeMap::new()),
            (Bucket::Work, _) => (Marker::Ended.object(&self.requests[at as usize]).name, 1, BTreeMap::new()),
            (Bucket::Results, _) => {
                let files = self.results(0).len() as u64;
                let (object, metadata) = self.results((at / files) as usize).swap_remove((at % files) as usize);
                (object.name, 1, metadata)
            }
        }
    }

    fn page(&self, bucket: Bucket, from: u64) -> Value {
        let until = (from + PAGE).min(self.count(bucket));
        let item = |at| {
            let (name, generation, metadata) = self.object(bucket, at);
            json!({ "name": name, "generation": generation.to_string(), "timeCreated": self.created, "size": "1",
                "crc32c": CRC32C_OF_X, "metadata": metadata })
        };
        let mut page = json!({ "items": (from..until).map(item).collect::<Vec<_>>() });
        if until < self.count(bucket) {
            page["nextPageToken"] = until.to_string().into();
        }
        page
    }
}

async fn list(
    State(served): State<Arc<Served>>,
    Path(bucket): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<String, StatusCode> {
    let query: BTreeMap<_, _> =
        query.iter().flat_map(|query| query.split('&')).filter_map(|part| part.split_once('=')).collect();
    let prefix = query.get("prefix").map_or_else(String::new, |prefix| prefix.replace("%2F", "/"));
    let bucket = match (&*bucket, &*prefix) {
        ("sweep-uploads", "") => Bucket::Uploads,
        ("sweep-results", "") => Bucket::Results,
        ("sweep-work", prefix) if prefix == Marker::Ended.prefix() => Bucket::Work,
        _ => return Err(StatusCode::NOT_IMPLEMENTED),
    };
    let from = query.get("pageToken").map_or(Ok(0), |token| token.parse()).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(served.page(bucket, from).to_string())
}

/// Says of a multipart upload what Cloud Storage would.
async fn put(body: String) -> Result<String, StatusCode> {
    let parts: Vec<_> = body.split("\r\n").collect();
    let [_, _, "", resource, _, _, "", content, ..] = parts[..] else { return Err(StatusCode::BAD_REQUEST) };
    let mut resource: Value = serde_json::from_str(resource).map_err(|_| StatusCode::BAD_REQUEST)?;
    resource["generation"] = "1".into();
    resource["size"] = content.len().to_string().into();
    resource["timeCreated"] = json!(Timestamp::now());
    Ok(resource.to_string())
}
