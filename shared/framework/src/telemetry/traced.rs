//! A wrapper of a cloud: transfers are spans, and objects carry the context of their trace.

use super::{context, context_of};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    fmt::Display,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use tracing::{Instrument, Span, field::Empty};
use trackdrop_cloud::{
    Content, LocalFile, ObjectInfo, OpenObject, Page, PublishError, Publisher, PutOptions, ReadRange, Storage,
    StorageError,
};
use trackdrop_flow::Cloud;
use trackdrop_pipeline::{Bucket, Event, ObjectFinalized, Stopwatch, names::ObjectName};

/// The same cloud with traces. Downloads, uploads and messages are spans with their bytes. Objects in `work` can start
/// functions, so an object that is written there carries the context of the span that writes it.
pub fn traced(cloud: Cloud) -> Cloud {
    let Cloud { storage, publisher, .. } = cloud;
    Cloud { storage: Arc::new(Traced(storage)), publisher: Arc::new(Traced(publisher)), ..cloud }
}

#[derive(Debug)]
struct Traced<T: ?Sized>(Arc<T>);

/// Records the result on its span.
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

/// A missing object is not a failure: the first delivery of a request finds no manifest.
fn fails<T>(outcome: &Result<T, StorageError>) -> bool {
    !outcome.as_ref().is_err_and(StorageError::is_not_found)
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
            context::inject(&context_of(&span), &mut options.metadata);
        }
        let outcome = self.0.put(object, content, options).instrument(span.clone()).await;
        // An object that exists already is the good outcome of a redelivery.
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
        ended(&span, &outcome, |(info, _)| Some(info.bytes), fails(&outcome));
        outcome
    }

    async fn fetch(
        &self,
        object: &ObjectName,
        generation: Option<i64>,
    ) -> Result<(ObjectInfo, LocalFile), StorageError> {
        let span = tracing::info_span!("download", %object, bytes = Empty, error = Empty, otel.status_code = Empty);
        let outcome = self.0.fetch(object, generation).instrument(span.clone()).await;
        ended(&span, &outcome, |(info, _)| Some(info.bytes), fails(&outcome));
        outcome
    }

    async fn open(
        &self,
        object: &ObjectName,
        generation: Option<i64>,
    ) -> Result<(ObjectInfo, OpenObject), StorageError> {
        let span = tracing::info_span!(
            "download",
            %object,
            busy_s = Empty,
            reads = Empty,
            bytes = Empty,
            error = Empty,
            otel.status_code = Empty
        );
        let outcome = self.0.open(object, generation).instrument(span.clone()).await;
        ended(&span, &outcome, |_| None, true);
        let (info, opened) = outcome?;
        let opened = match opened {
            OpenObject::Ranges(ranges) => OpenObject::Ranges(Arc::new(TracedRanges::new(ranges, span))),
            OpenObject::File(file) => {
                span.record("bytes", info.bytes);
                OpenObject::File(file)
            }
        };
        Ok((info, opened))
    }

    async fn list(&self, prefix: &ObjectName) -> Result<Vec<ObjectInfo>, StorageError> {
        self.0.list(prefix).await
    }

    async fn list_page(&self, prefix: &ObjectName, from: Option<&str>) -> Result<Page, StorageError> {
        self.0.list_page(prefix, from).await
    }

    async fn delete(&self, object: &ObjectName) -> Result<(), StorageError> {
        self.0.delete(object).await
    }

    fn scratch(&self) -> &Path {
        self.0.scratch()
    }
}

/// Ranges of one object, whose reads are one span. The span begins when the object is opened, and ends when it is
/// closed. There may be thousands of reads, with work such as indexing and cutting between them. `busy_s` is the time
/// of the reads, and `bytes` their size.
#[derive(Debug)]
struct TracedRanges {
    ranges: Arc<dyn ReadRange>,
    span: Span,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    reads: u64,
    bytes: u64,
    busy_s: f64,
}

impl TracedRanges {
    fn new(ranges: Arc<dyn ReadRange>, span: Span) -> Self {
        Self { ranges, span, read: Mutex::default() }
    }
}

#[async_trait]
impl ReadRange for TracedRanges {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        let started = Stopwatch::start();
        let outcome = self.ranges.read(range).instrument(self.span.clone()).await;
        if let Err(error) = &outcome {
            self.span.record("error", tracing::field::display(error));
            self.span.record("otel.status_code", "ERROR");
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.reads += 1;
        read.bytes += outcome.as_ref().map_or(0, |bytes| bytes.len() as u64);
        read.busy_s += started.seconds();
        outcome
    }
}

impl Drop for TracedRanges {
    fn drop(&mut self) {
        let read = self.read.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.span.record("reads", read.reads);
        self.span.record("bytes", read.bytes);
        self.span.record("busy_s", read.busy_s);
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
