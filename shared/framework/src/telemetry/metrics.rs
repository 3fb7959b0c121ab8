//! The metrics. The log's fields and the metrics have the same names; `terraform/modules/observability` reads the log's.

use opentelemetry::{KeyValue, global};
use trackdrop_pipeline::Delivery;

/// An upload that is no request: the line that the dashboard counts, and the same as a metric.
pub(crate) fn upload_ignored(function: &str, reason: &str) {
    tracing::info!(function, reason, "upload ignored");
    let of = [KeyValue::new("function", function.to_owned())];
    global::meter("trackdrop").u64_counter("trackdrop.uploads_ignored").build().add(1, &of);
}

/// Writes the log line that the dashboard counts, and records the same as metrics. Call it in the span of a delivery
/// that succeeded.
///
/// `seconds`, `frames` and `video_seconds` describe work that this delivery did. A delivery that found all work done
/// has none.
pub(crate) fn delivery_done(function: &str, delivery: &Delivery) {
    let (done, segments_waiting) = (delivery.done(), delivery.segments_waiting());
    let (seconds, frames) = (done.map(|done| done.seconds), done.map(|done| done.frames));
    let video_seconds = done.map(|done| done.video_seconds);
    let frames_per_second = done.filter(|done| done.seconds > 0.0).map(|done| done.frames as f64 / done.seconds);
    tracing::info!(seconds, frames, video_seconds, frames_per_second, segments_waiting, "delivery done");
    // Instruments of one name are one instrument, and none at all where nothing is exported.
    let meter = global::meter("trackdrop");
    let of = [KeyValue::new("function", function.to_owned())];
    if let Some(done) = done {
        meter.f64_histogram("trackdrop.segment_seconds").with_unit("s").build().record(done.seconds, &of);
        meter.u64_counter("trackdrop.frames").build().add(done.frames, &of);
        meter.f64_counter("trackdrop.video_seconds").with_unit("s").build().add(done.video_seconds, &of);
    }
    if let Some(frames_per_second) = frames_per_second {
        meter.f64_gauge("trackdrop.frames_per_second").build().record(frames_per_second, &of);
    }
    if let Some(waiting) = segments_waiting {
        meter.u64_gauge("trackdrop.segments_waiting").build().record(u64::from(waiting), &of);
    }
}
