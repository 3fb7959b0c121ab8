//! Measures what an attempt spends its time on: once, for the trace and for the report that is stored with the result.

use crate::blocking::ReadTime;
use trackdrop_pipeline::{Activity, Delivery, Stopwatch};

/// Waits for objects from the store, and counts the time as downloading. It has no span, because the store's calls have spans.
pub async fn downloading<T>(delivery: &Delivery, getting: impl Future<Output = T> + Send) -> T {
    let started = Stopwatch::start();
    let got = getting.await;
    delivery.spend(Activity::Download, started.seconds());
    got
}

/// An activity of an attempt. It is a span of the attempt's trace, from its creation until it is dropped, with the
/// number of processed frames and bytes. If activities alternate (decode a frame, draw it, encode it), each has one
/// span over all frames. `busy_s` of the span is the time in which it worked.
#[derive(Debug)]
pub struct Doing {
    activity: Activity,
    delivery: Delivery,
    span: tracing::Span,
    busy_s: f64,
    /// The part of `busy_s` that is already reported to the delivery.
    spent_s: f64,
    frames: u64,
    bytes: u64,
}

impl Doing {
    /// Begins an activity. Its span is a child of the current span.
    pub fn begin(delivery: &Delivery, activity: Activity) -> Self {
        use tracing::field::Empty;
        let name = activity.name();
        let span = tracing::info_span!("activity", otel.name = name, busy_s = Empty, frames = Empty, bytes = Empty);
        Self { activity, delivery: delivery.clone(), span, busy_s: 0.0, spent_s: 0.0, frames: 0, bytes: 0 }
    }

    /// Does a part of the activity.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Stopwatch::start();
        let made = work();
        self.busy_s += started.seconds();
        made
    }

    /// Does an asynchronous part of the activity.
    pub async fn time_async<T>(&mut self, work: impl Future<Output = T> + Send) -> T {
        let started = Stopwatch::start();
        let made = work.await;
        self.busy_s += started.seconds();
        made
    }

    /// Records that a part of the activity was done since `then`.
    pub fn busy(&mut self, since: Stopwatch) {
        self.busy_s += since.seconds();
    }

    /// Counts a part of the activity, in which it waited for reads, as downloading.
    pub fn reads(&mut self, time: &ReadTime) {
        let seconds = time.take();
        self.busy_s = (self.busy_s - seconds).max(self.spent_s);
        self.delivery.spend(Activity::Download, seconds);
    }

    /// Reports the time until now to the delivery, so that the next report has it. Used if one activity makes several
    /// results.
    pub fn spend(&mut self) {
        self.delivery.spend(self.activity, self.busy_s - self.spent_s);
        self.spent_s = self.busy_s;
    }

    /// Records that this many more frames were processed.
    pub fn frames(&mut self, more: u64) {
        self.frames += more;
    }

    /// Records that this many more bytes were processed.
    pub fn bytes(&mut self, more: u64) {
        self.bytes += more;
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        self.span.record("busy_s", self.busy_s);
        if self.frames > 0 {
            self.span.record("frames", self.frames);
        }
        if self.bytes > 0 {
            self.span.record("bytes", self.bytes);
        }
        self.spend();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::read_at;
    use async_trait::async_trait;
    use bytes::Bytes;
    use std::{
        collections::BTreeMap,
        ops::Range,
        sync::{
            Arc,
            atomic::{AtomicI64, Ordering},
        },
    };
    use trackdrop_cloud::{ReadRange, StorageError};
    use trackdrop_pipeline::{Timestamp, clock::ClockInPlace};

    /// A store whose every read takes three seconds of this clock.
    #[derive(Debug, Default)]
    struct Slow(AtomicI64);

    impl Slow {
        fn pass(&self, seconds: i64) {
            self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
        }
    }

    #[async_trait]
    impl ReadRange for Slow {
        async fn read(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
            self.pass(3);
            Ok(vec![0; (range.end - range.start) as usize].into())
        }
    }

    #[test]
    fn what_work_reads_while_it_is_at_work_is_downloading_and_no_part_of_that_work() {
        let (store, time, delivery) = (Arc::new(Slow::default()), ReadTime::default(), Delivery::new());
        let clock = store.clone();
        let _in_place = ClockInPlace::new(move || Timestamp::from_micros(clock.0.load(Ordering::Relaxed)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = {
            let _runtime = runtime.enter();
            read_at(store.clone(), &time)
        };
        for _ in 0..2 {
            let mut indexing = Doing::begin(&delivery, Activity::Index);
            indexing.time(|| {
                read(0, &mut [0; 4]).unwrap();
                store.pass(1);
            });
            indexing.reads(&time);
        }
        assert_eq!(delivery.take_spent(), BTreeMap::from([(Activity::Download, 6.0), (Activity::Index, 2.0)]));
    }

    #[test]
    fn each_result_of_one_activity_reports_its_own_part_of_the_time() {
        let (store, delivery) = (Arc::new(Slow::default()), Delivery::new());
        let clock = store.clone();
        let _in_place = ClockInPlace::new(move || Timestamp::from_micros(clock.0.load(Ordering::Relaxed)));
        let mut cutting = Doing::begin(&delivery, Activity::Cut);
        for seconds in [2, 5] {
            cutting.time(|| store.pass(seconds));
            cutting.spend();
            assert_eq!(delivery.take_spent(), BTreeMap::from([(Activity::Cut, seconds as f64)]));
        }
        drop(cutting);
        assert!(delivery.take_spent().values().all(|seconds| *seconds == 0.0));
    }
}
