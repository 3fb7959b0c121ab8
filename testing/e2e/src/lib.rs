//! Trackdrop over third-party emulators: the services are separate processes, which communicate only over the network.
//!
//! ```text
//!  upload (HTTP) ─► fake-gcs-server ─ finalize events ─► Pub/Sub emulator ─ push ─► Gateway ─► service process
//!                          ▲                                   │  ▲                                 │
//!                          └──────────── objects ──────────────┼──┼─────────────────────────────────┤
//!                                        dead letters ◄────────┘  └─ trackdrop.request.finished ────┤
//!                                                      local-bigquery ◄─ load jobs ─────────────────┘
//! ```
//!
//! The [`Gateway`](gateway::Gateway) takes the place of Pub/Sub's filters (which the emulator accepts and ignores) and
//! of Cloud Run's queue, and injects the faults. A [`StorageGate`](storage_gate::StorageGate) is between each service
//! and its objects, so that a test can kill a handler in the middle of its work. A
//! [`RightsGate`](rights::gate::RightsGate) is in front of all three for each service, and lets through what Terraform
//! grants to the service's own account. This crate supports tests: it panics with the reason, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

pub mod deployment;
pub mod gateway;
pub mod local;
mod proxy;
pub mod rights;
pub mod rows;
pub mod service;
pub mod storage_gate;
pub mod uploads;

/// A client with a connection of its own for each request. A server closes a connection that is idle, perhaps just when it is used again, and that
/// would be a failure of nothing that is tested.
#[must_use]
pub fn http_client() -> reqwest::Client {
    reqwest::Client::builder().pool_max_idle_per_host(0).build().expect("a client")
}
