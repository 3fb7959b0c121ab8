//! Runs a function as an HTTP service on Google Cloud: an event in, an outcome out.
//!
//! [`serve`] is the whole `main` of a service. Google Cloud delivers an event in one of several HTTP formats (see [`decode`]).
//! Each becomes one typed event for the handler. The handler's outcome becomes the HTTP status (see [`Answer`]), on which
//! Pub/Sub retries or acknowledges: 2xx only when every effect is stored.
//!
//! The layers around every event, outermost first:
//!
//! 1. a separate task, which continues if the caller disconnects;
//! 2. trace context;
//! 3. access log;
//! 4. a deadline below the acknowledgement deadline;
//! 5. panics become diagnostics;
//! 6. the caller's identity;
//! 7. bounds on the body;
//! 8. a bound on concurrency.
//!
//! `GET /healthz` answers once the process listens, and `GET /readyz` once the handler exists (a model may have to be loaded).
//!
//! [`serve_pages`] is the same for a service that people use through Identity-Aware Proxy ([`iap`]). No event starts it.
//!
//! With the feature `pull`, `serve_or_pull` is the same for a function that may also pull its events from a subscription.
//!
//! ```
//! use async_trait::async_trait;
//! use std::process::ExitCode;
//! use trackdrop_framework::serve;
//! use trackdrop_pipeline::{Delivery, Event, Failure, Handler, trigger::files};
//!
//! struct Ignore;
//!
//! #[async_trait]
//! impl Handler for Ignore {
//!     async fn handle(&self, _: &Event, _: &Delivery) -> Result<(), Failure> {
//!         Ok(())
//!     }
//! }
//!
//! fn the_main_of_a_service() -> ExitCode {
//!     serve(files::LOAD, async |_| Ok(Ignore))
//! }
//! ```

mod answer;
mod arguments;
mod connections;
mod decode;
mod drain;
mod google_event;
pub mod iap;
mod keys;
mod layers;
pub mod oidc;
mod pages;
#[cfg(feature = "pull")]
mod pull;
mod serve;
mod service;
pub mod setting;
mod settings;
mod stuck;
pub mod telemetry;
mod translate;

pub use answer::Answer;
pub use decode::{Malformed, decode};
pub use google_event::{FinalizedObject, GoogleEvent};
pub use pages::{PagesEnvironment, serve_pages};
#[cfg(feature = "pull")]
pub use pull::Subscription;
#[cfg(feature = "pull")]
pub use serve::serve_or_pull;
pub use serve::{Environment, serve};
pub use service::Service;
pub use settings::{PushIdentity, ServiceSettings};
