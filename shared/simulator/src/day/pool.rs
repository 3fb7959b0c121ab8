//! The instances of one function: how many there are, which of them has room, what they are paid for.

use std::collections::{BTreeSet, VecDeque};

/// An instance, by its place in the pool.
pub(crate) type Place = u32;

/// How a pool is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolOptions {
    /// Instances at least and at most.
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Deliveries at the same time.
    pub(crate) concurrency: u32,
    pub(crate) start_us: u64,
    /// How long an idle instance stays; none: for ever.
    pub(crate) idle_us: Option<u64>,
    /// Whether a delivery that finds no room starts an instance; else an autoscaler does.
    pub(crate) starts_by_request: bool,
}

#[derive(Clone, Debug, Default)]
struct Instance {
    is_up: bool,
    began_us: u64,
    active: u32,
    busy_since_us: u64,
    /// Raised whenever it is given or has ended something, so that an old alarm is known as such.
    version: u32,
}

/// The instances of one function.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) options: PoolOptions,
    instances: Vec<Instance>,
    /// Those that are up and have room: the least busy first.
    free: BTreeSet<(u32, Place)>,
    off: BTreeSet<Place>,
    starting: u32,
    up: u32,
    /// Deliveries that wait for an instance, by their number.
    pub(crate) queue: VecDeque<u32>,
    lived_us: u64,
    busy_us: u64,
    pub(crate) starts: u64,
    pub(crate) most_up: u32,
}

impl Pool {
    pub(crate) fn new(options: PoolOptions) -> Self {
        let mut pool = Self {
            options,
            instances: vec![],
            free: BTreeSet::new(),
            off: BTreeSet::new(),
            starting: 0,
            up: 0,
            queue: VecDeque::new(),
            lived_us: 0,
            busy_us: 0,
            starts: 0,
            most_up: 0,
        };
        for _ in 0..options.min {
            let place = pool.begin(0);
            pool.up(place);
        }
        pool.starts = 0;
        pool
    }

    /// Instances that are up or starting.
    pub(crate) fn count(&self) -> u32 {
        self.up + self.starting
    }

    /// An instance begins to start.
    fn begin(&mut self, now_us: u64) -> Place {
        let place = self.off.pop_first().unwrap_or_else(|| {
            self.instances.push(Instance::default());
            self.instances.len() as Place - 1
        });
        let instance = &mut self.instances[place as usize];
        *instance = Instance { began_us: now_us, version: instance.version + 1, ..Instance::default() };
        self.starting += 1;
        self.starts += 1;
        place
    }

    /// Begins an instance, where there may be one more.
    pub(crate) fn start_one(&mut self, now_us: u64) -> Option<Place> {
        (self.count() < self.options.max).then(|| self.begin(now_us))
    }

    /// Whether what waits is more than the starting instances will take, so that another one is worth starting.
    pub(crate) fn wants_another(&self) -> bool {
        self.options.starts_by_request
            && self.count() < self.options.max
            && self.queue.len() as u64 > u64::from(self.starting) * u64::from(self.options.concurrency)
    }

    /// An instance has started.
    pub(crate) fn up(&mut self, place: Place) {
        self.instances[place as usize].is_up = true;
        self.starting -= 1;
        self.up += 1;
        self.most_up = self.most_up.max(self.up);
        self.free.insert((0, place));
    }

    /// Takes room for one delivery.
    pub(crate) fn take(&mut self, now_us: u64) -> Option<Place> {
        let (active, place) = self.free.pop_first()?;
        let instance = &mut self.instances[place as usize];
        if active == 0 {
            instance.busy_since_us = now_us;
        }
        instance.active += 1;
        instance.version += 1;
        if instance.active < self.options.concurrency {
            self.free.insert((instance.active, place));
        }
        Some(place)
    }

    /// Gives the room back. Gives the version to be alarmed with where the instance is idle now.
    pub(crate) fn give_back(&mut self, place: Place, now_us: u64) -> Option<u32> {
        let instance = &mut self.instances[place as usize];
        self.free.remove(&(instance.active, place));
        instance.active -= 1;
        instance.version += 1;
        self.free.insert((instance.active, place));
        if instance.active > 0 {
            return None;
        }
        self.busy_us += now_us - instance.busy_since_us;
        Some(instance.version)
    }

    /// Stops an instance that has been idle since that version; the minimum stays.
    pub(crate) fn stop_if_idle(&mut self, place: Place, version: u32, now_us: u64) {
        let instance = &self.instances[place as usize];
        if instance.is_up && instance.active == 0 && instance.version == version && self.up > self.options.min {
            self.stop(place, now_us);
        }
    }

    /// Stops at most `count` idle instances.
    pub(crate) fn stop_idle(&mut self, count: u32, now_us: u64) {
        let idle: Vec<Place> = self.free.range(..(1, 0)).map(|&(_, place)| place).collect();
        for place in idle.into_iter().rev().take(count as usize) {
            self.stop(place, now_us);
        }
    }

    fn stop(&mut self, place: Place, now_us: u64) {
        self.free.remove(&(0, place));
        self.off.insert(place);
        self.up -= 1;
        let instance = &mut self.instances[place as usize];
        instance.is_up = false;
        self.lived_us += now_us - instance.began_us;
    }

    /// Seconds that instances have lived until now, their start included, and those in which they were busy.
    pub(crate) fn seconds(&self, now_us: u64) -> (f64, f64) {
        let (mut lived_us, mut busy_us) = (self.lived_us, self.busy_us);
        for (place, instance) in self.instances.iter().enumerate() {
            if !self.off.contains(&(place as Place)) {
                lived_us += now_us - instance.began_us;
            }
            if instance.active > 0 {
                busy_us += now_us - instance.busy_since_us;
            }
        }
        (lived_us as f64 / 1e6, busy_us as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_start_for_what_waits_take_what_they_may_and_stop_when_idle() {
        let options =
            PoolOptions { min: 0, max: 2, concurrency: 2, start_us: 10, idle_us: Some(100), starts_by_request: true };
        let mut pool = Pool::new(options);
        assert_eq!(pool.take(0), None);
        pool.queue.extend([1, 2]);
        assert!(pool.wants_another());
        let place = pool.start_one(0).unwrap();
        assert!(!pool.wants_another(), "one takes two");
        pool.up(place);
        assert_eq!((pool.take(10), pool.take(10), pool.take(10)), (Some(0), Some(0), None));
        assert_eq!(pool.give_back(0, 30), None);
        let version = pool.give_back(0, 40).unwrap();
        assert_eq!(pool.take(50), Some(0));
        pool.stop_if_idle(0, version, 140);
        assert_eq!(pool.count(), 1, "it was used since");
        let version = pool.give_back(0, 60).unwrap();
        pool.stop_if_idle(0, version, 160);
        assert_eq!((pool.count(), pool.starts), (0, 1));
        assert_eq!(pool.seconds(1_000), (160e-6, 40e-6));
    }
}
