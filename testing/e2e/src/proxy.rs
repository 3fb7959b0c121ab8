//! Forwards a call.

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

/// Makes the same call of `upstream`, a host and port; `path_and_query` as it came, because names are encoded in it. 502 where nobody answers.
pub(crate) async fn pass_on(
    http: &reqwest::Client,
    upstream: &str,
    method: Method,
    path_and_query: &str,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    headers.remove(header::HOST);
    let call = http.request(method, format!("http://{upstream}{path_and_query}")).headers(headers).body(body);
    let Ok(answer) = call.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    // The connection's, not the answer's.
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    match answer.bytes().await {
        Ok(body) => (status, headers, body).into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
