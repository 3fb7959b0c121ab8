//! `trackdrop model`: fetch a detector, look into a detector, try it on a picture, build it for a GPU.

use crate::{
    args::{BuildArguments, CheckArguments, InspectArguments, ModelCommand},
    model_get,
    output::line,
};
use serde_json::json;
use std::{path::Path, time::Instant};
use trackdrop_detector::{Detection, Detector, DetectorOptions, Device, DeviceChoice, ImageBatch, ModelInfo};
use trackdrop_media::{Annotation, BoxMark, Canvas, Frame, Limits, RgbScaler, draw, read_still};

pub(crate) async fn model(command: &ModelCommand) -> anyhow::Result<()> {
    match command {
        ModelCommand::Get(arguments) => model_get::get(arguments).await,
        ModelCommand::Inspect(arguments) => inspect(arguments),
        ModelCommand::Check(arguments) => check(arguments),
        ModelCommand::Build(arguments) => build(arguments),
    }
}

fn inspect(arguments: &InspectArguments) -> anyhow::Result<()> {
    let model = arguments.file.clone();
    let device = DeviceChoice::Only(Device::Cpu);
    // No graph is stored: that would load the model twice. The model does not run where a run would show nothing.
    let options = DetectorOptions { model, device, graphs: None, always_tried: false, ..DetectorOptions::default() };
    let detector = Detector::open(&options)?;
    let info = detector.info();
    if arguments.json {
        let findings: Vec<_> = info
            .findings
            .iter()
            .map(|finding| {
                let origin = finding.origin.to_string();
                json!({ "what": finding.what, "value": finding.value, "origin": origin, "because": finding.because })
            })
            .collect();
        let all = json!({
            "name": info.name, "version": info.version, "description": info.description, "source": info.source,
            "license": info.license, "sha256": info.sha256, "card_sha256": info.card_sha256,
            "family": info.family.name(), "input_width": info.input_width, "input_height": info.input_height,
            "class_names": info.class_names, "class_groups": info.class_groups, "nms_iou": info.nms_iou.map(decimal), "leaves": info.leaves, "doubts": info.doubts,
            "max_detections": info.max_detections, "track_thresh": info.track_thresh, "findings": findings,
        });
        line!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    in_four_lines(&detector, &arguments.file)?;
    line!("");
    line!("model         {}", info.name);
    let facts = [
        ("version", &info.version),
        ("description", &info.description),
        ("source", &info.source),
        ("license", &info.license),
        ("card", &info.card_sha256),
    ];
    for (what, value) in facts {
        if let Some(value) = value {
            line!("{what:<13} {value}");
        }
    }
    line!("sha256        {}", info.sha256);
    for finding in &info.findings {
        line!("{:<13} {}  [{}]", finding.what, finding.value, finding.origin);
        if let Some(because) = &finding.because {
            line!("              because: {because}");
        }
    }
    if let Some(thresh) = info.track_thresh {
        line!("track_thresh  {thresh}  [card]");
    }
    Ok(())
}

/// Four lines: the kind of model, the evidence, the doubts, and what to do.
fn in_four_lines(detector: &Detector, file: &Path) -> anyhow::Result<()> {
    let info = detector.info();
    let ModelInfo { input_width, input_height, .. } = info;
    let leaves = info.leaves.map(|leaves| format!("; {leaves}")).unwrap_or_default();
    let (family, classes) = (info.family.name(), info.class_names.len());
    line!("what          {family} with {classes} classes, {input_width} x {input_height} px{leaves}");
    let known = info.findings.iter().find(|finding| finding.what == "family");
    let evidence = known.map(|finding| {
        let because = finding.because.as_deref().unwrap_or("it says so");
        format!("{}: {because}", finding.origin)
    });
    line!("evidence      {}", evidence.unwrap_or_default());
    let doubts = if info.doubts.is_empty() { "none".to_owned() } else { info.doubts.join("; ") };
    line!("doubt         {doubts}");
    let next = if info.doubts.is_empty() { "run" } else { "resolve the doubt, or check its detections on a picture" };
    line!(
        "what to do    {next}: {}",
        match next {
            "run" => format!("trackdrop run VIDEO --model {}", file.display()),
            _ => format!("trackdrop model check {} IMAGE --out SEEN.png", file.display()),
        }
    );
    Ok(())
}

/// A 32-bit float with as many digits as were given.
fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// Unusual properties of the detections of a picture, which show that the model is read in a wrong way.
fn oddities(found: &[Detection], width: u32, height: u32) -> Vec<String> {
    let mut odd = Vec::new();
    let of = found.len();
    let share = |is: &dyn Fn(&Detection) -> bool| found.iter().filter(|one| is(one)).count() as f64 / of.max(1) as f64;
    if of >= 20 && share(&|one| one.score == found[0].score) > 0.9 {
        odd.push(format!("nearly all of {of} boxes have one score, {:.3}", found[0].score));
    }
    let (width, height) = (width as f32, height as f32);
    let covers = |one: &Detection| (one.x2 - one.x1) * (one.y2 - one.y1) > 0.9 * width * height;
    if of >= 10 && share(&covers) > 0.5 {
        odd.push(format!("most of {of} boxes cover the whole picture"));
    }
    if of >= 10 && share(&|one| (one.x2 - one.x1).max(one.y2 - one.y1) < 2.0) > 0.5 {
        odd.push(format!("most of {of} boxes are smaller than 2 pixels"));
    }
    if of >= 250 {
        odd.push(format!("{of} boxes are more than a picture has objects; a higher --min-score shows the best"));
    }
    odd
}

fn check(arguments: &CheckArguments) -> anyhow::Result<()> {
    let still = read_still(&arguments.image, &Limits::default())?;
    let model = arguments.file.clone();
    let detector = Detector::open(&DetectorOptions {
        model,
        device: arguments.device,
        batch: Some(1),
        ..DetectorOptions::default()
    })?;
    let started = Instant::now();
    let found = detect(&detector, &still, arguments.min_score)?;
    let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
    let mut odd = oddities(&found, still.width(), still.height());
    odd.extend(detector.info().doubts.iter().cloned());
    for what in &odd {
        eprintln!(
            "trackdrop: {what}: is the model read in the right way? `trackdrop model inspect` says how it is read"
        );
    }
    let names: Vec<_> = found.iter().map(|detection| detector.info().class_name(detection.class_id)).collect();
    let marks: Vec<_> = (1..)
        .zip(found.iter().zip(&names))
        .map(|(number, (d, name))| BoxMark {
            x1: d.x1,
            y1: d.y1,
            x2: d.x2,
            y2: d.y2,
            track_id: number,
            label: name,
            score: d.score,
        })
        .collect();
    let mut canvas = Canvas::of_still(&still)?;
    draw(&mut canvas, &Annotation { boxes: &marks, trails: &[] });
    canvas.write_still(&arguments.out)?;

    if arguments.json {
        let detections: Vec<_> = found
            .iter()
            .zip(&names)
            .map(|(d, name)| {
                let corners = [d.x1, d.y1, d.x2, d.y2];
                json!({ "box": corners, "score": d.score, "class_id": d.class_id, "class_name": name })
            })
            .collect();
        let device = detector.device().to_string();
        line!(
            "{}",
            json!({ "width": still.width(), "height": still.height(), "device": device, "detections": detections, "odd": odd })
        );
        return Ok(());
    }
    for (number, (d, name)) in (1..).zip(found.iter().zip(&names)) {
        line!("#{number:<4} {name:<16} {:.3}  {:.1} {:.1} {:.1} {:.1}", d.score, d.x1, d.y1, d.x2, d.y2);
    }
    line!(
        "{} detections of {} on {} in {milliseconds:.1} ms; see {}",
        found.len(),
        detector.info().name,
        detector.device(),
        arguments.out.display()
    );
    Ok(())
}

/// The objects in one picture.
fn detect(detector: &Detector, still: &Frame, min_score: f32) -> anyhow::Result<Vec<Detection>> {
    let mut images = ImageBatch::new(detector.info(), detector.batch(), still.width(), still.height());
    let placement = images.placement(0);
    let (planes, stride_bytes) = images.slot_mut(0);
    let (width, height) = (placement.inner_width, placement.inner_height);
    let mut scaler = RgbScaler::with_filter(trackdrop_track::filter_of(detector.info().resize));
    still.rgb_scaled_into(&mut scaler, width, height, planes, stride_bytes)?;
    Ok(detector.detect(&images, 1, min_score)?.pop().unwrap_or_default())
}

fn build(arguments: &BuildArguments) -> anyhow::Result<()> {
    let started = Instant::now();
    let detector = Detector::open(&DetectorOptions {
        model: arguments.file.clone(),
        device: arguments.device,
        batch: arguments.batch.map(usize::from),
        ..DetectorOptions::default()
    })?;
    line!(
        "{} is ready for {} in batches of {}: {:.1} s now, the next start is quick",
        detector.info().name,
        detector.device(),
        detector.batch(),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_wrong_reading_gives_is_odd_and_a_street_is_not() {
        let at =
            |x: f32, size: f32, score: f32| Detection { x1: x, y1: x, x2: x + size, y2: x + size, score, class_id: 0 };
        let of = |count: usize, make: &dyn Fn(f32) -> Detection| {
            let found: Vec<_> = (0..count).map(|number| make(number as f32)).collect();
            oddities(&found, 640, 480).join("; ")
        };
        assert!(of(300, &|number| at(number, 20.0, 1.0)).contains("one score, 1.000"));
        assert!(of(30, &|number| at(0.0, 640.0, number / 30.0)).contains("cover the whole picture"));
        assert!(of(30, &|number| at(number, 1.0, number / 30.0)).contains("smaller than 2 pixels"));
        assert!(of(400, &|number| at(number, 20.0, number / 400.0)).contains("400 boxes"));
        assert_eq!(of(40, &|number| at(number * 10.0, 30.0, 0.3 + number / 100.0)), "");
        assert_eq!(of(0, &|number| at(number, 1.0, 0.5)), "");
    }

    #[test]
    fn a_number_keeps_its_digits() {
        assert_eq!(serde_json::to_string(&decimal(0.7)).expect("a number"), "0.7");
    }
}
