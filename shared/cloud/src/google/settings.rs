//! The addresses and names of buckets, topics and tables, from the environment variables.

use super::{BigQuery, CloudStorage, PubSub, Topics, api::Api};
use std::{collections::BTreeMap, env, fmt};
use trackdrop_pipeline::{Bucket, Failure, FailureKind};

/// The names of the three buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// What users drop.
    pub uploads: String,
    /// What the functions pass to each other.
    pub work: String,
    /// What users take away.
    pub results: String,
}

impl Buckets {
    /// The bucket of a role.
    pub fn name_of(&self, role: Bucket) -> &str {
        match role {
            Bucket::Uploads => &self.uploads,
            Bucket::Work => &self.work,
            Bucket::Results => &self.results,
        }
    }

    /// The role of a bucket. None for a bucket that the deployment does not use.
    pub fn role_of(&self, name: &str) -> Option<Bucket> {
        Bucket::ALL.into_iter().find(|&role| self.name_of(role) == name)
    }
}

/// The addresses and names of buckets, topics and tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoogleSettings {
    /// `GOOGLE_CLOUD_PROJECT`: load jobs run in it, and traces belong to it.
    pub project: String,
    /// `TRACKDROP_BUCKET_UPLOADS`, `_WORK`, `_RESULTS`.
    pub buckets: Buckets,
    /// `TRACKDROP_TOPIC_REQUESTS`. Also `TRACKDROP_TOPIC_UPLOADS` and `_WORK`, which are optional, because only the
    /// sweeper needs them.
    pub topics: Topics,
    /// `TRACKDROP_DATASET`, as `project.dataset`.
    pub dataset: (String, String),
    /// `TRACKDROP_DATASET_LOCATION`: the location of the dataset, such as `europe-west4` or `EU`. If it is not set, it is read
    /// from BigQuery, which needs one more right.
    pub dataset_location: Option<String>,
    /// Addresses of the APIs that replace Google's public ones.
    pub endpoints: Endpoints,
    /// `STORAGE_EMULATOR_HOST`: called without credentials instead of Cloud Storage.
    pub storage_emulator: Option<String>,
    /// `PUBSUB_EMULATOR_HOST`: called without credentials instead of Pub/Sub.
    pub pubsub_emulator: Option<String>,
    /// `BIGQUERY_EMULATOR_HOST`: called without credentials instead of BigQuery.
    pub bigquery_emulator: Option<String>,
}

const STORAGE: &str = "https://storage.googleapis.com";
const PUBSUB: &str = "https://pubsub.googleapis.com";
const BIGQUERY: &str = "https://bigquery.googleapis.com";

/// Addresses that are called with credentials in place of Google's public ones, such as those of Private Service Connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `TRACKDROP_STORAGE_ENDPOINT`: Cloud Storage.
    pub storage: Option<String>,
    /// `TRACKDROP_PUBSUB_ENDPOINT`: Pub/Sub.
    pub pubsub: Option<String>,
    /// `TRACKDROP_BIGQUERY_ENDPOINT`: BigQuery.
    pub bigquery: Option<String>,
}

impl Endpoints {
    fn from_variables(variables: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let of = |name: &'static str| match variables.get(name).filter(|value| !value.is_empty()) {
            Some(value) => check_endpoint(name, value).map(Some),
            None => Ok(None),
        };
        Ok(Self {
            storage: of("TRACKDROP_STORAGE_ENDPOINT")?,
            pubsub: of("TRACKDROP_PUBSUB_ENDPOINT")?,
            bigquery: of("TRACKDROP_BIGQUERY_ENDPOINT")?,
        })
    }
}

/// Pub/Sub, for a process that needs nothing else. It reads the process's environment.
///
/// # Errors
/// An endpoint to which credentials may not be sent, or no credentials.
pub fn pubsub_from_environment() -> Result<Api, SettingsError> {
    let variables = variables();
    let endpoint = Endpoints::from_variables(&variables)?.pubsub;
    let emulator = variables.get("PUBSUB_EMULATOR_HOST").filter(|host| !host.is_empty());
    Api::new(endpoint.as_deref().unwrap_or(PUBSUB), emulator.map(String::as_str))
}

/// An address that credentials may be sent to, as a base URL; `name` is the service setting that holds it.
///
/// # Errors
/// It is not an address, or it is plain HTTP to another machine, where the credentials could be intercepted.
pub fn check_endpoint(name: &'static str, value: &str) -> Result<String, SettingsError> {
    let url = reqwest::Url::parse(value).ok();
    let is_local = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let is_safe = url.as_ref().is_some_and(|url| match url.scheme() {
        "https" => url.host_str().is_some(),
        "http" => url.host_str().is_some_and(is_local),
        _ => false,
    });
    let must_be = "a base URL with https (http only to this machine: credentials are sent to it)";
    if is_safe {
        Ok(value.trim_end_matches('/').to_owned())
    } else {
        Err(SettingsError::Value { name, value: value.to_owned(), must_be })
    }
}

/// A setting that is missing or not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A variable is missing.
    #[error("the environment variable {0} is missing")]
    Missing(&'static str),
    /// A variable has a value that is not valid.
    #[error("the environment variable {name} is {value:?}: it must be {must_be}")]
    Value {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        must_be: &'static str,
    },
    /// There are no credentials, or they can't be read.
    #[error("no credentials for Google Cloud: {0}")]
    Credentials(String),
    /// The HTTP client or the folder for temporary files can't be made.
    #[error("{0}")]
    Host(String),
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::from_error(FailureKind::Permanent, error)
    }
}

/// The environment variables of the process. Variables that are not text are left out; Trackdrop has none of them.
pub fn variables() -> BTreeMap<String, String> {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// An environment variable of the process. An empty one counts as not set.
///
/// # Errors
/// It is not text.
pub fn variable(name: &'static str) -> Result<Option<String>, SettingsError> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(value)) => {
            Err(SettingsError::Value { name, value: value.to_string_lossy().into_owned(), must_be: "text in UTF-8" })
        }
    }
}

impl GoogleSettings {
    /// From the process's environment.
    ///
    /// # Errors
    /// A variable that is missing or has a value it cannot have.
    pub fn from_environment() -> Result<Self, SettingsError> {
        Self::from_variables(&variables())
    }

    /// From these variables.
    ///
    /// # Errors
    /// A variable that is missing or has a value it cannot have.
    pub fn from_variables(variables: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let optional = |name: &str| variables.get(name).filter(|value| !value.is_empty()).cloned();
        let required = |name: &'static str| optional(name).ok_or(SettingsError::Missing(name));
        let topic = |name: &'static str, value: String| {
            let is_full = matches!(value.split('/').collect::<Vec<_>>()[..], ["projects", project, "topics", topic] if !project.is_empty() && !topic.is_empty());
            let wrong = SettingsError::Value { name, value: value.clone(), must_be: "projects/PROJECT/topics/TOPIC" };
            if is_full { Ok(value) } else { Err(wrong) }
        };
        let optional_topic = |name: &'static str| optional(name).map(|value| topic(name, value)).transpose();
        let objects = [
            (Bucket::Uploads, optional_topic("TRACKDROP_TOPIC_UPLOADS")?),
            (Bucket::Work, optional_topic("TRACKDROP_TOPIC_WORK")?),
        ];
        let dataset = required("TRACKDROP_DATASET")?;
        let dataset = match dataset.split_once('.') {
            Some((project, name)) if !project.is_empty() && !name.is_empty() && !name.contains('.') => {
                (project.to_owned(), name.to_owned())
            }
            _ => {
                return Err(SettingsError::Value {
                    name: "TRACKDROP_DATASET",
                    value: dataset,
                    must_be: "PROJECT.DATASET",
                });
            }
        };
        Ok(Self {
            project: optional("GOOGLE_CLOUD_PROJECT").unwrap_or_else(|| dataset.0.clone()),
            buckets: Buckets {
                uploads: required("TRACKDROP_BUCKET_UPLOADS")?,
                work: required("TRACKDROP_BUCKET_WORK")?,
                results: required("TRACKDROP_BUCKET_RESULTS")?,
            },
            topics: Topics {
                requests: topic("TRACKDROP_TOPIC_REQUESTS", required("TRACKDROP_TOPIC_REQUESTS")?)?,
                objects: objects.into_iter().filter_map(|(bucket, topic)| Some((bucket, topic?))).collect(),
            },
            dataset,
            dataset_location: optional("TRACKDROP_DATASET_LOCATION"),
            endpoints: Endpoints::from_variables(variables)?,
            storage_emulator: optional("STORAGE_EMULATOR_HOST"),
            pubsub_emulator: optional("PUBSUB_EMULATOR_HOST"),
            bigquery_emulator: optional("BIGQUERY_EMULATOR_HOST"),
        })
    }

    /// Cloud Storage.
    ///
    /// # Errors
    /// There are no credentials.
    pub fn storage(&self) -> Result<CloudStorage, SettingsError> {
        let endpoint = self.endpoints.storage.as_deref().unwrap_or(STORAGE);
        let api = Api::new(endpoint, self.storage_emulator.as_deref())?;
        CloudStorage::new(api, self.buckets.clone())
    }

    /// Cloud Storage with this bucket for every role, to read objects of other buckets, such as a model.
    ///
    /// # Errors
    /// There are no credentials.
    pub fn storage_of(&self, bucket: &str) -> Result<CloudStorage, SettingsError> {
        let buckets = Buckets { uploads: bucket.into(), work: bucket.into(), results: bucket.into() };
        Self { buckets, ..self.clone() }.storage()
    }

    /// Pub/Sub.
    ///
    /// # Errors
    /// There are no credentials.
    pub fn publisher(&self) -> Result<PubSub, SettingsError> {
        Ok(PubSub::new(self.pubsub()?, self.topics.clone(), self.buckets.clone()))
    }

    fn pubsub(&self) -> Result<Api, SettingsError> {
        let endpoint = self.endpoints.pubsub.as_deref().unwrap_or(PUBSUB);
        Api::new(endpoint, self.pubsub_emulator.as_deref())
    }

    /// BigQuery.
    ///
    /// # Errors
    /// There are no credentials.
    pub fn warehouse(&self) -> Result<BigQuery, SettingsError> {
        let endpoint = self.endpoints.bigquery.as_deref().unwrap_or(BIGQUERY);
        let api = Api::new(endpoint, self.bigquery_emulator.as_deref())?;
        let warehouse = BigQuery::new(api, self.project.clone(), self.dataset.clone(), self.buckets.clone());
        Ok(match &self.dataset_location {
            Some(location) => warehouse.in_location(location),
            None => warehouse,
        })
    }
}

impl fmt::Display for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}", self.uploads, self.work, self.results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, String> {
        let pairs = [
            ("TRACKDROP_BUCKET_UPLOADS", "acme-uploads"),
            ("TRACKDROP_BUCKET_WORK", "acme-work"),
            ("TRACKDROP_BUCKET_RESULTS", "acme-results"),
            ("TRACKDROP_TOPIC_REQUESTS", "projects/acme/topics/requests"),
            ("TRACKDROP_DATASET", "acme.tracking"),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_bucket_has_its_role_and_a_strange_one_has_none() {
        let settings = GoogleSettings::from_variables(&variables()).unwrap();
        assert_eq!(settings.buckets.role_of("acme-work"), Some(Bucket::Work));
        assert_eq!(settings.buckets.role_of("work"), None);
        assert_eq!(settings.project, "acme");
    }

    #[test]
    fn a_missing_or_senseless_variable_is_named_with_its_value() {
        for name in variables().keys() {
            let mut without = variables();
            without.remove(name);
            let error = GoogleSettings::from_variables(&without).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        for (name, value) in [
            ("TRACKDROP_TOPIC_REQUESTS", "requests"),
            ("TRACKDROP_DATASET", "a.b.c"),
            ("TRACKDROP_STORAGE_ENDPOINT", "storage.example"),
            // A listener on the way would get the token.
            ("TRACKDROP_PUBSUB_ENDPOINT", "http://pubsub.example"),
            ("TRACKDROP_BIGQUERY_ENDPOINT", "ftp://127.0.0.1"),
        ] {
            let mut wrong = variables();
            wrong.insert(name.into(), value.into());
            let error = GoogleSettings::from_variables(&wrong).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
    }

    #[test]
    fn an_address_of_ones_own_is_a_base_url_that_credentials_may_be_sent_to() {
        for good in
            ["https://storage-x.p.googleapis.com/", "http://127.0.0.1:9", "http://[::1]:9/", "http://localhost:9"]
        {
            assert_eq!(check_endpoint("NAME", good).unwrap(), good.trim_end_matches('/'));
        }
        let mut with = variables();
        with.insert("TRACKDROP_STORAGE_ENDPOINT".into(), "https://storage-x.p.googleapis.com/".into());
        let endpoints = GoogleSettings::from_variables(&with).unwrap().endpoints;
        assert_eq!(endpoints.storage.as_deref(), Some("https://storage-x.p.googleapis.com"));
        assert_eq!((endpoints.pubsub, endpoints.bigquery), (None, None));
    }
}
