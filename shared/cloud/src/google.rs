//! All three traits on Google Cloud: Cloud Storage, Pub/Sub and BigQuery.
//!
//! **Why plain JSON calls and not the official clients.** One transport does everything here. The official `google-cloud-storage`
//! reads and writes over JSON but lists, stats and deletes over gRPC only, which the emulator that the tests run against does not
//! speak; its resumable uploads can't reach an emulator on a port (it sends `Host` without one); and with `-pubsub` and
//! `-bigquery-v2` it brings tonic into services that must start within 150 ms in 40 MB. The calls needed are stable REST v1/v2.
//! Only a worker that pulls by a stream links the official client (`trackdrop-framework`, feature `pull`): streams are gRPC. Only
//! credentials come from the official `google-cloud-auth`, because they are the difficult part.
//!
//! An endpoint from `STORAGE_EMULATOR_HOST`, `PUBSUB_EMULATOR_HOST` or `BIGQUERY_EMULATOR_HOST` is called anonymously: nothing asks a
//! metadata server then. One from `TRACKDROP_STORAGE_ENDPOINT`, `TRACKDROP_PUBSUB_ENDPOINT` or `TRACKDROP_BIGQUERY_ENDPOINT` is called with
//! credentials, as Google's own is.

mod api;
mod publisher;
mod question;
mod resumable;
mod retry;
mod session;
mod settings;
mod storage;
mod subscription;
mod warehouse;

pub use api::{Api, ApiError, Identity};
pub use publisher::{PubSub, Topics};
pub use retry::Retry;
pub use settings::{
    Buckets, Endpoints, GoogleSettings, SettingsError, check_endpoint, pubsub_from_environment, variable, variables,
};
pub use storage::CloudStorage;
pub use subscription::{Leased, PubSubMessage, Subscription, check_subscription};
pub use warehouse::BigQuery;
