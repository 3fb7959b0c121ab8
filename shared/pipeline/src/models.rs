//! Which models uploads may name. On Google Cloud the operator of the services lists them.

use crate::names::cut;
use std::collections::BTreeMap;

/// The variable that says what uploads may ask for: `NAME=PLACE` and `gs://BUCKET/FOLDER/`, separated by commas.
pub const MODELS_VARIABLE: &str = "TRACKDROP_MODELS";
/// Characters of the requested model that messages show.
const LONGEST_SHOWN: usize = 100;
/// What addresses of objects begin with.
const SCHEME: &str = "gs://";

/// The models that uploads may name. Trackdrop looks only for these, so a request can't find out whether another file exists.
///
/// - `NAME=PLACE` gives a model a name. The place is a path on the host of `track`, or `gs://BUCKET/OBJECT`.
/// - `gs://BUCKET/FOLDER/` lets uploads ask for any object below, by its whole address; `gs://BUCKET/` for any of the bucket.
///
/// ```
/// let models = trackdrop_pipeline::OfferedModels::of_text("small=/models/small.onnx, gs://acme/models/").unwrap();
/// assert_eq!(models.find("small").unwrap(), "/models/small.onnx");
/// assert_eq!(models.find("gs://acme/models/a.onnx").unwrap(), "gs://acme/models/a.onnx");
/// assert!(models.find("/etc/passwd").is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedModels {
    named: BTreeMap<String, String>,
    folders: Vec<String>,
}

/// A list of models that can't be honoured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{MODELS_VARIABLE} has {entry:?}: {what}; give NAME=PATH, NAME=gs://BUCKET/OBJECT or gs://BUCKET/FOLDER/, separated by commas"
)]
pub struct OfferError {
    entry: String,
    what: &'static str,
}

/// A model that is not offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("model {asked:?} is not offered; offered: {offered}. Ask for one of them, or leave `model` out")]
pub struct NotOffered {
    asked: String,
    offered: String,
}

impl OfferedModels {
    /// What a text offers; an empty one offers nothing but the default model.
    ///
    /// # Errors
    /// For an entry in neither form, and a name that is given twice.
    pub fn of_text(text: &str) -> Result<Self, OfferError> {
        let mut offered = Self::default();
        for entry in text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty()) {
            let bad = |what| Err(OfferError { entry: entry.to_owned(), what });
            if entry.starts_with(SCHEME) {
                match object_of(entry) {
                    Some((_, folder)) if folder.is_empty() || folder.ends_with('/') => {
                        offered.folders.push(entry.to_owned());
                    }
                    _ => return bad("an address without a name is one of a folder and ends in /"),
                }
                continue;
            }
            let Some((name, place)) = entry.split_once('=') else { return bad("it has no name") };
            let (name, place) = (name.trim(), place.trim());
            let is_object = object_of(place).is_some_and(|(_, object)| !object.is_empty());
            if name.is_empty() || place.is_empty() || (place.starts_with(SCHEME) && !is_object) {
                return bad("the name or the place is missing");
            }
            if offered.named.insert(name.to_owned(), place.to_owned()).is_some() {
                return bad("the name is given twice");
            }
        }
        Ok(offered)
    }

    /// The names that are given to models.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// Where the model is that was asked for: a path or the address of an object.
    ///
    /// # Errors
    /// If it is not offered. The message is then the same whether or not there is such a file.
    pub fn find(&self, asked: &str) -> Result<String, NotOffered> {
        if let Some(place) = self.named.get(asked) {
            return Ok(place.clone());
        }
        // Names of objects are no paths, and nothing in them is resolved. But a configured folder must offer only what is below it.
        let is_plain = |rest: &str| rest.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let is_below = |folder: &String| asked.strip_prefix(folder.as_str()).is_some_and(is_plain);
        if self.folders.iter().any(is_below) {
            return Ok(asked.to_owned());
        }
        let names = self.named.keys().cloned().chain(self.folders.iter().map(|folder| format!("{folder}...")));
        let offered = names.collect::<Vec<_>>().join(", ");
        let offered = if offered.is_empty() { "there are none but the default".to_owned() } else { offered };
        Err(NotOffered { asked: cut(asked, LONGEST_SHOWN).into_owned(), offered })
    }
}

/// Bucket and name of `gs://BUCKET/NAME`; the name may be empty.
pub fn object_of(address: &str) -> Option<(&str, &str)> {
    address.strip_prefix(SCHEME)?.split_once('/').filter(|(bucket, _)| !bucket.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_not_offered_is_refused_alike_whether_or_not_there_is_such_a_file() {
        let models = OfferedModels::of_text("small=/m/small.onnx,big=gs://acme/big.onnx,gs://acme/free/").unwrap();
        assert_eq!(models.find("big").unwrap(), "gs://acme/big.onnx");
        assert_eq!(models.find("gs://acme/free/a/b.onnx").unwrap(), "gs://acme/free/a/b.onnx");
        for asked in [
            "/etc/passwd",
            "/etc/no-such-file",
            "/m/small.onnx",
            "./small",
            "small/",
            "",
            "SMALL",
            "gs://acme/big.onnx",
            "gs://acme/free",
            "gs://acme/free/",
            "gs://acme/free/../big.onnx",
            "gs://acme/free//x",
            "gs://acme/free/./x",
            "gs://other/free/a.onnx",
            "gs://acme/freed/a.onnx",
            "file:///etc/passwd",
            "http://169.254.169.254/",
        ] {
            let error = models.find(asked).unwrap_err().to_string();
            let told = error.replace(&format!("{asked:?}"), "IT");
            assert_eq!(told, models.find("x").unwrap_err().to_string().replace("\"x\"", "IT"), "{asked}");
            assert!(told.contains("big, small, gs://acme/free/..."), "{told}");
        }
        let error = models.find(&"x".repeat(4_000)).unwrap_err().to_string();
        assert!(error.len() < 400, "{error}");
    }

    #[test]
    fn where_nothing_is_offered_only_the_default_model_is() {
        let error = OfferedModels::of_text("").unwrap().find("small").unwrap_err().to_string();
        assert!(error.contains("none but the default"), "{error}");
    }

    #[test]
    fn a_list_that_makes_no_sense_is_refused_with_the_entry() {
        for bad in
            ["small", "=x", "a=", "gs://acme/file.onnx", "gs:///x/", "gs://acme", "a=gs://acme/", "a=gs://", "a=b,a=c"]
        {
            let error = OfferedModels::of_text(bad).unwrap_err().to_string();
            assert!(
                error.contains(MODELS_VARIABLE) && error.contains(bad.rsplit(',').next().unwrap()),
                "{bad}: {error}"
            );
        }
    }
}
