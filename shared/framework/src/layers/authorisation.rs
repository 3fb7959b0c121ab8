//! Refuses callers that may not push.

use crate::{
    answer::Answer,
    connections::Peer,
    oidc::{Refused, Verifier},
};
use axum::{
    extract::{Request, State},
    http::header::{AUTHORIZATION, ORIGIN},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

/// Who may push.
#[derive(Clone, Debug)]
pub(crate) enum MayPush {
    /// Callers with a valid token.
    Holders(Arc<Verifier>),
    /// Programs on this machine, but no page in a browser.
    ThisMachine,
    /// Any caller that reaches this service: something else has checked it.
    Anyone,
}

pub(crate) async fn layer(State(may): State<MayPush>, request: Request, next: Next) -> Response {
    match may {
        MayPush::Holders(verifier) => {
            let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            match verifier.verify(header).await {
                Ok(()) => {}
                Err(error @ Refused::Token(_)) => return Answer::Unauthorised(error.to_string()).into_response(),
                Err(error @ Refused::Keys(_)) => return Answer::Transient(error.to_string()).into_response(),
            }
        }
        MayPush::ThisMachine => {
            let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
            if !peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
                let peer = peer.map_or("unknown".to_owned(), |peer| peer.to_string());
                return Answer::Forbidden(format!("the caller {peer} is not this machine")).into_response();
            }
            if request.headers().contains_key(ORIGIN) {
                return Answer::Forbidden("the caller is a page in a browser".to_owned()).into_response();
            }
        }
        MayPush::Anyone => {}
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, http::StatusCode, middleware::from_fn_with_state, routing::post};
    use std::net::IpAddr;
    use tower::ServiceExt;

    async fn answer(may: MayPush, peer: Option<&str>, origin: Option<&str>) -> StatusCode {
        let router = Router::new().route("/", post(async || "taken")).layer(from_fn_with_state(may, layer));
        let mut request = Request::post("/");
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let mut request = request.body(Body::empty()).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(Peer(peer.parse::<IpAddr>().unwrap()));
        }
        router.oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn without_tokens_only_this_machine_may_push_unless_something_else_checks_callers() {
        for (peer, expected) in [
            (Some("127.0.0.1"), StatusCode::OK),
            (Some("127.8.9.10"), StatusCode::OK),
            (Some("::1"), StatusCode::OK),
            (Some("::ffff:127.0.0.1"), StatusCode::OK),
            (Some("10.0.0.7"), StatusCode::FORBIDDEN),
            (Some("::ffff:10.0.0.7"), StatusCode::FORBIDDEN),
            (Some("2001:db8::1"), StatusCode::FORBIDDEN),
            (None, StatusCode::FORBIDDEN),
        ] {
            assert_eq!(answer(MayPush::ThisMachine, peer, None).await, expected, "{peer:?}");
            assert_eq!(answer(MayPush::Anyone, peer, None).await, StatusCode::OK, "{peer:?}");
        }
        let page = Some("https://example.org");
        assert_eq!(answer(MayPush::ThisMachine, Some("127.0.0.1"), page).await, StatusCode::FORBIDDEN);
    }
}
