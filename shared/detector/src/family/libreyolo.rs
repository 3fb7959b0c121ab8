//! What `LibreYOLO` 1.6 exports for each of its families. The metadata name the family. Shapes alone would mislead: its
//! boxes are corners, and those of Ultralytics in the same shape are centre and size.

use super::{
    BoxFormat, ColorOrder, Defaults, Evidence, Extra, Family, Fit, Head, Letterbox, OutputSpec, Resize,
    boxes_and_scores::{pair, turned_pair},
    classes_in,
    corners::{RTMDET, rows},
    detections::Detections,
    detr::{DETR, Detr, RF_DETR, RT_DETR},
    end_to_end::EndToEnd,
    yolov8::columns,
    yolox::{YOLOX, YoloX},
};
use crate::metadata::LibreYolo;

/// The default threshold for suppression in its programs.
const IOU: Option<f32> = Some(0.45);

/// How its own program reads a family's outputs. None if this is not known; then shapes decide. An error if the outputs
/// do not fit that family.
pub(super) fn claim(evidence: &Evidence<'_>, facts: &LibreYolo) -> Option<Result<(Family, Fit), String>> {
    let family = facts.family.as_str();
    let (layout, defaults) = usual(evidence, facts)?;
    let has = |name: &str| evidence.outputs.iter().any(|output| output.name == name);
    if has("angles") {
        let reason = "it gives the angles of rotated boxes in an output of their own, and sides as shares of a stretched picture, which \
                      is not read: use its detect model";
        return Some(Err(reason.to_owned()));
    }
    if has("pred_keypoints") && !has("pred_boxes") {
        return Some(Err(
            "it gives keypoints and no boxes, from which a track could be made: use its detect model".to_owned()
        ));
    }
    let (kind, fit) = if facts.is_deepstream {
        // Each candidate has corners, its best score and that score's class. They need suppression if those of the
        // family do. Exports for poses do not differ.
        let defaults = for_deepstream(family, defaults);
        let layout = if evidence.only_table().is_some() { Layout::Listed } else { layout };
        layout.fit(evidence, defaults)
    } else {
        layout.fit(evidence, defaults)
    };
    let because = |fit: &Fit| format!("{}, as LibreYOLO's {family} has", fit.because);
    // Its programs first clip all boxes at the edges of the picture.
    let said = |fit: Fit| Fit { because: because(&fit), cuts_first: true, ..fit };
    Some(
        fit.map(|fit| (kind, said(fit)))
            .ok_or_else(|| format!("its metadata says LibreYOLO's {family}, whose outputs are others")),
    )
}

/// What a family's outputs are.
enum Layout {
    CornersInColumns,
    /// With this many numbers between box and scores.
    CornersInRows(usize),
    TwoOutputs,
    /// Box, score, class.
    Listed,
    /// Boxes, scores and labels of one picture.
    Finished,
    Transformer(Family, &'static Detr),
    YoloX,
}

/// What a family's outputs are, and how its own program prepares a picture.
fn usual(evidence: &Evidence<'_>, facts: &LibreYolo) -> Option<(Layout, Defaults)> {
    let letterbox = if facts.is_centred { Letterbox::Center } else { Letterbox::TopLeft };
    let boxed = Defaults { letterbox, nms_iou: IOU, ..Defaults::ULTRALYTICS };
    let imagenet = Defaults { nms_iou: IOU, ..Defaults::IMAGENET };
    // What is not said to be OpenCV's or interpolated without antialiasing is Pillow's, which swscale's filter is like.
    let linear = |defaults: Defaults| Defaults { resize: Resize::OpenCv, ..defaults };
    let smooth = |defaults: Defaults| Defaults { resize: Resize::Swscale, ..defaults };
    let is_turned = evidence.metadata.task.as_deref() == Some("obb");
    // Rotated boxes retain their shape only in a picture whose ratio is preserved.
    let upright = |defaults: Defaults| {
        let kept = Defaults { letterbox: Letterbox::TopLeft, pad_color: [0; 3], ..defaults.clone() };
        if is_turned { kept } else { defaults }
    };
    let rt = |defaults: Defaults| (Layout::Transformer(Family::RtDetr, &RT_DETR), defaults);
    Some(match facts.family.as_str() {
        "yolo9_e2e" => (Layout::CornersInColumns, Defaults { nms_iou: None, ..boxed }),
        "yolo9" | "yolo9_p2" => (Layout::CornersInColumns, boxed),
        "yolo1" => (Layout::CornersInColumns, Defaults { nms_iou: IOU, ..Defaults::STRETCHED }),
        "yolo2" | "yolo3" | "yolo4" => (Layout::CornersInColumns, smooth(Defaults { pad_color: [128; 3], ..boxed })),
        "yolo7" => (Layout::CornersInColumns, smooth(boxed)),
        "ssd" => {
            let own = Defaults { mean: [123.0, 117.0, 104.0], std: [1.0; 3], nms_iou: IOU, ..Defaults::STRETCHED };
            (Layout::CornersInColumns, linear(own))
        }
        "rtmdet" => (Layout::CornersInRows(0), smooth(Defaults { nms_iou: IOU, ..RTMDET })),
        "picodet" => (Layout::CornersInRows(0), linear(imagenet)),
        "retinanet" => (Layout::CornersInRows(0), linear(Defaults { letterbox: Letterbox::TopLeft, ..imagenet })),
        // The number of the level lies between box and scores.
        "fcos" => {
            let defaults = linear(Defaults { letterbox: Letterbox::TopLeft, nms_iou: Some(0.6), ..imagenet });
            (Layout::CornersInRows(1), defaults)
        }
        "ppyoloe" => (Layout::TwoOutputs, linear(imagenet)),
        "yolonas" if is_turned => {
            let own = Defaults { color_order: ColorOrder::Bgr, letterbox: Letterbox::TopLeft, ..boxed };
            (Layout::TwoOutputs, linear(Defaults { nms_iou: Some(0.25), ..own }))
        }
        "yolonas" => (Layout::TwoOutputs, smooth(yolo_nas(evidence, boxed))),
        "efficientdet" => (Layout::Listed, Defaults { letterbox: Letterbox::TopLeft, ..imagenet }),
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
            (Layout::Listed, defaults)
        }
        "faster_rcnn" | "mask_rcnn" => (Layout::Finished, Defaults::STRETCHED),
        "detr" => (Layout::Transformer(Family::Detr, &DETR), Defaults::IMAGENET),
        "rtdetr" => rt(linear(Defaults::STRETCHED)),
        "dfine" | "deim" | "domedetr" | "rtdetrv2" | "rtdetrv4" => rt(upright(Defaults::STRETCHED)),
        // Those with DINO's backbone see ImageNet's colours.
        "deimv2" if !["s", "m", "l", "x"].contains(&facts.size.as_str()) => rt(Defaults::STRETCHED),
        "deimv2" | "ec" | "lwdetr" | "deformable_detr" | "dinodetr" | "tinyformer" | "gtr" => {
            rt(upright(Defaults::IMAGENET))
        }
        "rfdetr" => (Layout::Transformer(Family::RfDetr, &RF_DETR), linear(Defaults::IMAGENET)),
        "yolox" => (Layout::YoloX, smooth(YOLOX)),
        _ => return None,
    })
}

impl Layout {
    fn fit(self, evidence: &Evidence<'_>, defaults: Defaults) -> (Family, Option<Fit>) {
        match self {
            Self::CornersInColumns => (Family::YoloV8, corners_in_columns(evidence, defaults)),
            Self::CornersInRows(skip) => (Family::Corners, corners_in_rows(evidence, skip, defaults)),
            Self::TwoOutputs => (Family::BoxesAndScores, two_outputs(evidence, defaults)),
            Self::Listed => (Family::EndToEnd, with(EndToEnd.fit(evidence), defaults)),
            Self::Finished => (Family::Detections, with(Detections.fit(evidence), defaults)),
            Self::Transformer(family, head) => {
                // Those with COCO's 91 categories name 80 classes.
                let fit = head.fit(evidence).or_else(|| head.fit(&Evidence { named: None, ..*evidence }));
                (family, with(fit, defaults))
            }
            Self::YoloX => (Family::YoloX, with(YoloX.fit(evidence), defaults)),
        }
    }
}

/// How a picture is prepared for NVIDIA's `DeepStream`: what a scalar can't do to it is done in the graph.
fn for_deepstream(family: &str, defaults: Defaults) -> Defaults {
    let std = match family {
        "rtmdet" | "picodet" => [1.0; 3],
        _ if defaults.mean != [0.0; 3] => [255.0; 3],
        _ => defaults.std,
    };
    Defaults { mean: [0.0; 3], std, ..defaults }
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
    // If suppression is in the graph, it lists a box once for each of its classes. Such exports also have the raw
    // table. LibreYOLO's own program reads that one.
    if let Some(at) = evidence.outputs.iter().position(|output| output.name == "raw") {
        let of_raw = Evidence { outputs: std::slice::from_ref(&evidence.outputs[at]), ..*evidence };
        let classes = classes_in(of_raw.only_table()?.rows, 4, evidence.named)?;
        return Some(columns(at, classes, Extra::None, evidence.boxes.unwrap_or(BoxFormat::Corners), defaults));
    }
    if let Some(fit) = suppressed(evidence, &defaults) {
        return Some(fit);
    }
    // Exports for poses have the joints in a separate output, which is not used.
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
    let classes = classes_in(scores.1, 0, evidence.named)?;
    let of_boxes = |usual: BoxFormat| evidence.boxes.unwrap_or(usual);
    match boxes.1 {
        5 => Some(turned_pair(boxes.0, scores.0, classes, of_boxes(BoxFormat::Center), defaults)),
        4 => {
            let fit = pair(boxes.0, scores.0, classes, of_boxes(BoxFormat::Corners), defaults);
            let has_joints = evidence.outputs.iter().any(|output| output.name.starts_with("keypoints"));
            Some(if has_joints { fit.leaving(Extra::Keypoints(0)) } else { fit })
        }
        _ => None,
    }
}
