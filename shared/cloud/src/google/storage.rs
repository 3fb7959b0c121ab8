//! Objects in Cloud Storage, over its JSON API.

use super::{
    Buckets, SettingsError,
    api::{Api, ApiError, Repeat, json},
    resumable,
};
use crate::{
    Content, Listing, LocalFile, ObjectInfo, Obstacle, OpenObject, Page, Precondition, PutOptions, ReadRange, Storage,
    StorageError,
};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, RANGE},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, io::Write, ops::Range, path::Path, sync::Arc};
use tempfile::{NamedTempFile, TempDir};
use trackdrop_pipeline::{Timestamp, names::ObjectName};

/// Above this an upload is resumable: a broken connection then costs a chunk and not the whole.
const RESUMABLE_FROM_BYTES: usize = 8 << 20;
/// What a path segment of the API keeps as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The members of an object that are asked for.
const FIELDS: &str = "name,generation,timeCreated,size,crc32c,metadata,contentEncoding,customerEncryption";
/// Encodings under which a content is other bytes than those that were uploaded as the video.
const COMPRESSED: [&str; 5] = ["gzip", "deflate", "br", "zstd", "compress"];
/// Objects that a listing leaves out which are named.
const NAMED: usize = 5;
/// Downloads that are begun anew because the object was overwritten in between.
const OVERTAKEN: u32 = 5;
/// Connections of one download that may break.
const BROKEN: u32 = 5;

/// Cloud Storage.
///
/// - Every write carries its CRC32C, which the service checks; every read is checked against it here.
/// - A deletion names the generation that it deletes, and is repeated.
/// - A write with a precondition is repeated after a transient failure: if an attempt that seemed to fail had arrived, the next one meets
///   412, and the object is compared with what was to be written. A write without one is made once.
#[derive(Clone, Debug)]
pub struct CloudStorage {
    api: Api,
    buckets: Buckets,
    scratch: Arc<TempDir>,
    resumable_from_bytes: usize,
}

/// An object as the API describes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectResource {
    name: String,
    generation: String,
    time_created: Timestamp,
    size: String,
    /// Not told of what is encrypted with a customer-supplied key.
    #[serde(default)]
    crc32c: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    content_encoding: Option<String>,
    #[serde(default)]
    customer_encryption: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedResources {
    /// Each is read by itself: one that is odd must not fail the others.
    #[serde(default)]
    items: Vec<Value>,
    next_page_token: Option<String>,
}

impl CloudStorage {
    /// Over these buckets.
    ///
    /// # Errors
    /// There are no credentials, or no folder for temporary files can be made.
    pub fn new(api: Api, buckets: Buckets) -> Result<Self, SettingsError> {
        let scratch = tempfile::Builder::new().prefix("trackdrop-").tempdir();
        let scratch = scratch
            .map_err(|error| SettingsError::Host(format!("no folder for temporary files can be made: {error}")))?;
        Ok(Self { api, buckets, scratch: Arc::new(scratch), resumable_from_bytes: RESUMABLE_FROM_BYTES })
    }

    /// With another size from which uploads are resumable.
    #[must_use]
    pub fn with_resumable_from(mut self, bytes: usize) -> Self {
        self.resumable_from_bytes = bytes;
        self
    }

    fn object_url(&self, object: &ObjectName) -> String {
        let name = utf8_percent_encode(&object.name, KEPT);
        format!("{}/storage/v1/b/{}/o/{name}", self.api.endpoint(), self.buckets.name_of(object.bucket))
    }

    fn info(&self, object: &ObjectName, resource: ObjectResource) -> Result<ObjectInfo, StorageError> {
        let bad = |what: &str| unavailable(&format!("reading what {object} is"), format!("its {what} makes no sense"));
        let crc32c = resource.crc32c.map(|text| {
            let bytes = STANDARD.decode(text).ok().and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
            bytes.map(u32::from_be_bytes).ok_or_else(|| bad("crc32c"))
        });
        let encoding = resource.content_encoding.unwrap_or_default();
        let is_compressed = COMPRESSED.iter().any(|known| known.eq_ignore_ascii_case(encoding.trim()));
        let obstacle = match resource.customer_encryption {
            Some(_) => Some(Obstacle::CustomerKey),
            None => is_compressed.then_some(Obstacle::Compressed),
        };
        Ok(ObjectInfo {
            object: ObjectName::new(object.bucket, resource.name),
            generation: resource.generation.parse().map_err(|_| bad("generation"))?,
            created: resource.time_created,
            bytes: resource.size.parse().map_err(|_| bad("size"))?,
            crc32c: crc32c.transpose()?,
            metadata: resource.metadata,
            obstacle,
        })
    }

    /// What an item of a listing says; its name and what is odd about it where that makes no sense.
    fn listed(&self, prefix: &ObjectName, item: Value) -> Result<ObjectInfo, (String, String)> {
        let name = item["name"].as_str().unwrap_or("(no name)");
        let name = ObjectName::new(prefix.bucket, name).to_string();
        let resource = serde_json::from_value(item).map_err(|error| (name.clone(), error.to_string()))?;
        self.info(prefix, resource).map_err(|error| (name, error.to_string()))
    }

    async fn look(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        let doing = format!("looking at {object}");
        let (url, fields) = (self.object_url(object), [("fields", FIELDS), ("projection", "noAcl")]);
        let answer = self.api.call(&doing, Repeat::Safe, |http| http.get(&url).query(&fields)).await;
        let answer = answer.map_err(|error| error_of(object, error))?;
        self.info(object, json(&doing, answer).await.map_err(|error| error_of(object, error))?)
    }

    /// Writes the content of exactly this generation into `sink`.
    async fn download(&self, info: &ObjectInfo, sink: &mut (impl Write + Send)) -> Result<(), Download> {
        let mut crc = 0;
        let mut sink = |bytes: &[u8]| {
            crc = crc32c::crc32c_append(crc, bytes);
            sink.write_all(bytes)
        };
        self.receive(info, 0..info.bytes, &mut sink).await?;
        // What differs is damaged, or was overwritten under a server that ignores preconditions on reads.
        if info.crc32c.is_none_or(|told| told == crc) { Ok(()) } else { Err(Download::Overtaken) }
    }

    /// Hands a range of exactly this generation to `take`, piece by piece; begins where the last attempt broke off.
    async fn receive(
        &self,
        info: &ObjectInfo,
        range: Range<u64>,
        take: &mut (impl FnMut(&[u8]) -> std::io::Result<()> + Send),
    ) -> Result<(), Download> {
        let object = &info.object;
        let doing = format!("reading {object}");
        let url = self.object_url(object);
        let query = [("alt", "media".to_owned()), ("ifGenerationMatch", info.generation.to_string())];
        let (mut at, mut broken) = (range.start, 0);
        while at < range.end {
            let is_part = at > 0 || range.end < info.bytes;
            let part = format!("bytes={at}-{}", range.end - 1);
            let get = |http: &reqwest::Client| {
                let get = http.get(&url).query(&query);
                if is_part { get.header(RANGE, &part) } else { get }
            };
            let mut answer = match self.api.call(&doing, Repeat::Safe, get).await {
                Err(ApiError { status: Some(404 | 412), .. }) => return Err(Download::Overtaken),
                outcome => outcome.map_err(|error| error_of(object, error))?,
            };
            // A server that ignores preconditions on reads says at least what it sends.
            let sent =
                answer.headers().get("x-goog-generation").and_then(|sent| sent.to_str().ok()?.parse::<i64>().ok());
            if sent.is_some_and(|sent| sent != info.generation) {
                return Err(Download::Overtaken);
            }
            // Asking again would not help: so are compressed objects answered, whatever their description says by now.
            if is_part && answer.status() != StatusCode::PARTIAL_CONTENT {
                let why = format!("{part} were asked for, and all was sent; {}", Obstacle::Compressed.as_str());
                return Err(StorageError::unreadable(object, why).into());
            }
            let ended = loop {
                match answer.chunk().await {
                    Ok(Some(chunk)) => {
                        take(&chunk).map_err(|error| self.io_error(&doing, error))?;
                        at += chunk.len() as u64;
                    }
                    Ok(None) => break "it ended early".to_owned(),
                    Err(error) => break error.to_string(),
                }
            };
            broken += u32::from(at < range.end);
            if broken >= BROKEN {
                return Err(unavailable(&doing, format!("the connection broke {broken} times: {ended}")).into());
            }
        }
        if at == range.end { Ok(()) } else { Err(Download::Overtaken) }
    }

    fn io_error(&self, doing: &str, error: std::io::Error) -> StorageError {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                StorageError::OutOfSpace { what: doing.to_owned(), place: self.scratch.path().display().to_string() }
            }
            _ => unavailable(doing, error),
        }
    }

    /// One attempt after another to write; see the type's documentation.
    async fn write(
        &self,
        object: &ObjectName,
        content: &Content,
        options: &PutOptions,
    ) -> Result<ObjectInfo, StorageError> {
        let doing = format!("writing {object}");
        let failed = |error: std::io::Error| self.io_error(&doing, error);
        let (bytes, crc32c) = match content {
            Content::Bytes(bytes) => (bytes.len() as u64, crc32c::crc32c(bytes)),
            Content::File(path) => checksum_of_file(path).await.map_err(failed)?,
        };
        let resource = json!({
            "name": object.name,
            "contentType": if options.content_type.is_empty() { "application/octet-stream" } else { options.content_type },
            "crc32c": STANDARD.encode(crc32c.to_be_bytes()),
            "metadata": options.metadata,
        });
        let mut query = vec![("fields", FIELDS.to_owned()), ("projection", "noAcl".to_owned())];
        match options.precondition {
            Precondition::None => {}
            Precondition::NotExists => query.push(("ifGenerationMatch", "0".into())),
            Precondition::Generation(generation) => query.push(("ifGenerationMatch", generation.to_string())),
        }
        let url = format!("{}/upload/storage/v1/b/{}/o", self.api.endpoint(), self.buckets.name_of(object.bucket));
        let repeat = if options.precondition == Precondition::None { Repeat::Never } else { Repeat::Safe };
        let upload = resumable::Upload { api: &self.api, doing: &doing, url: &url, query: &query, resource: &resource };
        let answer = match content {
            Content::File(path) if bytes as usize >= self.resumable_from_bytes => upload.of_file(path, bytes).await,
            Content::File(path) => {
                let content = tokio::fs::read(path).await.map_err(failed)?;
                self.multipart(&upload, content.into(), repeat).await
            }
            Content::Bytes(content) => self.multipart(&upload, content.clone(), repeat).await,
        };
        let written = match answer {
            Ok(resource) => self.info(object, resource)?,
            Err(ApiError { status: Some(412), attempts, .. }) => {
                return match self.look(object).await {
                    Ok(standing)
                        if attempts > 1
                            && (standing.bytes, standing.crc32c, &standing.metadata)
                                == (bytes, Some(crc32c), &options.metadata) =>
                    {
                        Ok(standing)
                    }
                    _ => Err(StorageError::Precondition { object: object.clone(), precondition: options.precondition }),
                };
            }
            Err(error) => return Err(error_of(object, error)),
        };
        if (written.bytes, written.crc32c.unwrap_or(crc32c)) != (bytes, crc32c) {
            return Err(unavailable(&doing, "what was stored differs from what was sent"));
        }
        Ok(written)
    }

    async fn multipart(
        &self,
        upload: &resumable::Upload<'_>,
        content: Bytes,
        repeat: Repeat,
    ) -> Result<ObjectResource, ApiError> {
        let boundary = format!("trackdrop-{:032x}", fastrand::u128(..));
        let content_type = upload.resource["contentType"].as_str().unwrap_or_default();
        let mut body = Vec::with_capacity(content.len() + 1_024);
        body.extend_from_slice(
            format!(
                "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{}\r\n\
                 --{boundary}\r\nContent-Type: {content_type}\r\n\r\n",
                upload.resource
            )
            .as_bytes(),
        );
        body.extend_from_slice(&content);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let (body, kind) = (Bytes::from(body), format!("multipart/related; boundary={boundary}"));
        let post = |http: &reqwest::Client| {
            let post = http.post(upload.url).query(&[("uploadType", "multipart")]).query(upload.query);
            post.header(CONTENT_TYPE, &kind).body(body.clone())
        };
        json(upload.doing, self.api.call(upload.doing, repeat, post).await?).await
    }
}

/// Why a download ended early.
enum Download {
    /// The object is another one by now.
    Overtaken,
    Failed(StorageError),
}

impl From<StorageError> for Download {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
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
        // The temporary file goes with the content, whatever comes out.
        self.write(object, &content, &options).await
    }

    async fn stat(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        check(object)?;
        self.look(object).await
    }

    async fn get(&self, object: &ObjectName) -> Result<(ObjectInfo, Bytes), StorageError> {
        check(object)?;
        for _ in 0..OVERTAKEN {
            let info = self.look(object).await?;
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
            let info = self.look(object).await?;
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
        let info = self.look(object).await?;
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
            tracing::warn!(bucket = %prefix.bucket, objects = odd.len(), "objects that can't be understood are left out of a listing: {}", some.join("; "));
        }
        Ok(Page { objects, next: page.next_page_token.filter(|token| !token.is_empty()) })
    }

    async fn delete(&self, object: &ObjectName) -> Result<(), StorageError> {
        check(object)?;
        let (doing, url) = (format!("deleting {object}"), self.object_url(object));
        for _ in 0..OVERTAKEN {
            let generation = match self.look(object).await {
                Ok(info) => info.generation,
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(error),
            };
            // Only so it may be repeated: a second delete by name alone could meet what somebody wrote after the first.
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

/// Reads ranges of an object as it was when it was opened.
#[derive(Debug)]
struct OfObject {
    storage: CloudStorage,
    info: ObjectInfo,
}

#[async_trait]
impl ReadRange for OfObject {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        let range = range.start..range.end.min(self.info.bytes);
        let mut content = Vec::with_capacity(range.end.saturating_sub(range.start) as usize);
        let mut take = |bytes: &[u8]| {
            content.extend_from_slice(bytes);
            Ok(())
        };
        match self.storage.receive(&self.info, range, &mut take).await {
            Ok(()) => Ok(content.into()),
            Err(Download::Overtaken) => Err(StorageError::NotFound(self.info.object.clone())),
            Err(Download::Failed(error)) => Err(error),
        }
    }
}

fn check(object: &ObjectName) -> Result<(), StorageError> {
    match object.name.len() {
        1..=1_024 => Ok(()),
        length => Err(StorageError::Name(length)),
    }
}

fn unavailable(doing: &str, reason: impl std::fmt::Display) -> StorageError {
    StorageError::Unavailable { doing: doing.to_owned(), reason: reason.to_string() }
}

/// The bucket asks whoever reads to pay, and nobody is named who does.
fn is_requester_pays(error: &ApiError) -> bool {
    let says = |text: &str| text.to_ascii_lowercase().contains("requester pays");
    error.status == Some(400) && (error.code.as_deref() == Some("UserProjectMissing") || says(&error.reason))
}

const REQUESTER_PAYS: &str = "its bucket lets the requester pay, which Trackdrop does not: turn that off with \
     `gcloud storage buckets update gs://BUCKET --no-requester-pays`";

fn error_of_listing(prefix: &ObjectName, doing: &str, error: ApiError) -> StorageError {
    if is_requester_pays(&error) { StorageError::unreadable(prefix, REQUESTER_PAYS) } else { unavailable(doing, error) }
}

fn error_of(object: &ObjectName, error: ApiError) -> StorageError {
    match error.status {
        _ if is_requester_pays(&error) => StorageError::unreadable(object, REQUESTER_PAYS),
        Some(404) if !error.doing.starts_with("writing") => StorageError::NotFound(object.clone()),
        _ => unavailable(&error.doing.clone(), error.reason),
    }
}

/// Size and CRC32C of a file.
async fn checksum_of_file(path: &Path) -> std::io::Result<(u64, u32)> {
    use tokio::io::AsyncReadExt;
    let mut file = tokio::fs::File::open(path).await?;
    let (mut buffer, mut bytes, mut crc) = (vec![0; 1 << 20], 0, 0);
    loop {
        match file.read(&mut buffer).await? {
            0 => return Ok((bytes, crc)),
            count => (bytes, crc) = (bytes + count as u64, crc32c::crc32c_append(crc, &buffer[..count])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackdrop_pipeline::Bucket;

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
