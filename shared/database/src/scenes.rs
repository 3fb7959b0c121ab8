//! Where scenes are stored: one object each, in `results`.

use crate::DatabaseError;
use trackdrop_cloud::Storage;
use trackdrop_pipeline::{Bucket, names::ObjectName};
use trackdrop_scenes::Scene;

/// Where scenes are in `results`.
const FOLDER: &str = "scenes/";
const ENDING: &str = ".ndjson";
/// MIME type of a scene's object.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// The object of a scene.
pub fn object(name: &str) -> ObjectName {
    ObjectName::new(Bucket::Results, format!("{FOLDER}{name}{ENDING}"))
}

/// All scenes of a store, by name.
///
/// # Errors
/// Those of the store, and [`DatabaseError::Scene`] for one that can't be read.
pub async fn stored(storage: &dyn Storage) -> Result<Vec<Scene>, DatabaseError> {
    let mut scenes = Vec::new();
    for info in storage.list(&ObjectName::new(Bucket::Results, FOLDER)).await? {
        let Some(name) = info.object.name.strip_prefix(FOLDER).and_then(|name| name.strip_suffix(ENDING)) else {
            continue;
        };
        // An object of Terraform's, so that the table's source is never empty.
        if info.bytes == 0 || name.contains('/') || name.starts_with('.') {
            continue;
        }
        let (_, bytes) = storage.get(&info.object).await?;
        scenes.push(parsed(name, &bytes)?);
    }
    scenes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scenes)
}

/// A stored scene of this name, from its object.
///
/// # Errors
/// [`DatabaseError::NoText`], [`DatabaseError::Scene`].
pub fn parsed(name: &str, bytes: &[u8]) -> Result<Scene, DatabaseError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DatabaseError::NoText(name.to_owned()))?;
    Scene::of_ndjson(text).map_err(|source| DatabaseError::Scene { name: name.to_owned(), source })
}
