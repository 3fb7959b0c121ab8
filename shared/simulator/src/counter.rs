//! Measures the counter of finished segments: many segments finish at the same virtual moment, in a store that accepts one write
//! per second of an object.
//!
//! The product's counter is the real code, [`trackdrop_flow::count`]. It is compared with a naive counter: a number in
//! one object, which is increased by compare-and-set, with exponential backoff after a lost race or a 429.

use crate::{
    SimulationError,
    attempt::{Attempt, Life, WorksFor},
    executor::Executor,
    fault::{Budget, Fate},
    memory::MemoryCloud,
    run::LAST_US,
    scenario::Rates,
    world::World,
};
use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use trackdrop_cloud::{Precondition, PutOptions, Storage};
use trackdrop_flow::{Cloud, NewObject, blocking::AtOnce, count, manifest};
use trackdrop_pipeline::{
    Bucket, Delivery, Event, Failure, ObjectFinalized, RequestId, RequestSettings, SegmentNumber, Timestamp,
    clock::ClockInPlace,
    counter::Counted,
    names::{Marker, ObjectName, PerSegment},
};

/// How completions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// The counter of the product: every result is a shard.
    Sharded,
    /// The naive counter: a number in one object, increased by compare-and-set.
    OneObject,
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sharded => "sharded",
            Self::OneObject => "one object",
        })
    }
}

/// The cost of counting.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Segments that finished together.
    pub segments: u32,
    /// Virtual seconds from the last result to the event that starts `merge`.
    pub seconds: f64,
    /// Operations on the store per completion, including the write of the result, and every repetition after a 429.
    pub operations: f64,
    /// How often `merge` was started.
    pub fired: u32,
    /// Errors. There are none here.
    pub broken: Vec<String>,
}

/// When the segments finish: later than a second after the manifest was written, so that progress is due.
const FINISH_US: i64 = 10_000_000;
/// Waits of the naive counter grow from one second to this.
const LONGEST_WAIT_S: f64 = 32.0;
const MOST_POLLS: u64 = 2_000_000_000;

/// Lets this many segments finish at one virtual moment and counts them.
///
/// # Errors
/// The folder for temporary files can't be made.
pub fn measure(counter: Counter, segments: u32) -> Result<Measured, SimulationError> {
    let executor = Executor::default();
    let request = RequestId::of_upload("uploads", "clip.mp4", 1, Timestamp::from_micros(0));
    let tracked = Marker::Tracked.object(&request);
    let started: Arc<Mutex<Vec<i64>>> = Arc::default();
    let last_result_us = Arc::new(AtomicI64::new(0));
    let (clock, starts, last) = (executor.clone(), started.clone(), last_result_us.clone());
    let memory = MemoryCloud::new(Arc::new(move |event, _| {
        let Event::ObjectFinalized(finalized) = event else { return };
        if finalized.object.name.starts_with("detections/") {
            last.fetch_max(clock.now_us(), Ordering::Relaxed);
        } else if finalized.object == tracked {
            starts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(clock.now_us());
        }
    }))?;
    let world = Arc::new(World::new(executor.clone(), memory, Fate::drawn(0, Rates::default()), None, false));
    let of_world = world.clone();
    let _clock = ClockInPlace::new(move || of_world.wall_clock());
    let _at_once = AtOnce::begin();
    executor.spawn(begin_request(worker(&world, &request, "split".to_owned()), request.clone()));
    for number in 0..segments {
        let Ok(segment) = SegmentNumber::new(u64::from(number)) else { continue };
        let worker = worker(&world, &request, format!("track {number}"));
        let (request, executor) = (request.clone(), executor.clone());
        world.executor.spawn(async move {
            executor.sleep_until(FINISH_US).await;
            let cloud = cloud(&worker);
            let result = NewObject::of_bytes(PerSegment::Detections.object(&request, segment), "", "");
            let counted = async {
                cloud.create(result).await?;
                match counter {
                    Counter::Sharded => {
                        count::complete(&cloud, Counted::Track, &request, segment, segments, &Delivery::new()).await
                    }
                    Counter::OneObject => raise(&worker, &cloud, &request, segments).await,
                }
            };
            if let Err(failure) = counted.await {
                worker.world.broken(format!("{}: {failure}", worker.name));
            }
        });
    }
    // Nothing waits without end here: the naive counter only takes long.
    if let Err(restless) = executor.run(LAST_US, MOST_POLLS) {
        world.broken(format!("counting does not come to an end: {restless:?}"));
    }
    let started = started.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let operations = world.record().operations.get("track").copied().unwrap_or_default();
    let first = started.first().copied().unwrap_or(i64::MAX);
    Ok(Measured {
        segments,
        seconds: (first - last_result_us.load(Ordering::Relaxed)) as f64 / 1e6,
        operations: operations as f64 / f64::from(segments),
        fired: started.len() as u32,
        broken: std::mem::take(&mut world.record().broken),
    })
}

fn worker(world: &Arc<World>, request: &RequestId, name: String) -> Attempt {
    Attempt {
        world: world.clone(),
        function: name.split(' ').next().unwrap_or_default().to_owned(),
        message: name.clone(),
        budget: Budget { message: name.clone(), nth: 1, attempts: 0 },
        name,
        works_for: WorksFor::One(request.clone()),
        life: Arc::new(Life::default()),
        operations: Arc::default(),
    }
}

fn cloud(worker: &Attempt) -> Cloud {
    let worker = Arc::new(worker.clone());
    Cloud::new(worker.clone(), worker.clone(), worker)
}

/// The manifest exists from the beginning, so that completions fold their progress into it as they do in the product.
async fn begin_request(worker: Attempt, request: RequestId) {
    let object = ObjectName::new(Bucket::Uploads, "clip.mp4");
    let upload = ObjectFinalized { object, generation: 1, created: Timestamp::from_micros(0) };
    let manifest = manifest::unplanned(&request, &upload, None, RequestSettings::default());
    if let Err(failure) = manifest::create(&cloud(&worker), &manifest).await {
        worker.world.broken(failure.to_string());
    }
}

/// The naive counter: read, add one, write if nobody wrote in between, else wait and try again.
async fn raise(worker: &Attempt, cloud: &Cloud, request: &RequestId, segments: u32) -> Result<(), Failure> {
    let object = ObjectName::new(Bucket::Work, format!("tracked_count/{request}"));
    let mut random = worker.world.fate.random(&worker.name);
    let mut wait_s = 1.0;
    loop {
        let (count, precondition) = match worker.get(&object).await {
            Ok((info, count)) => {
                let count: u32 =
                    std::str::from_utf8(&count).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
                (count + 1, Precondition::Generation(info.generation))
            }
            Err(error) if error.is_not_found() => (1, Precondition::NotExists),
            Err(error) => return Err(error.into()),
        };
        let options = PutOptions { precondition, ..PutOptions::default() };
        // Not `put`, which waits by itself on the same number: after a 429 the number is read again.
        match worker.put_once(&object, &count.to_string().into(), &options).await {
            Ok(_) if count == segments => {
                return cloud.mark(Marker::Tracked.object(request)).await.map(|_| ());
            }
            Ok(_) => return Ok(()),
            Err(_) => {
                worker.world.executor.sleep(Duration::from_secs_f64(wait_s * (0.5 + 0.5 * random.f64()))).await;
                wait_s = (wait_s * 2.0).min(LONGEST_WAIT_S);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_takes_the_same_few_operations_and_seconds_however_many_finish_together() {
        let of_ten = measure(Counter::Sharded, 10).unwrap().operations;
        for segments in [10, 100, 1_000, 10_000] {
            let measured = measure(Counter::Sharded, segments).unwrap();
            eprintln!("{measured:?}");
            assert!(measured.fired == 1 && measured.broken.is_empty(), "{measured:?}");
            assert!((0.0..5.0).contains(&measured.seconds), "{measured:?}");
            // The marker of a group and a look at those of the others.
            assert!(measured.operations < of_ten + 2.0, "{measured:?}");
        }
    }

    #[test]
    fn one_object_takes_a_second_a_segment_and_ever_more_operations() {
        let [few, many] = [10, 300].map(|segments| measure(Counter::OneObject, segments).unwrap());
        assert_eq!((few.fired, many.fired), (1, 1));
        assert!(many.seconds > 250.0 && many.operations > 2.0 * few.operations, "{few:?} {many:?}");
    }
}
