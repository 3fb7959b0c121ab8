//! A deterministic simulation that tries to break the flow.
//!
//! The real handlers run over a cloud in memory, in one thread with a virtual clock. One seed determines all random
//! choices, so a run can be repeated exactly.
//!
//! - **Operations.** An operation on storage, topics or the warehouse can fail before its effect or after it. It can
//!   answer late, or be done twice. The process can die after it.
//! - **Events.** The bus reads the product's trigger files. It can deliver an event late, in another order, after the
//!   deadline, and any number of times.
//!
//! The most important items:
//!
//! - [`simulate`] runs a seed and checks the rules; [`explain`] finds the few faults that break a rule.
//! - [`simulate_with`] does the same with a given scenario and given faults.
//! - [`stand_ins`] take the place of decoder, detector, encoder and joiner.
//! - [`MemoryCloud`] is the cloud in memory; it passes the conformance suite of every storage.
//! - [`counter`] measures the completion counter.
//! - [`day`] simulates a day of up to millions of videos, from the operations of the handlers and the limits of the
//!   cloud's services.
//!
//! ```
//! let outcome = trackdrop_simulator::simulate(7, None)?;
//! assert_eq!(outcome.broken, Vec::<String>::new());
//! # Ok::<(), trackdrop_simulator::SimulationError>(())
//! ```

mod after;
mod attempt;
mod bus;
mod check;
pub mod counter;
pub mod day;
mod executor;
mod fault;
mod flaw;
mod memory;
mod run;
mod scenario;
mod shrink;
pub mod stand_ins;
mod world;

pub use fault::{AT_AN_OPERATION, Fault, Placed};
pub use flaw::Flaw;
pub use memory::{MemoryCloud, Notify, State};
pub use run::{Outcome, SimulationError};
pub use scenario::{MOST_SEGMENTS, Rates, Scenario, Upload};

use run::Options;
use shrink::Shrunk;
use std::collections::BTreeSet;

/// Runs the scenario of a seed. If a flaw is given, it is planted.
///
/// # Errors
/// The scenario could not be set up.
pub fn simulate(seed: u64, flaw: Option<Flaw>) -> Result<Outcome, SimulationError> {
    run::run(&Scenario::of(seed), Options { seed, flaw, ..Options::default() })
}

/// Runs a scenario with faults drawn from the seed at the scenario's rates.
///
/// # Errors
/// The scenario could not be set up.
pub fn simulate_scenario(scenario: &Scenario, seed: u64) -> Result<Outcome, SimulationError> {
    run::run(scenario, Options { seed, ..Options::default() })
}

/// Runs a scenario with exactly these faults; the seed decides only how long operations take.
///
/// # Errors
/// The scenario could not be set up.
pub fn simulate_with(scenario: &Scenario, seed: u64, faults: &[Placed]) -> Result<Outcome, SimulationError> {
    run::run(scenario, Options { seed, faults: Some(faults), with_places: true, ..Options::default() })
}

/// A sentence about a broken rule, without names and numbers.
fn rule(broken: &str) -> String {
    broken
        .split_whitespace()
        .filter(|word| !word.contains(|c: char| c.is_ascii_digit() || "/\"(#".contains(c)))
        .collect()
}

/// Explains a failing seed, as text for people: the broken rule, the few faults that are needed, and what happened.
/// None if no rule is broken.
///
/// # Errors
/// The scenario could not be set up.
pub fn explain(seed: u64, flaw: Option<Flaw>) -> Result<Option<String>, SimulationError> {
    let (scenario, outcome) = (Scenario::of(seed), simulate(seed, flaw)?);
    if outcome.broken.is_empty() {
        return Ok(None);
    }
    let given = |faults: &[Placed], with_log| {
        run::run(&scenario, Options { seed, faults: Some(faults), flaw, with_log, ..Options::default() })
    };
    // Fewer faults that break another rule explain nothing.
    let rules: BTreeSet<String> = outcome.broken.iter().map(|broken| rule(broken)).collect();
    let try_run = |faults: &[Placed]| -> Result<(bool, u64), SimulationError> {
        let outcome = given(faults, false)?;
        Ok((outcome.broken.iter().any(|broken| rules.contains(&rule(broken))), outcome.steps))
    };
    let Shrunk { faults: few, all_needed } = shrink::shrink(outcome.faults.clone(), try_run)?;
    let shrunk = given(&few, true)?;
    let mut text = format!("seed {seed} breaks the flow:\n");
    for rule in &outcome.broken {
        text += &format!("  {rule}\n");
    }
    let fewer = if all_needed { "" } else { ", and fewer may be: such runs are long, so not all were tried" };
    text += &format!("{} of its {} faults are enough{fewer}:\n", few.len(), outcome.faults.len());
    for (place, fault) in &few {
        text += &format!("  {place}: {fault}\n");
    }
    for rule in &shrunk.broken {
        text += &format!("  then {rule}\n");
    }
    text += "uploads:\n";
    for upload in &scenario.uploads {
        text += &format!("  {upload:?}\n");
    }
    text += "what happened:\n";
    for line in &shrunk.log {
        text += &format!("  {line}\n");
    }
    Ok(Some(text))
}
