//! Why a file is no model that ONNX Runtime accepts: in most cases plain from the file itself.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use crate::DetectorError;

/// The error for a file that ONNX Runtime refused with `reason`.
pub(crate) fn why(path: &Path, reason: &str) -> DetectorError {
    let not_onnx = |reason: String| DetectorError::NotOnnx { path: path.to_owned(), reason };
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(START_BYTES).read_to_end(&mut start));
    if read.is_err() {
        return not_onnx(reason.to_owned());
    }
    if start.is_empty() {
        return not_onnx("the file is empty; the download or the export was cut short".into());
    }
    if start.starts_with(b"version https://git-lfs") {
        return not_onnx(
            "it is a Git LFS pointer, which names the model and does not hold it: run `git lfs pull` in its repository, or \
             download the file itself"
                .into(),
        );
    }
    let text = String::from_utf8_lossy(&start).trim_start().to_ascii_lowercase();
    if text.starts_with("<!doctype html") || text.starts_with("<html") {
        return not_onnx("it is a web page: the download gave the page about the model and not the model".into());
    }
    if start.starts_with(b"PK\x03\x04") {
        return not_onnx("it is a zip archive, as PyTorch's .pt files are: export the model to ONNX".into());
    }
    if let Some(missing) = missing_weights(path) {
        return not_onnx(format!(
            "its weights are in {}, which does not exist or is too short: put that file next to the model",
            missing.display()
        ));
    }
    if let Some(operator) = lacking(reason) {
        return not_onnx(format!(
            "this ONNX Runtime has no {operator} for the numbers that the model gives it, such as f64: export it in f32, or set \
             ORT_DYLIB_PATH to the library of a newer ONNX Runtime"
        ));
    }
    not_onnx(plain(reason))
}

/// The operator that ONNX Runtime knows and has not for a node's type of numbers.
fn lacking(reason: &str) -> Option<&str> {
    let (_, after) = reason.split_once("Could not find an implementation for ")?;
    after.split(['(', ' ']).next().filter(|operator| !operator.is_empty())
}

/// Enough to know a file by.
const START_BYTES: u64 = 512;

/// The first file of weights that a model names and that is not there.
fn missing_weights(model: &Path) -> Option<PathBuf> {
    // TensorProto.external_data is a list of pairs of key and value: here of "location" and the file's name.
    const KEY: &[u8] = b"\x0a\x08location\x12";
    let bytes = std::fs::read(model).ok()?;
    let folder = model.parent().unwrap_or(Path::new(""));
    let mut name_of_any = None;
    for place in memchr::memmem::find_iter(&bytes, KEY) {
        let rest = &bytes[place + KEY.len()..];
        // Names are shorter than the 128 bytes of a one-byte length.
        let name = rest.split_first().and_then(|(&length, rest)| rest.get(..usize::from(length)));
        let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok()) else { continue };
        if !folder.join(name).is_file() {
            return Some(folder.join(name));
        }
        name_of_any = Some(folder.join(name));
    }
    // All are there, and one is too short, or ONNX Runtime has another reason: the size tells.
    name_of_any.filter(|file| std::fs::metadata(file).is_ok_and(|file| file.len() == 0))
}

/// ONNX Runtime's reason without the C++ that it begins with.
fn plain(reason: &str) -> String {
    let after = reason.rfind("failed:").map_or(reason, |at| &reason[at + "failed:".len()..]);
    let reason = if after.trim().is_empty() { reason } else { after };
    // A signature of C++, as in `onnxruntime::Model::Load(...)`.
    let words = reason.split_whitespace().filter(|word| !word.contains("::") && !word.contains('&'));
    words.collect::<Vec<_>>().join(" ").trim_matches(['.', ' ']).to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.onnx");
        std::fs::write(&path, bytes).unwrap();
        why(&path, "Load model from model.onnx failed:Protobuf parsing failed.").to_string()
    }

    #[test]
    fn each_kind_of_file_that_is_no_model_gets_its_own_sentence() {
        for (bytes, part) in [
            (&b""[..], "the file is empty"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "git lfs pull"),
            (b"<!DOCTYPE html><html>", "a web page"),
            (b"PK\x03\x04archive", "zip archive"),
            (b"..\x6a\x18\x0a\x08location\x12\x0cmodel.data..", "model.data"),
            (b"just text", "Protobuf parsing failed"),
        ] {
            assert!(told(bytes).contains(part), "{}", told(bytes));
        }
    }

    #[test]
    fn an_operator_that_is_lacking_is_named_with_what_to_do() {
        let reason =
            "Load model from a.onnx failed:Could not find an implementation for Cos(7) node with name '/encoder/Cos'";
        assert_eq!(lacking(reason), Some("Cos"));
        assert_eq!(lacking("Protobuf parsing failed."), None);
    }

    #[test]
    fn no_words_of_cpp_are_shown() {
        let reason = plain("/a/b.cc:1 onnxruntime::Model::Load(const Path&) ModelProto does not have a graph.");
        assert!(!reason.contains("::") && reason.contains("does not have a graph"), "{reason}");
    }
}
