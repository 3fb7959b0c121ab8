//! The report for people.

use super::{Cost, Goal, Gpus, Percentiles, Report, Stage, Use};
use std::fmt;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { videos, video_hours, segments, with_rows, done, failed, untold, .. } = self;
        writeln!(f, "{videos} videos, {video_hours:.1} hours of video, {segments} segments; seed {}", self.seed)?;
        writeln!(
            f,
            "{with_rows} have their rows, {done} are over, {failed} failed, {untold} have no row in requests yet"
        )?;
        writeln!(f, "\n{:<28} {:>9} {:>9} {:>9} {:>9}", "seconds from upload until", "p50", "p90", "p99", "longest")?;
        for (name, Percentiles { p50_s, p90_s, p99_s, longest_s, .. }) in &self.latency {
            writeln!(f, "{name:<28} {p50_s:>9.1} {p90_s:>9.1} {p99_s:>9.1} {longest_s:>9.1}")?;
        }
        writeln!(
            f,
            "\n{:<9} {:>10} {:>11} {:>11} {:>13} {:>9} {:>8} {:>8} {:>10}",
            "function",
            "events",
            "deliveries",
            "turned away",
            "past deadline",
            "waits, s",
            "works, s",
            "starts",
            "instances"
        )?;
        for function in Stage::ALL {
            let of = self.functions.get(function.name()).copied().unwrap_or_default();
            writeln!(
                f,
                "{:<9} {:>10} {:>11} {:>11} {:>13} {:>9.2} {:>8.2} {:>8} {:>10}",
                function.name(),
                of.events,
                of.deliveries,
                of.turned_away,
                of.past_deadline,
                of.waited_s,
                of.worked_s,
                of.starts,
                of.most_instances
            )?;
        }
        let waits: Vec<_> = self.waits.iter().map(|(what, seconds)| format!("{seconds:.2} s for {what}")).collect();
        writeln!(f, "\na video waits {}", waits.join(", "))?;
        let Gpus { hours, busy_hours, fps_at_most, held_by } = self.gpu;
        let share = if hours > 0.0 { busy_hours / hours * 100.0 } else { 0.0 };
        writeln!(
            f,
            "GPUs: {hours:.1} hours, {share:.0} % of them at work; {fps_at_most:.0} frames/s each at most, held by {held_by}"
        )?;
        let Cost { gpu, other_instances, operations, messages, total, per_video_hour, .. } = &self.cost;
        writeln!(
            f,
            "cost: ${total:.2}, ${per_video_hour:.4} a video-hour (${:.4} were GPUs never idle); GPUs ${gpu:.2}, other instances \
             ${other_instances:.2}, operations ${operations:.2}, messages ${messages:.2}; prices of {}",
            self.cost.per_video_hour_gpu_always_busy, self.cost.prices_of
        )?;
        writeln!(
            f,
            "\n{:<36} {:>12} {:>12} {:<15} {:>7} {:>18}",
            "used at the busiest time", "wanted", "there is", "", "share", "used up at videos"
        )?;
        for Use { what, used, limit, unit, share, videos_at_limit, .. } in &self.uses {
            writeln!(
                f,
                "{what:<36} {used:>12.1} {limit:>12.0} {unit:<15} {:>6.1}% {:>18.0}",
                share * 100.0,
                videos_at_limit
            )?;
        }
        if let Some(Use { what, videos_at_limit, bound, .. }) = self.uses.first() {
            writeln!(f, "first: {what}, at {videos_at_limit:.0} videos a day. Bound by {bound}")?;
        }
        for Goal { what, wanted, reached, is_met, made_of } in &self.goals {
            let verdict = if *is_met { "reached" } else { "not reached" };
            let parts: Vec<_> = made_of.iter().map(|(part, value)| format!("{part} {value:.3}")).collect();
            writeln!(f, "goal: at most {wanted} {what}: {reached:.3}, {verdict}. {}", parts.join("; "))?;
        }
        Ok(())
    }
}
