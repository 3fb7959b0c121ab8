//! Runs a function as an HTTP service on Google Cloud: an event in, an outcome out.
//!
//! [`serve`] is the whole `main` of a service. Google Cloud delivers events in several HTTP formats. [`decode`]
//! converts each of them into one typed event for the handler. [`Answer`] converts the handler's outcome into an HTTP
//! status. Pub/Sub acknowledges the event if the status is 2xx, and delivers it again otherwise. So a service answers
//! 2xx only when every effect is stored.
//!
//! Every event passes these layers, the outermost first:
//!
//! 1. A separate task runs the rest. So the work continues if the caller disconnects.
//! 2. The trace context is read.
//! 3. The access log is written.
//! 4. A deadline cancels the work before the acknowledgement deadline of Pub/Sub.
//! 5. A panic becomes an answer and a line of the log.
//! 6. The caller's identity is checked.
//! 7. The size of the body, and the time until it has arrived, are limited.
//! 8. The number of events that are handled at the same time is limited.
//!
//! `GET /healthz` answers as soon as the process listens. `GET /readyz` answers when the handler exists, which can take
//! longer if a model is loaded.
//!
//! [`serve_pages`] is the same for a service that people use in a browser, through Identity-Aware Proxy ([`iap`]). No
//! event starts it.
//!
//! With the feature `pull`, `serve_or_pull` is the same for a function that can also pull its events from a
//! subscription.
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
