//! Models as real exporters write them (`fixtures/make_exporters.py` names package and version of each) give the right boxes, or are
//! refused with the reason.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

use std::{collections::HashMap, fs};

use support::{assert_same, batch_of, fixture, picture, try_open};
use trackdrop_detector::{ColorOrder, Detector, DetectorError, DetectorOptions, Device, DeviceChoice, Family};

fn model(name: &str) -> std::path::PathBuf {
    fixture(&format!("exporters/{name}.onnx"))
}

fn expected(name: &str) -> serde_json::Value {
    let all = fs::read_to_string(fixture("exporters/expected.json")).unwrap();
    serde_json::from_str::<HashMap<String, serde_json::Value>>(&all).unwrap().remove(name).unwrap()
}

fn open(name: &str) -> Detector {
    try_open(model(name), 1).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Each is recognised as this family and gives what was computed for it.
fn are_right(family: Family, names: &[&str]) {
    for name in names {
        println!("{name}");
        let detector = open(name);
        assert_eq!(detector.info().family, family, "{name}");
        let found = detector.detect(&batch_of(&detector, 200, 100), 1, 0.1).unwrap();
        assert_same(&found[0], &expected(name));
    }
}

/// Why a model is refused.
fn refusal(name: &str) -> String {
    let error = match try_open(model(name), 1) {
        Ok(detector) => panic!("{name} is taken for {:?}", detector.info().family),
        Err(error) => error,
    };
    assert!(matches!(error, DetectorError::UnknownFamily { .. } | DetectorError::Outputs { .. }), "{error}");
    assert!(!error.is_transient(), "{error}");
    error.to_string()
}

#[test]
fn the_corners_that_libreyolo_gives_in_the_shape_of_yolov8_are_read_as_corners() {
    let families = ["yolo9", "yolo9_dynamic", "yolo9_center", "yolo9_e2e", "yolo2", "yolo3", "yolo4", "yolo7", "ssd"];
    let names = families.map(|family| format!("libre_{family}"));
    are_right(Family::YoloV8, &names.each_ref().map(String::as_str));
    assert_eq!(open("libre_ssd").info().mean, [123.0, 117.0, 104.0]);
    // With suppression in the graph a box comes once for each of its classes; beside it lies what that was made of.
    are_right(Family::YoloV8, &["libre_yolo9_nms"]);
}

#[test]
fn without_metadata_the_numbers_tell_corners_from_centre_and_size() {
    are_right(Family::YoloV8, &["corners_in_columns"]);
}

#[test]
fn ultralytics_detectors_of_today_whatever_their_size() {
    are_right(Family::YoloV8, &["ultralytics_detect", "ultralytics_small"]);
    are_right(Family::EndToEnd, &["ultralytics_nms", "ultralytics_e2e", "ultralytics_e2e_2000"]);
}

#[test]
fn ultralytics_rt_detr_lists_classes_with_any_number_of_them_and_under_any_name() {
    let names =
        ["ultralytics_rtdetr_nc2", "ultralytics_mydetector_nc2", "ultralytics_rtdetr_nc1", "ultralytics_rtdetr_80"];
    are_right(Family::RtDetr, &names);
}

#[test]
fn shares_are_told_from_pixels_by_their_numbers() {
    are_right(Family::EndToEnd, &["shares_score_class"]);
}

#[test]
fn models_with_masks_poses_or_rotated_boxes_give_boxes_and_name_unused_outputs() {
    let raw = ["ultralytics_segment", "segment_without_metadata", "ultralytics_pose", "ultralytics_obb"];
    are_right(Family::YoloV8, &raw);
    are_right(Family::EndToEnd, &["ultralytics_segment_nms", "ultralytics_pose_nms", "ultralytics_obb_nms"]);
    let cases = [
        ("ultralytics_segment", "masks"),
        ("ultralytics_pose_nms", "keypoints"),
        ("ultralytics_obb", "angle"),
        ("pydfine_segment", "masks"),
        ("rf_detr_keypoints", "keypoints"),
    ];
    for (name, left) in cases {
        let detector = open(name);
        let leaves = detector.info().leaves.unwrap();
        assert!(leaves.contains(left), "{leaves}");
    }
}

#[test]
fn rows_of_corners_and_scores_that_libreyolo_writes() {
    are_right(Family::Corners, &["libre_rtmdet", "libre_picodet", "libre_retinanet", "libre_fcos"]);
    are_right(Family::EndToEnd, &["libre_efficientdet"]);
    assert_eq!(open("libre_rtmdet").info().class_names[1], "men's room", "names in JSON are read");
}

#[test]
fn boxes_and_scores_of_their_own_are_suppressed() {
    are_right(Family::BoxesAndScores, &["libre_ppyoloe", "libre_yolonas", "boxes_and_scores", "yolov4"]);
}

#[test]
fn yolo_nas_leaves_a_margin_in_an_input_of_640() {
    are_right(Family::BoxesAndScores, &["libre_yolonas_640"]);
    assert_eq!(open("libre_yolonas_640").info().longest_side, Some(636));
}

#[test]
fn joints_in_an_output_of_their_own_are_left() {
    are_right(Family::YoloV8, &["libre_yolo9_pose"]);
    are_right(Family::BoxesAndScores, &["libre_yolonas_pose"]);
    for name in ["libre_yolo9_pose", "libre_yolonas_pose"] {
        let detector = open(name);
        assert!(detector.info().leaves.is_some_and(|leaves| leaves.contains("keypoints")), "{name}");
    }
    assert_eq!(open("libre_yolonas_pose").info().color_order, ColorOrder::Bgr);
}

#[test]
fn angles_in_an_output_of_their_own_are_refused() {
    assert!(refusal("libre_rfdetr_obb").contains("angles of rotated boxes"));
}

#[test]
fn candidates_that_libreyolo_writes_for_deepstream() {
    let families = ["yolo9", "yolo9_e2e", "rtmdet", "ec", "dfine_segment"];
    let names = families.map(|family| format!("libre_{family}_deepstream"));
    are_right(Family::EndToEnd, &names.each_ref().map(String::as_str));
    // What the graph does to the colours is not done before it.
    for (name, std) in [("rtmdet", 1.0), ("ec", 255.0)] {
        let detector = open(&format!("libre_{name}_deepstream"));
        assert_eq!((detector.info().mean[0], detector.info().std[0]), (0.0, std), "{name}");
    }
    let masks = open("libre_dfine_segment_deepstream");
    assert!(masks.info().leaves.is_some_and(|leaves| leaves.contains("masks")));
}

#[test]
fn upright_boxes_around_the_turned_ones_that_libreyolo_writes() {
    are_right(Family::BoxesAndScores, &["libre_yolonas_obb"]);
    are_right(Family::RtDetr, &["libre_rtdetrv2_obb", "libre_gtr_obb"]);
    for (name, mean) in [("libre_rtdetrv2_obb", 0.0), ("libre_gtr_obb", 123.675)] {
        let detector = open(name);
        assert_eq!(detector.info().mean[0], mean, "{name}");
        assert!(detector.info().leaves.is_some_and(|leaves| leaves.contains("angle")), "{name}");
    }
}

#[test]
fn points_under_the_names_of_rf_detr_are_boxes_that_were_never_trained() {
    let detector = open("rf_detr_points");
    assert_eq!(detector.info().family, Family::RfDetr);
    assert!(detector.detect(&batch_of(&detector, 200, 100), 1, 0.1).unwrap()[0].is_empty());
}

#[test]
fn an_operator_that_this_runtime_lacks_is_named_with_what_to_do() {
    let Err(error @ DetectorError::NotOnnx { .. }) = try_open(model("double_cos"), 1) else {
        panic!("it has a cosine of f64")
    };
    let told = error.to_string();
    assert!(told.contains("no Cos") && told.contains("ORT_DYLIB_PATH"), "{told}");
}

#[test]
fn a_model_of_keypoints_alone_is_refused() {
    assert!(refusal("libre_ec_pose").contains("keypoints and no boxes"));
}

#[test]
fn what_is_padded_with_zeros_is_padded_with_zeros() {
    // ONNX Runtime 1.26.0 by itself takes the least number there is.
    are_right(Family::YoloV8, &["padded_pool"]);
}

#[test]
fn what_an_exporter_says_of_itself_needs_no_trial_and_a_quantised_model_does() {
    let untried = |name: &str| {
        let model = model(name);
        let options = DetectorOptions {
            model,
            device: DeviceChoice::Only(Device::Cpu),
            always_tried: false,
            ..DetectorOptions::default()
        };
        Detector::open(&options)
    };
    let all = [
        "ultralytics_detect",
        "ultralytics_e2e",
        "libre_yolo9",
        "libre_dfine",
        "ultralytics_rtdetr_nc2",
        "ultralytics_2023",
    ];
    for name in all {
        let (quick, tried) = (untried(name).unwrap(), open(name));
        let but_origins = |detector: &Detector| {
            let mut info = detector.info().clone();
            info.findings.clear();
            info
        };
        assert_eq!(but_origins(&quick), but_origins(&tried), "{name}");
        let images = batch_of(&quick, 200, 100);
        assert_same(&quick.detect(&images, 1, 0.1).unwrap()[0], &expected(name));
    }
    // All zeros is odd, which only a trial tells.
    assert!(untried("dead").unwrap().info().doubts.is_empty());
    assert!(!open("dead").info().doubts.is_empty());
    for name in ["dead_quantised", "yolox_dynamic", "libre_yolo9_dynamic"] {
        assert_eq!(untried(name).unwrap().info(), open(name).info(), "{name}");
    }
}

#[test]
fn colours_that_nothing_tells_are_doubted() {
    let detector = open("hf_rtdetr_finetuned");
    assert!(detector.info().doubts.iter().any(|doubt| doubt.contains("mean and std")), "{:?}", detector.info().doubts);
    are_right(Family::RtDetr, &["hf_rtdetr_finetuned"]);
}

#[test]
fn scores_of_0_are_no_logits_of_a_half() {
    let detector = open("no_scores");
    assert_eq!(detector.info().family, Family::BoxesAndScores);
    assert!(detector.detect(&batch_of(&detector, 200, 100), 1, 0.1).unwrap()[0].is_empty());
    assert!(
        detector.info().doubts.iter().any(|doubt| doubt.contains("nothing above 0")),
        "{:?}",
        detector.info().doubts
    );
}

#[test]
fn open_shapes_are_known_once_the_model_has_run() {
    are_right(Family::YoloX, &["yolox_dynamic", "yolox_dynamic_raw"]);
    are_right(Family::YoloV8, &["libre_yolo9_e2e_dynamic"]);
    are_right(Family::RtDetr, &["pydfine_i64"]);
}

#[test]
fn transformers_with_a_sigmoid_see_the_colours_that_they_were_trained_with() {
    are_right(Family::RtDetr, &["libre_dfine", "libre_deim", "libre_rtdetrv2", "libre_rtdetrv4", "libre_ec"]);
    are_right(Family::RtDetr, &["libre_lwdetr", "libre_deformable_detr"]);
    are_right(Family::RtDetr, &["libre_domedetr"]);
    for (name, mean) in
        [("libre_dfine", 0.0), ("libre_domedetr", 0.0), ("libre_ec", 123.675), ("libre_lwdetr", 123.675)]
    {
        assert_eq!(open(name).info().mean[0], mean, "{name}");
    }
    assert_eq!(open("libre_lwdetr").info().class_name(1), "person", "it counts by COCO's categories");
}

#[test]
fn no_object_is_no_class_where_a_softmax_is_taken() {
    are_right(Family::Detr, &["hf_detr", "hf_yolos_hidden", "hf_detr_finetuned", "libre_detr", "hf_detr_colours"]);
    let detector = open("hf_detr");
    assert_eq!((detector.info().class_names.len(), detector.info().mean[0]), (91, 123.675));
}

#[test]
fn a_mask_of_pixels_says_that_all_of_the_input_is_picture() {
    are_right(Family::Detr, &["hf_detr_mask_i64", "hf_detr_mask_bool"]);
}

#[test]
fn the_background_of_a_fine_tuned_rf_detr_is_no_class() {
    are_right(Family::RfDetr, &["rf_detr_finetuned", "rf_detr_80"]);
    assert_eq!(open("rf_detr_80").info().class_name(79), "toothbrush");
}

#[test]
fn sizes_may_be_asked_for_in_any_type_and_labels_given_in_any() {
    are_right(Family::RtDetr, &["pydfine_i32", "pydfine_f32", "pydfine_float_labels", "pydfine_segment"]);
}

#[test]
fn lists_of_finished_objects() {
    let names = [
        "torchvision_faster_rcnn",
        "torchvision_retinanet",
        "mmdeploy",
        "efficient_nms",
        "paddle",
        "paddle_ppyoloe",
        "torchvision_fcos",
        "yolov7_end2end",
        "yolonas_flat",
    ];
    are_right(Family::Detections, &names);
    let error = try_open(model("torchvision_faster_rcnn"), 4).unwrap();
    assert_eq!(error.batch(), 1, "its outputs are of one picture");
    assert_eq!(open("torchvision_fcos").info().class_name(90), "toothbrush", "COCO's 91 numbers");
}

#[test]
fn picodet_with_a_tensor_for_each_stride() {
    are_right(Family::PicoDet, &["picodet_raw"]);
    assert_eq!(open("picodet_raw").info().class_names, ["person", "men's room", "car"]);
}

#[test]
fn models_that_take_bytes_or_pixels_see_the_same_picture() {
    for name in ["u8", "nhwc", "u8_nhwc"] {
        let detector = open(name);
        let mut images = batch_of(&detector, 96, 48);
        images.copy_from(0, &picture(0, 48, 24));
        let found = detector.detect(&images, 1, 0.1).unwrap();
        support::assert_within(&found[0], &expected(name), 0.01, 1e-5);
    }
}

#[test]
fn how_many_objects_there_are_may_differ_from_picture_to_picture() {
    let detector = open("torchvision_varying");
    let mut images = batch_of(&detector, 64, 64);
    for (byte, count) in [(90, 2), (250, 5), (10, 1), (170, 4)] {
        images.copy_from(0, &[byte; 64 * 64 * 3]);
        assert_eq!(detector.detect(&images, 1, 0.1).unwrap()[0].len(), count, "{byte}");
    }
}

#[test]
fn an_embedding_is_no_detector() {
    for name in ["vit", "clip", "dino", "unit", "zeros"] {
        let reason = refusal(&format!("embedding_{name}"));
        let parts = ["not within 0 and 1", "smaller than a pixel", "every number would be 0"];
        assert!(parts.iter().any(|part| reason.contains(part)), "{name}: {reason}");
    }
}

#[test]
fn other_models_are_refused_with_what_they_are() {
    for (name, part) in [
        ("depth", "a map of the picture"),
        ("classify", "its task is classify"),
        ("semantic", "its task is semantic"),
        ("map_of_classes", "no whole numbers of 32 or 64 bits"),
        ("yolov3_heads", "no anchors"),
        ("yolov3_zoo", ""),
    ] {
        let reason = refusal(name);
        assert!(reason.contains(part), "{name}: {reason}");
    }
}

#[test]
fn scores_that_eight_bits_made_0_are_refused_with_the_remedy() {
    let reason = refusal("whole_int8");
    assert!(reason.contains("every score is 0") && reason.contains("step is 2.5"), "{reason}");
}

#[test]
fn where_two_readings_remain_both_are_named_with_the_cards_that_settle_it() {
    for (name, cards) in [
        ("nothing_found", [r#""order": "box_score_class"}"#, r#""order": "class_score_box"}"#]),
        ("softmax_or_sigmoid", [r#"{"family": "rt_detr"}"#, r#"{"family": "detr"}"#]),
        ("one_of_sevens", [r#""order": "box_class_score"}"#, r#""order": "box_score_class"}"#]),
    ] {
        let reason = refusal(name);
        assert!(cards.iter().all(|card| reason.contains(card)), "{name}: {reason}");
        assert!(reason.contains(&format!("{name}.json")) && reason.len() < 900, "{name}: {reason}");
    }
}

#[test]
fn the_cards_that_a_refusal_names_settle_it() {
    for name in ["nothing_found", "softmax_or_sigmoid", "one_of_sevens"] {
        let Err(DetectorError::UnknownFamily { readings, .. }) = try_open(model(name), 1) else { panic!("{name}") };
        for (reading, card) in readings {
            let dir = tempfile::tempdir().unwrap();
            let copy = dir.path().join("model.onnx");
            fs::copy(model(name), &copy).unwrap();
            fs::write(dir.path().join("model.json"), &card).unwrap();
            let detector = try_open(copy, 1).unwrap_or_else(|error| panic!("{name}, {card}: {error}"));
            let because = detector.info().findings.iter().find_map(|finding| finding.because.clone()).unwrap();
            assert!(reading.starts_with(&because), "{reading} is not {because}");
        }
    }
}
