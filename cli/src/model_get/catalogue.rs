//! The models that can be fetched by name, pinned. All are trained on COCO's 80 classes and may be used commercially.

use serde_json::json;

/// A published model: one ONNX file, as its publisher exported it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What it is called here; its file is `NAME.onnx`.
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Average precision on COCO (IoU 0.5 to 0.95) times 100, according to its authors.
    pub(crate) ap: f32,
    pub(crate) license_of_code: &'static str,
    pub(crate) license_of_weights: &'static str,
    /// Whose work it is.
    pub(crate) source: &'static str,
    /// Where the file is; a release or a commit, so that it does not change.
    pub(crate) url: &'static str,
    pub(crate) sha256: &'static str,
    pub(crate) bytes: u64,
    /// What the file does not say about itself: its family in a card.
    family: &'static str,
    /// Width and height of the input in pixels.
    input_px: u32,
}

impl Entry {
    /// The model card that is written beside the file.
    pub(crate) fn card(&self) -> serde_json::Value {
        json!({
            "name": self.name,
            "version": self.version,
            "description": format!("{} x {} px, trained on COCO: AP {} according to its authors", self.input_px, self.input_px, self.ap),
            "source": format!("{} ({})", self.source, self.url),
            "license": self.license(),
            "family": self.family,
            "input_width": self.input_px,
            "input_height": self.input_px,
        })
    }

    pub(crate) fn license(&self) -> String {
        format!("{} (code), {} (weights)", self.license_of_code, self.license_of_weights)
    }
}

/// The entry of that name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

/// All of them, the smallest first.
///
/// The hashes are those that several projects without a connection to each other pin for the same address. docs/choose-model.md says
/// so; what comes is refused unless it has them.
pub(crate) const ENTRIES: [Entry; 6] = [
    Entry {
        ap: 25.8,
        url: "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.onnx",
        sha256: "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
        bytes: 3_659_407,
        input_px: 416,
        ..yolox("yolox-nano")
    },
    Entry {
        ap: 32.8,
        url: "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_tiny.onnx",
        sha256: "427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7",
        bytes: 20_219_662,
        input_px: 416,
        ..yolox("yolox-tiny")
    },
    Entry {
        ap: 40.5,
        url: "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_s.onnx",
        sha256: "c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063",
        bytes: 35_858_002,
        input_px: 640,
        ..yolox("yolox-s")
    },
    Entry {
        ap: 42.8,
        version: "380d2839c327efaf65dd0fe0c2c10ab7fadd5473",
        url: "https://huggingface.co/onnx-community/dfine_n_coco-ONNX/resolve/380d2839c327efaf65dd0fe0c2c10ab7fadd5473/onnx/model.onnx",
        sha256: "0f684f409618ee8a822410e754a29caa817d1aa16283ce89cad936d0a48e2f35",
        bytes: 15_258_358,
        ..d_fine("d-fine-n")
    },
    Entry {
        ap: 48.5,
        version: "a3cf03147a9b86c78475139115c8ac142577352d",
        url: "https://huggingface.co/onnx-community/dfine_s_coco-ONNX/resolve/a3cf03147a9b86c78475139115c8ac142577352d/onnx/model.onnx",
        sha256: "cd8a49a945feda6d28c6304ae8ae85c2759ba1d78a5a83a22c5ce8db82ef7238",
        bytes: 41_535_197,
        ..d_fine("d-fine-s")
    },
    Entry {
        name: "rf-detr-n",
        version: "eae21cee0687a91bcf9fa071605c48d7705d2d91",
        ap: 48.4,
        license_of_code: "Apache-2.0",
        license_of_weights: "Apache-2.0",
        source: "RF-DETR by Roboflow, exported by onnx-community",
        url: "https://huggingface.co/onnx-community/rfdetr_nano-ONNX/resolve/eae21cee0687a91bcf9fa071605c48d7705d2d91/onnx/model.onnx",
        sha256: "9cbac6b11ce34a03034e4d5a24cfac5f18632fd6761d1311dd640232088d7fee",
        bytes: 108_074_865,
        family: "rf_detr",
        input_px: 384,
    },
];

const fn yolox(name: &'static str) -> Entry {
    Entry {
        name,
        version: "0.1.1rc0",
        ap: 0.0,
        license_of_code: "Apache-2.0",
        license_of_weights: "Apache-2.0",
        source: "YOLOX by Megvii",
        url: "",
        sha256: "",
        bytes: 0,
        family: "yolox",
        input_px: 0,
    }
}

const fn d_fine(name: &'static str) -> Entry {
    Entry {
        source: "D-FINE by Peng et al., exported by onnx-community",
        family: "rt_detr",
        input_px: 640,
        ..yolox(name)
    }
}

#[cfg(test)]
impl Entry {
    /// One whose file is elsewhere.
    pub(crate) const fn made_up(name: &'static str, url: &'static str, sha256: &'static str, bytes: u64) -> Self {
        Self { url, sha256, bytes, input_px: 64, ..yolox(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256_hex::Sha256Hex;
    use std::{collections::BTreeSet, str::FromStr};

    #[test]
    fn every_entry_is_pinned_permissive_and_has_a_card_that_the_detector_reads() {
        for entry in &ENTRIES {
            let name = entry.name;
            assert!(Sha256Hex::from_str(entry.sha256).is_ok() && entry.bytes > 1_000_000, "{name}");
            assert!(
                entry.url.starts_with("https://") && entry.url.contains(entry.version),
                "{name} is of a fixed version"
            );
            for license in [entry.license_of_code, entry.license_of_weights] {
                assert!(["Apache-2.0", "MIT", "BSD-3-Clause"].contains(&license), "{name}: {license}");
            }
            assert!((20.0..60.0).contains(&entry.ap), "{name}");
            let card: trackdrop_detector::Card = serde_json::from_value(entry.card()).unwrap();
            assert_eq!(card.name.as_deref(), Some(name));
            assert!(card.family.is_some() && card.input_width.is_some_and(|width| width % 32 == 0), "{name}");
        }
        let different: BTreeSet<_> = ENTRIES.iter().flat_map(|entry| [entry.name, entry.url, entry.sha256]).collect();
        assert_eq!(different.len(), 3 * ENTRIES.len(), "no hash, name or address was copied from another entry");
    }
}
