//! Finds the files of models.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tempfile::TempDir;
use tokio::runtime::Handle;
use trackdrop_cloud::Storage;
use trackdrop_pipeline::{
    Bucket, Failure, OfferedModels,
    models::object_of,
    names::{ObjectName, cut},
};

/// How many characters of the requested name messages show.
const LONGEST_SHOWN: usize = 200;
/// How many models of buckets are remembered at the same time.
const MOST_KNOWN: usize = 1_000;

/// Finds the models that requests name. It blocks, so call it on a blocking thread.
pub trait ModelFiles: Send + Sync + Debug {
    /// Finds the file that a name means.
    ///
    /// # Errors
    /// Permanent: the model is not offered.
    fn find(&self, asked: &str) -> Result<FoundModel, Failure>;

    /// Gets the file onto this host.
    ///
    /// # Errors
    /// Permanent: this host has no such file.
    fn open(&self, found: &FoundModel) -> Result<ModelFile, Failure> {
        match &found.place {
            Place::Path(path) => Ok(ModelFile { path: path.clone(), _folder: None }),
            Place::Object { .. } => {
                Err(Failure::permanent(format!("the model {} is in no folder of this host", found.shown())))
            }
        }
    }
}

/// A model that can be loaded.
#[derive(Clone, Debug)]
pub struct FoundModel {
    /// Its identity, for any name that a request used.
    pub key: String,
    /// Size of the file.
    pub bytes: u64,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Path(PathBuf),
    Object { bucket: String, name: String, generation: i64 },
}

impl FoundModel {
    /// The model at a path of this host. If it does not exist, opening it fails.
    pub fn of_path(path: &Path) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let bytes = std::fs::metadata(&path).map(|file| file.len()).unwrap_or_default();
        Self { key: path.display().to_string(), bytes, place: Place::Path(path) }
    }

    pub(crate) fn shown(&self) -> String {
        cut(&self.key, LONGEST_SHOWN).escape_debug().to_string()
    }
}

/// The file of a model. If it is a downloaded copy, the copy and its card are deleted when this value is dropped.
#[derive(Debug)]
pub struct ModelFile {
    path: PathBuf,
    _folder: Option<TempDir>,
}

impl ModelFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Models are paths of this host. For a user on their own machine.
#[derive(Clone, Copy, Debug)]
pub struct AnyPath;

impl ModelFiles for AnyPath {
    fn find(&self, asked: &str) -> Result<FoundModel, Failure> {
        Ok(FoundModel::of_path(Path::new(asked)))
    }
}

/// Opens the bucket with a name, for reading. Every role is that bucket.
pub type StorageOf = dyn Fn(&str) -> Result<Arc<dyn Storage>, Failure> + Send + Sync;

/// The models that the operator of the services offers to uploads. Make it inside the runtime.
///
/// For an object in a bucket, the process always uses the generation that it found first. So all segments of the
/// process have the same model.
pub struct Offered {
    models: OfferedModels,
    storage_of: Box<StorageOf>,
    runtime: Handle,
    known: Mutex<BTreeMap<String, FoundModel>>,
}

impl Debug for Offered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offered").field("models", &self.models).finish_non_exhaustive()
    }
}

impl Offered {
    /// Offers these models. `storage_of` opens the buckets in which some of them are.
    pub fn new(models: OfferedModels, storage_of: Box<StorageOf>) -> Self {
        Self { models, storage_of, runtime: Handle::current(), known: Mutex::default() }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, FoundModel>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ModelFiles for Offered {
    fn find(&self, asked: &str) -> Result<FoundModel, Failure> {
        let place = self.models.find(asked).map_err(Failure::permanent_from)?;
        let Some((bucket, name)) = object_of(&place) else { return Ok(FoundModel::of_path(Path::new(&place))) };
        if let Some(found) = self.known().get(&place) {
            return Ok(found.clone());
        }
        let object = ObjectName::new(Bucket::Work, name);
        let info = match self.runtime.block_on((self.storage_of)(bucket)?.stat(&object)) {
            Err(error) if error.is_not_found() => {
                return Err(Failure::permanent(format!("there is no model {:?}", cut(&place, LONGEST_SHOWN))));
            }
            outcome => outcome.map_err(|error| about(&place, error.into()))?,
        };
        let (bucket, name, generation) = (bucket.to_owned(), name.to_owned(), info.generation);
        let found =
            FoundModel { key: place.clone(), bytes: info.bytes, place: Place::Object { bucket, name, generation } };
        let mut known = self.known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        // If two threads searched at the same time, both continue with the first result.
        Ok(known.entry(place).or_insert(found).clone())
    }

    fn open(&self, found: &FoundModel) -> Result<ModelFile, Failure> {
        let Place::Object { bucket, name, generation } = &found.place else { return AnyPath.open(found) };
        let storage = (self.storage_of)(bucket)?;
        let folder = tempfile::Builder::new().prefix("trackdrop-model-").tempdir();
        let folder = folder.map_err(|error| Failure::from_io("making a folder for a model", error))?;
        let path = folder.path().join(name.rsplit('/').next().unwrap_or_default());
        // The object beside it with the same name and another ending.
        let card = Path::new(name).with_extension("json").to_string_lossy().into_owned();
        for (name, generation, to) in
            [(name, Some(*generation), path.clone()), (&card, None, path.with_extension("json"))]
        {
            let is_card = generation.is_none();
            let fetched =
                self.runtime.block_on(storage.fetch(&ObjectName::new(Bucket::Work, name.as_str()), generation));
            match fetched {
                Ok((_, file)) => {
                    std::fs::copy(file.path(), to).map_err(|error| Failure::from_io("copying a model", error))?;
                }
                Err(error) if error.is_not_found() && is_card => {}
                Err(error) if error.is_not_found() => {
                    // Another attempt finds the current generation.
                    self.known().remove(&found.key);
                    return Err(Failure::transient(format!("the model {} was overwritten or deleted", found.shown())));
                }
                Err(error) => return Err(about(&found.key, error.into())),
            }
        }
        Ok(ModelFile { path, _folder: Some(folder) })
    }
}

fn about(place: &str, failure: Failure) -> Failure {
    failure.context(format!("fetching the model {:?}", cut(place, LONGEST_SHOWN)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackdrop_cloud::{Content, PutOptions, local::LocalCloud};
    use trackdrop_flow::blocking;
    use trackdrop_pipeline::FailureKind;

    async fn put(cloud: &LocalCloud, name: &str, content: &'static [u8]) {
        let object = ObjectName::new(Bucket::Work, name);
        cloud.put(&object, Content::Bytes(content.into()), PutOptions::default()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_model_of_a_bucket_is_fetched_with_its_card_and_stays_the_same_until_it_is_freed() {
        let folder = tempfile::tempdir().unwrap();
        let cloud = Arc::new(LocalCloud::open(folder.path(), vec![]).unwrap());
        put(&cloud, "m/a.onnx", b"first").await;
        put(&cloud, "m/a.json", b"{}").await;
        let models = OfferedModels::of_text("gs://acme/m/,best=gs://acme/m/a.onnx").unwrap();
        let (of_bucket, again) = (cloud.clone(), cloud.clone());
        let offered = Arc::new(Offered::new(models, Box::new(move |_| Ok(of_bucket.clone()))));
        let files = offered.clone();
        let copy = blocking(move || {
            let (by_name, by_address) = (files.find("best")?, files.find("gs://acme/m/a.onnx")?);
            assert_eq!((&by_name.key, by_name.bytes), (&by_address.key, 5));
            let file = files.open(&by_name)?;
            assert_eq!(std::fs::read(file.path()).unwrap(), b"first");
            assert_eq!(std::fs::read(file.path().with_extension("json")).unwrap(), b"{}");
            for asked in ["/etc/passwd", "gs://acme/other.onnx", "gs://acme/m/../other.onnx"] {
                assert_eq!(files.find(asked).unwrap_err().kind(), FailureKind::Permanent, "{asked}");
            }
            assert!(files.find("gs://acme/m/none.onnx").unwrap_err().to_string().contains("there is no model"));
            Ok(file.path().to_owned())
        });
        assert!(!copy.await.unwrap().exists(), "freed with its session");
        put(&again, "m/a.onnx", b"second one").await;
        let reopened = blocking(move || {
            let before = offered.find("best")?;
            assert_eq!(before.bytes, 5, "known");
            assert_eq!(offered.open(&before).unwrap_err().kind(), FailureKind::Transient, "it is no longer there");
            Ok(offered.find("best")?.bytes)
        });
        assert_eq!(reopened.await.unwrap(), 10, "found anew");
    }
}
