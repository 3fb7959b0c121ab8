//! Reduces the faults of a run that broke a rule to the few that are needed.

use crate::fault::Placed;

/// Largest number of runs. Shrinking is a help, and not a proof that nothing smaller exists.
const MOST_RUNS: usize = 400;
/// Steps at most in all runs together. It is not a time, so that a seed is explained by the same faults on every machine: a run of a few segments
/// takes about a thousand steps, one of 2,000 segments a few hundred thousand.
const MOST_STEPS: u64 = 10_000_000;

/// What is left of the faults.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shrunk {
    pub(crate) faults: Vec<Placed>,
    /// Whether each of them is needed: false where shrinking was stopped before it had tried.
    pub(crate) all_needed: bool,
}

/// Leaves faults out as long as a rule is broken without them: first halves, then single ones (delta debugging).
/// `try_run` says whether a rule is broken, and how many steps the run took.
pub(crate) fn shrink<E>(
    faults: Vec<Placed>,
    mut try_run: impl FnMut(&[Placed]) -> Result<(bool, u64), E>,
) -> Result<Shrunk, E> {
    let (mut faults, mut runs, mut steps) = (faults, 0, 0);
    let mut parts = 2;
    while !faults.is_empty() {
        let size = faults.len().div_ceil(parts);
        let mut smaller = None;
        for start in (0..faults.len()).step_by(size) {
            if runs >= MOST_RUNS || steps >= MOST_STEPS {
                return Ok(Shrunk { faults, all_needed: false });
            }
            let end = (start + size).min(faults.len());
            let without = [&faults[..start], &faults[end..]].concat();
            let (breaks, took) = try_run(&without)?;
            (runs, steps) = (runs + 1, steps + took);
            if breaks {
                smaller = Some(without);
                break;
            }
        }
        match smaller {
            Some(smaller) => {
                faults = smaller;
                parts = (parts - 1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(faults.len()),
        }
    }
    Ok(Shrunk { faults, all_needed: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    fn forty() -> Vec<Placed> {
        (0..40).map(|n| (format!("{n}"), Fault::Duplicate)).collect()
    }

    fn needs_two(faults: &[Placed]) -> bool {
        ["7", "31"].iter().all(|place| faults.iter().any(|(at, _)| at == place))
    }

    #[test]
    fn only_the_faults_that_it_takes_are_left() {
        let left = shrink(forty(), |faults| Ok::<_, ()>((needs_two(faults), 1))).unwrap();
        assert_eq!(left.faults.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>(), ["7", "31"]);
        assert!(left.all_needed);
    }

    #[test]
    fn what_breaks_without_any_fault_needs_none() {
        let left = shrink(forty(), |_| Ok::<_, ()>((true, 1)));
        assert_eq!(left, Ok(Shrunk { faults: vec![], all_needed: true }));
    }

    #[test]
    fn where_runs_are_long_few_are_tried_and_it_says_that_fewer_faults_may_be_enough() {
        let mut runs = 0;
        let left = shrink(forty(), |faults| {
            runs += 1;
            Ok::<_, ()>((needs_two(faults), MOST_STEPS / 5))
        });
        let left = left.unwrap();
        assert_eq!(runs, 5);
        assert!(!left.all_needed && needs_two(&left.faults) && left.faults.len() < 40, "{left:?}");
    }
}
