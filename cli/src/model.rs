//! `trackdrop model`: fetch a detector, look into a detector, try it on a picture, build it for a GPU.

use crate::{
    args::{BuildArguments, CheckArguments, InspectArguments, ModelCommand},
    model_get,
    output::line,
};
use serde_json::json;
use std::time::Instant;
use trackdrop_detector::{Detection, Detector, DetectorOptions, Device, DeviceChoice, ImageBatch};
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
    let detector = Detector::open(&DetectorOptions { model, device, ..DetectorOptions::default() })?;
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
            "class_names": info.class_names, "class_groups": info.class_groups, "nms_iou": info.nms_iou,
            "max_detections": info.max_detections, "track_thresh": info.track_thresh, "findings": findings,
        });
        line!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
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
            json!({ "width": still.width(), "height": still.height(), "device": device, "detections": detections })
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
    still.rgb_scaled_into(&mut RgbScaler::new(), width, height, planes, stride_bytes)?;
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
