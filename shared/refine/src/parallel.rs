//! The same work on every part of a list, on all cores.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// Fewer items than this are not worth a thread.
const LEAST: usize = 64;

/// Splits `0..count` among the cores; the results are in order. They must not depend on where the list is split.
pub(crate) fn over<T: Send>(count: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let cores = cores().min(count / LEAST).max(1);
    if cores == 1 {
        return vec![work(0..count)];
    }
    // Several parts a core, since items differ in length.
    let parts = (cores * 4).min(count);
    let part = |index: usize| count * index / parts..count * (index + 1) / parts;
    let done = share(cores, parts, |indices| indices.map(|index| (index, work(part(index)))).collect::<Vec<_>>());
    let mut done: Vec<_> = done.into_iter().flatten().collect();
    done.sort_by_key(|&(index, _)| index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Hands `0..count` out, one after the other, to as many workers as there are cores: for things that differ much in length.
pub(crate) fn each<T: Send>(count: usize, worker: impl Fn(&mut dyn Iterator<Item = usize>) -> T + Sync) -> Vec<T> {
    share(cores().min(count).max(1), count, worker)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get())
}

fn share<T: Send>(
    workers: usize,
    count: usize,
    worker: impl Fn(&mut dyn Iterator<Item = usize>) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let run =
        || worker(&mut std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&at| at < count)));
    thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(run)).collect();
        let mut done = vec![run()];
        for other in others {
            done.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    })
}
