//! Makes the settings of a request from the command's options.

use crate::{
    args::{
        AppearanceChoice, BoxesChoice, DeviationArguments, FilterArguments, PlanArguments, Precision,
        ProcessingArguments, ReadingArguments, RefineArguments, ResultArguments, RetrackArguments, TrackerArguments,
    },
    upload,
};
use anyhow::{Context, bail};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use trackdrop_detector::default_model_path;
use trackdrop_media::Source;
use trackdrop_pipeline::{Appearance, AppearanceNetwork, Boxes, Refinements, RequestSettings};

/// The settings of a run.
pub(crate) fn of_run(arguments: &ProcessingArguments) -> anyhow::Result<RequestSettings> {
    let quantised = match arguments.precision {
        Precision::Fp32 => None,
        Precision::Int8 => Some(quantised(&arguments.model.clone().unwrap_or_else(default_model_path))?),
    };
    let model = quantised.as_ref().or(arguments.model.as_ref()).map(|path| model_path(path)).transpose()?;
    // The model's hash, so that a change of its file or card is noticed. The detector reports a default model that is missing.
    let file = model.as_ref().map_or_else(default_model_path, PathBuf::from);
    let model_sha256 = match upload::sha256_of(&file) {
        Ok(sha256) => Some(sha256),
        Err(_) if model.is_none() => None,
        Err(error) => return Err(error).with_context(|| format!("the model {} can't be read", file.display())),
    };
    let card_sha256 = upload::sha256_of(&file.with_extension("json")).ok().filter(|_| model_sha256.is_some());
    let mut settings = RequestSettings {
        segment_seconds: arguments.segment_seconds,
        model,
        model_sha256,
        card_sha256,
        video: !arguments.no_video,
        video_stream: arguments.reading.video_stream,
        raw_frame_rate: arguments.reading.raw_frame_rate,
        max_damaged_share: arguments.max_damaged_share,
        source_clock: arguments.source_clock,
        ..RequestSettings::default()
    };
    overlay(&mut settings, &arguments.filter, &arguments.tracker, &arguments.deviations)?;
    overlay_results(&mut settings, &arguments.results);
    settings.check()?;
    Ok(settings)
}

/// A model's path in the form in which settings store it.
fn model_path(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let absolute = path.canonicalize().with_context(|| format!("the model {shown} can't be read"))?;
    Ok(absolute.to_str().with_context(|| format!("the model's path {shown} is not UTF-8"))?.to_owned())
}

/// The settings of the request that a plan is of.
pub(crate) fn of_plan(arguments: &PlanArguments) -> anyhow::Result<RequestSettings> {
    let settings = RequestSettings {
        segment_seconds: arguments.segment_seconds,
        model: arguments.model.as_deref().map(model_path).transpose()?,
        detect_every: arguments.detect_every,
        video_stream: arguments.reading.video_stream,
        raw_frame_rate: arguments.reading.raw_frame_rate,
        refine: if arguments.refine { Refinements::best() } else { Refinements::default() },
        ..RequestSettings::default()
    };
    settings.check()?;
    Ok(settings)
}

/// A file that is looked at without a request.
pub(crate) fn source(video: &Path, reading: &ReadingArguments) -> anyhow::Result<Source> {
    let &ReadingArguments { video_stream, raw_frame_rate } = reading;
    let settings = RequestSettings { video_stream, raw_frame_rate, ..RequestSettings::default() };
    settings.check()?;
    Ok(Source::from(video).read_as((&settings).into()))
}

/// The int8 model beside a model: `NAME-int8.onnx` for `NAME.onnx`.
fn quantised(model: &Path) -> anyhow::Result<PathBuf> {
    let stem = model.file_stem().unwrap_or_default().to_string_lossy();
    let int8 = model.with_file_name(format!("{stem}-int8.onnx"));
    if !int8.is_file() {
        bail!(
            "--precision int8 needs {}, which is not there: scripts/int8 makes it for the default model; others are \
             quantised with ONNX Runtime's tools",
            int8.display()
        );
    }
    Ok(int8)
}

/// The settings of another version of a request's tracks: what is not given stays as it is.
pub(crate) fn of_version(of: &RequestSettings, arguments: &RetrackArguments) -> anyhow::Result<RequestSettings> {
    // Crops are made with the video.
    let video = !arguments.no_video;
    let mut settings = RequestSettings { video, crops: of.crops && video, ..of.clone() };
    overlay(&mut settings, &arguments.filter, &arguments.tracker, &arguments.deviations)?;
    overlay_results(&mut settings, &arguments.results);
    let Some(left) = of.edits.len().checked_sub(arguments.undo) else {
        bail!("--undo {}: the request has {} edits", arguments.undo, of.edits.len());
    };
    settings.edits.truncate(left);
    settings.edits.extend(arguments.edit.iter().cloned());
    settings.check()?;
    Ok(settings)
}

fn overlay(
    settings: &mut RequestSettings,
    filter: &FilterArguments,
    tracker: &TrackerArguments,
    deviations: &DeviationArguments,
) -> anyhow::Result<()> {
    if let Some(names) = &filter.classes {
        settings.classes = Some(names.iter().map(|name| name.trim().to_owned()).collect());
    }
    settings.min_score = filter.min_score.or(settings.min_score);
    settings.detect_every = filter.detect_every.unwrap_or(settings.detect_every);
    let of = &mut settings.tracker;
    of.track_thresh = tracker.track_thresh.or(of.track_thresh);
    of.match_thresh = tracker.match_thresh.or(of.match_thresh);
    of.track_buffer = tracker.track_buffer.or(of.track_buffer);
    of.score_fusion = tracker.no_score_fusion.then_some(false).or(of.score_fusion);
    of.scale_buffer |= deviations.scale_buffer;
    of.per_class |= deviations.per_class;
    if let Some(appearance) = &deviations.appearance {
        settings.appearance = match appearance {
            AppearanceChoice::Color => Some(Appearance::COLOR),
            AppearanceChoice::Network(path) => Some(Appearance::Network(appearance_network(path)?)),
            AppearanceChoice::None => None,
        };
    }
    refine(&mut settings.refine, &deviations.refine);
    Ok(())
}

/// The network that describes detections, identified by the hashes of its file and its card.
fn appearance_network(path: &Path) -> anyhow::Result<AppearanceNetwork> {
    let no_network = || {
        format!(
            "--appearance {}: there is no such network; give color, none, or the ONNX file of a re-identification network",
            path.display()
        )
    };
    let network_sha256 = upload::sha256_of(path).with_context(no_network)?;
    // A card that is missing is reported with what belongs into it, by the network.
    let network_card_sha256 = upload::sha256_of(&path.with_extension("json")).ok();
    Ok(AppearanceNetwork { network: model_path(path)?, network_sha256: Some(network_sha256), network_card_sha256 })
}

/// A given value replaces the existing one; a value that is given by itself also replaces the one that --refine sets.
pub(crate) fn refine(refine: &mut Refinements, given: &RefineArguments) {
    let best = if given.refine { Refinements::best() } else { Refinements::default() };
    refine.link = given.link.or(best.link).or(refine.link);
    refine.recover |= given.recover || best.recover;
    refine.fill_gaps = given.fill_gaps.or(refine.fill_gaps);
    refine.smooth = given.smooth.or(best.smooth).or(refine.smooth);
    refine.backfill |= given.backfill;
}

fn overlay_results(settings: &mut RequestSettings, results: &ResultArguments) {
    if let Some(exports) = &results.exports {
        settings.exports.clone_from(exports);
    }
    if let Some(names) = &results.blur {
        settings.blur = names.iter().map(|name| name.trim().to_owned()).collect();
    }
    if let Some(boxes) = results.boxes {
        settings.boxes = match boxes {
            BoxesChoice::All => Boxes::All,
            BoxesChoice::None => Boxes::None,
        };
    }
    settings.crops |= results.crops;
}

/// In what two settings differ, for people: `what: before, now after; ...`.
pub(crate) fn difference(before: &RequestSettings, now: &RequestSettings) -> String {
    let (before, now) = (fields(before), fields(now));
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    let shown = |value: Option<&String>| value.cloned().unwrap_or_else(|| "the default".to_owned());
    let differs = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
    let parts = differs.map(|name| format!("{name}: {}, now {}", shown(before.get(name)), shown(now.get(name))));
    parts.collect::<Vec<_>>().join("; ")
}

/// Every setting that results depend on, as text.
fn fields(settings: &RequestSettings) -> BTreeMap<String, String> {
    fn walk(name: &str, value: &Value, into: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| walk(name, value, into)),
            Value::Array(values) => {
                let shown = values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                into.insert(name.to_owned(), shown.collect::<Vec<_>>().join(","));
            }
            Value::String(text) => drop(into.insert(name.to_owned(), text.clone())),
            other => drop(into.insert(name.to_owned(), other.to_string())),
        }
    }
    let mut fields = BTreeMap::new();
    // Settings are plain data, which JSON always takes; without it there would only be less to read.
    walk("settings", &serde_json::to_value(settings).unwrap_or_default(), &mut fields);
    fields.remove("segment_seconds");
    fields
}
