//! Uploads as Google's own tools make them.

use crate::deployment::{Deployment, bucket_name, expect, request_of};
use serde_json::{Value, json};
use trackdrop_pipeline::{Bucket, RequestId};

/// Where `gcloud storage cp` puts the parts of one upload by default.
pub const GCLOUD_PARTS: &str = "gcloud/tmp/parallel_composite_uploads/see_gcloud_storage_cp_help_for_details/";
/// Where gsutil does; the number is another one for each upload.
pub const GSUTIL_PARTS: &str = "116049342853/gsutil/tmp/parallel_composite_uploads/for_details_see/gsutil_help_cp/";

impl Deployment {
    /// A parallel composite upload: parts of the content are finalised each by itself below `folder`, composed into the object, and deleted. Gives
    /// the request that the composed object makes.
    pub async fn upload_in_parts(&self, name: &str, content: &[u8], parts: usize, folder: &str) -> RequestId {
        let size = content.len().div_ceil(parts);
        let mut names = Vec::new();
        for (number, part) in content.chunks(size).enumerate() {
            let part_name = format!("{folder}6f1e9a_da39a3ee5e6b4b0d3255bfef95601890afd80709_{number}");
            self.upload_as_it_is(&part_name, part, json!({})).await;
            names.push(part_name);
        }
        let composed = self.compose(&names, name, json!({})).await;
        for part in &names {
            self.delete(Bucket::Uploads, part).await;
        }
        composed
    }

    /// Composes objects into one, with this custom metadata, and makes sure that its event is published.
    pub async fn compose(&self, from: &[String], to: &str, metadata: Value) -> RequestId {
        let (bucket, name) = (bucket_name(Bucket::Uploads), to.replace('/', "%2F"));
        let sources: Vec<_> = from.iter().map(|name| json!({ "name": name })).collect();
        let body =
            json!({ "sourceObjects": sources, "destination": { "contentType": "video/mp4", "metadata": metadata } });
        let object = format!("http://{}/storage/v1/b/{bucket}/o/{name}", self.storage.host());
        // The emulator gives what is composed onto an object the generation that was there; Cloud Storage a new one.
        self.http.delete(&object).send().await.unwrap();
        let url = format!("{object}/compose");
        let object: Value = serde_json::from_slice(&expect(self.http.post(&url).json(&body)).await).unwrap();
        // The emulator publishes events of written objects but not of composed ones; Cloud Storage publishes both.
        self.publish_again(Bucket::Uploads, to, object["generation"].as_str().unwrap()).await;
        request_of(&object)
    }
}
