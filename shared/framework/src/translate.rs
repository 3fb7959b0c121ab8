//! Translates an event into Trackdrop's terms: buckets by role, objects with their creation time, dead letters with the
//! function whose attempts all failed.

use crate::{
    answer::Answer,
    google_event::{FinalizedObject, GoogleEvent},
    telemetry::TraceContext,
};
use std::collections::BTreeMap;
use trackdrop_cloud::{Storage, google::Buckets};
use trackdrop_pipeline::{
    DeadLetter, Event, Failure, ObjectFinalized, Stage, Timestamp,
    names::{LONGEST_SHOWN, ObjectName, cut},
    trigger::{Trigger, files::STAGES},
};

/// The translated event, with the trace of its object, if it names one. Or the answer, if there is nothing to do.
pub(crate) type Known = Result<(Event, Option<TraceContext>), Answer>;

/// Translates events.
#[derive(Clone, Copy)]
pub(crate) struct Translator<'a> {
    pub(crate) buckets: &'a Buckets,
    pub(crate) storage: &'a dyn Storage,
    /// The trigger of the function that gets the event.
    pub(crate) trigger: &'a Trigger,
    /// The trigger of uploads, if it is not the built-in one.
    pub(crate) uploads: Option<&'a Trigger>,
}

impl Translator<'_> {
    /// Translates one event.
    pub(crate) async fn event_of(self, typed: GoogleEvent) -> Result<Known, Failure> {
        match typed {
            GoogleEvent::Ours(Event::DeadLetter(_)) => Ok(Err(Answer::StartsNothing(
                "a dead letter is a message that Pub/Sub moved to a dead letter topic, not one whose data says so"
                    .to_owned(),
            ))),
            GoogleEvent::Ours(event) => Ok(Ok((event, None))),
            GoogleEvent::Other(what) => Ok(Err(Answer::StartsNothing(format!("{what} is not used here")))),
            GoogleEvent::ObjectFinalized(object) => self.finalized(object).await,
            GoogleEvent::DeadLetter { attempts, subscription, published, event } => {
                let event = match *event {
                    GoogleEvent::ObjectFinalized(object) => self.finalized(object).await?,
                    GoogleEvent::Ours(event) => Ok((event, None)),
                    _ => {
                        Err(Answer::StartsNothing(format!("{subscription} abandoned a message that names no request")))
                    }
                };
                let letter = |event| self.dead_letter(event, attempts, &subscription, published);
                Ok(event.and_then(|(event, trace)| Ok((letter(event)?, trace))))
            }
        }
    }

    async fn finalized(self, object: FinalizedObject) -> Result<Known, Failure> {
        let FinalizedObject { bucket, name, generation, bytes, created, metadata } = object;
        let trace_of = |metadata: &BTreeMap<String, String>| TraceContext::from(|key| Some(&**metadata.get(key)?));
        let Some(role) = self.buckets.role_of(&bucket) else {
            return Ok(Err(Answer::Foreign(format!(
                "the bucket {:?} is not one of this deployment ({}): if it should be, set TRACKDROP_BUCKET_UPLOADS, _WORK or _RESULTS",
                cut(&bucket, LONGEST_SHOWN),
                self.buckets
            ))));
        };
        let object = ObjectName::new(role, name);
        // This check is before any call to the store, because it needs none.
        if let Some(why) = self.trigger.ignores(&object, bytes) {
            return Ok(Err(Answer::IgnoredUpload(why)));
        }
        let (created, trace) = match (created, metadata) {
            (Some(created), Some(metadata)) => (created, trace_of(&metadata)),
            // Attributes do not have the creation time, but the request id of an upload contains it.
            (created, _) => match (self.storage.stat(&object).await, created) {
                (Ok(info), _) if info.generation == generation => match self.trigger.ignores(&object, Some(info.bytes))
                {
                    Some(why) => return Ok(Err(Answer::IgnoredUpload(why))),
                    None => (info.created, trace_of(&info.metadata)),
                },
                (Err(error), _) if !error.is_not_found() => return Err(error.into()),
                // The object does not exist any more, and the handler must record that, because a request can wait for
                // its result.
                (_, Some(created)) => (created, None),
                (Ok(_), None) => {
                    return Ok(Err(Answer::StartsNothing(format!(
                        "generation {generation} of {object} was overwritten"
                    ))));
                }
                (Err(_), None) => return Ok(Err(Answer::StartsNothing(format!("{object} was deleted")))),
            },
        };
        Ok(Ok((Event::ObjectFinalized(ObjectFinalized { object, generation, created }), trace)))
    }

    fn dead_letter(
        self,
        event: Event,
        attempts: u32,
        subscription: &str,
        published: Option<Timestamp>,
    ) -> Result<Event, Answer> {
        let is_of_uploads = |trigger: &Trigger| trigger.function == Stage::Split.name();
        let function = STAGES
            .iter()
            .filter_map(|yaml| Trigger::parse(yaml).ok())
            .map(|trigger| self.uploads.filter(|_| is_of_uploads(&trigger)).cloned().unwrap_or(trigger))
            .find(|trigger| trigger.takes(&event, None))
            .map(|trigger| trigger.function)
            .ok_or_else(|| {
                Answer::StartsNothing(format!("{subscription} abandoned an event that starts no function"))
            })?;
        // The name is `trackdrop-track`, or another name that contains that of the function. A subscription with the
        // name of another function has no events of this one.
        let named =
            |stage: &str| subscription.rsplit('/').next().is_some_and(|name| name.split('-').any(|word| word == stage));
        if !named(&function) && Stage::ALL.iter().any(|stage| named(stage.name())) {
            return Err(Answer::StartsNothing(format!("{subscription} has no events of {function} to give up")));
        }
        // Pub/Sub does not store answers, but the function's log has them.
        let reason = format!("{function} never took the event; its log says why (subscription {subscription})");
        Ok(Event::DeadLetter(DeadLetter { function, event: Box::new(event), attempts, reason, published }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trigger_of_an_object_is_known_here() {
        let functions: Vec<_> = STAGES.iter().map(|yaml| Trigger::parse(yaml).unwrap().function).collect();
        assert_eq!(functions, trackdrop_pipeline::Stage::ALL.map(|stage| stage.name().to_owned()));
    }
}
