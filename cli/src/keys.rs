//! The keys that the JSON output about a request has in all commands.

use serde::Serialize;
use serde_json::{Map, Value, json};
use trackdrop_flow::end;
use trackdrop_pipeline::Manifest;

/// What an answer says of a request as a whole: `request_id`, `retrack_of`, `video`, `uploaded_at`, `state` and `error`, with the rest of the answer.
///
/// # Errors
/// The rest is nothing that JSON can hold.
pub(crate) fn of_request(manifest: &Manifest, rest: impl Serialize) -> serde_json::Result<Value> {
    let whole = json!({
        "retrack_of": manifest.retrack_of, "uploaded_at": manifest.source.uploaded_at, "state": manifest.state,
        "error": manifest.error,
    });
    merged([named(manifest), whole, serde_json::to_value(rest)?])
}

/// What a line about a part of a request says of it: `request_id` and `video`, with the rest of the line.
///
/// # Errors
/// The rest is nothing that JSON can hold.
pub(crate) fn of_part(manifest: &Manifest, rest: impl Serialize) -> serde_json::Result<Value> {
    merged([named(manifest), serde_json::to_value(rest)?])
}

fn named(manifest: &Manifest) -> Value {
    json!({ "request_id": manifest.request_id, "video": end::video_name(manifest) })
}

fn merged<const N: usize>(parts: [Value; N]) -> serde_json::Result<Value> {
    let mut all = Map::new();
    for part in parts {
        all.extend(serde_json::from_value::<Map<_, _>>(part)?);
    }
    Ok(Value::Object(all))
}
