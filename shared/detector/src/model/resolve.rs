//! Combines the facts from the model, its family and its card, and from a trial.

use std::path::Path;

use super::{Declared, ModelInfo, Sources, dimensions};
use crate::{
    Card, ColorOrder, DetectorError,
    class_names::{are_coco, default_names},
    family::{self, Evidence, Fit, OutputSpec, Recognised, Size},
    finding::{Findings, Origin},
    inputs::NumberType,
    trial::{Suspicion, Trial},
};

/// The input's size, from the model, its card and its metadata.
struct Sides {
    width: Result<(u32, Origin), String>,
    height: Result<(u32, Origin), String>,
}

impl Sides {
    fn of(declared: &Declared, card: &Card) -> Self {
        let imgsz = declared.metadata.imgsz;
        let width = side("input_width", declared.input[3], card.input_width, imgsz.map(|size| size.1));
        let height = side("input_height", declared.input[2], card.input_height, imgsz.map(|size| size.0));
        Self { width, height }
    }

    fn known(&self) -> Option<Size> {
        let (width, height) = self.width.as_ref().ok().zip(self.height.as_ref().ok())?;
        Some(Size { width: width.0, height: height.0 })
    }
}

/// What a trial of the model needs: the size of its input, and how its pictures are most likely made.
///
/// # Errors
///
/// The size of the input is not stated, the outputs would be much too large, or the model certainly returns no boxes.
pub(crate) fn before_trial(
    path: &Path,
    card: &Card,
    declared: &Declared,
) -> Result<(Size, ColorOrder, [f32; 3], [f32; 3]), DetectorError> {
    check_outputs(declared)?;
    let sides = Sides::of(declared, card);
    let contradiction = |reason: String| DetectorError::Card { path: Card::path_for(path), reason };
    let size = Size { width: sides.width.map_err(contradiction)?.0, height: sides.height.map_err(contradiction)?.0 };
    let evidence = evidence(declared, &declared.outputs, card, Some(size), None);
    if let Some(doubt) = family::without_boxes(&evidence).filter(|_| card.family.is_none()) {
        return Err(unknown(path, declared, doubt));
    }
    let guess = match card.family {
        Some(family) => family.head().fit(&evidence),
        None => family::recognise(&evidence).ok().map(|recognised| recognised.fit),
    };
    let defaults = guess.map(|fit| own_normalisation(fit.defaults, declared.number));
    let (order, mean, std) =
        defaults.map_or((ColorOrder::Rgb, [0.0; 3], [255.0; 3]), |usual| (usual.color_order, usual.mean, usual.std));
    let std = if declared.number == NumberType::U8 { [1.0; 3] } else { std };
    Ok((size, card.color_order.unwrap_or(order), card.mean.unwrap_or(mean), card.std.unwrap_or(std)))
}

/// Whether the metadata and the declared shapes say everything, so that no trial is needed.
pub(crate) fn is_settled_by_its_words(card: &Card, declared: &Declared, size: Size) -> bool {
    let evidence = evidence(declared, &declared.outputs, card, Some(size), None);
    let fit = if card.family.is_some() { None } else { family::in_words(&evidence) };
    fit.is_some_and(|fit| {
        let is_fixed = |output: &usize| declared.outputs[*output].has_fixed_shape(true);
        fit.has_batch && !fit.decoder.is_undecided() && fit.outputs.iter().all(is_fixed)
    })
}

/// A model that takes bytes normalises them by itself.
fn own_normalisation(usual: family::Defaults, number: NumberType) -> family::Defaults {
    match number {
        NumberType::U8 => family::Defaults { mean: [0.0; 3], std: [1.0; 3], ..usual },
        _ => usual,
    }
}

fn evidence<'a>(
    declared: &'a Declared,
    outputs: &'a [OutputSpec],
    card: &Card,
    input: Option<Size>,
    trial: Option<&'a Trial>,
) -> Evidence<'a> {
    let named = card.class_names.as_ref().or(declared.metadata.names.as_ref()).map(Vec::len);
    Evidence {
        outputs,
        named,
        is_guess: false,
        input,
        metadata: &declared.metadata,
        decoded: card.decoded,
        boxes: card.boxes,
        order: card.order,
        size_inputs: &declared.size_inputs,
        trial,
    }
}

/// Combines the facts from the model, its family, its card, and the trial. The card has priority, then the model.
pub(crate) fn resolve(
    sources: Sources,
    declared: Declared,
    trial: Option<&Trial>,
) -> Result<(ModelInfo, Fit), DetectorError> {
    let Sources { path, sha256, card, card_sha256 } = sources;
    let card_path = Card::path_for(&path);
    let contradiction = |reason: String| DetectorError::Card { path: card_path.clone(), reason };
    let mut findings = Findings::default();
    check_outputs(&declared)?;

    let type_name = match declared.number {
        NumberType::F32 => "f32",
        NumberType::F16 => "f16",
        NumberType::U8 => "u8",
    };
    findings.add("input", format!("{type_name} {}", dimensions(&declared.input)), Origin::Model);
    let sides = Sides::of(&declared, &card);
    let input = sides.known();
    // The trial makes the declared shapes more precise.
    let shapes = |(index, spec): (usize, &OutputSpec)| {
        let tried = trial.and_then(|trial| trial.outputs.get(index)).filter(|tried| !tried.shape.is_empty());
        let shape =
            tried.map_or_else(|| spec.shape.clone(), |tried| tried.shape.iter().map(|&side| side as i64).collect());
        OutputSpec { shape, ..spec.clone() }
    };
    let outputs: Vec<OutputSpec> = declared.outputs.iter().enumerate().map(shapes).collect();
    let evidence = evidence(&declared, &outputs, &card, input, trial);
    let Recognised { family, mut fit, origin } = family(&path, &card, &evidence, &declared)?;
    fit.leaves = fit.leaves.or_else(|| family::left_out(&outputs, &fit).in_words());
    if let Some((trial, input)) = trial.zip(input) {
        if let Some(decision) = trial.decide(&mut fit, input) {
            let decision = decision.map_err(|reason| DetectorError::Outputs { reason })?;
            findings.add("decoded", decision, Origin::Trial);
        }
        match trial.doubts(&fit, input) {
            Some(Suspicion::NoScores { step }) => {
                return Err(DetectorError::Outputs {
                    reason: format!(
                        "every score is 0, as boxes and scores share one output of 8 bits whose step is {step}: no score \
                         between 0 and 1 can be distinguished from 0. Quantise the model without its last layers (those that join \
                         boxes and scores)"
                    ),
                });
            }
            Some(Suspicion::Odd(doubt)) => {
                fit.doubts.push(format!("{doubt}; try `model check` on a picture of your own"))
            }
            None => {}
        }
    }
    findings.add("outputs", describe(&declared), Origin::Model);
    findings.because("family", family.name(), origin, &fit.because);
    if let Some(boxes) = fit.boxes {
        let origin = if card.boxes.is_some() { Origin::Card } else { origin };
        findings.add("boxes", boxes.in_words().to_owned(), origin);
    }
    fit.defaults = own_normalisation(fit.defaults, declared.number);
    let names = match (card.class_names.clone(), declared.metadata.names.clone()) {
        (Some(names), _) => Some((names, Origin::Card)),
        // A model that counts by COCO's 91 categories may name the 80 of them that are used.
        (None, Some(names)) if names.len() == fit.classes => Some((names, Origin::Metadata)),
        _ => None,
    };
    if names.is_none() && !fit.is_dense {
        fit.doubts.push(
            "the file says neither how many classes it has nor their names: COCO's are assumed; if it was trained on others, set \
             class_names in the card"
                .to_owned(),
        );
    }
    let Sides { width, height } = sides;
    let defaults = &fit.defaults;
    let (input_width, origin) = width.map_err(contradiction)?;
    let (input_height, _) = height.map_err(contradiction)?;
    findings.add("input size", format!("{input_width} x {input_height} px"), origin);

    let (class_names, origin) = names.unwrap_or_else(|| {
        let origin = if are_coco(fit.classes) { Origin::Coco } else { Origin::Numbers };
        (default_names(fit.classes), origin)
    });
    findings.add("class names", summary(&class_names), origin);
    let nms_iou = findings.pick("nms_iou", card.nms_iou.map(Some), defaults.nms_iou, |iou| match iou {
        Some(iou) => format!("{iou}, within a class"),
        None => "none: the model gives one box per object".into(),
    });
    let class_groups = card.class_groups.unwrap_or_default();
    check_groups(&class_groups, &class_names, nms_iou).map_err(contradiction)?;
    if !class_groups.is_empty() {
        findings.add("class_groups", format!("{class_groups:?}"), Origin::Card);
    }

    let longest_side = card.longest_side.or(defaults.longest_side);
    if let Some(side) = longest_side {
        let origin = if card.longest_side.is_some() { Origin::Card } else { Origin::Family };
        findings.add("longest_side", format!("{side} px"), origin);
    }
    let info = ModelInfo {
        name: card.name.unwrap_or_else(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned()),
        version: card.version.or(declared.metadata.version),
        description: card.description.or(declared.metadata.description),
        source: card.source,
        license: card.license.or(declared.metadata.license),
        sha256,
        card_sha256,
        family,
        input_width,
        input_height,
        color_order: findings.pick("color_order", card.color_order, defaults.color_order, |order| format!("{order:?}")),
        mean: findings.pick("mean", card.mean, defaults.mean, |mean| format!("{mean:?}")),
        std: findings.pick("std", card.std, defaults.std, |std| format!("{std:?}")),
        letterbox: findings.pick("letterbox", card.letterbox, defaults.letterbox, |letterbox| format!("{letterbox:?}")),
        longest_side,
        resize: findings.pick("resize", card.resize, defaults.resize, |resize| resize.name().to_owned()),
        pad_color: findings.pick("pad_color", card.pad_color, defaults.pad_color, |color| format!("{color:?}")),
        nms_iou,
        max_detections: findings.pick("max_detections", card.max_detections, 300, ToString::to_string),
        track_thresh: card.track_thresh,
        class_names,
        class_groups,
        findings: findings.into_list(),
        leaves: fit.leaves,
        doubts: fit.doubts.clone(),
    };
    Ok((info, fit))
}

/// A side of the input in pixels and where it was found, or what is wrong.
fn side(name: &str, declared: i64, card: Option<u32>, metadata: Option<u32>) -> Result<(u32, Origin), String> {
    let declared = u32::try_from(declared).ok().filter(|side| *side > 0);
    let (side, origin) = match (declared, card, metadata) {
        (Some(declared), Some(said), _) if said != declared => {
            return Err(format!(
                "{name} is {said}, but the model's input has {declared} pixels and no others: remove {name}, or export the \
                 model for {said}"
            ));
        }
        (Some(side), _, _) => (side, Origin::Model),
        (None, Some(side), _) => (side, Origin::Card),
        (None, None, Some(side)) => (side, Origin::Metadata),
        (None, None, None) => return Err(format!("the model takes any size; set {name} in the card")),
    };
    match side {
        1..=MAX_SIDE => Ok((side, origin)),
        _ => Err(format!("{name} {side} is not within 1 to {MAX_SIDE}")),
    }
}

/// Groups must name classes of the model, each once, and there must be a suppression that they change.
fn check_groups(groups: &[Vec<String>], names: &[String], nms_iou: Option<f32>) -> Result<(), String> {
    let mut seen = Vec::new();
    for name in groups.iter().flatten() {
        if !names.contains(name) {
            return Err(format!("class_groups has {name:?}, which is not a class of the model"));
        }
        if seen.contains(&name) {
            return Err(format!("class_groups has {name:?} twice"));
        }
        seen.push(name);
    }
    if !groups.is_empty() && nms_iou.is_none() {
        return Err("class_groups need a suppression to change: set nms_iou too".into());
    }
    Ok(())
}

/// Largest picture of a detector. A damaged card must not cause an allocation of terabytes.
const MAX_SIDE: u32 = 8192;
/// The most numbers that a model may declare about one picture: 1 GiB of them. The largest detectors have 10 million.
const MAX_VALUES: i64 = 1 << 28;

fn check_outputs(declared: &Declared) -> Result<(), DetectorError> {
    for output in &declared.outputs {
        let values = output.shape.iter().skip(1).fold(1i64, |product, &side| product.saturating_mul(side.max(1)));
        if values > MAX_VALUES {
            return Err(DetectorError::Outputs {
                reason: format!(
                    "{} declares {} with {values} numbers about a picture, more than the {MAX_VALUES} that are read: \
                     export the model for detection only",
                    output.name,
                    dimensions(&output.shape)
                ),
            });
        }
    }
    Ok(())
}

fn unknown(path: &Path, declared: &Declared, doubt: family::Doubt) -> DetectorError {
    DetectorError::UnknownFamily {
        path: path.to_owned(),
        card: Card::path_for(path),
        seen: describe(declared),
        reason: doubt.reason,
        readings: doubt.readings,
    }
}

/// The family, and how it reads the outputs.
fn family(path: &Path, card: &Card, evidence: &Evidence<'_>, declared: &Declared) -> Result<Recognised, DetectorError> {
    if let Some(family) = card.family {
        return match family.head().fit(evidence) {
            Some(fit) => Ok(Recognised { family, fit, origin: Origin::Card }),
            None => Err(DetectorError::Card {
                path: Card::path_for(path),
                reason: format!(
                    "family {} has {}, but the model has {}{}",
                    family.name(),
                    family.head().layout(),
                    describe(declared),
                    evidence.named.map(|named| format!(" and {named} class names")).unwrap_or_default()
                ),
            }),
        };
    }
    family::recognise(evidence).map_err(|doubt| unknown(path, declared, doubt))
}

/// The first names and how many there are.
fn summary(names: &[String]) -> String {
    let first = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if names.len() > 3 { ", ..." } else { "" };
    format!("{} ({first}{more})", names.len())
}

fn describe(declared: &Declared) -> String {
    let outputs = declared.outputs.iter().map(|output| format!("{} {}", output.name, dimensions(&output.shape)));
    let task = declared.metadata.task.iter().map(|task| format!("task {task}"));
    outputs.chain(task).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{Family, metadata::Metadata};

    fn declared(input: [i64; 4], shape: &[i64]) -> Declared {
        let outputs = vec![OutputSpec { name: "output0".into(), shape: shape.to_vec(), is_integer: false }];
        Declared { input, outputs, ..Declared::default() }
    }

    fn named(names: &[&str]) -> Metadata {
        Metadata { names: Some(names.iter().map(ToString::to_string).collect()), ..Metadata::default() }
    }

    fn resolved(card: Card, declared: Declared) -> Result<ModelInfo, DetectorError> {
        let path = PathBuf::from("models/some-net.onnx");
        resolve(Sources { path, sha256: "00".into(), card, card_sha256: None }, declared, None).map(|(info, _)| info)
    }

    #[test]
    fn a_model_without_a_card_is_what_its_family_usually_is() {
        let info = resolved(Card::default(), declared([1, 3, 480, 640], &[1, 84, 6300])).unwrap();
        assert_eq!((info.name.as_str(), info.family), ("some-net", Family::YoloV8));
        assert_eq!((info.input_width, info.input_height), (640, 480));
        assert_eq!(info.class_name(0), "person");
        assert_eq!(info.class_name(80), "class_80");
    }

    #[test]
    fn the_card_wins_over_family_and_metadata() {
        let card = Card {
            family: Some(Family::NanoDet),
            mean: Some([1.0; 3]),
            class_names: Some(vec!["cat".into(), "dog".into()]),
            ..Card::default()
        };
        let model = Declared { metadata: named(&["a", "b"]), ..declared([1, 3, 64, 64], &[1, 100, 6]) };
        let info = resolved(card, model).unwrap();
        assert_eq!((info.family, info.mean, info.class_name(1).as_ref()), (Family::NanoDet, [1.0; 3], "dog"));
    }

    #[test]
    fn the_input_size_comes_from_the_model_the_card_or_the_metadata() {
        let open = declared([-1, 3, -1, -1], &[-1, 84, -1]);
        let error = resolved(Card::default(), open.clone()).unwrap_err().to_string();
        assert!(error.contains("set input_width") && error.contains("some-net.json"), "{error}");
        let info = resolved(
            Card::default(),
            Declared { metadata: Metadata { imgsz: Some((480, 640)), ..Metadata::default() }, ..open.clone() },
        )
        .unwrap();
        assert_eq!((info.input_width, info.input_height), (640, 480));
        let card = Card { input_width: Some(320), input_height: Some(256), ..Card::default() };
        let info = resolved(card.clone(), open).unwrap();
        assert_eq!((info.input_width, info.input_height), (320, 256));
        let error = resolved(card, declared([1, 3, 640, 640], &[1, 84, 8400])).unwrap_err();
        assert!(error.to_string().contains("input_width is 320"), "{error}");
    }

    #[test]
    fn a_card_that_contradicts_the_outputs_is_refused() {
        let card = Card { family: Some(Family::YoloV5), class_names: Some(vec!["a".into()]), ..Card::default() };
        let error = resolved(card, declared([1, 3, 64, 64], &[1, 84, 8400])).unwrap_err().to_string();
        assert!(error.contains("1 class names") && error.contains("[1, 84, 8400]"), "{error}");
    }

    #[test]
    fn models_of_another_task_are_refused() {
        let model = Declared {
            metadata: Metadata { task: Some("classify".into()), ..Metadata::default() },
            ..declared([1, 3, 640, 640], &[1, 84, 8400])
        };
        let error = resolved(Card::default(), model).unwrap_err();
        assert!(matches!(&error, DetectorError::UnknownFamily { seen, .. } if seen.contains("classify")), "{error}");
        assert!(!error.is_transient());
    }

    #[test]
    fn class_groups_name_classes_of_the_model_and_need_a_suppression() {
        let model = || Declared { metadata: named(&["a", "b", "c"]), ..declared([1, 3, 64, 64], &[1, 7, 84]) };
        let with = |groups: &[&[&str]]| Card {
            class_groups: Some(groups.iter().map(|group| group.iter().map(ToString::to_string).collect()).collect()),
            ..Card::default()
        };
        let info = resolved(with(&[&["c", "b"]]), model()).unwrap();
        assert_eq!(info.suppression_groups(), [0, 2, 2]);
        for (groups, part) in [(&[&["a", "d"][..]][..], "\"d\""), (&[&["a", "b"], &["b", "c"]], "twice")] {
            let error = resolved(with(groups), model()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let error = resolved(with(&[&["person", "car"]]), declared([1, 3, 64, 64], &[1, 300, 6])).unwrap_err();
        assert!(error.to_string().contains("set nms_iou"), "{error}");
    }

    #[test]
    fn outputs_of_an_absurd_size_are_refused_before_anything_runs() {
        let error = resolved(Card::default(), declared([1, 3, 64, 64], &[1, 84, 1 << 40])).unwrap_err();
        assert!(matches!(error, DetectorError::Outputs { .. }) && !error.is_transient(), "{error}");
    }

    #[test]
    fn findings_say_where_each_setting_comes_from() {
        let card = Card { mean: Some([1.0; 3]), ..Card::default() };
        let info = resolved(card, declared([1, 3, 640, 640], &[1, 8400, 85])).unwrap();
        let origin = |what: &str| info.findings.iter().find(|finding| finding.what == what).unwrap().origin;
        assert_eq!(origin("family"), Origin::Model);
        assert_eq!(origin("mean"), Origin::Card);
        assert_eq!(origin("std"), Origin::Family);
        assert_eq!(origin("class names"), Origin::Coco);
    }
}
