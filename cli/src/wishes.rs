//! The options that the page sends. The command's own parser reads them, so the page refuses what the command refuses, with the
//! same message.

use crate::args::{Arguments, Command, PlanArguments, RetrackArguments, RunArguments};
use anyhow::{anyhow, bail};
use clap::Parser;
use std::path::Path;
use trackdrop_console::{FileWork, Planning, Retracking, Wishes};
use trackdrop_pipeline::RequestId;

/// The options of `trackdrop run`; `model` is the console's own.
pub(crate) fn of_run(wishes: &Wishes, model: Option<&Path>) -> anyhow::Result<RunArguments> {
    let Wishes { classes, min_score, track_thresh, detect_every, no_video, crops, force, .. } = wishes;
    let own = model.map(|path| path.to_string_lossy().into_owned());
    let valued = [
        ("model", wishes.model.clone().or(own)),
        ("classes", text(classes.as_ref())),
        ("min-score", shown(min_score.as_ref())),
        ("track-thresh", shown(track_thresh.as_ref())),
        ("detect-every", shown(detect_every.as_ref())),
    ];
    match parsed("run", valued, [("no-video", *no_video), ("crops", *crops), ("force", *force)], Some("video"))? {
        Command::Run(arguments) => Ok(arguments),
        other => bail!("not `trackdrop run` but {other:?} was read"),
    }
}

/// The options of `trackdrop retrack REQUEST`.
pub(crate) fn of_retrack(request: &RequestId, retracking: &Retracking) -> anyhow::Result<RetrackArguments> {
    retrack_of(retrack_values(retracking), retracking, Some(request.as_str()))
}

/// The options of `trackdrop retrack --detections` and `--tracks`.
pub(crate) fn of_files(work: &FileWork) -> anyhow::Result<RetrackArguments> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let mut valued = retrack_values(&work.options).to_vec();
    valued.extend([
        ("detections", work.detections.as_deref().map(path)),
        ("tracks", work.tracks.as_deref().map(path)),
        ("frame-rate", shown(work.frame_rate.as_ref())),
        ("frames", shown(work.frames.as_ref())),
        ("out", Some(path(&work.out))),
    ]);
    retrack_of(valued, &work.options, None)
}

/// The options of `trackdrop plan`; `model` is the console's own, which a probe runs.
pub(crate) fn of_plan(planning: &Planning, model: Option<&Path>) -> anyhow::Result<PlanArguments> {
    let own = model.filter(|_| planning.probe).map(|path| path.to_string_lossy().into_owned());
    let valued = [
        ("fps-per-gpu", shown(planning.fps_per_gpu.as_ref())),
        ("max-instances", shown(planning.max_instances.as_ref())),
        ("start-seconds", shown(planning.start_seconds.as_ref())),
        ("segment-seconds", shown(planning.segment_seconds.as_ref())),
        ("detect-every", text(planning.detect_every.as_ref())),
        ("model", text(planning.model.as_ref()).or(own)),
    ];
    let flags = [("probe", planning.probe), ("refine", planning.refine)];
    match parsed("plan", valued, flags, Some(&planning.video))? {
        Command::Plan(arguments) => Ok(arguments),
        other => bail!("not `trackdrop plan` but {other:?} was read"),
    }
}

/// The options of `retrack` that have a value, with their values.
fn retrack_values(retracking: &Retracking) -> [(&'static str, Option<String>); 13] {
    [
        ("classes", text(retracking.classes.as_ref())),
        ("min-score", shown(retracking.min_score.as_ref())),
        ("detect-every", shown(retracking.detect_every.as_ref())),
        ("track-thresh", shown(retracking.track_thresh.as_ref())),
        ("match-thresh", shown(retracking.match_thresh.as_ref())),
        ("track-buffer", shown(retracking.track_buffer.as_ref())),
        ("appearance", text(retracking.appearance.as_ref())),
        ("link", shown(retracking.link.as_ref())),
        ("fill-gaps", shown(retracking.fill_gaps.as_ref())),
        ("smooth", text(retracking.smooth.as_ref())),
        ("blur", text(retracking.blur.as_ref())),
        ("boxes", text(retracking.boxes.as_ref())),
        ("exports", text(retracking.exports.as_ref())),
    ]
}

fn retrack_of(
    valued: impl IntoIterator<Item = (&'static str, Option<String>)>,
    retracking: &Retracking,
    request: Option<&str>,
) -> anyhow::Result<RetrackArguments> {
    let flags = [
        ("no-score-fusion", retracking.no_score_fusion),
        ("scale-buffer", retracking.scale_buffer),
        ("per-class", retracking.per_class),
        ("refine", retracking.refine),
        ("recover", retracking.recover),
        ("backfill", retracking.backfill),
        ("no-video", retracking.no_video),
        ("crops", retracking.crops),
    ];
    match parsed("retrack", valued, flags, request)? {
        Command::Retrack(arguments) => Ok(arguments),
        other => bail!("not `trackdrop retrack` but {other:?} was read"),
    }
}

/// The text of a form's field; none if it is empty.
fn text(given: Option<&String>) -> Option<String> {
    given.filter(|text| !text.trim().is_empty()).cloned()
}

fn shown(number: Option<&impl ToString>) -> Option<String> {
    number.map(ToString::to_string)
}

/// The options as the command parses them. Each value is in the same word as its option (`--option=value`), so no value can act
/// as another option.
fn parsed<'a>(
    command: &str,
    valued: impl IntoIterator<Item = (&'a str, Option<String>)>,
    flags: impl IntoIterator<Item = (&'a str, bool)>,
    about: Option<&str>,
) -> anyhow::Result<Command> {
    let valued = valued.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value?)));
    let flags = flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| format!("--{name}"));
    let words = ["trackdrop", command].map(str::to_owned).into_iter().chain(valued).chain(flags);
    let about = about.into_iter().flat_map(|about| ["--", about]).map(str::to_owned);
    let parsed = Arguments::try_parse_from(words.chain(about)).map_err(|error| {
        let text = error.render().to_string();
        let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ").trim().to_owned();
        anyhow!(first)
    })?;
    Ok(parsed.command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use trackdrop_pipeline::Smooth;

    #[test]
    fn wishes_are_options_of_run_and_refused_in_its_words() {
        let wishes = Wishes {
            classes: Some("person, car".into()),
            min_score: Some(0.25),
            detect_every: Some(3),
            no_video: true,
            ..Wishes::default()
        };
        let read = of_run(&wishes, None).unwrap();
        assert_eq!(read.processing.filter.classes.unwrap(), ["person", " car"]);
        assert_eq!((read.processing.filter.min_score, read.processing.no_video, read.force), (Some(0.25), true, false));
        let wrong = Wishes { detect_every: Some(0), ..Wishes::default() };
        assert!(of_run(&wrong, None).unwrap_err().to_string().contains("--detect-every"));
    }

    #[test]
    fn a_value_is_never_another_option() {
        let wishes = Wishes { classes: Some("--force".into()), model: Some("--crops".into()), ..Wishes::default() };
        let read = of_run(&wishes, Some(Path::new("own.onnx"))).unwrap();
        let (force, read) = (read.force, read.processing);
        assert_eq!((force, read.results.crops, read.model.unwrap()), (false, false, PathBuf::from("--crops")));
    }

    #[test]
    fn what_is_tracked_again_is_asked_for_by_options_of_retrack() {
        let request: RequestId = "req_0aZ9bY8c_20261123T182501".parse().unwrap();
        let none = of_retrack(&request, &Retracking::default()).unwrap();
        assert_eq!((none.request.as_deref(), none.no_video, none.undo), (Some(request.as_str()), false, 0));
        assert!(none.filter.classes.is_none() && !none.deviations.refine.refine && !none.tracker.no_score_fusion);
        let retracking = Retracking {
            classes: Some(" ".into()),
            track_thresh: Some(0.3),
            track_buffer: Some(60),
            no_score_fusion: true,
            per_class: true,
            refine: true,
            link: Some(2.5),
            smooth: Some("1.5".into()),
            blur: Some("--no-video".into()),
            ..Retracking::default()
        };
        let read = of_retrack(&request, &retracking).unwrap();
        let (tracker, deviations) = (&read.tracker, &read.deviations);
        assert_eq!((tracker.track_thresh, tracker.track_buffer, tracker.no_score_fusion), (Some(0.3), Some(60), true));
        assert_eq!((deviations.per_class, deviations.scale_buffer, deviations.refine.refine), (true, false, true));
        assert_eq!((deviations.refine.link, deviations.refine.smooth), (Some(2.5), Some(Smooth::Gaussian(1.5))));
        assert_eq!((read.filter.classes, read.no_video, read.results.blur.unwrap().len()), (None, false, 1));
        let wrong = Retracking { smooth: Some("<b>".into()), ..Retracking::default() };
        let said = of_retrack(&request, &wrong).unwrap_err().to_string();
        assert!(said.contains("--smooth") && said.contains("neither rts nor a number of frames"), "{said}");
    }
    #[test]
    fn files_are_asked_for_by_options_of_retrack() {
        let work = FileWork {
            detections: Some("--refine".into()),
            out: "tracks.csv".into(),
            frame_rate: Some(25.0),
            frames: Some(750),
            options: Retracking { link: Some(2.0), ..Retracking::default() },
            ..FileWork::default()
        };
        let read = of_files(&work).unwrap();
        assert_eq!((read.detections, read.tracks, read.request), (Some("--refine".into()), None, None));
        assert_eq!((read.frame_rate, read.frames, read.out), (Some(25.0), Some(750), Some("tracks.csv".into())));
        assert_eq!((read.deviations.refine.link, read.deviations.refine.refine), (Some(2.0), false));
        let video = Retracking { no_video: true, ..Retracking::default() };
        let said = of_files(&FileWork { options: video, ..work }).unwrap_err().to_string();
        assert!(said.contains("--no-video"), "{said}");
    }

    #[test]
    fn a_prediction_is_asked_for_by_options_of_plan() {
        let planning = Planning {
            video: "-clip.mp4".into(),
            fps_per_gpu: Some(300.5),
            max_instances: Some(4),
            detect_every: Some("auto:2.5".into()),
            probe: true,
            ..Planning::default()
        };
        let read = of_plan(&planning, Some(Path::new("own.onnx"))).unwrap();
        assert_eq!((read.video, read.fps_per_gpu, read.max_instances.get()), ("-clip.mp4".into(), 300.5, 4));
        assert_eq!((read.detect_every.to_string().as_str(), read.model), ("auto:2.5", Some("own.onnx".into())));
        let unprobed = of_plan(&Planning { probe: false, ..planning.clone() }, Some(Path::new("own.onnx"))).unwrap();
        assert_eq!(unprobed.model, None);
        let said = of_plan(&Planning { fps_per_gpu: None, ..planning }, None).unwrap_err().to_string();
        assert!(said.contains("--fps-per-gpu"), "{said}");
    }
}
