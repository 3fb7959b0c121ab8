//! The identity of the caller that pushes: an OIDC token in the `Authorization` header.
//!
//! Cloud Run checks the same before a request arrives here, unless a service is open to all; then this is the only check. The official
//! `google-cloud-auth` has a verifier too, but one request that fetches keys makes all requests beside it fail (its cache is entered by
//! `try_write`), so the check is made here on `jsonwebtoken`: signature, audience, issuer, time, and the service account's email.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde::Deserialize;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, RwLock};

/// Google's public keys.
pub const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
const ISSUERS: &[&str] = &["https://accounts.google.com", "accounts.google.com"];
/// Keys older than this are fetched again, so that a withdrawn key is forgotten. Tokens that arrive meanwhile are still checked with the old keys.
/// Google says six hours.
const KEYS_LIVE: Duration = Duration::from_secs(3_600);
/// Keys are fetched, or tried to be, not more often than this: unknown ids cost an attacker nothing, and a key server that is down a lot.
const FETCH_EVERY: Duration = Duration::from_secs(10);
const FETCH_WITHIN: Duration = Duration::from_secs(10);
/// Clocks may differ.
const LEEWAY_S: u64 = 30;

/// Checks tokens for one audience and one service account.
#[derive(Clone, Debug)]
pub struct Verifier {
    audience: String,
    email: String,
    keys_url: String,
    keys_live: Duration,
    fetch_every: Duration,
    http: reqwest::Client,
    keys: Arc<RwLock<Keys>>,
    /// The last attempt; held during one.
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

/// A request that is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The token is missing or not good; another attempt with it is refused as well.
    #[error("unauthorised: {0}")]
    Token(String),
    /// The keys can't be fetched just now.
    #[error("the keys that tokens are signed with can't be fetched: {0}")]
    Keys(String),
}

#[derive(Deserialize)]
struct Claims {
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
}

impl Verifier {
    /// For tokens of this service account for this audience, signed by Google.
    pub fn new(audience: impl Into<String>, email: impl Into<String>) -> Self {
        Self {
            audience: audience.into(),
            email: email.into(),
            keys_url: GOOGLE_KEYS.into(),
            keys_live: KEYS_LIVE,
            fetch_every: FETCH_EVERY,
            http: reqwest::Client::new(),
            keys: Arc::default(),
            fetching: Arc::default(),
        }
    }

    /// With keys from elsewhere.
    #[must_use]
    pub fn with_keys_url(mut self, url: impl Into<String>) -> Self {
        self.keys_url = url.into();
        self
    }

    /// Sets the age after which keys are fetched again.
    #[must_use]
    pub fn with_keys_live(mut self, live: Duration) -> Self {
        self.keys_live = live;
        self
    }

    /// With another shortest time between two fetches of the keys.
    #[must_use]
    pub fn with_fetch_every(mut self, shortest: Duration) -> Self {
        self.fetch_every = shortest;
        self
    }

    /// Checks the value of an `Authorization` header.
    ///
    /// # Errors
    /// [`Refused`]: no token, one of another identity, or keys that cannot be fetched.
    pub async fn verify(&self, authorization: Option<&str>) -> Result<(), Refused> {
        let token = authorization.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = token.ok_or_else(|| refused("there is no bearer token"))?;
        let header = decode_header(token).map_err(refused)?;
        // Never what the token says: Google signs with RS256.
        if header.alg != Algorithm::RS256 {
            return Err(refused(format!("signed with {:?}, not RS256", header.alg)));
        }
        let key = self.key(&header.kid.ok_or_else(|| refused("it names no key"))?).await?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(ISSUERS);
        validation.set_audience(&[&self.audience]);
        let claims = decode::<Claims>(token, &key, &validation).map_err(refused)?.claims;
        match claims.email {
            Some(email) if email == self.email && claims.email_verified => Ok(()),
            Some(email) if email == self.email => Err(refused(format!("the email {email} is not verified"))),
            email => Err(refused(format!("it is of {:?}, not of {}", email.unwrap_or_default(), self.email))),
        }
    }

    /// The key of an id. Known ids never wait for a fetch, and they still work while the keys can't be fetched.
    async fn key(&self, id: &str) -> Result<DecodingKey, Refused> {
        if let Some((key, is_fresh)) = self.known(id).await {
            if !is_fresh {
                let verifier = self.clone();
                tokio::spawn(async move { verifier.refresh().await });
            }
            return Ok(key);
        }
        let mut last = self.fetching.lock().await;
        // The task that held the lock before may have fetched it.
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

    /// The key of an id, and whether it is not too old.
    async fn known(&self, id: &str) -> Option<(DecodingKey, bool)> {
        let keys = self.keys.read().await;
        let is_fresh = keys.fetched.is_some_and(|fetched| fetched.elapsed() < self.keys_live);
        keys.by_id.get(id).map(|key| (key.clone(), is_fresh))
    }

    /// Fetches the keys, unless somebody does so or has just tried.
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
        let get = self.http.get(&self.keys_url).timeout(FETCH_WITHIN).send().await;
        let set: JwkSet = match get.and_then(reqwest::Response::error_for_status) {
            Ok(answer) => answer.json().await.map_err(|error| error.to_string())?,
            Err(error) => return Err(error.to_string()),
        };
        let named =
            set.keys.iter().filter_map(|key| Some((key.common.key_id.clone()?, DecodingKey::from_jwk(key).ok()?)));
        Ok(named.collect())
    }
}

fn refused(why: impl std::fmt::Display) -> Refused {
    Refused::Token(why.to_string())
}
