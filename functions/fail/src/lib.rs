//! `fail`: a delivery that no attempt took ends its request with the reason, so that no request hangs for ever; and by the clock, requests that
//! stand still are set going again.

use async_trait::async_trait;
use std::collections::BTreeSet;
use trackdrop_flow::{
    Cloud, end, manifest,
    sweep::{self, Patience},
};
use trackdrop_pipeline::{Bucket, Delivery, Event, Failure, Handler, RequestSettings, Stage};

/// The handler of dead letters.
#[derive(Debug)]
pub struct Fail {
    cloud: Cloud,
    patience: Patience,
}

impl Fail {
    /// A handler over this cloud.
    pub fn new(cloud: Cloud) -> Self {
        Self { cloud, patience: Patience::default() }
    }

    /// With another patience with requests that stand still.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }
}

#[async_trait]
impl Handler for Fail {
    async fn handle(&self, event: &Event, _: &Delivery) -> Result<(), Failure> {
        let letter = match event {
            Event::DeadLetter(letter) => letter,
            Event::RequestsSweep {} => {
                let swept = sweep::sweep(&self.cloud, self.patience, &BTreeSet::new()).await?;
                return swept.failed.into_iter().next().map_or(Ok(()), |(_, failure)| Err(failure));
            }
            _ => return Ok(()),
        };
        let Event::ObjectFinalized(started_by) = &*letter.event else { return Ok(()) };
        let (Some(request), Some(stage)) = (started_by.request(), stage_of(&letter.function)) else { return Ok(()) };
        let reason = format!("gave up after {} attempts: {}", letter.attempts, letter.reason);
        // What stands under the name by now may be another upload.
        let info = self.cloud.find(&started_by.object).await?.filter(|info| info.generation == started_by.generation);
        let describe = || {
            // Only an upload says enough to describe a request that was never planned.
            (started_by.object.bucket == Bucket::Uploads).then(|| {
                let settings = info.as_ref().and_then(|info| RequestSettings::of_upload(&info.metadata).ok());
                manifest::unplanned(&request, started_by, info.as_ref(), settings.unwrap_or_default())
            })
        };
        end::fail(&self.cloud, &request, stage, &reason, describe).await
    }
}

fn stage_of(function: &str) -> Option<Stage> {
    Stage::ALL.into_iter().find(|stage| stage.name() == function)
}
