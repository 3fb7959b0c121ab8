//! Uploads that resume where a broken connection stopped them.

use super::{
    api::{Api, ApiError, Repeat, json},
    storage::ObjectResource,
};
use bytes::Bytes;
use reqwest::{
    Response,
    header::{CONTENT_RANGE, LOCATION, RANGE},
};
use serde_json::Value;
use std::{path::Path, time::Instant};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};

/// Bytes of one request. The service needs a multiple of 256 KiB.
const CHUNK_BYTES: u64 = 8 << 20;

/// The content and the target of an upload.
pub(super) struct Upload<'a> {
    pub(super) api: &'a Api,
    pub(super) doing: &'a str,
    pub(super) url: &'a str,
    pub(super) query: &'a [(&'static str, String)],
    pub(super) resource: &'a Value,
}

/// The state of an upload, as the service reports it.
enum Progress {
    /// It has this many bytes.
    Has(u64),
    /// It has all bytes.
    Done(ObjectResource),
}

impl Upload<'_> {
    /// Uploads a file of `bytes` bytes, at least one.
    pub(super) async fn of_file(&self, path: &Path, bytes: u64) -> Result<ObjectResource, ApiError> {
        let mut file = File::open(path).await.map_err(|error| self.failed(error))?;
        let mut session = self.begin().await?;
        let (mut at, mut failures, mut failed_first, mut is_known, mut is_anew) = (0, 0, None, true, false);
        loop {
            let outcome = match is_known && at < bytes {
                true => self.send(&session, &mut file, at, bytes).await,
                // It is not known how much of the last part arrived. All can have arrived, and the answer was lost.
                false => self.ask(&session, bytes).await,
            };
            let error = match outcome {
                Ok(Progress::Done(resource)) => return Ok(resource),
                Ok(Progress::Has(stored)) if stored > at => {
                    (at, failures, failed_first, is_known) = (stored, 0, None, true);
                    continue;
                }
                Ok(Progress::Has(stored)) if !is_known && stored < bytes => {
                    // It should not be less than before. If it is, the rest must be sent again.
                    (at, is_known) = (stored, true);
                    continue;
                }
                Ok(Progress::Has(_)) => self.failed("nothing of the last chunk was stored"),
                Err(error) => error,
            };
            failures += 1;
            // The session is lost. The upload can have been complete nevertheless. Then the precondition stops the new
            // session, and the object is compared.
            if matches!(error.status, Some(404 | 410)) && !is_anew && self.has_precondition() {
                session = self.begin().await?;
                (at, is_known, is_anew) = (0, true, true);
                continue;
            }
            let since = failed_first.get_or_insert_with(Instant::now).elapsed();
            let wait = self.api.retry().wait(failures, since, fastrand::f64()).filter(|_| error.is_transient());
            let attempts = failures + u32::from(is_anew);
            let Some(wait) = wait else { return Err(ApiError { attempts, ..error }) };
            tokio::time::sleep(wait).await;
            is_known = false;
        }
    }

    fn has_precondition(&self) -> bool {
        self.query.iter().any(|(name, _)| *name == "ifGenerationMatch")
    }

    /// Opens a session. An unused session has no effect, so this can be repeated.
    async fn begin(&self) -> Result<String, ApiError> {
        let post = |http: &reqwest::Client| {
            http.post(self.url).query(&[("uploadType", "resumable")]).query(self.query).json(self.resource)
        };
        let answer = self.api.call(self.doing, Repeat::Safe, post).await?;
        let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        location.ok_or_else(|| self.failed("the upload was given no address"))
    }

    async fn send(&self, session: &str, file: &mut File, at: u64, bytes: u64) -> Result<Progress, ApiError> {
        let end = (at + CHUNK_BYTES).min(bytes);
        let mut chunk = vec![0; (end - at) as usize];
        file.seek(std::io::SeekFrom::Start(at)).await.map_err(|error| self.failed(error))?;
        file.read_exact(&mut chunk).await.map_err(|error| self.failed(error))?;
        let range = format!("bytes {at}-{}/{bytes}", end - 1);
        let put = |http: &reqwest::Client| http.put(session).header(CONTENT_RANGE, range).body(Bytes::from(chunk));
        self.progress(self.api.raw(self.doing, put).await?).await
    }

    /// How many bytes the service has.
    async fn ask(&self, session: &str, bytes: u64) -> Result<Progress, ApiError> {
        let put = |http: &reqwest::Client| http.put(session).header(CONTENT_RANGE, format!("bytes */{bytes}")).body("");
        self.progress(self.api.raw(self.doing, put).await?).await
    }

    async fn progress(&self, answer: Response) -> Result<Progress, ApiError> {
        match answer.status().as_u16() {
            308 => {
                let range = answer.headers().get(RANGE).and_then(|value| value.to_str().ok());
                let last =
                    range.and_then(|range| range.rsplit_once('-')).and_then(|(_, last)| last.parse::<u64>().ok());
                Ok(Progress::Has(last.map_or(0, |last| last + 1)))
            }
            200 | 201 => json(self.doing, answer).await.map(Progress::Done),
            status => {
                let body = answer.text().await.unwrap_or_default();
                Err(ApiError::answered(self.doing, status, &body))
            }
        }
    }

    fn failed(&self, reason: impl std::fmt::Display) -> ApiError {
        ApiError::without_answer(self.doing, reason)
    }
}
