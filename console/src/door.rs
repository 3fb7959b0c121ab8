//! Checks which HTTP requests are admitted.
//!
//! The page is served on the loopback interface, where every process and every web page of this machine can reach it. So:
//!
//! - **A token.** The command prints it in the address that it opens. The first answer makes a cookie of it that no script can read and that the
//!   browser sends with requests of this page only (`SameSite=Strict`, `HttpOnly`). Nothing else is answered without it.
//!
//! - **`Host`** must name the loopback interface: a name of an attacker that resolves to 127.0.0.1 is refused (DNS rebinding).
//! - **`Origin`**, where it is sent, must be this page's; what changes something must send it (cross-site requests).
//! - **Content-Security-Policy**: nothing is loaded, run or embedded but what this server serves; no script is in the page itself.
//!
//! On Google Cloud Identity-Aware Proxy is in front of it, and takes the token's place: a [`Guard`] checks what the proxy says of each request, and `Host`
//! must be a name of the service.

use crate::{Console, problem::Problem};
use async_trait::async_trait;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use std::{fmt, fmt::Write as _, fs::File, io::Read, sync::Arc};

/// Bytes of a token.
const TOKEN_BYTES: usize = 32;
const COOKIE: &str = "trackdrop_console";
/// Names of the loopback interface, as a `Host` has them.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; \
                      connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// The secret of one run of the console.
#[derive(Clone)]
pub struct Token(String);

/// No random bytes are available.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes are available from /dev/urandom: {0}")]
pub struct TokenError(#[from] std::io::Error);

impl Token {
    /// A new one that nobody can guess.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random() -> Result<Self, TokenError> {
        let mut bytes = [0; TOKEN_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String can't fail.
            write!(hex, "{byte:02x}").ok();
            hex
        })))
    }

    /// As it is in the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text is this token. Digests are compared, so the time of the comparison reveals nothing about the token.
    fn is(&self, given: &str) -> bool {
        Sha256::digest(&self.0) == Sha256::digest(given)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// The name of the cookie: cookies of one host are shared by all its ports.
fn cookie_name(host: &str) -> String {
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port);
    format!("{COOKIE}_{}", port.trim_end_matches(']'))
}

/// The check of callers if the page is not on the loopback interface.
#[async_trait]
pub trait Guard: fmt::Debug + Send + Sync {
    /// The host names of the page.
    fn hosts(&self) -> &[String];

    /// Whether a request is admitted, by its headers.
    ///
    /// # Errors
    /// [`TurnedAway`].
    async fn admit(&self, headers: &HeaderMap) -> Result<(), TurnedAway>;
}

/// A request that a [`Guard`] refuses, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TurnedAway {
    /// The person is unknown.
    #[error("{0}")]
    Unknown(String),
    /// The person has no access.
    #[error("{0}")]
    Forbidden(String),
    /// It can't be decided now.
    #[error("{0}")]
    Later(String),
}

impl From<TurnedAway> for Problem {
    fn from(away: TurnedAway) -> Self {
        let status = match &away {
            TurnedAway::Unknown(_) => StatusCode::UNAUTHORIZED,
            TurnedAway::Forbidden(_) => StatusCode::FORBIDDEN,
            TurnedAway::Later(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, away.to_string())
    }
}

/// How callers are checked.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// Who has the token, on this machine.
    Token(Token),
    /// Whom the guard admits.
    Guard(Arc<dyn Guard>),
}

impl Door {
    /// Checks a request; gives the cookie that is to be set, where one is.
    async fn admit(
        &self,
        method: &Method,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Option<String>, Problem> {
        match self {
            Self::Token(token) => admit(token, method, query, headers),
            Self::Guard(guard) => {
                is_of_page("https", guard.hosts(), method, headers)?;
                guard.admit(headers).await?;
                Ok(None)
            }
        }
    }
}

/// Lets in who may come in, and says to the browser what the page may do.
pub(crate) async fn guard(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let mut response = match console.door.admit(request.method(), request.uri().query(), request.headers()).await {
        Ok(cookie) => {
            let mut response = next.run(request).await;
            if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, console.policy.clone());
    response
}

/// The policy of a page that may send to this origin beside its own.
pub(crate) fn policy(also: Option<&str>) -> HeaderValue {
    let text = also.map(|also| POLICY.replace("connect-src 'self'", &format!("connect-src 'self' {also}")));
    text.and_then(|text| HeaderValue::try_from(text).ok()).unwrap_or(HeaderValue::from_static(POLICY))
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a request was made under one of these names, and by this page; gives its `Host`.
fn is_of_page<'a>(
    scheme: &str,
    names: &[impl AsRef<str>],
    method: &Method,
    headers: &'a HeaderMap,
) -> Result<&'a str, Problem> {
    let host = text(headers, &header::HOST).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |h| h.0);
    if !names.iter().any(|known| known.as_ref() == name) {
        let known = names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!("the console answers to {known} only, and the request was for {host:?}"),
        ));
    }
    let ours = format!("{scheme}://{host}");
    match headers.get(header::ORIGIN) {
        Some(origin) if origin.to_str().is_ok_and(|origin| origin == ours) => Ok(host),
        None if is_safe(method) => Ok(host),
        _ => Err(Problem::new(StatusCode::FORBIDDEN, "this was asked for by another page, which may not")),
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Checks a request; gives the cookie that is to be set where it came with the token in its address.
fn admit(token: &Token, method: &Method, query: Option<&str>, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let host = is_of_page("http", &LOOPBACK, method, headers)?;
    let name = cookie_name(host);
    let has_cookie = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).any(|cookies| {
        cookies.split(';').filter_map(|cookie| cookie.trim().split_once('=')).any(|(n, v)| n == name && token.is(v))
    });
    let given = query.into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("token="));
    match given {
        Some(given) if is_safe(method) && token.is(given) => {
            Ok(Some(format!("{name}={}; Path=/; HttpOnly; SameSite=Strict", token.as_str())))
        }
        _ if has_cookie => Ok(None),
        _ => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "this page needs the address that `trackdrop console` printed, with its token: open that one; a console that was started again has another",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, query: Option<&str>, headers: &[(&'static str, &str)]) -> Result<Option<String>, u16> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(*name, value.parse().unwrap());
        }
        admit(&Token("secret".into()), &method, query, &all).map_err(|problem| problem.status.as_u16())
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:8080");
    const COOKIE: (&str, &str) = ("cookie", "a=b; trackdrop_console_8080=secret");

    #[test]
    fn the_token_of_the_address_becomes_a_cookie_that_only_this_page_sends() {
        let cookie = asked(Method::GET, Some("token=secret"), &[HOST]).unwrap().unwrap();
        assert_eq!(cookie, "trackdrop_console_8080=secret; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(asked(Method::GET, None, &[HOST, COOKIE]), Ok(None));
    }

    #[test]
    fn without_the_token_nothing_is_answered() {
        for (query, cookie) in [
            (None, "a=b"),
            (Some("token="), "trackdrop_console_8080="),
            (Some("token=secre"), "trackdrop_console_8080=Secret"),
            (Some("tokens=secret"), "trackdrop_console_8081=secret"),
        ] {
            assert_eq!(asked(Method::GET, query, &[HOST, ("cookie", cookie)]), Err(401), "{query:?} {cookie}");
        }
    }

    #[test]
    fn a_name_that_is_not_the_loopback_interfaces_is_refused_whatever_it_resolves_to() {
        for host in ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil:80", "", "evil@127.0.0.1:80"] {
            assert_eq!(asked(Method::GET, None, &[("host", host), COOKIE]), Err(403), "{host}");
        }
        for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
            assert_eq!(asked(Method::GET, None, &[("host", host), COOKIE]), Ok(None), "{host}");
        }
    }

    #[test]
    fn another_page_can_ask_for_nothing_and_change_nothing() {
        for origin in ["http://evil.example", "http://127.0.0.1:9090", "https://127.0.0.1:8080", "null"] {
            for method in [Method::GET, Method::PUT, Method::POST] {
                assert_eq!(asked(method, None, &[HOST, COOKIE, ("origin", origin)]), Err(403), "{origin}");
            }
        }
        assert_eq!(asked(Method::PUT, None, &[HOST, COOKIE]), Err(403), "a change says who asks for it");
        assert_eq!(asked(Method::PUT, None, &[HOST, COOKIE, ("origin", "http://127.0.0.1:8080")]), Ok(None));
    }
}
