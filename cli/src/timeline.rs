//! `trackdrop show REQUEST --timeline`: how long each part of a request took, and what the bottleneck was.

use crate::{keys, output::line};
use trackdrop_flow::{
    Cloud,
    timeline::{self, Slowest, StageTime, Timeline, Work},
};
use trackdrop_pipeline::{Manifest, Stage};

/// Prints where the time of a request went.
pub(crate) async fn show(cloud: &Cloud, manifest: &Manifest, json: bool) -> anyhow::Result<()> {
    let Some((timeline, works)) = timeline::of(cloud, manifest).await? else {
        anyhow::bail!(
            "{} has no finished work yet (or an older version did it, which stored no times)",
            manifest.request_id
        )
    };
    if json {
        line!("{:#}", keys::of_request(manifest, &timeline)?);
        return Ok(());
    }
    for text in drawn(&timeline, &works) {
        line!("{text}");
    }
    Ok(())
}

/// Characters of the bar.
const BAR: usize = 48;

fn drawn(timeline: &Timeline, works: &[Work]) -> Vec<String> {
    let Timeline { seconds, waiting_s, stages, bottleneck, .. } = timeline;
    let percent = |part: f64| if *seconds > 0.0 { 100.0 * part / seconds } else { 0.0 };
    let queued = timeline.began_at.seconds_since(timeline.asked_at);
    let end = format!("{seconds:.2} s");
    let mut lines = vec![
        format!("{} took {end}; its first work began {queued:.2} s after it was requested", timeline.request_id),
        String::new(),
        format!("{:<9} {:>9} {:>4}  0 s{:>width$}", "", "seconds", "%", end, width = BAR - 1),
    ];
    for stage in stages {
        let bar = bar(timeline, works, stage.stage);
        lines.push(format!(
            "{:<9} {:>9.2} {:>4.0}  |{bar}|",
            stage.stage.name(),
            stage.clock_s,
            percent(stage.clock_s)
        ));
    }
    lines.push(format!("{:<9} {waiting_s:>9.2} {:>4.0}", "(waiting)", percent(*waiting_s)));
    lines.push(String::new());
    lines.push(format!(
        "{:<9} {:>9} {:>6} {:>7} {:>9}  seconds of its threads",
        "", "work s", "pieces", "at once", "frames/s"
    ));
    for stage in stages {
        let StageTime { work_s, pieces, at_once, frames_per_second, .. } = stage;
        lines.push(format!(
            "{:<9} {work_s:>9.2} {pieces:>6} {at_once:>7} {frames_per_second:>9.0}  {}",
            stage.stage.name(),
            activities(stage)
        ));
    }
    lines.push(String::new());
    let share = 100.0 * bottleneck.share;
    let what = match (bottleneck.stage, bottleneck.activity) {
        (Some(stage), Some(activity)) => format!("{stage}, {share:.0} % of the time, most of it {activity}"),
        (Some(stage), None) => format!("{stage}, {share:.0} % of the time"),
        (None, _) => format!("waiting, {share:.0} % of the time"),
    };
    lines.push(format!("bottleneck: {what}"));
    if !bottleneck.advice.is_empty() {
        lines.push(format!("  what helps: {}", bottleneck.advice));
    }
    let slowest =
        stages.iter().find(|stage| Some(stage.stage) == bottleneck.stage).and_then(|stage| stage.slowest.as_ref());
    if let Some(Slowest { segment, seconds, median_s }) = slowest {
        lines.push(format!("  its slowest piece: segment {segment}, {seconds:.2} s (median {median_s:.2} s)"));
    }
    lines
}

/// When the stage was at work: a block where it was for at least half of that time, a shade where it was for less.
fn bar(timeline: &Timeline, works: &[Work], stage: Stage) -> String {
    let (began, lasted) = (timeline.began_at.micros(), timeline.ended_at.micros() - timeline.began_at.micros());
    let cell = |place: usize| {
        let (from, to) = (began + lasted * place as i64 / BAR as i64, began + lasted * (place as i64 + 1) / BAR as i64);
        let mut parts: Vec<_> = works
            .iter()
            .filter(|work| work.stage == stage)
            .map(|work| (work.began_at.micros().max(from), work.ended_at.micros().min(to)))
            .filter(|(from, to)| from < to)
            .collect();
        parts.sort_unstable();
        let (mut covered, mut until) = (0, from);
        for (from, to) in parts {
            covered += (to - from.max(until)).max(0);
            until = until.max(to);
        }
        match covered {
            0 => ' ',
            covered if 2 * covered >= to - from => '█',
            _ => '░',
        }
    };
    (0..BAR).map(cell).collect()
}

fn activities(stage: &StageTime) -> String {
    let mut all: Vec<_> = stage.activities.iter().filter(|(_, seconds)| **seconds >= 0.005).collect();
    all.sort_by(|a, b| b.1.total_cmp(a.1));
    all.iter().map(|(activity, seconds)| format!("{activity} {seconds:.2}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackdrop_pipeline::Timestamp;

    fn work(stage: Stage, from_s: f64, to_s: f64) -> Work {
        let at = |seconds: f64| Timestamp::from_micros((seconds * 1e6) as i64);
        let (segment, frames, activities) = (Some(0), 100, Default::default());
        Work { stage, segment, began_at: at(from_s), ended_at: at(to_s), frames, activities }
    }

    fn of(works: &[Work]) -> Timeline {
        let request = "req_0aZ9bY8c_20261123T182501".parse().unwrap();
        timeline::timeline(request, Timestamp::from_micros(0), works).unwrap()
    }

    #[test]
    fn where_it_waited_for_longest_the_bottleneck_is_waiting() {
        let works = [work(Stage::Split, 0.0, 1.0), work(Stage::Track, 6.0, 8.0)];
        let text = drawn(&of(&works), &works).join("\n");
        assert!(text.contains("bottleneck: waiting, 62 % of the time"), "{text}");
    }

    #[test]
    fn bars_show_when_a_stage_was_at_work() {
        let works = [work(Stage::Split, 0.0, 1.0), work(Stage::Track, 1.0, 4.0)];
        let timeline = of(&works);
        assert_eq!(bar(&timeline, &works, Stage::Split), format!("{}{}", "█".repeat(12), " ".repeat(36)));
        assert_eq!(bar(&timeline, &works, Stage::Track), format!("{}{}", " ".repeat(12), "█".repeat(36)));
        let brief = [work(Stage::Split, 0.0, 0.001), work(Stage::Track, 0.0, 4.0)];
        assert!(bar(&of(&brief), &brief, Stage::Split).starts_with("░ "));
    }
}
