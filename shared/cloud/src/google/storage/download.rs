//! Reads exactly one generation of an object. If a connection breaks, the next one continues.

use super::{CloudStorage, error_of, unavailable};
use crate::{
    ObjectInfo, Obstacle, ReadRange, StorageError,
    google::api::{ApiError, Repeat},
};
use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{StatusCode, header::RANGE};
use std::{io::Write, ops::Range};

/// How many connections of one download can break.
const BROKEN: u32 = 5;

/// Why a download ended early.
pub(super) enum Download {
    /// The object was overwritten.
    Overtaken,
    Failed(StorageError),
}

impl From<StorageError> for Download {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

impl CloudStorage {
    /// Writes the content of exactly this generation into `sink`.
    pub(super) async fn download(&self, info: &ObjectInfo, sink: &mut (impl Write + Send)) -> Result<(), Download> {
        let mut crc = 0;
        let mut sink = |bytes: &[u8]| {
            crc = crc32c::crc32c_append(crc, bytes);
            sink.write_all(bytes)
        };
        self.receive(info, 0..info.bytes, &mut sink).await?;
        // If it differs, it is damaged, or it was overwritten and the server ignores preconditions on reads.
        if info.crc32c.is_none_or(|told| told == crc) { Ok(()) } else { Err(Download::Overtaken) }
    }

    /// Passes a range of exactly this generation to `take`, piece by piece. It begins where the last attempt broke off.
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
            // A server that ignores preconditions on reads at least states the generation that it sends.
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
}

/// Reads ranges of an object as it was when it was opened.
#[derive(Debug)]
pub(super) struct OfObject {
    pub(super) storage: CloudStorage,
    pub(super) info: ObjectInfo,
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
