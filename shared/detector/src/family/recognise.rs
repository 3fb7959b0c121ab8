//! Finds the family of a model: first from the exporter's metadata, then from shapes, then from its outputs for a picture.

use super::{Evidence, Family, Fit, Head, Table, detr::RT_DETR, end_to_end::EndToEnd, libreyolo, yolov8::YoloV8};
use crate::{Origin, metadata::Exporter};

/// The one reading that is left.
#[derive(Debug)]
pub(crate) struct Recognised {
    pub(crate) family: Family,
    pub(crate) fit: Fit,
    pub(crate) origin: Origin,
}

/// Why no reading, or more than one, is left.
#[derive(Debug, PartialEq)]
pub(crate) struct Doubt {
    /// What is the matter, as the end of a sentence about the model.
    pub(crate) reason: String,
    /// The readings that are left, each with the card that settles it.
    pub(crate) readings: Vec<(String, String)>,
}

impl Doubt {
    fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), readings: Vec::new() }
    }
}

/// Tasks whose models give boxes.
const WITH_BOXES: [&str; 5] = ["detect", "segment", "pose", "obb", "detection"];

/// Tells the family of a model whose card does not.
///
/// Without class names, the 80 of COCO are tried before any other number.
pub(crate) fn recognise(evidence: &Evidence<'_>) -> Result<Recognised, Doubt> {
    if let Some(doubt) = without_boxes(evidence) {
        return Err(doubt);
    }
    if let Some(said) = said(evidence) {
        return said;
    }
    let guesses = if evidence.named.is_some() { vec![evidence.named] } else { vec![Some(80), None] };
    let mut refuted = Vec::new();
    for named in guesses {
        let evidence = Evidence { named, is_guess: evidence.named.is_none() && named.is_some(), ..*evidence };
        let readings = Family::ALL.iter().flat_map(|family| {
            let fits = family.head().recognise(&evidence);
            fits.into_iter().map(move |fit| (*family, fit))
        });
        let mut left = Vec::new();
        for (family, fit) in readings {
            let against = evidence.trial.zip(evidence.input).and_then(|(trial, input)| trial.refutes(&fit, input));
            match against {
                Some(reason) => refuted.push(format!("as {} ({}) {reason}", family.name(), fit.reading())),
                None => left.push((family, fit)),
            }
        }
        if left.len() > 1 {
            let readings = left.iter().map(|(family, fit)| (fit.reading(), fit.card(*family))).collect();
            return Err(Doubt { reason: "can be read in more than one way".into(), readings });
        }
        if let Some((family, fit)) = left.pop() {
            let origin = if evidence.trial.is_some() { Origin::Trial } else { Origin::Model };
            return Ok(Recognised { family, fit, origin });
        }
    }
    refuted.dedup();
    Err(if refuted.is_empty() { Doubt::because(no_layout(evidence)) } else { Doubt::because(refuted.join("; ")) })
}

/// Why a model can't be a detector, whatever it gives for a picture.
pub(crate) fn without_boxes(evidence: &Evidence<'_>) -> Option<Doubt> {
    if let Some(task) = evidence.metadata.task.as_deref().filter(|task| !WITH_BOXES.contains(task)) {
        return Some(Doubt::because(format!(
            "its metadata says that its task is {task}, which gives no boxes: use a detector"
        )));
    }
    evidence.outputs.is_empty().then(|| {
        Doubt::because(
            "gives no floats and no whole numbers of 32 or 64 bits, as a map of classes does: use a detector",
        )
    })
}

/// How to read the outputs, if the exporter's metadata allow only one reading. Ultralytics before 8.4 does not name its
/// head. If the shape is that of its detectors and agrees with the class names, that is enough.
pub(crate) fn in_words(evidence: &Evidence<'_>) -> Option<Fit> {
    if let Some(said) = said(evidence) {
        return said.ok().map(|recognised| recognised.fit);
    }
    evidence.ultralytics().filter(|_| evidence.named.is_some())?;
    let Recognised { family, fit, .. } = recognise(evidence).ok()?;
    (family == Family::YoloV8).then_some(fit)
}

/// What the exporter's own words make of the model; none if it has none, or they leave it open.
fn said(evidence: &Evidence<'_>) -> Option<Result<Recognised, Doubt>> {
    let said = |family: Family, fit: Fit| Ok(Recognised { family, fit, origin: Origin::Metadata });
    // Even an exporter's word has its limits: numbers that can't be scores are none.
    let checked = |family: Family, fit: Fit| {
        let against = evidence.trial.zip(evidence.input).and_then(|(trial, input)| trial.refutes(&fit, input));
        match against.filter(|reason| reason.starts_with("scores")) {
            Some(reason) => {
                let exporter = evidence.metadata.exporter_name();
                Err(Doubt::because(format!(
                    "is {} by what {exporter} wrote into it, but so its {reason}",
                    family.name()
                )))
            }
            None => said(family, fit),
        }
    };
    match &evidence.metadata.exporter {
        Exporter::Unknown => None,
        Exporter::LibreYolo(facts) => {
            let claim = libreyolo::claim(evidence, facts)?;
            Some(claim.map_err(Doubt::because).and_then(|(family, fit)| checked(family, fit)))
        }
        Exporter::Ultralytics(facts) => {
            // YOLOv5's and others' of before have no head; shapes tell them apart.
            let head = facts.head.as_deref()?.to_ascii_lowercase();
            let (family, fit) = if head.contains("rtdetr") {
                (Family::RtDetr, RT_DETR.fit(evidence))
            } else if facts.end2end == Some(true) || facts.nms == Some(true) {
                (Family::EndToEnd, EndToEnd.fit(evidence))
            } else {
                let Table { columns, .. } = evidence.only_table()?;
                // An older exporter suppresses without saying so.
                if columns == 6 {
                    return None;
                }
                (Family::YoloV8, YoloV8.fit(evidence))
            };
            fit.map(|fit| checked(family, fit))
        }
    }
}

/// What outputs that no family has may be.
fn no_layout(evidence: &Evidence<'_>) -> String {
    let four_d: Vec<_> = evidence.outputs.iter().filter(|output| output.shape.len() == 4).collect();
    let is_raw = |channels: i64| channels > 0 && channels % 3 == 0 && channels / 3 > 5;
    if four_d.len() >= 2
        && four_d.len() == evidence.outputs.len()
        && four_d.iter().all(|o| is_raw(o.shape[1]) || is_raw(o.shape[3]))
    {
        return "gives the raw maps of a head with anchors, and no anchors: export it with its last layer (decoded boxes)".into();
    }
    if let [only] = evidence.outputs
        && only.shape.len() == 2
        && !matches!(only.shape[1], 6 | 7)
    {
        return "gives one list of numbers a picture, as a classifier or an embedding does: use a detector".into();
    }
    if let [only] = evidence.outputs
        && only.shape.len() == 4
    {
        return "gives a map of the picture, as segmentation, depth or super-resolution do: use a detector".into();
    }
    match evidence.named {
        Some(named) => format!("has outputs that no known detector has with its {named} class names"),
        None => {
            "has outputs that no known detector has; if it is one, class_names in a card may tell it from others".into()
        }
    }
}
