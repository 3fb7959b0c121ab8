//! Lists, writes, reads and deletes objects in the buckets of a deployment.

use super::{Deployment, ENDS_WITHIN, bucket_name, expect};
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use trackdrop_pipeline::{RequestId, names::Bucket};

impl Deployment {
    /// Names and generations of the objects of a bucket that begin with `prefix`.
    pub async fn list(&self, bucket: Bucket, prefix: &str) -> Vec<(String, String)> {
        let bucket = bucket_name(bucket);
        let url = format!("http://{}/storage/v1/b/{bucket}/o?prefix={prefix}", self.storage.host());
        let page: Value = serde_json::from_slice(&expect(self.http.get(url)).await).unwrap();
        let text = |object: &Value, member: &str| object[member].as_str().unwrap().to_owned();
        let objects = page["items"].as_array().cloned().unwrap_or_default();
        objects.iter().map(|object| (text(object, "name"), text(object, "generation"))).collect()
    }

    /// Waits until `count` objects of a bucket begin with `prefix`.
    pub async fn until_listed(&self, bucket: Bucket, prefix: &str, count: usize) -> Vec<(String, String)> {
        let until = Instant::now() + ENDS_WITHIN;
        loop {
            let listed = self.list(bucket, prefix).await;
            if listed.len() >= count {
                return listed;
            }
            assert!(Instant::now() < until, "{bucket}/{prefix}: {listed:?}\n{}", self.gateway.logs().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Deletes an object directly, without any service.
    pub async fn delete(&self, bucket: Bucket, name: &str) {
        let (bucket, name) = (bucket_name(bucket), name.replace('/', "%2F"));
        expect(self.http.delete(format!("http://{}/storage/v1/b/{bucket}/o/{name}", self.storage.host()))).await;
    }

    /// Uploads by the HTTP API and returns the request that this makes. Each call makes another request, even if the same was
    /// uploaded before.
    pub async fn upload(&self, name: &str, content: &[u8], settings: Option<&Value>) -> RequestId {
        let metadata = settings.map(|settings| json!({ "trackdrop-settings": settings.to_string() }));
        self.upload_with(name, content, metadata.unwrap_or(json!({}))).await
    }

    /// The same, with this custom metadata.
    pub async fn upload_with(&self, name: &str, content: &[u8], mut metadata: Value) -> RequestId {
        metadata["trackdrop-again"] = format!("{:?}", Instant::now()).into();
        self.upload_as_it_is(name, content, metadata).await
    }

    /// Uploads with no more custom metadata than this.
    pub async fn upload_as_it_is(&self, name: &str, content: &[u8], metadata: Value) -> RequestId {
        request_of(&self.put(Bucket::Uploads, name, content, metadata).await)
    }

    /// Writes an object as an account that may write anything, and returns its description.
    pub async fn put(&self, bucket: Bucket, name: &str, content: &[u8], metadata: Value) -> Value {
        let resource = json!({ "name": name, "contentType": "video/mp4", "metadata": metadata });
        let mut body = format!(
            "--cut\r\nContent-Type: application/json\r\n\r\n{resource}\r\n--cut\r\nContent-Type: video/mp4\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n--cut--\r\n");
        let bucket = bucket_name(bucket);
        let url = format!("http://{}/upload/storage/v1/b/{bucket}/o?uploadType=multipart", self.storage.host());
        let post = self.http.post(url).header("content-type", "multipart/related; boundary=cut").body(body);
        serde_json::from_slice(&expect(post).await).unwrap()
    }

    /// The metadata of an object.
    pub async fn metadata(&self, bucket: Bucket, name: &str) -> Value {
        let (bucket, name) = (bucket_name(bucket), name.replace('/', "%2F"));
        let get = self.http.get(format!("http://{}/storage/v1/b/{bucket}/o/{name}", self.storage.host()));
        let object: Value = serde_json::from_slice(&expect(get).await).unwrap();
        object["metadata"].clone()
    }

    /// An object's content; none where it does not exist.
    pub async fn object(&self, bucket: Bucket, name: &str) -> Option<Bytes> {
        let name = name.replace('/', "%2F");
        let url = format!("http://{}/storage/v1/b/{}/o/{name}?alt=media", self.storage.host(), bucket_name(bucket));
        let answer = self.http.get(url).send().await.unwrap();
        if answer.status() == 404 {
            return None;
        }
        Some(answer.error_for_status().unwrap().bytes().await.unwrap())
    }
}

/// The request that an upload makes, as the API describes it.
pub(crate) fn request_of(object: &Value) -> RequestId {
    let generation = object["generation"].as_str().unwrap().parse().unwrap();
    let created = object["timeCreated"].as_str().unwrap().parse().unwrap();
    RequestId::of_upload(Bucket::Uploads.as_str(), object["name"].as_str().unwrap(), generation, created)
}
