//! The same work on every part of a list, on all cores.

use std::{ops::Range, thread};

/// Fewer items than this are not worth a thread.
const LEAST: usize = 64;

/// Splits `0..count` among the cores; the results are in order. They must not depend on where the list is split.
pub(crate) fn over<T: Send>(count: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get()).min(count / LEAST).max(1);
    // Several parts a core, since items differ in length.
    let parts = if cores == 1 { 1 } else { (cores * 4).min(count) };
    let part = |index: usize| count * index / parts..count * (index + 1) / parts;
    if cores == 1 {
        return vec![work(0..count)];
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if index >= parts {
                return done;
            }
            done.push((index, work(part(index))));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|&(index, _)| index);
    done.into_iter().map(|(_, result)| result).collect()
}
