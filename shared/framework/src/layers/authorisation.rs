//! Only who is meant to push may.

use crate::{
    answer::Answer,
    oidc::{Refused, Verifier},
};
use axum::{
    extract::{Request, State},
    http::header::AUTHORIZATION,
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

pub(crate) async fn layer(State(verifier): State<Option<Arc<Verifier>>>, request: Request, next: Next) -> Response {
    if let Some(verifier) = verifier {
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        match verifier.verify(header).await {
            Ok(()) => {}
            Err(error @ Refused::Token(_)) => return Answer::Unauthorised(error.to_string()).into_response(),
            Err(error @ Refused::Keys(_)) => return Answer::Transient(error.to_string()).into_response(),
        }
    }
    next.run(request).await
}
