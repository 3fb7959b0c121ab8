//! How a service runs, from the environment.

use crate::{
    layers::deadline::STOPS_WITHIN,
    oidc::GOOGLE_KEYS,
    setting::{self, Values},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};
use trackdrop_cloud::google::{GoogleSettings, SettingsError, check_subscription};
use trackdrop_pipeline::{OfferedModels, trigger::Trigger};

/// How a service runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSettings {
    /// `PORT`.
    pub port: u16,
    /// `TRACKDROP_LISTEN`: the address on which the service listens. The default is the loopback address.
    pub listen: IpAddr,
    /// `TRACKDROP_CONCURRENCY`: events that are processed at the same time. The default is that of the trigger.
    pub concurrency: usize,
    /// `TRACKDROP_DEADLINE_S`: an event that takes longer is returned. If events are pushed, this must be below the subscription's acknowledgement
    /// deadline, after which Pub/Sub delivers the event again anyway. Unless set, it is a little less than the trigger's deadline.
    pub deadline: Duration,
    /// `TRACKDROP_PUSH_AUDIENCE` and `TRACKDROP_PUSH_SERVICE_ACCOUNT`: whose tokens are required.
    pub push: Option<PushIdentity>,
    /// `TRACKDROP_GUARDED_BY`: a text that names what checks callers if no tokens are required. Without it only this
    /// machine may push.
    pub guarded_by: Option<String>,
    /// `TRACKDROP_SUBSCRIPTION`: the subscription of a worker that pulls. None if events are pushed.
    pub subscription: Option<String>,
    /// `TRACKDROP_MODEL`: the detector, as a path or `gs://BUCKET/OBJECT`.
    pub model: Option<String>,
    /// `TRACKDROP_IGNORE`: the patterns of names that are not a video's, instead of the trigger's.
    pub ignore: Option<String>,
    /// `TRACKDROP_MODELS`: the detectors that uploads can name.
    pub models: OfferedModels,
    /// Where buckets, topics and tables are.
    pub google: GoogleSettings,
}

/// The tokens of pushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushIdentity {
    /// The audience of the tokens.
    pub audience: String,
    /// The account of the tokens.
    pub service_account: String,
    /// `TRACKDROP_PUSH_KEYS_URL`: the address of the public keys of the tokens. The default is Google's.
    pub keys_url: String,
}

/// The time that an answer needs to arrive.
const DEADLINE_MARGIN_S: u64 = 10;

impl ServiceSettings {
    /// Reads these values. Defaults come from the trigger. For a service to which events are pushed, or for a worker
    /// that pulls them.
    ///
    /// # Errors
    /// A required value is missing, or a value is invalid.
    pub fn from_values(values: &Values, trigger: &Trigger, is_pulled: bool) -> Result<Self, SettingsError> {
        let push = match (values.get(&setting::PUSH_AUDIENCE)?, values.get(&setting::PUSH_SERVICE_ACCOUNT)?) {
            (Some(audience), Some(service_account)) => {
                let keys_url = values.get(&setting::PUSH_KEYS_URL)?.unwrap_or_else(|| GOOGLE_KEYS.to_owned());
                Some(PushIdentity { audience, service_account, keys_url })
            }
            (None, None) if !values.has(&setting::PUSH_KEYS_URL) => None,
            // Half of a check would look like a check.
            (Some(_), None) => return Err(SettingsError::Missing(setting::PUSH_SERVICE_ACCOUNT.about.name)),
            (None, _) => return Err(SettingsError::Missing(setting::PUSH_AUDIENCE.about.name)),
        };
        let subscription = match values.get(&setting::SUBSCRIPTION)? {
            _ if !is_pulled => None,
            None => return Err(SettingsError::Missing(setting::SUBSCRIPTION.about.name)),
            Some(name) => {
                check_subscription(setting::SUBSCRIPTION.about.name, &name)?;
                Some(name)
            }
        };
        let usual_s = trigger.deadline_s.saturating_sub(DEADLINE_MARGIN_S).max(1);
        let (longest_s, must_be) = match is_pulled {
            true => (86_400, "a whole number of seconds, 1 to 86400"),
            // After the deadline the work has a short time to stop. The answer must arrive before the event is
            // delivered again.
            false => (
                trigger.deadline_s.saturating_sub(STOPS_WITHIN.as_secs() + 1).max(1),
                "a whole number of seconds, at least 1 and at most the trigger's deadline_s (when the event is delivered again) less 2",
            ),
        };
        let deadline_s = values.get(&setting::DEADLINE_S)?.unwrap_or(usual_s);
        if !(1..=longest_s).contains(&deadline_s) {
            let name = setting::DEADLINE_S.about.name;
            return Err(SettingsError::Value { name, value: deadline_s.to_string(), must_be });
        }
        Ok(Self {
            port: values.get(&setting::PORT)?.unwrap_or(8_080),
            listen: values.get(&setting::LISTEN)?.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            concurrency: values.get(&setting::CONCURRENCY)?.unwrap_or(trigger.concurrency as usize),
            deadline: Duration::from_secs(deadline_s),
            push,
            guarded_by: values.get(&setting::GUARDED_BY)?,
            subscription,
            model: values.get(&setting::MODEL)?,
            ignore: values.get(&setting::IGNORE)?,
            models: OfferedModels::of_text(&values.get(&setting::MODELS)?.unwrap_or_default())
                .map_err(|error| SettingsError::Host(error.to_string()))?,
            google: GoogleSettings::from_variables(values.variables())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use trackdrop_pipeline::trigger::files;

    fn settings(more: &[(&str, &str)]) -> Result<ServiceSettings, SettingsError> {
        settings_of(false, more)
    }

    fn settings_of(is_pulled: bool, more: &[(&str, &str)]) -> Result<ServiceSettings, SettingsError> {
        let pairs = [
            ("TRACKDROP_BUCKET_UPLOADS", "u"),
            ("TRACKDROP_BUCKET_WORK", "w"),
            ("TRACKDROP_BUCKET_RESULTS", "r"),
            ("TRACKDROP_TOPIC_REQUESTS", "projects/p/topics/requests"),
            ("TRACKDROP_DATASET", "p.d"),
        ];
        let pairs = pairs.iter().chain(more).map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let values = pairs.collect::<BTreeMap<_, _>>().into();
        let trigger = Trigger::parse(files::TRACK).unwrap();
        ServiceSettings::from_values(&values, &trigger, is_pulled)
    }

    #[test]
    fn the_trigger_says_what_the_environment_does_not() {
        let defaults = settings(&[]).unwrap();
        assert_eq!((defaults.port, defaults.concurrency, defaults.deadline.as_secs()), (8_080, 2, 590));
        let set = settings(&[("PORT", "81"), ("TRACKDROP_CONCURRENCY", "7"), ("TRACKDROP_DEADLINE_S", "30")]).unwrap();
        assert_eq!((set.port, set.concurrency, set.deadline.as_secs()), (81, 7, 30));
    }

    #[test]
    fn a_service_that_is_pushed_to_answers_before_the_event_is_delivered_again() {
        let deadline = |is_pulled, seconds| {
            let more = [("TRACKDROP_SUBSCRIPTION", "projects/p/subscriptions/s"), ("TRACKDROP_DEADLINE_S", seconds)];
            settings_of(is_pulled, &more).map(|settings| settings.deadline.as_secs())
        };
        assert_eq!(deadline(false, "598"), Ok(598));
        for seconds in ["599", "600", "86400"] {
            let error = deadline(false, seconds).unwrap_err().to_string();
            assert!(error.contains("TRACKDROP_DEADLINE_S") && error.contains(seconds), "{error}");
        }
        // A worker that pulls extends its leases for as long as an event is in progress.
        assert_eq!(deadline(true, "86400"), Ok(86_400));
    }

    #[test]
    fn a_worker_pulls_from_the_named_subscription_and_a_service_from_none() {
        let named = |name| ("TRACKDROP_SUBSCRIPTION", name);
        let name = "projects/p/subscriptions/one";
        assert_eq!(settings_of(true, &[named(name)]).unwrap().subscription.as_deref(), Some(name));
        assert_eq!(settings(&[named(name)]).unwrap().subscription, None, "whatever the environment holds");
        assert_eq!(settings_of(true, &[]), Err(SettingsError::Missing("TRACKDROP_SUBSCRIPTION")));
        let error = settings_of(true, &[named("track")]).unwrap_err().to_string();
        assert!(error.contains("\"track\"") && error.contains("TRACKDROP_SUBSCRIPTION"), "{error}");
    }

    #[test]
    fn a_service_listens_on_loopback_unless_told_otherwise() {
        assert!(settings(&[]).unwrap().listen.is_loopback());
        assert_eq!(settings(&[("TRACKDROP_LISTEN", "0.0.0.0")]).unwrap().listen.to_string(), "0.0.0.0");
        assert_eq!(settings(&[("TRACKDROP_LISTEN", "::1")]).unwrap().listen.to_string(), "::1");
        let error = settings(&[("TRACKDROP_LISTEN", "localhost")]).unwrap_err().to_string();
        assert!(error.contains("\"localhost\"") && error.contains("TRACKDROP_LISTEN"), "{error}");
    }

    #[test]
    fn a_number_that_is_none_and_half_an_identity_are_refused() {
        for (name, value) in
            [("PORT", "http"), ("PORT", "70000"), ("TRACKDROP_CONCURRENCY", "0"), ("TRACKDROP_DEADLINE_S", "-1")]
        {
            assert!(settings(&[(name, value)]).unwrap_err().to_string().contains(name));
        }
        assert_eq!(
            settings(&[("TRACKDROP_PUSH_AUDIENCE", "https://x")]),
            Err(SettingsError::Missing("TRACKDROP_PUSH_SERVICE_ACCOUNT"))
        );
        for alone in ["TRACKDROP_PUSH_SERVICE_ACCOUNT", "TRACKDROP_PUSH_KEYS_URL"] {
            assert_eq!(settings(&[(alone, "x")]), Err(SettingsError::Missing("TRACKDROP_PUSH_AUDIENCE")));
        }
    }
}
