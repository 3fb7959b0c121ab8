//! From a file of the user's to an object in `uploads`.

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    path::Path,
};
use tempfile::TempPath;
use trackdrop_cloud::{Content, ObjectInfo, Precondition, PutOptions, Storage, local::LocalCloud};
use trackdrop_pipeline::{
    Bucket, RequestSettings,
    names::ObjectName,
    settings::METADATA_KEY,
    trigger::{IGNORE_VARIABLE, Trigger},
};

/// The key of an upload's custom metadata that tells whether a file is the same again.
const SHA256_KEY: &str = "trackdrop-sha256";
/// Object names have at most 1,024 bytes; the prefix that tells two files of one name apart needs some.
const LONGEST_FILE_NAME_BYTES: usize = 1_000;

/// How a file comes into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is somebody's: its content is copied.
    Copied,
    /// It is ours, beside the store, and nothing changes it any more: its content gets another name.
    Linked,
}

/// Puts a file into `uploads`, unless it is there: the same file dropped again is the same upload. Two different files of one name are
/// two uploads.
pub(crate) async fn upload(cloud: &LocalCloud, video: &Path, settings: &RequestSettings) -> anyhow::Result<ObjectInfo> {
    let shown = format!("{:?}", video.display().to_string());
    let name = video.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.with_context(|| format!("{shown} has no usable file name"))?;
    upload_as(cloud, &name, video, Taken::Copied, settings).await
}

/// The same, under a name of its own.
pub(crate) async fn upload_as(
    cloud: &LocalCloud,
    name: &str,
    content: &Path,
    taken: Taken,
    settings: &RequestSettings,
) -> anyhow::Result<ObjectInfo> {
    let shown = format!("{:?}", content.display().to_string());
    if name.is_empty() || name.len() > LONGEST_FILE_NAME_BYTES {
        bail!("{shown} has no usable file name");
    }
    let sha256 = copy(content, &mut io::sink()).with_context(|| format!("{shown} can't be read"))?;
    let candidates =
        [name.to_owned(), format!("{}/{name}", &sha256[..12])].map(|name| ObjectName::new(Bucket::Uploads, name));
    for object in &candidates {
        if let Some(same) = same_upload(cloud, object, &sha256).await? {
            return Ok(same);
        }
    }
    for object in &candidates {
        let file = take(cloud, content, taken, &sha256)?;
        let settings = serde_json::to_string(settings)?;
        let metadata = BTreeMap::from([(SHA256_KEY.to_owned(), sha256.clone()), (METADATA_KEY.to_owned(), settings)]);
        let options =
            PutOptions { precondition: Precondition::NotExists, content_type: "application/octet-stream", metadata };
        match cloud.put(object, Content::File(file), options).await {
            Ok(info) => return Ok(info),
            // Another process was faster, perhaps with this very file.
            Err(error) if error.is_precondition() => {
                if let Some(same) = same_upload(cloud, object, &sha256).await? {
                    return Ok(same);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    bail!("{shown} can't be uploaded: its names are taken by other files")
}

/// A temporary file with the content, whose hash is known.
fn take(cloud: &LocalCloud, content: &Path, taken: Taken, sha256: &str) -> anyhow::Result<TempPath> {
    let shown = format!("{:?}", content.display().to_string());
    if taken == Taken::Linked {
        let linked = tempfile::Builder::new().make_in(cloud.scratch(), |path| std::fs::hard_link(content, path));
        if let Ok(linked) = linked {
            return Ok(linked.into_temp_path());
        }
        // A file system without links takes a copy.
    }
    let mut file = tempfile::NamedTempFile::new_in(cloud.scratch())?;
    let copied = copy(content, &mut file).with_context(|| format!("copying {shown} into {:?}", cloud.root()))?;
    if copied != sha256 {
        bail!("{shown} changed while it was read: run again when it is complete");
    }
    Ok(file.into_temp_path())
}

/// Refuses what can't be uploaded, before anything is.
pub(crate) fn check_readable(video: &Path) -> anyhow::Result<()> {
    let shown = format!("{:?}", video.display().to_string());
    let kind = std::fs::metadata(video).with_context(|| format!("{shown} can't be read"))?;
    if !kind.is_file() {
        bail!("{shown} is not a file: give a video file");
    }
    File::open(video).with_context(|| format!("{shown} can't be read"))?;
    Ok(())
}

/// Refuses what would be ignored, as an upload of that name is everywhere: nothing would ever come of it.
pub(crate) fn check_name(video: &Path, uploads: &Trigger) -> anyhow::Result<()> {
    let name = video.file_name().unwrap_or_default().to_string_lossy();
    if let Some(why) = uploads.ignores(&ObjectName::new(Bucket::Uploads, name), None) {
        bail!("{why}: rename it, or set {IGNORE_VARIABLE} to the patterns that you want ignored (or to none)");
    }
    Ok(())
}

async fn same_upload(cloud: &LocalCloud, object: &ObjectName, sha256: &str) -> anyhow::Result<Option<ObjectInfo>> {
    match cloud.stat(object).await {
        Ok(info) => Ok(Some(info).filter(|info| info.metadata.get(SHA256_KEY).is_some_and(|known| known == sha256))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// An upload's custom metadata with other settings.
pub(crate) fn with_settings(
    upload: &ObjectInfo,
    settings: &RequestSettings,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut metadata = upload.metadata.clone();
    metadata.insert(METADATA_KEY.to_owned(), serde_json::to_string(settings)?);
    Ok(metadata)
}

/// SHA-256 of a file, hex.
pub(crate) fn sha256_of(path: &Path) -> io::Result<String> {
    copy(path, &mut io::sink())
}

/// Copies a file; gives the SHA-256 of what was copied, hex.
fn copy(from: &Path, to: &mut impl Write) -> io::Result<String> {
    let (mut file, mut hash, mut buffer) = (File::open(from)?, Sha256::new(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => {
                hash.update(&buffer[..count]);
                to.write_all(&buffer[..count])?;
            }
        }
    }
    to.flush()?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
