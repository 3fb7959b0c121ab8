//! A model of lease and completion counter. A test visits all its states: three segments, two workers, and every order in which a
//! few crashes and expired leases can occur between their operations.
//!
//! Each step of a worker is one operation of [`super::complete`] and its caller, in the same order. If a lease expires,
//! a second worker can run the same delivery at the same time. After a crash it is delivered again. An acknowledged
//! delivery can come again. Wrong protocols prove that the model finds broken rules.

use stateright::{Checker, Model, Property};

const SEGMENTS: usize = 3;
/// The message that starts `merge`. The others start `track`, one per segment.
const MERGE: usize = SEGMENTS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// The protocol of the product.
    AsBuilt,
    /// Wrong: the worker counts before it writes its own result.
    CountsFirst,
    /// Wrong: a delivery is acknowledged before its marker is written.
    AcknowledgesFirst,
    /// Wrong: a redelivery that finds the result does not count.
    TrustsTheResult,
    /// Wrong: markers and results can be overwritten.
    Overwrites,
    /// Wrong: with several groups, only the last group creates the marker.
    FiresByGroup,
}

#[derive(Clone, Debug)]
struct Flow {
    protocol: Protocol,
    /// Segments in a group: three make one group, two make two.
    group_size: usize,
    /// How many crashes, expired leases and copies there may be.
    faults: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Message {
    NotYet,
    Waiting,
    Leased,
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Check,
    Write,
    Count,
    MarkGroup,
    CountGroups,
    Fire,
    MarkMerged,
    Acknowledge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// How often each result was written.
    results: [u8; SEGMENTS],
    groups: [bool; SEGMENTS],
    /// How often the marker was written, and so `merge` started.
    fired: u8,
    /// Whether it was written before all results existed.
    fired_early: bool,
    /// How often the tracks were written.
    tracks: u8,
    merged: bool,
    messages: [Message; SEGMENTS + 1],
    workers: [Option<(usize, Step)>; 2],
    faults_left: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Lease(usize, usize),
    Step(usize),
    Crash(usize),
    Expire(usize),
    Duplicate(usize),
}

impl Flow {
    fn group(&self, segment: usize) -> std::ops::Range<usize> {
        let first = segment / self.group_size * self.group_size;
        first..(first + self.group_size).min(SEGMENTS)
    }

    /// Does one operation of a delivery. Returns its next one, or none at the end.
    fn step(&self, state: &mut State, message: usize, step: Step) -> Option<Step> {
        let create = |times: &mut u8| {
            if *times == 0 || self.protocol == Protocol::Overwrites {
                *times += 1;
                return true;
            }
            false
        };
        let next = match step {
            Step::Check if message == MERGE && state.merged => Step::Acknowledge,
            Step::Check if message == MERGE => Step::Write,
            Step::Check if state.results[message] > 0 => match self.protocol {
                Protocol::TrustsTheResult => Step::Acknowledge,
                _ => Step::Count,
            },
            Step::Check if self.protocol == Protocol::CountsFirst => Step::Count,
            Step::Check => Step::Write,
            Step::Write if message == MERGE => {
                create(&mut state.tracks);
                Step::MarkMerged
            }
            Step::Write => {
                create(&mut state.results[message]);
                match self.protocol {
                    Protocol::CountsFirst => Step::Acknowledge,
                    _ => Step::Count,
                }
            }
            Step::Count => {
                let of_group = self.group(message);
                // Where it counts first, it takes its own result for written.
                let exists = |segment: usize| {
                    state.results[segment] > 0 || (self.protocol == Protocol::CountsFirst && segment == message)
                };
                let complete = of_group.clone().all(exists);
                let groups = SEGMENTS.div_ceil(self.group_size);
                match self.protocol {
                    _ if !complete => match self.protocol {
                        Protocol::CountsFirst if state.results[message] == 0 => Step::Write,
                        _ => Step::Acknowledge,
                    },
                    Protocol::FiresByGroup if of_group.end == SEGMENTS => Step::Fire,
                    Protocol::FiresByGroup => Step::Acknowledge,
                    _ if groups > 1 => Step::MarkGroup,
                    _ => Step::Fire,
                }
            }
            Step::MarkGroup => {
                state.groups[message / self.group_size] = true;
                Step::CountGroups
            }
            Step::CountGroups => {
                let marked = state.groups.iter().filter(|marked| **marked).count();
                if marked < SEGMENTS.div_ceil(self.group_size) { Step::Acknowledge } else { Step::Fire }
            }
            Step::Fire => {
                if create(&mut state.fired) {
                    state.fired_early |= state.results.contains(&0);
                    // The notification is part of the write.
                    state.messages[MERGE] = Message::Waiting;
                }
                match self.protocol {
                    Protocol::CountsFirst if state.results[message] == 0 => Step::Write,
                    _ => Step::Acknowledge,
                }
            }
            Step::MarkMerged => {
                state.merged = true;
                Step::Acknowledge
            }
            Step::Acknowledge => {
                state.messages[message] = Message::Gone;
                return None;
            }
        };
        if self.protocol == Protocol::AcknowledgesFirst && matches!(next, Step::Fire | Step::MarkGroup) {
            state.messages[message] = Message::Gone;
        }
        Some(next)
    }
}

impl Model for Flow {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut messages = [Message::Waiting; SEGMENTS + 1];
        messages[MERGE] = Message::NotYet;
        vec![State {
            results: [0; SEGMENTS],
            groups: [false; SEGMENTS],
            fired: 0,
            fired_early: false,
            tracks: 0,
            merged: false,
            messages,
            workers: [None; 2],
            faults_left: self.faults,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (worker, busy) in state.workers.iter().enumerate() {
            match busy {
                Some(_) => {
                    actions.push(Action::Step(worker));
                    if state.faults_left > 0 {
                        actions.push(Action::Crash(worker));
                    }
                }
                None => {
                    let waiting = (0..=MERGE).filter(|&message| state.messages[message] == Message::Waiting);
                    actions.extend(waiting.map(|message| Action::Lease(worker, message)));
                }
            }
        }
        if state.faults_left > 0 {
            let leased = (0..=MERGE).filter(|&message| state.messages[message] == Message::Leased);
            actions.extend(leased.map(Action::Expire));
            let gone = (0..=MERGE).filter(|&message| state.messages[message] == Message::Gone);
            actions.extend(gone.map(Action::Duplicate));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Lease(worker, message) => {
                state.messages[message] = Message::Leased;
                state.workers[worker] = Some((message, Step::Check));
            }
            Action::Step(worker) => {
                let (message, step) = state.workers[worker]?;
                state.workers[worker] = self.step(&mut state, message, step).map(|next| (message, next));
            }
            Action::Crash(worker) => {
                state.faults_left -= 1;
                let (message, _) = state.workers[worker].take()?;
                if state.messages[message] == Message::Leased {
                    state.messages[message] = Message::Waiting;
                }
            }
            // Leased: a second worker may have it. Gone: it comes once more.
            Action::Expire(message) | Action::Duplicate(message) => {
                state.faults_left -= 1;
                state.messages[message] = Message::Waiting;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing is done twice", |_, state: &State| {
                state.fired <= 1 && state.tracks <= 1 && state.results.iter().all(|&times| times <= 1)
            }),
            Property::always("merge never starts early", |_, state: &State| !state.fired_early),
            Property::always("nothing is lost", |_, state: &State| {
                let at_rest = state.workers.iter().all(Option::is_none)
                    && state.messages.iter().all(|message| matches!(message, Message::NotYet | Message::Gone));
                !at_rest || state.merged
            }),
            Property::sometimes("a request is merged", |_, state: &State| state.merged),
        ]
    }
}

fn explore(protocol: Protocol, group_size: usize) -> impl Checker<Flow> {
    Flow { protocol, group_size, faults: 4 }.checker().threads(2).spawn_bfs().join()
}

#[test]
fn no_order_of_crashes_and_duplicates_loses_or_doubles_anything() {
    for group_size in [SEGMENTS, 2] {
        let explored = explore(Protocol::AsBuilt, group_size);
        explored.assert_properties();
        eprintln!("groups of {group_size}: {} states", explored.unique_state_count());
        assert!(explored.unique_state_count() > 10_000, "too few to have seen the faults");
    }
}

#[test]
fn every_changed_protocol_breaks_a_rule() {
    for (protocol, group_size, rule) in [
        (Protocol::CountsFirst, SEGMENTS, "nothing is lost"),
        (Protocol::AcknowledgesFirst, SEGMENTS, "nothing is lost"),
        (Protocol::AcknowledgesFirst, 2, "nothing is lost"),
        (Protocol::TrustsTheResult, SEGMENTS, "nothing is lost"),
        (Protocol::Overwrites, SEGMENTS, "nothing is done twice"),
        (Protocol::FiresByGroup, 2, "merge never starts early"),
    ] {
        assert!(explore(protocol, group_size).discovery(rule).is_some(), "{protocol:?} keeps {rule:?}");
    }
}
