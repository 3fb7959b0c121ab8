//! Trackdrop on emulators that others wrote: the services as separate processes, and between them only wire protocols.
//!
//! ```text
//!  upload (HTTP) ─► fake-gcs-server ─ finalize events ─► Pub/Sub emulator ─ push ─► Gateway ─► service process
//!                          ▲                                   │  ▲                                 │
//!                          └──────────── objects ──────────────┼──┼─────────────────────────────────┤
//!                                        dead letters ◄────────┘  └─ trackdrop.request.finished ────┤
//!                                                      local-bigquery ◄─ load jobs ─────────────────┘
//! ```
//!
//! The [`Gateway`](gateway::Gateway) takes the place of Pub/Sub's filters (which the emulator accepts and ignores) and of Cloud Run's queue, and
//! makes the faults. A [`StorageGate`](storage_gate::StorageGate) is between each service and its objects, so that a kill strikes a handler that is
//! in the middle. A [`RightsGate`](rights::gate::RightsGate) is in front of all three for each service, and lets through what Terraform grants to the
//! service's own account. A test support crate: it panics with what went wrong, as tests do.
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
