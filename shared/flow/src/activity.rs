//! What an attempt spends its time on, measured once: for the trace, and for the report that goes with the result.

use trackdrop_pipeline::{Activity, Delivery, Stopwatch};

/// An activity of an attempt: a span of the attempt's trace from here until it is dropped, with the frames and bytes that went through
/// it. Where activities alternate (decode a frame, draw it, encode it), each has one span over all frames, whose `busy_s` says how
/// long it was at work.
#[derive(Debug)]
pub struct Doing {
    activity: Activity,
    delivery: Delivery,
    span: tracing::Span,
    busy_s: f64,
    frames: u64,
    bytes: u64,
}

impl Doing {
    /// Begins; the span belongs to the one that this is called in.
    pub fn begin(delivery: &Delivery, activity: Activity) -> Self {
        use tracing::field::Empty;
        let name = activity.name();
        let span = tracing::info_span!("activity", otel.name = name, busy_s = Empty, frames = Empty, bytes = Empty);
        Self { activity, delivery: delivery.clone(), span, busy_s: 0.0, frames: 0, bytes: 0 }
    }

    /// Does some of it.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Stopwatch::start();
        let made = work();
        self.busy_s += started.seconds();
        made
    }

    /// Does some of it that waits.
    pub async fn time_async<T>(&mut self, work: impl Future<Output = T> + Send) -> T {
        let started = Stopwatch::start();
        let made = work.await;
        self.busy_s += started.seconds();
        made
    }

    /// Did some of it since then.
    pub fn busy(&mut self, since: Stopwatch) {
        self.busy_s += since.seconds();
    }

    /// So many frames more went through.
    pub fn frames(&mut self, more: u64) {
        self.frames += more;
    }

    /// So many bytes more went through.
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
        self.delivery.spend(self.activity, self.busy_s);
    }
}
