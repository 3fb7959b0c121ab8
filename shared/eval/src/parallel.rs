//! Processes several videos at the same time.

use std::{
    panic::resume_unwind,
    sync::{Mutex, PoisonError},
    thread,
};

/// Calls `work` with each item, on as many threads as the machine has. The results are in the order of the items.
///
/// Use it to read and evaluate many videos, because one video alone does not use all cores.
///
/// # Panics
/// If `work` panics.
pub fn on_all_cores<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len());
    if threads <= 1 {
        return items.into_iter().map(work).collect();
    }
    let waiting = Mutex::new(items.into_iter().enumerate());
    // The lock is open again while an item is worked on.
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take = || {
        let mut done = Vec::new();
        while let Some((place, item)) = next() {
            done.push((place, work(item)));
        }
        done
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take)).collect();
        let own = take();
        let others = others.into_iter().flat_map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)));
        own.into_iter().chain(others).collect()
    });
    done.sort_unstable_by_key(|&(place, _)| place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_order_of_the_items() {
        for count in [0, 1, 2, 500] {
            let items: Vec<usize> = (0..count).collect();
            let expected: Vec<usize> = items.iter().map(|item| item * item).collect();
            assert_eq!(on_all_cores(items, |item| item * item), expected);
        }
    }

    #[test]
    #[should_panic(expected = "item 7")]
    fn a_panic_of_the_work_is_not_swallowed() {
        on_all_cores(vec![1, 3, 5, 7, 9], |item| assert_ne!(item, 7, "item 7"));
    }
}
