//! A cloud whose transfers are spans, and whose objects carry the trace that they belong to.

use super::context;
use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::trace::TraceContextExt;
use std::{fmt::Display, path::Path, sync::Arc};
use tracing::{Instrument, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use trackdrop_cloud::{Content, LocalFile, ObjectInfo, PublishError, Publisher, PutOptions, Storage, StorageError};
use trackdrop_flow::Cloud;
use trackdrop_pipeline::{Bucket, Event, ObjectFinalized, names::ObjectName};

/// The same cloud: downloads, uploads and messages are spans with their bytes, and what is written into `work`, where objects start
/// functions, carries the context of the span that writes it.
pub fn traced(cloud: Cloud) -> Cloud {
    let Cloud { storage, publisher, warehouse } = cloud;
    Cloud { storage: Arc::new(Traced(storage)), publisher: Arc::new(Traced(publisher)), warehouse }
}

#[derive(Debug)]
struct Traced<T: ?Sized>(Arc<T>);

/// What became of it, on its span.
fn ended<T, E: Display>(span: &Span, outcome: &Result<T, E>, bytes: impl FnOnce(&T) -> Option<u64>, fails: bool) {
    match outcome {
        Ok(made) => {
            bytes(made).map(|bytes| span.record("bytes", bytes));
        }
        Err(error) => {
            span.record("error", tracing::field::display(error));
            if fails {
                span.record("otel.status_code", "ERROR");
            }
        }
    }
}

#[async_trait]
impl Storage for Traced<dyn Storage> {
    async fn put(
        &self,
        object: &ObjectName,
        content: Content,
        mut options: PutOptions,
    ) -> Result<ObjectInfo, StorageError> {
        let span = tracing::info_span!("upload", %object, bytes = Empty, error = Empty, otel.status_code = Empty);
        if object.bucket == Bucket::Work {
            context::inject(span.context().span().span_context(), &mut options.metadata);
        }
        let outcome = self.0.put(object, content, options).instrument(span.clone()).await;
        // An object that stands already is how a duplicate delivery ends well.
        let fails = !outcome.as_ref().is_err_and(StorageError::is_precondition);
        ended(&span, &outcome, |info| Some(info.bytes), fails);
        outcome
    }

    async fn stat(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        self.0.stat(object).await
    }

    async fn get(&self, object: &ObjectName) -> Result<(ObjectInfo, Bytes), StorageError> {
        let span = tracing::info_span!("download", %object, bytes = Empty, error = Empty, otel.status_code = Empty);
        let outcome = self.0.get(object).instrument(span.clone()).await;
        ended(&span, &outcome, |(info, _)| Some(info.bytes), true);
        outcome
    }

    async fn fetch(
        &self,
        object: &ObjectName,
        generation: Option<i64>,
    ) -> Result<(ObjectInfo, LocalFile), StorageError> {
        let span = tracing::info_span!("download", %object, bytes = Empty, error = Empty, otel.status_code = Empty);
        let outcome = self.0.fetch(object, generation).instrument(span.clone()).await;
        ended(&span, &outcome, |(info, _)| Some(info.bytes), true);
        outcome
    }

    async fn list(&self, prefix: &ObjectName) -> Result<Vec<ObjectInfo>, StorageError> {
        self.0.list(prefix).await
    }

    async fn delete(&self, object: &ObjectName) -> Result<(), StorageError> {
        self.0.delete(object).await
    }

    fn scratch(&self) -> &Path {
        self.0.scratch()
    }
}

#[async_trait]
impl Publisher for Traced<dyn Publisher> {
    async fn publish(&self, topic: &str, event: &Event) -> Result<(), PublishError> {
        let span = tracing::info_span!("publish", topic, error = Empty, bytes = Empty, otel.status_code = Empty);
        let outcome = self.0.publish(topic, event).instrument(span.clone()).await;
        ended(&span, &outcome, |()| None, true);
        outcome
    }

    async fn tell_again(&self, object: &ObjectFinalized) -> Result<(), PublishError> {
        let topic = object.object.bucket.as_str();
        let span = tracing::info_span!("publish", topic, error = Empty, bytes = Empty, otel.status_code = Empty);
        let outcome = self.0.tell_again(object).instrument(span.clone()).await;
        ended(&span, &outcome, |()| None, true);
        outcome
    }
}
