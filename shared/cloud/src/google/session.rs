//! Resumable uploads: the service opens the session, and a browser sends the content.

use super::{
    CloudStorage,
    api::{ApiError, Repeat},
    storage::{check, error_of, unavailable},
};
use crate::{NewUpload, Precondition, Storage, StorageError, UploadSessions};
use async_trait::async_trait;
use reqwest::header::{LOCATION, ORIGIN};
use serde_json::json;
use trackdrop_pipeline::names::ObjectName;

const CONTENT_TYPE: &str = "application/octet-stream";

#[async_trait]
impl UploadSessions for CloudStorage {
    async fn open_upload(&self, object: &ObjectName, upload: &NewUpload) -> Result<String, StorageError> {
        check(object)?;
        let taken = || StorageError::Precondition { object: object.clone(), precondition: Precondition::NotExists };
        // The precondition is checked only when all bytes have arrived, which is late for a large video.
        match self.stat(object).await {
            Ok(_) => return Err(taken()),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        let doing = format!("writing {object}");
        let resource = json!({ "name": object.name, "contentType": CONTENT_TYPE, "metadata": upload.metadata });
        let query =
            [("uploadType", "resumable"), ("ifGenerationMatch", "0"), ("fields", "name,generation,crc32c,size")];
        let (api, url) = (self.api(), self.upload_url(object.bucket));
        // An unused session has no effect, so this can be repeated.
        let post = |http: &reqwest::Client| {
            let post = http.post(&url).query(&query).json(&resource).header(ORIGIN, &upload.page);
            post.header("x-upload-content-type", CONTENT_TYPE).header("x-upload-content-length", upload.bytes)
        };
        let answer = match api.call(&doing, Repeat::Safe, post).await {
            Ok(answer) => answer,
            Err(ApiError { status: Some(412), .. }) => return Err(taken()),
            Err(error) => return Err(error_of(object, error)),
        };
        let address = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        address.map(str::to_owned).ok_or_else(|| unavailable(&doing, "the upload was given no address"))
    }

    fn origin(&self) -> String {
        let endpoint = self.api().endpoint();
        reqwest::Url::parse(endpoint).map_or_else(|_| endpoint.to_owned(), |url| url.origin().ascii_serialization())
    }
}
