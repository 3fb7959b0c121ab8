//! The progress of a run: one line per stage on a terminal, plain lines elsewhere. It is on standard error, so that results can
//! be piped.

use crate::host::Host;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::{
    collections::BTreeMap,
    io::IsTerminal,
    time::{Duration, Instant},
};
use trackdrop_cloud::local::{BusEvent, InFlight};
use trackdrop_flow::progress::{self, Finished, RequestProgress};
use trackdrop_pipeline::{RequestId, Stage};

/// How often a running stage is reported where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// The progress of one request, by the objects in the store: it includes the work of other processes.
pub(crate) struct Tracked {
    pub(crate) request: RequestId,
    pub(crate) is_over: bool,
    progress: RequestProgress,
}

impl Tracked {
    pub(crate) async fn read(host: &Host, request: &RequestId, is_over: bool) -> anyhow::Result<Self> {
        let progress = progress::read(&host.cloud, request).await?;
        Ok(Self { request: request.clone(), is_over, progress })
    }
}

/// The lines.
pub(crate) struct Progress {
    terminal: Option<MultiProgress>,
    lines: BTreeMap<Stage, Line>,
}

struct Line {
    bar: ProgressBar,
    since: Instant,
    frames_at_start: u64,
    plain_last: Option<Instant>,
    complete: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { terminal, lines: BTreeMap::new() }
    }

    /// Something a person should know of while waiting.
    pub(crate) fn event(&self, event: &BusEvent) {
        let text = match event {
            BusEvent::Retrying { function, request, reason, wait } => {
                format!(
                    "{function} of {request} failed and is attempted again in {:.0} s: {reason}",
                    wait.as_secs_f64()
                )
            }
            BusEvent::GivenUp { function, request, reason } => {
                format!("{function} of {request} failed and is not attempted again: {reason}")
            }
            // That is what the bar shows.
            BusEvent::Acknowledged { .. } => return,
        };
        match &self.terminal {
            Some(terminal) => drop(terminal.println(text)),
            None => eprintln!("{text}"),
        }
    }

    /// Shows how far the requests are together.
    pub(crate) fn show(&mut self, tracked: &[Tracked], in_flight: &[InFlight]) {
        let segments: u64 = tracked.iter().map(|tracked| tracked.progress.segments).sum();
        let frames: u64 = tracked.iter().map(|tracked| tracked.progress.frames).sum();
        if frames == 0 {
            return;
        }
        let mut stages: BTreeMap<Stage, Finished> = BTreeMap::new();
        for (&stage, done) in tracked.iter().flat_map(|tracked| &tracked.progress.stages) {
            let sum = stages.entry(stage).or_default();
            sum.segments += done.segments;
            sum.frames += done.frames;
        }
        for (stage, mut done) in stages {
            // Frames of segments that are not finished yet, as far as this process works on them.
            if matches!(stage, Stage::Track | Stage::Annotate) {
                let of_stage = in_flight.iter().filter(|in_flight| in_flight.function == stage.name());
                done.frames += of_stage.map(|in_flight| in_flight.delivery.work_done()).sum::<u64>();
            }
            done.frames = done.frames.min(frames);
            if done.frames > 0 {
                self.line(stage, done, segments, frames);
            }
        }
    }

    fn line(&mut self, stage: Stage, done: Finished, segments: u64, frames: u64) {
        let terminal = &self.terminal;
        let line = self.lines.entry(stage).or_insert_with(|| {
            let bar = match terminal {
                Some(terminal) => terminal.add(ProgressBar::new(frames).with_style(style())),
                None => ProgressBar::hidden(),
            };
            Line { bar, since: Instant::now(), frames_at_start: done.frames, plain_last: None, complete: false }
        });
        if line.complete {
            return;
        }
        let seconds = line.since.elapsed().as_secs_f64();
        let rate =
            if seconds > 0.2 { (done.frames - line.frames_at_start.min(done.frames)) as f64 / seconds } else { 0.0 };
        line.complete = done.segments == segments && done.frames == frames;
        let speed = if rate > 0.0 { format!(", {rate:.0} frames/s") } else { String::new() };
        let left = match (line.complete, rate > 0.0) {
            (false, true) => format!(", {} left", duration((frames - done.frames) as f64 / rate)),
            _ => String::new(),
        };
        let message = format!("{}/{segments} segments, {}/{frames} frames{speed}{left}", done.segments, done.frames);
        if self.terminal.is_some() {
            line.bar.set_length(frames);
            line.bar.set_position(done.frames);
            line.bar.set_prefix(stage.name());
            line.bar.set_message(message);
            if line.complete {
                line.bar.abandon();
            }
        } else if line.complete || line.plain_last.is_none_or(|last| last.elapsed() >= PLAIN_EVERY) {
            line.plain_last = Some(Instant::now());
            eprintln!("{:<9} {message}", stage.name());
        }
    }

    pub(crate) fn finish(&mut self) {
        for line in self.lines.values() {
            line.bar.abandon();
        }
    }
}

fn style() -> ProgressStyle {
    // A template that does not parse would be a bug of this line; the plain style serves as well.
    ProgressStyle::with_template("{prefix:<9} {bar:24} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
