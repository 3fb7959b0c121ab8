//! A panic becomes a transient failure with a diagnostic. Work that blocks its thread does not delay its deadline.

use crate::answer::Answer;
use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::Instrument;

pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let work = tokio::spawn(next.run(request).in_current_span());
    match work.await {
        Ok(response) => response,
        Err(error) if error.is_panic() => {
            let panic = error.into_panic();
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into());
            Answer::Transient(format!("the handler panicked: {text}")).into_response()
        }
        Err(_) => Answer::Transient("the handler was stopped".into()).into_response(),
    }
}
