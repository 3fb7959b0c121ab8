//! Rights as Google Cloud has them, before emulators that have none.
//!
//! ```text
//!  service ─ token? ─► RightsGate (as Cloud Run's metadata server: of this service's account)
//!     └───── call ───► RightsGate ─ may this account do this, by what Terraform grants? ─► emulator
//!                          └ 403 as that API says it; a call that the gate does not know is refused as well
//! ```
//!
//! - [`grants`] reads `terraform/rights/EXAMPLE.json`, which `scripts/terraform-test --write-rights` derives from the example and
//!   `scripts/terraform-test` proves current; and takes roles apart to single [`Right`](grants::Right)s.
//! - [`calls`] says which permissions a call takes, by Google's documentation.
//! - [`gate`] is between one service and everything that it calls.
//! - [`report`] says which rights were used by which test, which were not and why they are granted all the same, and writes the table of
//!   `docs/deploy.md`.

pub mod calls;
pub mod gate;
pub mod grants;
pub mod report;
