//! Writes an object: in one request or, if it is large, by a resumable upload.

use super::{
    CloudStorage, error_of,
    resource::{FIELDS, ObjectResource},
    unavailable,
};
use crate::{
    Content, ObjectInfo, Precondition, PutOptions, StorageError,
    google::{
        api::{ApiError, Repeat, json},
        resumable,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use std::path::Path;
use trackdrop_pipeline::names::ObjectName;

impl CloudStorage {
    /// One attempt after another to write; see the type's documentation.
    pub(super) async fn write(
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
        let url = self.upload_url(object.bucket);
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
                return match self.info_of(object).await {
                    Ok(existing)
                        if attempts > 1
                            && (existing.bytes, existing.crc32c, &existing.metadata)
                                == (bytes, Some(crc32c), &options.metadata) =>
                    {
                        Ok(existing)
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
