//! Objects in Cloud Storage, over its JSON API.

mod download;
mod resource;
mod upload;

use super::{
    Buckets, SettingsError,
    api::{Api, ApiError, Repeat, json},
};
use crate::{Content, Listing, LocalFile, ObjectInfo, OpenObject, Page, PutOptions, Storage, StorageError};
use async_trait::async_trait;
use bytes::Bytes;
use download::{Download, OfObject};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
pub(super) use resource::ObjectResource;
use resource::{FIELDS, ListedResources};
use std::{path::Path, sync::Arc};
use tempfile::{NamedTempFile, TempDir};
use trackdrop_pipeline::{Bucket, names::ObjectName};

/// Above this size an upload is resumable: a broken connection then costs only a part.
const RESUMABLE_FROM_BYTES: usize = 8 << 20;
/// Characters that are not encoded in a path segment of the API.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// How many of the objects that a listing leaves out are named in the log.
const NAMED: usize = 5;
/// How often a download is restarted because the object was overwritten in the meantime.
const OVERTAKEN: u32 = 5;

/// Cloud Storage.
///
/// - Every write has its CRC32C, which the service checks. Every read is compared with it here.
/// - A deletion names the generation that it deletes, and is repeated.
/// - A write with a precondition is repeated after a transient failure. If the first attempt had an effect although it
///   seemed to fail, the next one gets 412. Then the object is compared with the content that was to be written. A
///   write without a precondition is made once.
#[derive(Clone, Debug)]
pub struct CloudStorage {
    api: Api,
    buckets: Buckets,
    scratch: Arc<TempDir>,
    resumable_from_bytes: usize,
}

impl CloudStorage {
    /// Cloud Storage with these buckets.
    ///
    /// # Errors
    /// There are no credentials, or no folder for temporary files can be made.
    pub fn new(api: Api, buckets: Buckets) -> Result<Self, SettingsError> {
        let scratch = tempfile::Builder::new().prefix("trackdrop-").tempdir();
        let scratch = scratch
            .map_err(|error| SettingsError::Host(format!("a folder for temporary files can't be made: {error}")))?;
        Ok(Self { api, buckets, scratch: Arc::new(scratch), resumable_from_bytes: RESUMABLE_FROM_BYTES })
    }

    /// Sets another size above which uploads are resumable.
    #[must_use]
    pub fn with_resumable_from(mut self, bytes: usize) -> Self {
        self.resumable_from_bytes = bytes;
        self
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    /// Where uploads into a bucket begin.
    pub(super) fn upload_url(&self, bucket: Bucket) -> String {
        format!("{}/upload/storage/v1/b/{}/o", self.api.endpoint(), self.buckets.name_of(bucket))
    }

    fn object_url(&self, object: &ObjectName) -> String {
        let name = utf8_percent_encode(&object.name, KEPT);
        format!("{}/storage/v1/b/{}/o/{name}", self.api.endpoint(), self.buckets.name_of(object.bucket))
    }

    async fn info_of(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        let doing = format!("looking at {object}");
        let (url, fields) = (self.object_url(object), [("fields", FIELDS), ("projection", "noAcl")]);
        let answer = self.api.call(&doing, Repeat::Safe, |http| http.get(&url).query(&fields)).await;
        let answer = answer.map_err(|error| error_of(object, error))?;
        self.info(object, json(&doing, answer).await.map_err(|error| error_of(object, error))?)
    }

    fn io_error(&self, doing: &str, error: std::io::Error) -> StorageError {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                StorageError::OutOfSpace { what: doing.to_owned(), place: self.scratch.path().display().to_string() }
            }
            _ => unavailable(doing, error),
        }
    }
}

#[async_trait]
impl Storage for CloudStorage {
    async fn put(
        &self,
        object: &ObjectName,
        content: Content,
        options: PutOptions,
    ) -> Result<ObjectInfo, StorageError> {
        check(object)?;
        // The temporary file is deleted with the content, after any result.
        self.write(object, &content, &options).await
    }

    async fn stat(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        check(object)?;
        self.info_of(object).await
    }

    async fn get(&self, object: &ObjectName) -> Result<(ObjectInfo, Bytes), StorageError> {
        check(object)?;
        for _ in 0..OVERTAKEN {
            let info = self.info_of(object).await?;
            info.check_readable()?;
            let mut content = Vec::with_capacity(info.bytes as usize);
            match self.download(&info, &mut content).await {
                Ok(()) => return Ok((info, content.into())),
                Err(Download::Overtaken) => {}
                Err(Download::Failed(error)) => return Err(error),
            }
        }
        Err(unavailable(&format!("reading {object}"), "it was overwritten again and again, or is damaged"))
    }

    async fn fetch(
        &self,
        object: &ObjectName,
        generation: Option<i64>,
    ) -> Result<(ObjectInfo, LocalFile), StorageError> {
        check(object)?;
        let doing = format!("reading {object}");
        for _ in 0..OVERTAKEN {
            let info = self.info_of(object).await?;
            if generation.is_some_and(|wanted| wanted != info.generation) {
                return Err(StorageError::NotFound(object.clone()));
            }
            info.check_readable()?;
            let mut file = NamedTempFile::new_in(self.scratch()).map_err(|error| self.io_error(&doing, error))?;
            match self.download(&info, &mut file).await {
                Ok(()) => return Ok((info, LocalFile::Copied(file.into_temp_path()))),
                Err(Download::Overtaken) => {}
                Err(Download::Failed(error)) => return Err(error),
            }
        }
        Err(unavailable(&doing, "it was overwritten again and again, or is damaged"))
    }

    async fn open(
        &self,
        object: &ObjectName,
        generation: Option<i64>,
    ) -> Result<(ObjectInfo, OpenObject), StorageError> {
        check(object)?;
        let info = self.info_of(object).await?;
        if generation.is_some_and(|wanted| wanted != info.generation) {
            return Err(StorageError::NotFound(object.clone()));
        }
        info.check_readable()?;
        let ranges = OfObject { storage: self.clone(), info: info.clone() };
        Ok((info, OpenObject::Ranges(Arc::new(ranges))))
    }

    async fn list(&self, prefix: &ObjectName) -> Result<Vec<ObjectInfo>, StorageError> {
        let (mut all, mut listing) = (Vec::new(), Listing::of(self, prefix.clone()));
        while let Some(info) = listing.next().await? {
            all.push(info);
        }
        Ok(all)
    }

    async fn list_page(&self, prefix: &ObjectName, from: Option<&str>) -> Result<Page, StorageError> {
        let doing = format!("listing {prefix}");
        let url = format!("{}/storage/v1/b/{}/o", self.api.endpoint(), self.buckets.name_of(prefix.bucket));
        let fields = format!("nextPageToken,items({FIELDS})");
        let mut query = vec![("prefix", prefix.name.as_str()), ("fields", &fields), ("projection", "noAcl")];
        query.extend(from.map(|token| ("pageToken", token)));
        let answer = self.api.call(&doing, Repeat::Safe, |http| http.get(&url).query(&query)).await;
        let answer = answer.map_err(|error| error_of_listing(prefix, &doing, error))?;
        let page: ListedResources = json(&doing, answer).await.map_err(|error| unavailable(&doing, error))?;
        let (mut objects, mut odd) = (Vec::new(), Vec::new());
        for item in page.items {
            match self.listed(prefix, item) {
                Ok(info) => objects.push(info),
                Err((name, why)) => odd.push(format!("{name}: {why}")),
            }
        }
        if let Some(some) = odd.get(..odd.len().min(NAMED)).filter(|some| !some.is_empty()) {
            tracing::warn!(bucket = %prefix.bucket, objects = odd.len(), "objects whose description is not valid are left out of a listing: {}", some.join("; "));
        }
        Ok(Page { objects, next: page.next_page_token.filter(|token| !token.is_empty()) })
    }

    async fn delete(&self, object: &ObjectName) -> Result<(), StorageError> {
        check(object)?;
        let (doing, url) = (format!("deleting {object}"), self.object_url(object));
        for _ in 0..OVERTAKEN {
            let generation = match self.info_of(object).await {
                Ok(info) => info.generation,
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(error),
            };
            // Only with the generation can it be repeated: a second delete by name could delete an object that was
            // written after the first.
            let query = [("ifGenerationMatch", generation.to_string())];
            match self.api.call(&doing, Repeat::Safe, |http| http.delete(&url).query(&query)).await {
                Ok(_) | Err(ApiError { status: Some(404), .. }) => return Ok(()),
                Err(ApiError { status: Some(412), .. }) => {}
                Err(error) => return Err(error_of(object, error)),
            }
        }
        Err(unavailable(&doing, "it was overwritten again and again"))
    }

    fn scratch(&self) -> &Path {
        self.scratch.path()
    }
}

pub(super) fn check(object: &ObjectName) -> Result<(), StorageError> {
    match object.name.len() {
        1..=1_024 => Ok(()),
        length => Err(StorageError::Name(length)),
    }
}

pub(super) fn unavailable(doing: &str, reason: impl std::fmt::Display) -> StorageError {
    StorageError::Unavailable { doing: doing.to_owned(), reason: reason.to_string() }
}

/// The bucket requires the requester to pay, and the request names no payer.
fn is_requester_pays(error: &ApiError) -> bool {
    let says = |text: &str| text.to_ascii_lowercase().contains("requester pays");
    error.status == Some(400) && (error.code.as_deref() == Some("UserProjectMissing") || says(&error.reason))
}

const REQUESTER_PAYS: &str = "its bucket lets the requester pay, which Trackdrop does not: turn that off with \
     `gcloud storage buckets update gs://BUCKET --no-requester-pays`";

fn error_of_listing(prefix: &ObjectName, doing: &str, error: ApiError) -> StorageError {
    if is_requester_pays(&error) { StorageError::unreadable(prefix, REQUESTER_PAYS) } else { unavailable(doing, error) }
}

pub(super) fn error_of(object: &ObjectName, error: ApiError) -> StorageError {
    match error.status {
        _ if is_requester_pays(&error) => StorageError::unreadable(object, REQUESTER_PAYS),
        Some(404) if !error.doing.starts_with("writing") => StorageError::NotFound(object.clone()),
        _ => unavailable(&error.doing.clone(), error.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_path_segment_of_the_address_whatever_it_holds() {
        let api = Api::new("", Some("127.0.0.1:1")).unwrap();
        let buckets = Buckets { uploads: "u".into(), work: "w".into(), results: "r".into() };
        let storage = CloudStorage::new(api, buckets).unwrap();
        let url = storage.object_url(&ObjectName::new(Bucket::Uploads, "a b/../%41#?&\nü"));
        assert_eq!(url, "http://127.0.0.1:1/storage/v1/b/u/o/a%20b%2F..%2F%2541%23%3F%26%0A%C3%BC");
        assert_eq!(reqwest::Url::parse(&url).unwrap().as_str(), url);
    }

    #[test]
    fn an_object_description_that_makes_no_sense_is_an_error() {
        let resource: Result<ObjectResource, _> = serde_json::from_value(serde_json::Value::Null);
        assert!(resource.is_err());
    }
}
