//! Reads profiles from text. Given values replace the defaults, and values that are not valid are refused.

use super::{BUILT_IN, Length, Profile};
use serde_json::Value;

/// A profile that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is neither YAML nor JSON.
    #[error("the profile can't be read: {0}: it must be YAML or JSON, as shared/simulator/profiles/*.yaml")]
    Malformed(String),
    /// Something that no profile has.
    #[error("the profile has no {name:?}{place}; there are: {known}")]
    Unknown {
        /// What was named.
        name: String,
        /// Within what.
        place: String,
        /// What there is.
        known: String,
    },
    /// A value of another kind.
    #[error("{name} is {value}: {reason}")]
    Kind {
        /// What it is the value of.
        name: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value beyond its bounds.
    #[error("{name} is {value}; it must be {wanted}")]
    Value {
        /// What it is the value of.
        name: String,
        /// The value.
        value: String,
        /// What it may be.
        wanted: &'static str,
    },
}

impl Profile {
    /// The built-in profile of a name; none where there is none.
    pub fn built_in(name: &str) -> Option<Result<Self, ProfileError>> {
        let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        Some(Self::parse(text, &[]))
    }

    /// From YAML or JSON that says what differs from the defaults, with single values set after it by their path (`limits.load_files`, `5`).
    ///
    /// # Errors
    /// A name that is unknown, or a value out of its range.
    pub fn parse(text: &str, set: &[(String, String)]) -> Result<Self, ProfileError> {
        let nothing = Value::Object(serde_json::Map::new());
        let given: Value = match text.trim().is_empty() {
            true => nothing.clone(),
            false => {
                serde_saphyr::from_str(text).map_err(|error| ProfileError::Malformed(one_line(&error.to_string())))?
            }
        };
        let mut all = to_value(&Self::default());
        let given = if given.is_null() { nothing } else { given };
        merge(&mut all, &given, "")?;
        for (path, value) in set {
            let value: Value = serde_saphyr::from_str(value).unwrap_or_else(|_| Value::String(value.clone()));
            let nested = path.rsplit('.').fold(value, |inner, name| serde_json::json!({ name: inner }));
            merge(&mut all, &nested, "")?;
        }
        let profile: Self = serde_json::from_value(all).map_err(|error| ProfileError::Malformed(error.to_string()))?;
        profile.check()?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), ProfileError> {
        let bad = |name: &str, value: String, wanted| Err(ProfileError::Value { name: name.to_owned(), value, wanted });
        if self.videos == 0 || self.videos > 10_000_000 {
            return bad("videos", self.videos.to_string(), "1 to 10,000,000");
        }
        let is_weight = |weight: &f64| weight.is_finite() && *weight >= 0.0;
        if self.shape.is_empty()
            || self.shape.len() > 1_440
            || !self.shape.iter().all(is_weight)
            || self.shape.iter().sum::<f64>() <= 0.0
        {
            return bad("shape", format!("{:?}", self.shape), "1 to 1,440 weights of at least 0, not all 0");
        }
        if self.lengths.is_empty() || self.lengths.iter().map(|length| length.share).sum::<f64>() <= 0.0 {
            return bad("lengths", "empty".into(), "at least one length with a share above 0");
        }
        for length in &self.lengths {
            if !(0.04..=172_800.0).contains(&length.seconds) {
                return bad("lengths.seconds", length.seconds.to_string(), "0.04 to 172800 (48 hours)");
            }
            if !is_weight(&length.share) {
                return bad("lengths.share", length.share.to_string(), "a weight of at least 0");
            }
        }
        if !(0.1..=3_600.0).contains(&self.segment_seconds) {
            return bad("segment_seconds", self.segment_seconds.to_string(), "0.1 to 3600");
        }
        if self.deployment.gpus_at_least > self.deployment.gpus {
            return bad(
                "deployment.gpus_at_least",
                self.deployment.gpus_at_least.to_string(),
                "at most deployment.gpus",
            );
        }
        self.check_numbers()
    }

    /// What has to be above 0, or at least 0, by its place.
    fn check_numbers(&self) -> Result<(), ProfileError> {
        let may_be_0 = |name: &str| {
            matches!(
                name,
                "deployment.gpus_at_least"
                    | "deployment.load_window_minutes"
                    | "video.objects"
                    | "video.decode_ms"
                    | "video.scale_ms"
                    | "video.annotate_ms"
                    | "limits.idle_s"
                    | "limits.gpu_idle_s"
                    | "limits.metrics_age_s"
                    | "limits.queue_s"
                    | "limits.queue_starts"
            ) || name.starts_with("prices.")
                || name.starts_with("times.") && !name.ends_with("bytes_per_s") && name != "times.fps_per_gpu"
        };
        let all = to_value(self);
        for group in ["video", "deployment", "times", "limits", "prices", "goals"] {
            for (name, value) in all[group].as_object().into_iter().flatten() {
                let (name, Some(number)) = (format!("{group}.{name}"), value.as_f64()) else { continue };
                let (is_good, wanted) = match may_be_0(&name) {
                    true => (number >= 0.0, "at least 0"),
                    false => (number > 0.0, "above 0"),
                };
                // Anything larger is a slip, and would overflow the clock.
                if !is_good || number > 1e12 {
                    return Err(ProfileError::Value { name, value: value.to_string(), wanted });
                }
            }
        }
        Ok(())
    }
}

fn to_value(profile: &Profile) -> Value {
    // Numbers, text and lists always serialise; what is not finite becomes null, which no member takes back.
    serde_json::to_value(profile).unwrap_or_default()
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Lays what is given over what there is; nothing may be given that there isn't, or of another kind.
fn merge(all: &mut Value, given: &Value, place: &str) -> Result<(), ProfileError> {
    let kind = |reason: &str| ProfileError::Kind {
        name: if place.is_empty() { "the profile".into() } else { place.to_owned() },
        value: given.to_string(),
        reason: reason.to_owned(),
    };
    let is_goal = place.starts_with("goals.");
    match (&mut *all, given) {
        (Value::Object(all), Value::Object(given)) => {
            for (name, value) in given {
                let inner = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                let Some(existing) = all.get_mut(name) else {
                    let known = all.keys().cloned().collect::<Vec<_>>().join(", ");
                    let place = if place.is_empty() { String::new() } else { format!(" in {place}") };
                    return Err(ProfileError::Unknown { name: name.clone(), place, known });
                };
                merge(existing, value, &inner)?;
            }
            return Ok(());
        }
        (Value::Object(_), _) => return Err(kind("it must be a mapping")),
        (Value::Array(_), Value::Array(given)) if place == "lengths" => {
            for length in given {
                serde_json::from_value::<Length>(length.clone())
                    .map_err(|error| kind(&format!("each must be {{ seconds: 60, share: 1 }}: {error}")))?;
            }
        }
        (Value::Array(_), Value::Array(given)) if given.iter().all(Value::is_number) => {}
        (Value::Array(_), _) => return Err(kind("it must be a list of numbers")),
        (Value::Bool(_), Value::Bool(_)) => {}
        (Value::Bool(_), _) => return Err(kind("it must be true or false")),
        (Value::String(_), Value::String(given)) if place == "deployment.track_delivery" => {
            if !["push", "pull"].contains(&given.as_str()) {
                return Err(kind("it must be push or pull"));
            }
        }
        (Value::String(_), Value::String(_)) => {}
        (Value::String(_), _) => return Err(kind("it must be text")),
        // A goal is a number or none.
        (_, Value::Null) if is_goal => {}
        (Value::Number(was), Value::Number(number)) => {
            if was.is_u64() && number.as_u64().is_none_or(|number| number > u64::from(u32::MAX)) {
                return Err(kind("it must be a whole number of at least 0"));
            }
        }
        (Value::Null, Value::Number(_)) => {}
        _ => return Err(kind("it must be a number")),
    }
    *all = given.clone();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn refused(text: &str) -> String {
        Profile::parse(text, &[]).unwrap_err().to_string()
    }

    #[test]
    fn a_profile_says_what_differs_and_every_built_in_one_can_be_read() {
        for (name, _) in BUILT_IN {
            Profile::built_in(name).unwrap().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        assert!(Profile::built_in("nobody").is_none());
        let set =
            [("limits.load_files".to_owned(), "5".to_owned()), ("deployment.track_delivery".into(), "pull".into())];
        let profile = Profile::parse("{\"videos\": 7, \"video\": {\"frame_rate\": 25}}", &set).unwrap();
        assert_eq!((profile.videos, profile.video.frame_rate, profile.limits.load_files), (7, 25.0, 5));
        assert_eq!(profile.deployment.track_delivery, TrackDelivery::Pull);
        assert_eq!(profile.times, Times::default());
        assert_eq!(Profile::parse("", &[]).unwrap(), Profile::default());
    }

    #[test]
    fn a_profile_that_makes_no_sense_is_refused_with_the_value_and_what_to_do() {
        for (text, part) in [
            ("vidoes: 5", "no \"vidoes\"; there are: "),
            ("times: { fps: 3 }", "no \"fps\" in times; there are: "),
            ("videos: 0", "videos is 0; it must be 1 to 10,000,000"),
            ("videos: -1", "videos is -1: it must be a whole number"),
            ("videos: 1.5", "videos is 1.5: it must be a whole number"),
            ("videos: many", "videos is \"many\": it must be a number"),
            ("times: 3", "times is 3: it must be a mapping"),
            ("times: { fps_per_gpu: 0 }", "times.fps_per_gpu is 0.0; it must be above 0"),
            ("times: { read_s: -1 }", "times.read_s is -1.0; it must be at least 0"),
            ("limits: { bucket_writes_per_s: 0 }", "limits.bucket_writes_per_s is 0.0; it must be above 0"),
            ("times: { read_s: 1e300 }", "times.read_s is 1e+300"),
            ("shape: []", "shape is []; it must be"),
            ("shape: [0, 0]", "shape is [0.0, 0.0]; it must be"),
            ("shape: [a]", "it must be a list of numbers"),
            ("lengths: []", "lengths is empty"),
            ("lengths: [{ seconds: 0, share: 1 }]", "lengths.seconds is 0; it must be"),
            ("lengths: [{ minutes: 1 }]", "each must be { seconds: 60, share: 1 }"),
            ("segment_seconds: 0", "segment_seconds is 0; it must be 0.1 to 3600"),
            ("deployment: { track_delivery: post }", "deployment.track_delivery is \"post\": it must be push or pull"),
            ("deployment: { gpus_at_least: 9 }", "deployment.gpus_at_least is 9; it must be at most deployment.gpus"),
            ("annotated: perhaps", "annotated is \"perhaps\": it must be true or false"),
            ("goals: { rows_within_s: soon }", "goals.rows_within_s is \"soon\": it must be a number"),
            ("[1, 2]", "the profile is [1,2]: it must be a mapping"),
            ("videos: [", "the profile can't be read"),
        ] {
            let message = refused(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn instances_and_concurrency_are_those_that_terraform_declares() {
        let shapes = include_str!("../../../../../terraform/modules/functions/main.tf");
        let deployment = Deployment::default();
        for (function, max) in [
            ("split", deployment.split_max_instances),
            ("merge", deployment.merge_max_instances),
            ("load", deployment.load_max_instances),
            ("join", deployment.join_max_instances),
        ] {
            let line = shapes.lines().find(|line| line.trim_start().starts_with(&format!("{function} "))).unwrap();
            assert!(line.contains(&format!("max = {max},")), "{function}: {max} and {line}");
        }
        let variables = include_str!("../../../../../terraform/variables.tf");
        for (name, value) in [
            ("gpu_max_instances", deployment.gpus),
            ("annotate_max_instances", deployment.annotate_max_instances),
            ("seconds_per_segment", deployment.seconds_per_segment as u32),
            ("drain_target_s", deployment.drain_target_s as u32),
        ] {
            let declared = variables.split_once(&format!("variable \"{name}\"")).unwrap().1;
            let default = declared.split_once("default").unwrap().1.split_once('=').unwrap().1;
            assert_eq!(default.lines().next().unwrap().trim(), value.to_string(), "{name}");
        }
    }
}
