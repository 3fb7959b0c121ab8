//! From a run that broke a rule to the few faults that it takes.

use crate::fault::Placed;

/// Runs at most; shrinking is a help, not a proof that nothing smaller exists.
const MOST_RUNS: usize = 400;

/// Leaves faults out for as long as `still_breaks` holds without them: halves first, then single ones (delta debugging).
pub(crate) fn shrink<E>(
    faults: Vec<Placed>,
    mut still_breaks: impl FnMut(&[Placed]) -> Result<bool, E>,
) -> Result<Vec<Placed>, E> {
    let (mut faults, mut runs) = (faults, 0);
    let mut parts = 2;
    while !faults.is_empty() && runs < MOST_RUNS {
        let size = faults.len().div_ceil(parts);
        let mut smaller = None;
        for start in (0..faults.len()).step_by(size) {
            let end = (start + size).min(faults.len());
            let without = [&faults[..start], &faults[end..]].concat();
            runs += 1;
            if still_breaks(&without)? {
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
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn only_the_faults_that_it_takes_are_left() {
        let faults: Vec<Placed> = (0..40).map(|n| (format!("{n}"), Fault::Duplicate)).collect();
        let needs = |faults: &[Placed]| ["7", "31"].iter().all(|place| faults.iter().any(|(at, _)| at == place));
        let left = shrink(faults, |faults| Ok::<_, ()>(needs(faults))).unwrap();
        assert_eq!(left.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>(), ["7", "31"]);
    }

    #[test]
    fn what_breaks_without_any_fault_needs_none() {
        let faults = vec![("a".to_owned(), Fault::AckLost), ("b".to_owned(), Fault::AckLost)];
        assert_eq!(shrink(faults, |_| Ok::<_, ()>(true)), Ok(vec![]));
    }
}
