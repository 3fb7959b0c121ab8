//! What `LibreYOLO` 1.6 writes for each of its families. The family stands in the metadata; shapes alone would mislead, as it gives
//! corners where Ultralytics gives centre and size.

use super::boxes_and_scores::pair;
use super::corners::{RTMDET, rows};
use super::detections::Detections;
use super::detr::{DETR, RF_DETR, RT_DETR};
use super::end_to_end::EndToEnd;
use super::yolov8::columns;
use super::yolox::YoloX;
use super::{BoxFormat, ColorOrder, Defaults, Evidence, Extra, Family, Fit, Head, Letterbox, classes_in};
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
    let (kind, fit) = match family {
        "yolo9" | "yolo9_e2e" | "yolo9_p2" | "yolo7" | "yolo1" | "yolo2" | "yolo3" | "yolo4" | "ssd" => {
            let defaults = match family {
                "yolo9_e2e" => Defaults { nms_iou: None, ..boxed },
                "yolo1" => Defaults { nms_iou: IOU, ..Defaults::STRETCHED },
                "yolo2" | "yolo3" | "yolo4" => Defaults { pad_color: [128; 3], ..boxed },
                "ssd" => Defaults { mean: [123.0, 117.0, 104.0], std: [1.0; 3], nms_iou: IOU, ..Defaults::STRETCHED },
                _ => boxed,
            };
            (Family::YoloV8, corners_in_columns(evidence, defaults))
        }
        "rtmdet" => (Family::Corners, corners_in_rows(evidence, 0, Defaults { nms_iou: IOU, ..RTMDET })),
        "picodet" => (Family::Corners, corners_in_rows(evidence, 0, imagenet)),
        "retinanet" => {
            (Family::Corners, corners_in_rows(evidence, 0, Defaults { letterbox: Letterbox::TopLeft, ..imagenet }))
        }
        // The number of the level lies between box and scores.
        "fcos" => {
            let defaults = Defaults { letterbox: Letterbox::TopLeft, nms_iou: Some(0.6), ..imagenet };
            (Family::Corners, corners_in_rows(evidence, 1, defaults))
        }
        "ppyoloe" => (Family::BoxesAndScores, two_outputs(evidence, imagenet)),
        "yolonas" => {
            (Family::BoxesAndScores, two_outputs(evidence, Defaults { letterbox: Letterbox::Center, ..boxed }))
        }
        "efficientdet" => (Family::EndToEnd, listed(evidence, Defaults { letterbox: Letterbox::TopLeft, ..imagenet })),
        "centernet" => {
            let defaults = Defaults {
                color_order: ColorOrder::Bgr,
                mean: [0.408, 0.447, 0.470].map(|share| share * 255.0),
                std: [0.289, 0.274, 0.278].map(|share| share * 255.0),
                letterbox: Letterbox::Center,
                pad_color: [0; 3],
                nms_iou: None,
            };
            (Family::EndToEnd, listed(evidence, defaults))
        }
        "faster_rcnn" | "mask_rcnn" => {
            let fit = Detections.fit(evidence);
            (Family::Detections, fit.map(|fit| Fit { defaults: Defaults::STRETCHED, ..fit }))
        }
        "detr" => (Family::Detr, with(DETR.fit(evidence), Defaults::IMAGENET)),
        "dfine" | "deim" | "rtdetr" | "rtdetrv2" | "rtdetrv4" => {
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
        "yolox" => (Family::YoloX, YoloX.fit(evidence)),
        _ => return None,
    };
    let said = |fit: Fit| Fit { because: format!("{}, as LibreYOLO's {family} has", fit.because), ..fit };
    Some(
        fit.map(|fit| (kind, said(fit)))
            .ok_or_else(|| format!("its metadata says LibreYOLO's {family}, whose outputs are others")),
    )
}

fn with(fit: Option<Fit>, defaults: Defaults) -> Option<Fit> {
    fit.map(|fit| Fit { defaults, ..fit })
}

fn corners_in_columns(evidence: &Evidence<'_>, defaults: Defaults) -> Option<Fit> {
    // With suppression in the graph there is a table of six beside the raw one.
    if let Some(fit) = suppressed(evidence, &defaults) {
        return Some(fit);
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
    Some(pair(boxes.0, scores.0, classes, evidence.boxes.unwrap_or(BoxFormat::Corners), defaults))
}

fn listed(evidence: &Evidence<'_>, defaults: Defaults) -> Option<Fit> {
    with(EndToEnd.fit(evidence), defaults)
}
