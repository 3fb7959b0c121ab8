//! All three traits from one directory, for a laptop and for tests.
//!
//! ```text
//! DATA/results/<request_id>/...   what users take away (hard links to the blobs)
//! DATA/.store/catalog.db          SQLite: objects, messages, warehouse; the one truth
//! DATA/.store/blobs/<generation>  immutable contents
//! DATA/.store/incoming/       videos that the console is being sent, piece by piece
//! DATA/.store/tmp/<host>/         temporary files of a running process
//! DATA/.store/hosts/<host>        locked for as long as that process lives
//! DATA/.store/reserve             deleted when the disk is full, so that the failure can still be recorded
//! ```
//!
//! - **Atomic.** A blob is written and synced first; one transaction then checks the precondition, names the object and queues the
//!   messages of the triggers that match. `kill -9` leaves a blob that nothing names (swept later), never half an object, and never an
//!   object whose event is lost.
//! - **At least once.** A message belongs to the process that leased it. The operating system releases that process's file lock
//!   when it dies, however it dies; any other process, or the next one, then hands the message out again. No timeout is involved.
//! - **Several processes** may work on one directory: SQLite serialises them.

mod bus;
mod catalog;
mod host;
mod queue;
mod storage;
mod takeover;
mod warehouse;

pub use bus::{Bus, BusError, BusEvent, InFlight};
pub use catalog::{LocalCloud, OpenError};
pub use queue::Redrive;
pub use warehouse::LoadedFile;
