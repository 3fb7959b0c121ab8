//! The log in Google Cloud's structured format: one JSON object a line on standard output.

use serde_json::{Map, Value};
use std::{fmt, io::Write};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};
use trackdrop_pipeline::Timestamp;

/// Writes each event as a line, with the fields of the spans that it is in.
pub(super) struct GoogleLog<W> {
    pub(super) project: Option<String>,
    pub(super) write: W,
}

/// The fields of a span, stored for its events.
struct Fields(Map<String, Value>);

struct Collect<'a>(&'a mut Map<String, Value>);

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl<S, W, O> Layer<S> for GoogleLog<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn() -> O + 'static,
    O: Write,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Map::new();
        attributes.record(&mut Collect(&mut fields));
        span.extensions_mut().insert(Fields(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(Fields(fields)) = span.extensions_mut().get_mut::<Fields>() {
            values.record(&mut Collect(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Map::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(Fields(fields)) = span.extensions().get::<Fields>() {
                line.extend(fields.clone());
            }
        }
        event.record(&mut Collect(&mut line));
        let severity = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        };
        // For the trace, not for people.
        line.retain(|name, _| !name.starts_with("otel."));
        line.insert("severity".into(), severity.into());
        line.insert("time".into(), Timestamp::now().to_string().into());
        line.insert("target".into(), event.metadata().target().into());
        line.remove("span_id").map(|span| line.insert("logging.googleapis.com/spanId".into(), span));
        line.remove("sampled").map(|sampled| line.insert("logging.googleapis.com/trace_sampled".into(), sampled));
        if let (Some(Value::String(trace)), Some(project)) = (line.remove("trace"), &self.project) {
            line.insert("logging.googleapis.com/trace".into(), format!("projects/{project}/traces/{trace}").into());
        }
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // One write per line, so that lines of several threads do not mix. If the log can't be written, the work
        // continues.
        (self.write)().write_all(text.as_bytes()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_names_its_severity_its_trace_and_its_request_and_stays_one_line() {
        let lines = Lines::default();
        let to = lines.clone();
        let layer = GoogleLog { project: Some("acme".into()), write: move || to.clone() };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!(
                "event",
                otel.name = "track",
                trace = "4bf9",
                span_id = "00f0",
                sampled = true,
                request = tracing::field::Empty
            );
            span.record("request", "req_1");
            span.in_scope(|| tracing::warn!(status = 503u64, "two\nlines"));
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1);
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["severity"], "WARNING");
        assert_eq!(line["message"], "two\nlines");
        assert_eq!(line["logging.googleapis.com/trace"], "projects/acme/traces/4bf9");
        assert_eq!(line["logging.googleapis.com/spanId"], "00f0");
        assert_eq!(line["logging.googleapis.com/trace_sampled"], true);
        assert!(line.get("otel.name").is_none() && line.get("trace").is_none());
        assert_eq!((&line["request"], &line["status"]), (&"req_1".into(), &503.into()));
    }
}
