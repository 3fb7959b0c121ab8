//! Implements all three traits in one directory, for a laptop and for tests.
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
//! - **Atomic.** A blob is written and synced first. One transaction then checks the precondition, names the object,
//!   and queues the messages of the triggers that match. `kill -9` can leave a blob without a name, which is deleted
//!   later. It can't leave half an object, or an object whose event is lost.
//! - **At least once.** A message is leased to one process. The operating system releases that process's file lock when
//!   it dies in any way. Then any other process, or the next one, returns the message to the queue. There is no
//!   timeout.
//! - **Several processes** can use one directory, because SQLite serialises them.

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
