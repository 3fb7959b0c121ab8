//! The queue of messages. A message is stored in the same transaction as its cause, leased to a process, and deleted when it is
//! acknowledged.

use super::catalog::{Inner, LocalCloud};
use crate::{PublishError, Publisher, StorageError};
use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction, params};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use trackdrop_pipeline::{
    Bucket, Event, ObjectFinalized, RequestId, Timestamp,
    names::{self, ObjectName},
};

/// A message that this process has leased.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) message: i64,
    pub(super) event: Event,
    pub(super) request: String,
    /// How many attempts failed before.
    pub(super) failures: u32,
}

/// Longest wait that a trigger can set. If a message waits longer, the clock was different when it was written.
const LONGEST_WAIT_US: i64 = 24 * 3_600 * 1_000_000;

#[async_trait]
impl Publisher for LocalCloud {
    async fn publish(&self, topic: &str, event: &Event) -> Result<(), PublishError> {
        let (on, event) = (topic.to_owned(), event.clone());
        self.on_catalog(move |inner| {
            inner.transaction("publishing", |transaction| inner.enqueue(transaction, &event, Some(&on)))
        })
        .await
        .map_err(|error| PublishError { topic: topic.to_owned(), reason: error.to_string() })
    }

    async fn tell_again(&self, object: &ObjectFinalized) -> Result<(), PublishError> {
        let event = Event::ObjectFinalized(object.clone());
        let topic = object.object.bucket.to_string();
        self.on_catalog(move |inner| {
            inner.transaction("publishing", |transaction| inner.enqueue(transaction, &event, None))
        })
        .await
        .map_err(|error| PublishError { topic, reason: error.to_string() })
    }
}

impl Inner {
    /// Queues one message for each trigger that matches the event, in the transaction of its cause.
    pub(super) fn enqueue(
        &self,
        transaction: &Transaction<'_>,
        event: &Event,
        topic: Option<&str>,
    ) -> Result<(), StorageError> {
        let doing = "queueing a message";
        if let (Event::ObjectFinalized(finalized), None) = (event, topic) {
            for trigger in &self.triggers {
                if let Some(reason) = trigger.ignores(&finalized.object, None) {
                    tracing::info!(function = trigger.function, reason, "upload ignored");
                }
            }
        }
        for trigger in self.triggers.iter().filter(|trigger| trigger.takes(event, topic)) {
            let json = serde_json::to_string(event).map_err(|error| super::catalog::unavailable(doing, error))?;
            transaction
                .prepare_cached("INSERT INTO messages (function, event, request) VALUES (?1, ?2, ?3)")
                .and_then(|mut insert| insert.execute(params![trigger.function, json, request_key(event)]))
                .map_err(|error| self.sql_error(doing, error))?;
        }
        Ok(())
    }

    /// The next due message of a function. It belongs to the request that was served longest ago, so that several
    /// videos share the machine fairly. Within a request it is the oldest.
    pub(super) fn lease(&self, function: &str) -> Result<Option<Lease>, StorageError> {
        let doing = "taking a message";
        let now = Timestamp::now().micros();
        // It first checks without a write lock, because most checks find nothing.
        if self.peek(function)?.is_none() {
            return Ok(None);
        }
        self.transaction(doing, |transaction| {
            let Some(lease) = self.next_due(transaction, function, now)? else { return Ok(None) };
            let fail = |error| self.sql_error(doing, error);
            transaction
                .execute("UPDATE messages SET owner = ?1 WHERE id = ?2", params![self.host.id, lease.message])
                .map_err(fail)?;
            transaction
                .execute(
                    "INSERT OR REPLACE INTO turns VALUES (?1, 1 + COALESCE((SELECT MAX(served) FROM turns), 0))",
                    params![lease.request],
                )
                .map_err(fail)?;
            Ok(Some(lease))
        })
    }

    /// The message that would be leased next, without leasing it.
    pub(super) fn peek(&self, function: &str) -> Result<Option<Lease>, StorageError> {
        self.next_due(&self.connection(), function, Timestamp::now().micros())
    }

    fn next_due(
        &self,
        connection: &rusqlite::Connection,
        function: &str,
        now: i64,
    ) -> Result<Option<Lease>, StorageError> {
        let doing = "looking for a message";
        let found: Option<(i64, String, String, u32)> = connection
            .prepare_cached(
                "SELECT id, event, messages.request, failures FROM messages LEFT JOIN turns USING (request)
                 WHERE function = ?1 AND owner IS NULL AND (not_before <= ?2 OR not_before > ?2 + ?3)
                 ORDER BY COALESCE(served, 0), id LIMIT 1",
            )
            .and_then(|mut query| {
                query
                    .query_row(params![function, now, LONGEST_WAIT_US], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                    })
                    .optional()
            })
            .map_err(|error| self.sql_error(doing, error))?;
        let Some((message, event, request, failures)) = found else { return Ok(None) };
        let event = serde_json::from_str(&event).map_err(|error| super::catalog::unavailable(doing, error))?;
        Ok(Some(Lease { message, event, request, failures }))
    }

    /// The message is acknowledged and removed.
    pub(super) fn acknowledge(&self, lease: &Lease) -> Result<(), StorageError> {
        self.transaction("acknowledging a message", |transaction| self.remove(transaction, lease))
    }

    /// The message is returned to the queue, and is delivered again after `wait`.
    pub(super) fn put_back(&self, lease: &Lease, failures: u32, wait: Duration) -> Result<(), StorageError> {
        let doing = "handing a message back";
        let not_before = Timestamp::now().micros().saturating_add(wait.as_micros().try_into().unwrap_or(i64::MAX));
        self.transaction(doing, |transaction| {
            transaction
                .execute(
                    "UPDATE messages SET owner = NULL, failures = ?1, not_before = ?2 WHERE id = ?3 AND owner = ?4",
                    params![failures, not_before, lease.message, self.host.id],
                )
                .map_err(|error| self.sql_error(doing, error))?;
            Ok(())
        })
    }

    /// The message's attempts all failed: one transaction removes it and queues its dead letter.
    pub(super) fn bury(&self, lease: &Lease, topic: Option<&str>, letter: &Event) -> Result<(), StorageError> {
        self.transaction("giving a message up", |transaction| {
            if let Some(topic) = topic {
                self.enqueue(transaction, letter, Some(topic))?;
            }
            self.remove(transaction, lease)
        })
    }

    fn remove(&self, transaction: &Transaction<'_>, lease: &Lease) -> Result<(), StorageError> {
        transaction
            .execute("DELETE FROM messages WHERE id = ?1 AND owner = ?2", params![lease.message, self.host.id])
            .map_err(|error| self.sql_error("removing a message", error))?;
        Ok(())
    }
}

/// How a request is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redrive {
    /// Existing objects are retained. Every event of the request is delivered again, and idempotent handlers do what is missing.
    Resume,
    /// Everything but the upload is deleted, in one step.
    Reset,
}

impl LocalCloud {
    /// How many messages of a request wait, or are processed by any process.
    ///
    /// # Errors
    /// The catalogue cannot be read or written.
    pub async fn pending(&self, request: &RequestId) -> Result<i64, StorageError> {
        let request = request.to_string();
        self.on_catalog(move |inner| {
            inner
                .connection()
                .query_row("SELECT COUNT(*) FROM messages WHERE request = ?1", params![request], |row| row.get(0))
                .map_err(|error| inner.sql_error("counting messages", error))
        })
        .await
    }

    /// Removes the waiting messages of a request. Returns false, and does nothing, if a process is working on one of
    /// them.
    ///
    /// # Errors
    /// The catalogue cannot be read or written.
    pub async fn drop_messages(&self, request: &RequestId) -> Result<bool, StorageError> {
        let request = request.clone();
        self.on_catalog(move |inner| {
            let doing = format!("dropping the messages of {request}");
            let fail = |error| inner.sql_error(&doing, error);
            inner.transaction(&doing, |transaction| {
                let busy: i64 = transaction
                    .query_row(
                        "SELECT COUNT(*) FROM messages WHERE request = ?1 AND owner IS NOT NULL",
                        [request.as_str()],
                        |row| row.get(0),
                    )
                    .map_err(fail)?;
                if busy == 0 {
                    transaction.execute("DELETE FROM messages WHERE request = ?1", [request.as_str()]).map_err(fail)?;
                    transaction.execute("DELETE FROM turns WHERE request = ?1", [request.as_str()]).map_err(fail)?;
                }
                Ok(busy == 0)
            })
        })
        .await
    }

    /// The requests whose messages wait, or are processed by any process.
    ///
    /// # Errors
    /// The catalogue cannot be read or written.
    pub async fn busy(&self) -> Result<BTreeSet<RequestId>, StorageError> {
        self.on_catalog(|inner| {
            let requests: Vec<String> = inner
                .connection()
                .prepare("SELECT DISTINCT request FROM messages")
                .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
                .map_err(|error| inner.sql_error("looking for messages", error))?;
            Ok(requests.iter().filter_map(|request| request.parse().ok()).collect())
        })
        .await
    }

    /// Starts a request again. If an upload starts it, the custom metadata of that upload are replaced in the same
    /// transaction. Returns false, and does nothing, if a process is working on it.
    ///
    /// # Errors
    /// The catalogue cannot be read or written.
    pub async fn redrive(
        &self,
        request: &RequestId,
        upload: Option<(ObjectName, BTreeMap<String, String>)>,
        how: Redrive,
    ) -> Result<bool, StorageError> {
        let request = request.clone();
        self.on_catalog(move |inner| {
            let doing = format!("starting {request} again");
            let fail = |error| inner.sql_error(&doing, error);
            let upload_info = upload.as_ref().map(|(upload, _)| inner.stat(upload)).transpose()?;
            let mut owned = vec![];
            for bucket in [Bucket::Work, Bucket::Results] {
                let all = inner.list(&ObjectName::new(bucket, ""))?;
                owned.extend(all.into_iter().filter(|info| names::request_of(&info.object).as_ref() == Some(&request)));
            }
            let id = request.as_str();
            let dropped = inner.transaction(&doing, |transaction| {
                let busy: i64 = transaction
                    .query_row("SELECT COUNT(*) FROM messages WHERE request = ?1 AND owner IS NOT NULL", [id], |row| {
                        row.get(0)
                    })
                    .map_err(fail)?;
                if busy > 0 {
                    return Ok(None);
                }
                transaction.execute("DELETE FROM messages WHERE request = ?1", [id]).map_err(fail)?;
                transaction.execute("DELETE FROM request_rows WHERE request = ?1", [id]).map_err(fail)?;
                if let Some((upload, metadata)) = &upload {
                    let json =
                        serde_json::to_string(metadata).map_err(|error| super::catalog::unavailable(&doing, error))?;
                    transaction
                        .execute(
                            "UPDATE objects SET metadata = ?1 WHERE bucket = ?2 AND name = ?3",
                            params![json, upload.bucket.as_str(), upload.name.as_bytes()],
                        )
                        .map_err(fail)?;
                }
                let mut dropped = vec![];
                if how == Redrive::Reset {
                    transaction.execute("DELETE FROM loaded_tracks WHERE request = ?1", [id]).map_err(fail)?;
                    for info in &owned {
                        dropped.push((info.object.clone(), inner.delete_row(transaction, &info.object)?));
                    }
                }
                let again = match how {
                    Redrive::Reset => &[][..],
                    Redrive::Resume => &owned[..],
                };
                for info in upload_info.iter().chain(again) {
                    let (object, generation, created) = (info.object.clone(), info.generation, info.created);
                    let event = ObjectFinalized { object, generation, created };
                    inner.enqueue(transaction, &Event::ObjectFinalized(event), None)?;
                }
                Ok(Some(dropped))
            })?;
            let Some(dropped) = dropped else { return Ok(false) };
            for (object, generation) in dropped {
                inner.drop_contents(&object, generation);
            }
            Ok(true)
        })
        .await
    }
}

/// The key by which messages take turns: the request of any event.
pub(super) fn request_key(event: &Event) -> String {
    let id = match event {
        Event::ObjectFinalized(finalized) => finalized.request(),
        Event::RequestFinished(finished) => Some(finished.request_id.clone()),
        Event::DeadLetter(letter) => return request_key(&letter.event),
        Event::LoadWindow {} | Event::RequestsSweep {} => None,
    };
    id.map(|id| id.to_string()).unwrap_or_default()
}
