//! Objects as the JSON API describes them.

use super::{CloudStorage, unavailable};
use crate::{ObjectInfo, Obstacle, StorageError};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use trackdrop_pipeline::{Timestamp, names::ObjectName};

/// The requested members of an object.
pub(super) const FIELDS: &str = "name,generation,timeCreated,size,crc32c,metadata,contentEncoding,customerEncryption";
/// Encodings with which the content has other bytes than the uploaded video.
const COMPRESSED: [&str; 5] = ["gzip", "deflate", "br", "zstd", "compress"];

/// An object as the API describes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::google) struct ObjectResource {
    name: String,
    generation: String,
    time_created: Timestamp,
    size: String,
    /// Missing for objects that are encrypted with a customer-supplied key.
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
pub(super) struct ListedResources {
    /// Each item is parsed separately, because an invalid one must not fail the others.
    #[serde(default)]
    pub(super) items: Vec<Value>,
    pub(super) next_page_token: Option<String>,
}

impl CloudStorage {
    pub(super) fn info(&self, object: &ObjectName, resource: ObjectResource) -> Result<ObjectInfo, StorageError> {
        let bad = |what: &str| unavailable(&format!("reading what {object} is"), format!("its {what} is not valid"));
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

    /// Parses an item of a listing. If it is invalid, returns its name and what is wrong.
    pub(super) fn listed(&self, prefix: &ObjectName, item: Value) -> Result<ObjectInfo, (String, String)> {
        let name = item["name"].as_str().unwrap_or("(no name)");
        let name = ObjectName::new(prefix.bucket, name).to_string();
        let resource = serde_json::from_value(item).map_err(|error| (name.clone(), error.to_string()))?;
        self.info(prefix, resource).map_err(|error| (name, error.to_string()))
    }
}
