//! All three traits on Google Cloud: Cloud Storage, Pub/Sub and BigQuery.
//!
//! **Why plain JSON calls and not the official clients.** One HTTP client is enough for everything here, and the needed
//! calls are stable REST v1/v2. The official clients have three problems:
//!
//! - `google-cloud-storage` reads and writes over JSON, but lists, stats and deletes only over gRPC, which the emulator
//!   of the tests does not support.
//! - Its resumable uploads can't reach an emulator on a port, because it sends `Host` without the port.
//! - With `-pubsub` and `-bigquery-v2` it adds tonic to services that must start within 150 ms and use 40 MB.
//!
//! Two official crates are used. `google-cloud-auth` provides credentials, because they are the difficult part. A
//! worker that pulls uses Google's client for the streaming pull, which is gRPC (`trackdrop-framework`, feature
//! `pull`).
//!
//! An endpoint from `STORAGE_EMULATOR_HOST`, `PUBSUB_EMULATOR_HOST` or `BIGQUERY_EMULATOR_HOST` is called without
//! credentials, so no metadata server is needed. One from `TRACKDROP_STORAGE_ENDPOINT`, `TRACKDROP_PUBSUB_ENDPOINT` or
//! `TRACKDROP_BIGQUERY_ENDPOINT` is called with credentials, like Google's own.

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
