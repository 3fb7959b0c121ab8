//! The public keys of tokens. They are fetched from the signer and cached for some time.

use jsonwebtoken::{DecodingKey, jwk::JwkSet};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, RwLock};

/// Keys that are older than this are fetched again, so that a withdrawn key is forgotten. Until then tokens are checked
/// with the old keys. Google says six hours.
const KEYS_LIVE: Duration = Duration::from_secs(3_600);
/// Keys are not requested more often than this. An attacker could send many unknown ids, and requests to a key server
/// that does not answer take long.
const FETCH_EVERY: Duration = Duration::from_secs(10);
const FETCH_WITHIN: Duration = Duration::from_secs(10);

/// Tolerance, because clocks can differ.
pub(crate) const LEEWAY_S: u64 = 30;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The token is missing or not valid. Another attempt with it is refused, too.
    #[error("unauthorised: {0}")]
    Token(String),
    /// The keys can't be fetched now.
    #[error("the keys that tokens are signed with can't be fetched: {0}")]
    Keys(String),
}

/// The keys at an address.
#[derive(Clone, Debug)]
pub(crate) struct SigningKeys {
    pub(crate) url: String,
    pub(crate) live: Duration,
    pub(crate) fetch_every: Duration,
    http: reqwest::Client,
    keys: Arc<RwLock<Keys>>,
    /// The last attempt. The lock is held during an attempt.
    fetching: Arc<Mutex<Option<Attempt>>>,
}

#[derive(Debug, Default)]
struct Keys {
    by_id: HashMap<String, DecodingKey>,
    fetched: Option<Instant>,
}

/// How an attempt to fetch the keys ended.
#[derive(Clone, Debug)]
struct Attempt {
    ended: Instant,
    outcome: Result<(), String>,
}

impl SigningKeys {
    /// The keys at this address. Nothing is fetched yet.
    pub(crate) fn of(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            live: KEYS_LIVE,
            fetch_every: FETCH_EVERY,
            http: reqwest::Client::new(),
            keys: Arc::default(),
            fetching: Arc::default(),
        }
    }

    /// Returns the key with an id. For a known id this never waits, and works even if the keys can't be fetched.
    pub(crate) async fn get(&self, id: &str) -> Result<DecodingKey, Refused> {
        if let Some((key, is_fresh)) = self.known(id).await {
            if !is_fresh {
                let keys = self.clone();
                tokio::spawn(async move { keys.refresh().await });
            }
            return Ok(key);
        }
        let mut last = self.fetching.lock().await;
        // The task that held the lock before can have fetched it.
        if let Some((key, _)) = self.known(id).await {
            return Ok(key);
        }
        if !self.is_recent(&last) {
            self.fetch_into(&mut last).await;
            if let Some((key, _)) = self.known(id).await {
                return Ok(key);
            }
        }
        match &*last {
            Some(Attempt { outcome: Err(error), .. }) => Err(Refused::Keys(error.clone())),
            _ => Err(refused(format!("it is signed with a key of the unknown id {id:?}"))),
        }
    }

    /// The key with an id, and whether it is not too old.
    async fn known(&self, id: &str) -> Option<(DecodingKey, bool)> {
        let keys = self.keys.read().await;
        let is_fresh = keys.fetched.is_some_and(|fetched| fetched.elapsed() < self.live);
        keys.by_id.get(id).map(|key| (key.clone(), is_fresh))
    }

    /// Fetches the keys, unless another task does so or has just tried.
    async fn refresh(&self) {
        if let Ok(mut last) = self.fetching.try_lock()
            && !self.is_recent(&last)
        {
            self.fetch_into(&mut last).await;
            if let Some(Attempt { outcome: Err(error), .. }) = &*last {
                tracing::warn!("the keys that tokens are signed with can't be fetched, the old ones are used: {error}");
            }
        }
    }

    fn is_recent(&self, last: &Option<Attempt>) -> bool {
        last.as_ref().is_some_and(|last| last.ended.elapsed() < self.fetch_every)
    }

    async fn fetch_into(&self, last: &mut Option<Attempt>) {
        let outcome = match self.fetch().await {
            Ok(by_id) => {
                *self.keys.write().await = Keys { by_id, fetched: Some(Instant::now()) };
                Ok(())
            }
            Err(error) => Err(error),
        };
        *last = Some(Attempt { ended: Instant::now(), outcome });
    }

    async fn fetch(&self) -> Result<HashMap<String, DecodingKey>, String> {
        let get = self.http.get(&self.url).timeout(FETCH_WITHIN).send().await;
        let set: JwkSet = match get.and_then(reqwest::Response::error_for_status) {
            Ok(answer) => answer.json().await.map_err(|error| error.to_string())?,
            Err(error) => return Err(error.to_string()),
        };
        let named =
            set.keys.iter().filter_map(|key| Some((key.common.key_id.clone()?, DecodingKey::from_jwk(key).ok()?)));
        Ok(named.collect())
    }
}

pub(crate) fn refused(why: impl std::fmt::Display) -> Refused {
    Refused::Token(why.to_string())
}
