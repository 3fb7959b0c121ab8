//! The values that a process is given for its settings.

use super::{ALL, About, Setting};
use std::{collections::BTreeMap, env, fmt::Display, str::FromStr};
use trackdrop_cloud::google::SettingsError;
use trackdrop_pipeline::Failure;

/// The values of settings. An empty value counts as not set.
#[derive(Clone, Debug, Default)]
pub struct Values(BTreeMap<String, String>);

impl From<BTreeMap<String, String>> for Values {
    fn from(variables: BTreeMap<String, String>) -> Self {
        Self(variables)
    }
}

impl Values {
    /// Those of this process's environment.
    ///
    /// # Errors
    /// A setting that is not text.
    pub fn of_process() -> Result<Self, SettingsError> {
        for About { name, .. } in ALL {
            if let Err(env::VarError::NotUnicode(value)) = env::var(name) {
                let value = value.to_string_lossy().into_owned();
                return Err(SettingsError::Value { name, value, must_be: "text in UTF-8" });
            }
        }
        Ok(Self(trackdrop_cloud::google::variables()))
    }

    /// The texts, for code that parses them itself.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether it is set.
    pub fn has<T>(&self, setting: &Setting<T>) -> bool {
        self.text(setting.about.name).is_some()
    }

    /// Its value. None if it is not set.
    ///
    /// # Errors
    /// A value that it can't have.
    pub fn get<T>(&self, setting: &Setting<T>) -> Result<Option<T>, SettingsError> {
        let (name, must_be) = (setting.about.name, setting.must_be);
        let parse = |value: &str| {
            let refused = || SettingsError::Value { name, value: value.to_owned(), must_be };
            (setting.parse)(value).ok_or_else(refused)
        };
        self.text(name).map(parse).transpose()
    }

    /// Its value, as a type that a library parses. The library's errors say what is allowed.
    ///
    /// # Errors
    /// A value that it can't have.
    pub fn parsed<T: FromStr<Err: Display>>(&self, setting: &Setting<String>) -> Result<Option<T>, Failure> {
        let name = setting.about.name;
        let parse = |value: &str| value.parse().map_err(|error| Failure::permanent(format!("{name}: {error}")));
        self.text(name).map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{BATCH, GIVE_UP_S, LOAD_WINDOW, MODEL_SESSIONS, SPOOL_BYTES, STALLED_S},
        *,
    };
    use std::num::NonZeroUsize;

    #[test]
    fn a_value_is_read_or_refused_with_its_name_and_what_it_must_be() {
        let values = |name: &str, value: &str| Values(BTreeMap::from([(name.to_owned(), value.to_owned())]));
        assert_eq!(values("TRACKDROP_BATCH", "").get(&BATCH), Ok(None));
        assert_eq!(values("TRACKDROP_BATCH", "4").get(&BATCH), Ok(NonZeroUsize::new(4)));
        assert_eq!(values("TRACKDROP_STALLED_S", "0.5").get(&STALLED_S), Ok(Some(0.5)));
        assert!(values("TRACKDROP_LOAD_WINDOW", "0").has(&LOAD_WINDOW));
        for (name, bad) in
            [("TRACKDROP_STALLED_S", "-1"), ("TRACKDROP_GIVE_UP_S", "inf"), ("TRACKDROP_STALLED_S", "soon")]
        {
            let setting = if name == "TRACKDROP_STALLED_S" { &STALLED_S } else { &GIVE_UP_S };
            let error = values(name, bad).get(setting).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(bad) && error.contains("seconds"), "{error}");
        }
        assert!(values("TRACKDROP_MODEL_SESSIONS", "0").get(&MODEL_SESSIONS).is_err());
        assert!(values("TRACKDROP_SPOOL_BYTES", "1 GB").get(&SPOOL_BYTES).is_err());
    }
}
