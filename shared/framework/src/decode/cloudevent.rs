//! CloudEvents over HTTP, as Eventarc sends them.

use super::{MESSAGE_PUBLISHED, Malformed, push};
use axum::http::{HeaderMap, header::CONTENT_TYPE};
use bytes::Bytes;
use cloudevents::{AttributesReader, AttributesWriter, Data, Event, binding::http::to_event};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::borrow::Cow;

/// Whether the headers say that the request is a CloudEvent.
pub(super) fn is_one(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|value| value.starts_with("application/cloudevents"))
        || headers.contains_key("ce-specversion")
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    headers.get(CONTENT_TYPE)?.to_str().ok().map(essence)
}

/// A media type without its parameters, in lower case, so that two of them can be compared.
fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(super) fn decode(headers: &HeaderMap, body: &Bytes) -> Result<Event, Malformed> {
    if content_type(headers).is_some_and(|value| value.starts_with("application/cloudevents-batch")) {
        return Err(Malformed::new("batches of CloudEvents are not taken: send one event a request"));
    }
    if content_type(headers).is_some_and(|value| value.starts_with("application/cloudevents")) {
        let json: Value =
            serde_json::from_slice(body).map_err(|error| Malformed(format!("the CloudEvent is not JSON: {error}")))?;
        return structured(json);
    }
    let mut event = to_event(headers, body.to_vec()).map_err(Malformed::new)?;
    // The HTTP binding percent-encodes characters that a header can't have, and the SDK does not decode them. If a
    // subject can't be decoded, it was not encoded.
    let decoded = event.subject().and_then(|subject| percent_decode_str(subject).decode_utf8().ok());
    if let Some(decoded) = decoded.map(Cow::into_owned) {
        event.set_subject(Some(decoded));
    }
    normalise(event)
}

/// An event in structured mode: its JSON has all of it.
pub(super) fn structured(json: Value) -> Result<Event, Malformed> {
    normalise(serde_json::from_value(json).map_err(|error| Malformed(format!("not a CloudEvent: {error}")))?)
}

/// Parses data that is JSON, because the SDK leaves it as bytes in binary mode. Everything else in an event is
/// unchanged.
fn normalise(mut event: Event) -> Result<Event, Malformed> {
    let not_json = |error| Malformed(format!("the data is not JSON: {error}"));
    let kind = essence(event.datacontenttype().unwrap_or("application/json"));
    let is_json = kind == "application/json" || kind.ends_with("+json");
    let data = match event.data() {
        Some(Data::Binary(bytes)) if is_json => serde_json::from_slice(bytes).map_err(not_json)?,
        Some(Data::String(text)) if is_json => serde_json::from_str(text).map_err(not_json)?,
        Some(Data::Json(json)) => json.clone(),
        _ => return Ok(event),
    };
    let data = match data {
        Value::Object(data) if event.ty() == MESSAGE_PUBLISHED => push::completed(data)?,
        other => other,
    };
    event.set_data_unchecked(data);
    Ok(event)
}
