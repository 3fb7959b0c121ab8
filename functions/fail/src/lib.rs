//! `fail`: a dead letter ends its request with the reason, so that no request stalls forever. In `annotate` and `join`
//! only the annotated video fails. When the scheduler calls, it also restarts stalled requests.
//!
//! A delivery may become a dead letter although its work is done: each attempt failed after the result was stored (for
//! `merge` and `load`, the marker), and before the acknowledgement. Then this handler does the missing steps, and does
//! not fail the request.
//!
//! ```
//! use trackdrop_fail::Fail;
//! use trackdrop_flow::{Cloud, sweep::Patience};
//! use trackdrop_pipeline::Handler;
//!
//! fn handler(cloud: Cloud) -> impl Handler {
//!     Fail::new(cloud).with_patience(Patience::default())
//! }
//! ```

mod letter;

use async_trait::async_trait;
use std::collections::BTreeSet;
use trackdrop_flow::{
    Cloud, chunks, count, end, manifest,
    sweep::{self, Patience},
};
use trackdrop_pipeline::{
    Bucket, Delivery, Event, Failure, FailureKind, Handler, NamePatterns, ObjectFinalized, RequestId, RequestSettings,
    Stage,
    counter::Counted,
    names::{self, Marker, ObjectName, PerSegment, ResultFile},
};

/// The handler of dead letters.
#[derive(Debug)]
pub struct Fail {
    cloud: Cloud,
    patience: Patience,
    ignored: NamePatterns,
}

impl Fail {
    /// A handler over this cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud, patience: Patience::default(), ignored: NamePatterns::default() }
    }

    /// Names of uploads that are ignored, so that no request is expected for them.
    #[must_use]
    pub fn with_ignored(self, ignored: NamePatterns) -> Self {
        Self { ignored, ..self }
    }

    /// Sets how long requests can stall.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }
}

#[async_trait]
impl Handler for Fail {
    async fn handle(&self, event: &Event, delivery: &Delivery) -> Result<(), Failure> {
        let letter = match event {
            Event::DeadLetter(letter) => letter,
            Event::RequestsSweep {} => {
                let mut first_failure = None;
                sweep::sweep_each(
                    &self.cloud,
                    self.patience,
                    &self.ignored,
                    &BTreeSet::new(),
                    delivery,
                    &mut |looked_after| {
                        if let Err((_, failure)) = looked_after {
                            first_failure.get_or_insert(failure);
                        }
                    },
                )
                .await?;
                return first_failure.map_or(Ok(()), Err);
            }
            _ => return Ok(()),
        };
        let (stage, request, started_by) = match letter::read(letter) {
            Ok(read) => read,
            Err(absurd) => {
                absurd.log();
                return Ok(());
            }
        };
        let found = manifest::state_and_round(&self.cloud, &request).await?;
        let round = found.and_then(|(_, round)| round);
        // The object with this name can be another upload by now, of another request.
        let (info, is_there) = match self.cloud.find(&started_by.object).await {
            Ok(info) => {
                // It was an upload, although it was overwritten in the meantime. So its end must be published.
                let is_overwritten = info.as_ref().is_some_and(|info| info.generation > started_by.generation);
                let info = info.filter(|info| info.finalized().request().as_ref() == Some(&request));
                let is_there = is_overwritten || info.is_some();
                (info, is_there)
            }
            // It exists and is invalid, so the failure of its request must be published.
            Err(failure) if failure.kind() == FailureKind::Permanent => (None, true),
            Err(failure) => return Err(failure),
        };
        let is_upload = started_by.object.bucket == Bucket::Uploads;
        if found.is_none() && !(is_upload && is_there) {
            letter::Absurd::NoRequest(request).log();
            return Ok(());
        }
        // A dead letter that does not say when it was published belongs to the current round.
        let known_at = letter.published.or(round);
        if known_at < round {
            // Two clocks can differ by seconds: that of the topic, and that of the process that reopened the request. A
            // dead letter is published minutes after the first attempt of its event. If it is nevertheless taken for
            // one of an earlier round, nothing is lost. The dead letter topic has a second subscription, which retains
            // the dead letter for `trackdrop dead-letters`, and the sweeper finds the request. A replayed dead letter
            // is never taken for a later one, because the round begins after it.
            tracing::info!(%request, %stage, "the request was opened again after this dead letter");
            return Ok(());
        }
        if found.is_some_and(|(state, _)| !state.is_final()) {
            if let Some(absurd) = self.is_of_no_segment(&request, started_by).await? {
                absurd.log();
                return Ok(());
            }
            match self.completes_what_is_done(&request, stage, started_by, delivery).await {
                // The work can't be completed, so the request fails, with the reason why the delivery was abandoned.
                Err(failure) if failure.kind() == FailureKind::Permanent => {}
                Ok(false) => {}
                outcome => return outcome.map(drop),
            }
        }
        let reason = format!("abandoned after {} attempts: {}", letter.attempts, letter.reason);
        let describe = || {
            // Only an upload has enough information to describe a request that was never planned.
            is_upload.then(|| {
                let settings = info.as_ref().and_then(|info| RequestSettings::of_upload(&info.metadata).ok());
                manifest::unplanned(&request, started_by, info.as_ref(), settings.unwrap_or_default())
            })
        };
        end::fail_in_stage(&self.cloud, &request, stage, &reason, known_at, describe).await
    }
}

impl Fail {
    /// Whether the object belongs to a segment that the request does not have.
    async fn is_of_no_segment(
        &self,
        request: &RequestId,
        started_by: &ObjectFinalized,
    ) -> Result<Option<letter::Absurd>, Failure> {
        let Some(number) = names::segment_of(&started_by.object) else { return Ok(None) };
        if started_by.object.bucket == Bucket::Uploads {
            return Ok(None);
        }
        let planned = manifest::read(&self.cloud, request).await?.map_or(0, |manifest| manifest.segment_count);
        let object = started_by.object.clone();
        Ok((number.get() >= planned).then_some(letter::Absurd::NoSegment { object, planned }))
    }

    /// Completes the missing steps of a stage whose work is done. Returns false if the work itself is missing.
    async fn completes_what_is_done(
        &self,
        request: &RequestId,
        stage: Stage,
        started_by: &ObjectFinalized,
        delivery: &Delivery,
    ) -> Result<bool, Failure> {
        let cloud = &self.cloud;
        let exists = async |object: ObjectName| Ok::<_, Failure>(cloud.find(&object).await?.is_some());
        match stage {
            Stage::Split => chunks::record_if_all_exist(cloud, request).await,
            Stage::Track => self.counts(Counted::Track, PerSegment::Detections, request, started_by, delivery).await,
            Stage::Merge => exists(Marker::Merged.object(request)).await,
            Stage::Annotate => {
                self.counts(Counted::Annotate, PerSegment::Annotated, request, started_by, delivery).await
            }
            Stage::Load | Stage::Join => {
                let made = match stage {
                    Stage::Load => Marker::Loaded.object(request),
                    _ => ResultFile::AnnotatedVideo.object(request),
                };
                let is_made = exists(made).await?;
                if is_made {
                    end::finish_if_complete(cloud, request).await?;
                }
                Ok(is_made)
            }
        }
    }

    /// Counts a segment whose result exists.
    async fn counts(
        &self,
        counted: Counted,
        result: PerSegment,
        request: &RequestId,
        started_by: &ObjectFinalized,
        delivery: &Delivery,
    ) -> Result<bool, Failure> {
        let Some(number) = names::segment_of(&started_by.object) else { return Ok(false) };
        if self.cloud.find(&result.object(request, number)).await?.is_none() {
            return Ok(false);
        }
        let Some(manifest) = manifest::read(&self.cloud, request).await? else { return Ok(false) };
        count::complete(&self.cloud, counted, request, number, manifest.segment_count, delivery).await?;
        Ok(true)
    }
}
