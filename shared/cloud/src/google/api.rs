//! One HTTP call to an API of Google: with credentials, with retries if they are safe, and with a readable error.

use super::{Retry, SettingsError, retry::is_transient};
use google_cloud_auth::credentials::{self, CacheableResource, Credentials};
use reqwest::{Client, RequestBuilder, Response, header::HeaderMap};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::{Duration, Instant};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Longest time without data from a server. A whole transfer can take longer.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// A call that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{doing}: {reason} (attempt {attempts})")]
pub struct ApiError {
    /// What was being done.
    pub doing: String,
    /// The HTTP status. None if there was no answer.
    pub status: Option<u16>,
    /// The code of the error in the answer, such as `backendError`. BigQuery's codes say more than the HTTP status.
    pub code: Option<String>,
    /// The reason in the answer.
    pub reason: String,
    /// The number of attempts.
    pub attempts: u32,
}

impl ApiError {
    fn of(doing: &str, error: &reqwest::Error) -> Self {
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Self {
            doing: doing.to_owned(),
            status: error.status().map(|status| status.as_u16()),
            code: None,
            reason,
            attempts: 1,
        }
    }

    /// Reads the error from an answer.
    pub(super) fn answered(doing: &str, status: u16, body: &str) -> Self {
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        let code = json["error"]["errors"][0]["reason"].as_str().map(str::to_owned);
        Self {
            doing: doing.to_owned(),
            status: Some(status),
            code,
            reason: reason(status, &json["error"], body),
            attempts: 1,
        }
    }

    /// An error without an answer.
    pub(super) fn without_answer(doing: &str, reason: impl std::fmt::Display) -> Self {
        Self { doing: doing.to_owned(), status: None, code: None, reason: reason.to_string(), attempts: 1 }
    }

    /// Whether the same call can succeed at another time.
    pub(super) fn is_transient(&self) -> bool {
        self.status.is_none_or(is_transient)
    }
}

/// Whether repeating a call has no further effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It has no further effect.
    Safe,
    /// It can have a further effect, so the call is made once.
    Never,
}

/// A service of Google, or an emulator of it.
#[derive(Clone, Debug)]
pub struct Api {
    http: Client,
    endpoint: String,
    identity: Option<Identity>,
    retry: Retry,
}

/// The caller: the service's own account, or the user who is logged in on a laptop.
#[derive(Clone, Debug)]
pub struct Identity(Credentials);

impl Identity {
    /// The default credentials of Google Cloud. No token is requested yet.
    ///
    /// # Errors
    /// There are credentials that can't be read.
    pub fn default_account() -> Result<Self, SettingsError> {
        let credentials = credentials::Builder::default().with_scopes([SCOPE]).build();
        Ok(Self(credentials.map_err(|error| SettingsError::Credentials(error.to_string()))?))
    }

    /// The headers of a call that is made as this account.
    ///
    /// # Errors
    /// Why there is no token.
    pub async fn headers(&self) -> Result<HeaderMap, String> {
        match self.0.headers(Default::default()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(data),
            // Only an answer to a request that names a known tag.
            Ok(CacheableResource::NotModified) => Ok(HeaderMap::new()),
            Err(error) => Err(format!("no access token: {error}")),
        }
    }
}

impl Api {
    /// The service at `endpoint` with the default credentials, or the emulator, as `host:port` or URL, without any.
    ///
    /// # Errors
    /// There are no credentials, or the HTTP client cannot be made.
    pub fn new(endpoint: &str, emulator: Option<&str>) -> Result<Self, SettingsError> {
        let http = Client::builder().connect_timeout(CONNECT_WITHIN).read_timeout(SILENT_FOR).build();
        let http = http.map_err(|error| SettingsError::Host(format!("the HTTP client can't be made: {error}")))?;
        let (endpoint, identity) = match emulator {
            Some(url) if url.contains("://") => (url.trim_end_matches('/').to_owned(), None),
            Some(host) => (format!("http://{host}"), None),
            None => (endpoint.to_owned(), Some(Identity::default_account()?)),
        };
        Ok(Self { http, endpoint, identity, retry: Retry::default() })
    }

    /// Sets another retry policy.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn retry(&self) -> Retry {
        self.retry
    }

    /// Makes a call. `make` gets the client and builds the request again for each attempt. Returns any answer that is a success.
    pub(super) async fn call(
        &self,
        doing: &str,
        repeat: Repeat,
        make: impl Fn(&Client) -> RequestBuilder + Send + Sync,
    ) -> Result<Response, ApiError> {
        let (mut attempt, mut failed_first) = (1, None);
        loop {
            let error = match self.once(doing, make(&self.http)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => ApiError { attempts: attempt, ..error },
            };
            let wait = match repeat {
                Repeat::Safe if error.is_transient() => {
                    let since = *failed_first.get_or_insert_with(Instant::now);
                    self.retry.wait(attempt, since.elapsed(), fastrand::f64())
                }
                _ => None,
            };
            let Some(wait) = wait else { return Err(error) };
            tracing::debug!(%error, wait_ms = wait.as_millis() as u64, "call is made again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// One attempt.
    pub(super) async fn once(&self, doing: &str, request: RequestBuilder) -> Result<Response, ApiError> {
        let request = request.headers(self.authorisation(doing).await?);
        let answer = request.send().await.map_err(|error| ApiError::of(doing, &error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let body = answer.text().await.unwrap_or_default();
        Err(ApiError::answered(doing, status, &body))
    }

    /// One attempt. Returns its answer with any status.
    pub(super) async fn raw(
        &self,
        doing: &str,
        make: impl FnOnce(&Client) -> RequestBuilder + Send,
    ) -> Result<Response, ApiError> {
        let request = make(&self.http).headers(self.authorisation(doing).await?);
        request.send().await.map_err(|error| ApiError::of(doing, &error))
    }

    async fn authorisation(&self, doing: &str) -> Result<HeaderMap, ApiError> {
        let Some(identity) = &self.identity else { return Ok(HeaderMap::new()) };
        identity.headers().await.map_err(|reason| ApiError::without_answer(doing, reason))
    }
}

/// The JSON of an answer.
pub(super) async fn json<T: DeserializeOwned>(doing: &str, answer: Response) -> Result<T, ApiError> {
    let bytes = answer.bytes().await.map_err(|error| ApiError::of(doing, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        ApiError::without_answer(doing, format!("the answer is not what was expected ({error}): {start:?}"))
    })
}

/// The reason in the body of an error, in one line.
fn reason(status: u16, error: &Value, body: &str) -> String {
    let text = error["message"]
        .as_str()
        .or_else(|| error.as_str())
        .map_or_else(|| body.trim().chars().take(300).collect::<String>(), str::to_owned);
    format!("HTTP {status}: {}", text.escape_debug())
}
