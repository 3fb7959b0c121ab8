//! What `LibreYOLO` 1.6 writes for each of its families. The family stands in the metadata; shapes alone would mislead, as it gives
//! corners where Ultralytics gives centre and size.

use super::boxes_and_scores::pair;
use super::corners::{RTMDET, rows};
use super::detections::Detections;
use super::detr::{DETR, RF_DETR, RT_DETR};
use super::end_to_end::EndToEnd;
use super::yolov8::columns;
use super::yolox::YoloX;
use super::{
    BoxFormat, ColorOrder, Defaults, Evidence, Extra, Family, Fit, Head, Letterbox, OutputSpec, Resize, classes_in,
};
use crate::metadata::LibreYolo;

/// The suppression that its programs have by default.
const IOU: Option<f32> = Some(0.45);

/// How its own program reads a family's outputs; none if this is not known, so that shapes decide. An error if they are not as that
/// family's are.
pub(super) fn claim(evidence: &Evidence<'_>, facts: &LibreYolo) -> Option<Result<(Family, Fit), String>> {
    let family = facts.family.as_str();
    let letterbox = if facts.is_centred { Letterbox::Center } else { Letterbox::TopLeft };
    let boxed = Defaults { letterbox, nms_iou: IOU, ..Defaults::ULTRALYTICS };
    let imagenet = Defaults { nms_iou: IOU, ..Defaults::IMAGENET };
    // What is not said to be OpenCV's or interpolated without antialiasing is Pillow's, which swscale's filter is like.
    let linear = |defaults: Defaults| Defaults { resize: Resize::OpenCv, ..defaults };
    let smooth = |defaults: Defaults| Defaults { resize: Resize::Swscale, ..defaults };
    let is_turned = evidence.metadata.task.as_deref() == Some("obb");
    if is_turned && evidence.outputs.iter().any(|output| output.name == "angles") {
        let reason =
            "it gives the angles of turned boxes in an output of their own, which is not read: use its detect model";
        return Some(Err(reason.to_owned()));
    }
    let (kind, fit) = match family {
        "yolo9" | "yolo9_e2e" | "yolo9_p2" | "yolo7" | "yolo1" | "yolo2" | "yolo3" | "yolo4" | "ssd" => {
            let defaults = match family {
                "yolo9_e2e" => Defaults { nms_iou: None, ..boxed },
                "yolo1" => Defaults { nms_iou: IOU, ..Defaults::STRETCHED },
                "yolo2" | "yolo3" | "yolo4" => smooth(Defaults { pad_color: [128; 3], ..boxed }),
                "yolo7" => smooth(boxed),
                "ssd" => {
                    linear(Defaults { mean: [123.0, 117.0, 104.0], std: [1.0; 3], nms_iou: IOU, ..Defaults::STRETCHED })
                }
                _ => boxed,
            };
            (Family::YoloV8, corners_in_columns(evidence, defaults))
        }
        "rtmdet" => (Family::Corners, corners_in_rows(evidence, 0, smooth(Defaults { nms_iou: IOU, ..RTMDET }))),
        "picodet" => (Family::Corners, corners_in_rows(evidence, 0, linear(imagenet))),
        "retinanet" => {
            let defaults = linear(Defaults { letterbox: Letterbox::TopLeft, ..imagenet });
            (Family::Corners, corners_in_rows(evidence, 0, defaults))
        }
        // The number of the level lies between box and scores.
        "fcos" => {
            let defaults = linear(Defaults { letterbox: Letterbox::TopLeft, nms_iou: Some(0.6), ..imagenet });
            (Family::Corners, corners_in_rows(evidence, 1, defaults))
        }
        "ppyoloe" => (Family::BoxesAndScores, two_outputs(evidence, linear(imagenet))),
        "yolonas" => (Family::BoxesAndScores, two_outputs(evidence, smooth(yolo_nas(evidence, boxed)))),
        "efficientdet" => (Family::EndToEnd, listed(evidence, Defaults { letterbox: Letterbox::TopLeft, ..imagenet })),
        "centernet" => {
            let defaults = Defaults {
                color_order: ColorOrder::Bgr,
                mean: [0.408, 0.447, 0.470].map(|share| share * 255.0),
                std: [0.289, 0.274, 0.278].map(|share| share * 255.0),
                letterbox: Letterbox::Center,
                pad_color: [0; 3],
                longest_side: None,
                resize: Resize::OpenCv,
                nms_iou: None,
            };
            (Family::EndToEnd, listed(evidence, defaults))
        }
        "faster_rcnn" | "mask_rcnn" => {
            let fit = Detections.fit(evidence);
            (Family::Detections, fit.map(|fit| Fit { defaults: Defaults::STRETCHED, ..fit }))
        }
        "detr" => (Family::Detr, with(DETR.fit(evidence), Defaults::IMAGENET)),
        "rtdetr" => (Family::RtDetr, with(RT_DETR.fit(evidence), linear(Defaults::STRETCHED))),
        "dfine" | "deim" | "rtdetrv2" | "rtdetrv4" => {
            (Family::RtDetr, with(RT_DETR.fit(evidence), Defaults::STRETCHED))
        }
        // Those with DINO's backbone see ImageNet's colours.
        "deimv2" if !["s", "m", "l", "x"].contains(&facts.size.as_str()) => {
            (Family::RtDetr, with(RT_DETR.fit(evidence), Defaults::STRETCHED))
        }
        "deimv2" | "ec" | "lwdetr" | "deformable_detr" | "dinodetr" | "tinyformer" | "gtr" => {
            // Those with COCO's 91 categories name 80 classes.
            let fit = RT_DETR.fit(evidence).or_else(|| RT_DETR.fit(&Evidence { named: None, ..*evidence }));
            (Family::RtDetr, with(fit, Defaults::IMAGENET))
        }
        "rfdetr" => {
            let fit = RF_DETR.fit(evidence).or_else(|| RF_DETR.fit(&Evidence { named: None, ..*evidence }));
            (Family::RfDetr, fit)
        }
        "yolox" => {
            let fit = YoloX.fit(evidence);
            (Family::YoloX, fit.map(|fit| Fit { defaults: smooth(fit.defaults.clone()), ..fit }))
        }
        _ => return None,
    };
    let said = |fit: Fit| Fit { because: format!("{}, as LibreYOLO's {family} has", fit.because), ..fit };
    Some(
        fit.map(|fit| (kind, said(fit)))
            .ok_or_else(|| format!("its metadata says LibreYOLO's {family}, whose outputs are others")),
    )
}

/// YOLO-NAS is trained on pictures of 636 pixels within 640; its poses see the blue plane first.
fn yolo_nas(evidence: &Evidence<'_>, boxed: Defaults) -> Defaults {
    if evidence.metadata.task.as_deref() == Some("pose") {
        let (color_order, letterbox) = (ColorOrder::Bgr, Letterbox::TopLeft);
        return Defaults { color_order, letterbox, pad_color: [127; 3], longest_side: Some(640), ..boxed };
    }
    Defaults { letterbox: Letterbox::Center, longest_side: Some(636), ..boxed }
}

fn with(fit: Option<Fit>, defaults: Defaults) -> Option<Fit> {
    fit.map(|fit| Fit { defaults, ..fit })
}

fn corners_in_columns(evidence: &Evidence<'_>, defaults: Defaults) -> Option<Fit> {
    // With suppression in the graph there is a table of six beside the raw one.
    if let Some(fit) = suppressed(evidence, &defaults) {
        return Some(fit);
    }
    // Poses have joints in an output of their own, which are left.
    let is_pose = |output: &&OutputSpec| output.name == "predictions" && evidence.outputs.len() == 2;
    if let Some(output) = evidence.outputs.iter().find(is_pose) {
        let of_boxes = Evidence { outputs: std::slice::from_ref(output), ..*evidence };
        let table = of_boxes.only_table()?;
        let classes = classes_in(table.rows, 4, evidence.named)?;
        let at = evidence.outputs.iter().position(|other| other.name == output.name)?;
        return Some(columns(at, classes, Extra::None, BoxFormat::Corners, defaults).leaving(Extra::Keypoints(0)));
    }
    let table = evidence.only_table()?;
    let extra = evidence.extra(table, table.rows, 4);
    let classes = classes_in(table.rows, 4 + extra.numbers() as i64, evidence.named)?;
    let boxes = match extra {
        Extra::Angle => BoxFormat::Center,
        _ => evidence.boxes.unwrap_or(BoxFormat::Corners),
    };
    Some(columns(table.output, classes, extra, boxes, defaults))
}

/// The first of two tables, if it is one of box, score and class.
fn suppressed(evidence: &Evidence<'_>, defaults: &Defaults) -> Option<Fit> {
    let tables = evidence.outputs.iter().filter(|output| output.shape.len() == 3).count();
    let first = evidence.outputs.first().filter(|output| tables == 2 && output.shape.last() == Some(&6))?;
    let fit = EndToEnd.fit(&Evidence { outputs: std::slice::from_ref(first), ..*evidence })?;
    Some(Fit { defaults: Defaults { nms_iou: None, ..defaults.clone() }, ..fit })
}

fn corners_in_rows(evidence: &Evidence<'_>, skip: usize, defaults: Defaults) -> Option<Fit> {
    let table = evidence.only_table()?;
    let classes = classes_in(table.columns, 4 + skip as i64, evidence.named)?;
    Some(rows(table.output, classes, skip, evidence.boxes.unwrap_or(BoxFormat::Corners), defaults))
}

fn two_outputs(evidence: &Evidence<'_>, defaults: Defaults) -> Option<Fit> {
    let find = |name: &str| {
        let found = evidence.outputs.iter().enumerate().find(|(_, output)| output.name == name);
        found.map(|(index, output)| (index, output.shape.last().copied().unwrap_or(0)))
    };
    let (boxes, scores) = match find("boxes").zip(find("scores")) {
        Some(found) => found,
        // By any other name: the box is the one of four numbers.
        None => match evidence.outputs {
            [first, second] => {
                let (first, second) = ((0, first.shape.last().copied()?), (1, second.shape.last().copied()?));
                if first.1 == 4 { (first, second) } else { (second, first) }
            }
            _ => return None,
        },
    };
    let classes = classes_in(scores.1, 0, evidence.named).filter(|_| boxes.1 == 4)?;
    let has_joints = evidence.outputs.iter().any(|output| output.name.starts_with("keypoints"));
    let fit = pair(boxes.0, scores.0, classes, evidence.boxes.unwrap_or(BoxFormat::Corners), defaults);
    Some(if has_joints { fit.leaving(Extra::Keypoints(0)) } else { fit })
}

fn listed(evidence: &Evidence<'_>, defaults: Defaults) -> Option<Fit> {
    with(EndToEnd.fit(evidence), defaults)
}
