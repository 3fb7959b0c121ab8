//! The identity of the caller that pushes: an OIDC token in the `Authorization` header.
//!
//! Cloud Run checks the same before a request arrives here. If a service is open to all, this is the only check. It
//! checks signature, audience, issuer, time and the service account's e-mail, with the crate `jsonwebtoken`. The
//! official `google-cloud-auth` has a verifier too. But while one request fetches keys with it, all concurrent requests
//! fail, because it enters its cache by `try_write`.

pub use crate::keys::Refused;

use crate::keys::{LEEWAY_S, SigningKeys, refused};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use std::time::Duration;

/// Google's public keys.
pub const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
const ISSUERS: &[&str] = &["https://accounts.google.com", "accounts.google.com"];

/// Checks tokens for one audience and one service account.
#[derive(Clone, Debug)]
pub struct Verifier {
    audience: String,
    email: String,
    keys: SigningKeys,
}

#[derive(Deserialize)]
struct Claims {
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
}

impl Verifier {
    /// A verifier for tokens of this service account and this audience, signed by Google.
    pub fn new(audience: impl Into<String>, email: impl Into<String>) -> Self {
        Self { audience: audience.into(), email: email.into(), keys: SigningKeys::of(GOOGLE_KEYS) }
    }

    /// Sets another address of the keys.
    #[must_use]
    pub fn with_keys_url(mut self, url: impl Into<String>) -> Self {
        self.keys.url = url.into();
        self
    }

    /// Sets the age after which keys are fetched again.
    #[must_use]
    pub fn with_keys_live(mut self, live: Duration) -> Self {
        self.keys.live = live;
        self
    }

    /// Sets another shortest time between two fetches of the keys.
    #[must_use]
    pub fn with_fetch_every(mut self, shortest: Duration) -> Self {
        self.keys.fetch_every = shortest;
        self
    }

    /// Checks the value of an `Authorization` header.
    ///
    /// # Errors
    /// [`Refused`]: there is no token, it is of another identity, or the keys can't be fetched.
    pub async fn verify(&self, authorization: Option<&str>) -> Result<(), Refused> {
        let token = authorization.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = token.ok_or_else(|| refused("there is no bearer token"))?;
        let header = decode_header(token).map_err(refused)?;
        // Never the algorithm that the token names: Google signs with RS256.
        if header.alg != Algorithm::RS256 {
            return Err(refused(format!("signed with {:?}, not RS256", header.alg)));
        }
        let key = self.keys.get(&header.kid.ok_or_else(|| refused("it names no key"))?).await?;
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
}
