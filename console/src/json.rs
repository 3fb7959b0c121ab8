//! Answers in JSON.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

/// A value as an answer.
#[derive(Debug)]
pub(crate) struct Json(pub(crate) Value);

/// JSON that is text already, as an answer.
#[derive(Debug)]
pub(crate) struct Text(pub(crate) String);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        Text(self.0.to_string()).into_response()
    }
}

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
        (StatusCode::OK, headers, self.0).into_response()
    }
}
