//! The identity of a person who comes through Identity-Aware Proxy: its signed header.
//!
//! The proxy checks the identity and the access of a person, and adds a signed token (ES256). A caller that bypasses the proxy
//! has no such token. So every request is checked here: signature, issuer, audience and time; and the person, by the same list of
//! members that the proxy was given.

use crate::keys::{LEEWAY_S, Refused, SigningKeys};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use std::str::FromStr;

/// The header that the proxy adds. If a caller sends this header, the proxy removes it.
pub const HEADER: &str = "x-goog-iap-jwt-assertion";
/// The proxy's public keys.
pub const IAP_KEYS: &str = "https://www.gstatic.com/iap/verify/public_key-jwk";
const ISSUER: &str = "https://cloud.google.com/iap";

/// The people with access: `user:EMAIL`, `serviceAccount:EMAIL`, `domain:DOMAIN` and `group:EMAIL`, as IAM writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members(Vec<Member>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Member {
    One(String),
    /// Everybody with an address of this domain.
    Domain(String),
    /// Only the proxy knows who is in a group.
    Group,
}

/// Why a list of members is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a member: write user:EMAIL, serviceAccount:EMAIL, group:EMAIL or domain:DOMAIN, separated by commas"
)]
pub struct MemberError(String);

impl FromStr for Members {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        let member = |text: &str| {
            let wrong = || MemberError(text.to_owned());
            let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty()).ok_or_else(wrong)?;
            let name = name.to_lowercase();
            match (kind, name.contains('@')) {
                ("user" | "serviceAccount", true) => Ok(Member::One(name)),
                ("group", true) => Ok(Member::Group),
                ("domain", false) => Ok(Member::Domain(format!("@{name}"))),
                _ => Err(wrong()),
            }
        };
        let all: Vec<_> = text.split(',').map(str::trim).map(member).collect::<Result<_, _>>()?;
        Ok(Self(all))
    }
}

impl Members {
    /// Whether a person is a member. If a group is named, only the proxy can check it, and it has done so.
    fn has(&self, email: &str) -> bool {
        let email = email.to_lowercase();
        self.0.iter().any(|member| match member {
            Member::One(name) => *name == email,
            Member::Domain(ending) => email.ends_with(ending.as_str()),
            Member::Group => true,
        })
    }
}

/// Checks the proxy's header.
#[derive(Clone, Debug)]
pub struct IapVerifier {
    audience: String,
    members: Members,
    keys: SigningKeys,
}

/// Why a person is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The header is missing or not valid.
    #[error("this service is reached through Identity-Aware Proxy only, and its header {HEADER} is not valid: {0}")]
    Header(String),
    /// The person is not a member.
    #[error("{0} is not a member of this console: an administrator adds members to the Terraform variable `console`")]
    Person(String),
    /// The keys can't be fetched now.
    #[error("the keys that Identity-Aware Proxy signs with can't be fetched: {0}")]
    Keys(String),
}

impl From<Refused> for NotAdmitted {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Token(why) => Self::Header(why),
            Refused::Keys(why) => Self::Keys(why),
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    email: Option<String>,
}

impl IapVerifier {
    /// A checker for the proxy of the service with this audience: `/projects/NUMBER/locations/REGION/services/SERVICE`.
    pub fn new(audience: impl Into<String>, members: Members) -> Self {
        Self { audience: audience.into(), members, keys: SigningKeys::of(IAP_KEYS) }
    }

    /// Sets another address of the keys.
    #[must_use]
    pub fn with_keys_url(mut self, url: impl Into<String>) -> Self {
        self.keys.url = url.into();
        self
    }

    /// Checks the value of [`HEADER`], and returns the person's address.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub async fn verify(&self, header: Option<&str>) -> Result<String, NotAdmitted> {
        let not_good = |why: String| NotAdmitted::Header(why);
        let token = header.ok_or_else(|| not_good("it is missing".to_owned()))?;
        let head = decode_header(token).map_err(|error| not_good(error.to_string()))?;
        // Never the algorithm that the token names: the proxy signs with ES256.
        if head.alg != Algorithm::ES256 {
            return Err(not_good(format!("it is signed with {:?}, not ES256", head.alg)));
        }
        let id = head.kid.ok_or_else(|| not_good("it names no key".to_owned()))?;
        let key = self.keys.get(&id).await?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.leeway = LEEWAY_S;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[&self.audience]);
        let claims = decode::<Claims>(token, &key, &validation).map_err(|error| not_good(error.to_string()))?.claims;
        let email = claims.email.ok_or_else(|| not_good("it names nobody".to_owned()))?;
        if self.members.has(&email) { Ok(email) } else { Err(NotAdmitted::Person(email)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_a_person_a_domain_or_a_group_that_only_the_proxy_knows() {
        let members: Members = "user:Ann@acme.example, domain:films.example".parse().unwrap();
        for (email, may) in [
            ("ann@acme.example", true),
            ("ANN@acme.example", true),
            ("bob@films.example", true),
            ("bob@acme.example", false),
            ("bob@sub.films.example", false),
            ("bob@evil-films.example", false),
            ("", false),
        ] {
            assert_eq!(members.has(email), may, "{email}");
        }
        assert!("user:ann@acme.example,group:all@acme.example".parse::<Members>().unwrap().has("bob@acme.example"));
        for wrong in ["", "ann@acme.example", "user:ann", "domain:a@b", "allUsers", "user:", "user:a@b,"] {
            assert!(wrong.parse::<Members>().is_err(), "{wrong}");
        }
    }
}
