//! Detects dead letters that can't be genuine. A caller that may publish to the topic could fail any request with one.
//! So a dead letter that contradicts itself, the triggers or the existing objects is ignored. It changes nothing, and
//! the log says so. If a request really stalls because of such a dead letter, the sweeper finds it.

use std::sync::LazyLock;
use trackdrop_pipeline::{
    DeadLetter, Event, ObjectFinalized, RequestId, Stage,
    names::ObjectName,
    trigger::{Trigger, files::STAGES},
};

static TRIGGERS: LazyLock<Vec<Trigger>> =
    LazyLock::new(|| STAGES.iter().filter_map(|yaml| Trigger::parse(yaml).ok()).collect());

/// Why a dead letter can't be genuine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Absurd {
    #[error("the dead letter names no object of a request")]
    NoObject,
    #[error("{0:?} is not a stage")]
    NoStage(String),
    #[error("{object} does not start {function}")]
    OtherFunction { function: String, object: ObjectName },
    #[error("the dead letter states {told} attempts; {function} has 1 to {most} (retry.attempts of its trigger)")]
    Attempts { function: String, told: u32, most: u32 },
    #[error("request {0} does not exist, and no upload matches it")]
    NoRequest(RequestId),
    #[error("{object} belongs to no planned segment: the request has {planned}")]
    NoSegment { object: ObjectName, planned: u32 },
}

impl Absurd {
    pub(crate) fn log(&self) {
        tracing::warn!("dead letter ignored: {self}");
    }
}

/// The stage whose attempts all failed, the request, and the object that started it.
pub(crate) fn read(letter: &DeadLetter) -> Result<(Stage, RequestId, &ObjectFinalized), Absurd> {
    let function = letter.function.clone();
    let Event::ObjectFinalized(started_by) = &*letter.event else { return Err(Absurd::NoObject) };
    let Some(request) = started_by.request() else { return Err(Absurd::NoObject) };
    let stage = Stage::ALL.into_iter().find(|stage| stage.name() == function);
    let trigger = TRIGGERS.iter().find(|trigger| trigger.function == function);
    let (Some(stage), Some(trigger)) = (stage, trigger) else { return Err(Absurd::NoStage(function)) };
    if !trigger.takes(&letter.event, None) {
        return Err(Absurd::OtherFunction { function, object: started_by.object.clone() });
    }
    let (told, most) = (letter.attempts, trigger.retry.attempts);
    if !(1..=most).contains(&told) {
        return Err(Absurd::Attempts { function, told, most });
    }
    Ok((stage, request, started_by))
}
