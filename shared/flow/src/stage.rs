//! The wrapper around each handler: it finds the request, skips deleted and failed ones, and records permanent failures.

use crate::{Cloud, delete, end, manifest};
use async_trait::async_trait;
use trackdrop_pipeline::{
    Delivery, Event, Failure, FailureKind, Handler, Manifest, ObjectFinalized, RequestId, RequestState, Stage,
};

/// One stage of the flow. An object starts it, and it works on one request.
#[async_trait]
pub trait StageHandler: Send + Sync {
    /// Which stage it is.
    const STAGE: Stage;

    /// The cloud it works on.
    fn cloud(&self) -> &Cloud;

    /// Does the work. The request has not failed. If a delivery is repeated, the work may already be done.
    async fn work(&self, request: &RequestId, started_by: &ObjectFinalized, delivery: &Delivery)
    -> Result<(), Failure>;

    /// Describes a request that fails before it has a manifest; only the first stage can meet one.
    async fn describe(&self, _request: &RequestId, _started_by: &ObjectFinalized) -> Result<Option<Manifest>, Failure> {
        Ok(None)
    }
}

/// Makes a [`Handler`] of a stage. It does no work for a request that was deleted, or that ended without all its results. It records a permanent
/// failure: that ends the request, but in `annotate` and `join` only the annotated video fails ([`end::fail_in_stage`]).
#[derive(Debug)]
pub struct Staged<S>(pub S);

#[async_trait]
impl<S: StageHandler> Handler for Staged<S> {
    async fn handle(&self, event: &Event, delivery: &Delivery) -> Result<(), Failure> {
        let Event::ObjectFinalized(started_by) = event else { return Ok(()) };
        let Some(request) = started_by.request() else { return Ok(()) };
        let cloud = self.0.cloud();
        // Work for a failed request is of no use. Each stage recognises finished work, and does only what is missing.
        let found = manifest::state_and_round(cloud, &request).await?;
        if found.is_none() && delete::is_deleted(cloud, &request).await? {
            tracing::info!(%request, stage = %S::STAGE, "the request was deleted");
            return Ok(());
        }
        let round = found.and_then(|(_, round)| round);
        if let Some((RequestState::Failed | RequestState::DoneWithoutVideo, _)) = found {
            // A crash can have come between the state and the publication of the end.
            return end::tell_failed(cloud, &request, round).await;
        }
        match self.0.work(&request, started_by, delivery).await {
            Err(failure) if failure.kind() == FailureKind::Permanent => {
                tracing::error!(%request, stage = %S::STAGE, %failure, "failed permanently");
                let description = self.0.describe(&request, started_by).await?;
                end::fail_in_stage(cloud, &request, S::STAGE, &failure.to_string(), round, || description).await
            }
            outcome => outcome,
        }
    }
}
