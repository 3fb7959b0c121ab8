//! Puts a file of the user into `uploads`.

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    path::Path,
};
use tempfile::TempPath;
use trackdrop_cloud::{Content, ObjectInfo, Precondition, PutOptions, Storage, StorageError, local::LocalCloud};
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
    /// It is a file of the user: its content is copied.
    Copied,
    /// It is a file of Trackdrop on the same disk as the store, and does not change any more: it gets a hard link.
    Linked,
}

/// An upload.
#[derive(Clone, Debug)]
pub(crate) struct Uploaded {
    pub(crate) object: ObjectInfo,
    /// Whether the call that returned this made it. Its request is then of this call too, however far it is by now.
    pub(crate) is_new: bool,
}

impl Uploaded {
    /// One that existed before.
    pub(crate) fn before(object: ObjectInfo) -> Self {
        Self { object, is_new: false }
    }
}

/// Puts a file into `uploads`, unless it is there: the same file uploaded again is the same upload. Two different files of one name are
/// two uploads.
pub(crate) async fn upload(cloud: &LocalCloud, video: &Path, settings: &RequestSettings) -> anyhow::Result<Uploaded> {
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
) -> anyhow::Result<Uploaded> {
    let shown = format!("{:?}", content.display().to_string());
    if name.is_empty() || name.len() > LONGEST_FILE_NAME_BYTES {
        bail!("{shown} has no usable file name");
    }
    let sha256 = copy(content, &mut io::sink()).with_context(|| format!("{shown} can't be read"))?;
    place(cloud, name, &sha256, BTreeMap::new(), settings, || take(cloud, content, taken, &sha256)).await
}

/// Puts a file that was fetched into `uploads`, as [`upload`] does, without a copy of its bytes. `from` is stored with it.
pub(crate) async fn upload_fetched(
    cloud: &LocalCloud,
    fetched: &Path,
    name: &str,
    sha256: &str,
    from: BTreeMap<String, String>,
    settings: &RequestSettings,
) -> anyhow::Result<Uploaded> {
    place(cloud, name, sha256, from, settings, || link(cloud, fetched)).await
}

/// Puts content into `uploads` under its name or, if another file has that name, under its hash and name. If the content already
/// exists, returns that object.
async fn place(
    cloud: &LocalCloud,
    name: &str,
    sha256: &str,
    mut metadata: BTreeMap<String, String>,
    settings: &RequestSettings,
    content: impl Fn() -> anyhow::Result<TempPath>,
) -> anyhow::Result<Uploaded> {
    let candidates = [name.to_owned(), format!("{}/{name}", &sha256[..12])];
    let candidates = candidates.map(|name| ObjectName::new(Bucket::Uploads, name));
    for object in &candidates {
        if let Some(same) = same_upload(cloud, object, sha256).await? {
            return Ok(Uploaded::before(same));
        }
    }
    metadata.insert(SHA256_KEY.to_owned(), sha256.to_owned());
    metadata.insert(METADATA_KEY.to_owned(), serde_json::to_string(settings)?);
    for object in &candidates {
        match put_new(cloud, object, content()?, metadata.clone()).await {
            Ok(object) => return Ok(Uploaded { object, is_new: true }),
            // Another process was faster, perhaps with this very file.
            Err(error) if error.is_precondition() => {
                if let Some(same) = same_upload(cloud, object, sha256).await? {
                    return Ok(Uploaded::before(same));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    bail!("{name:?} can't be uploaded: its names are taken by other files")
}

async fn put_new(
    cloud: &LocalCloud,
    object: &ObjectName,
    content: TempPath,
    metadata: BTreeMap<String, String>,
) -> Result<ObjectInfo, StorageError> {
    let options =
        PutOptions { precondition: Precondition::NotExists, content_type: "application/octet-stream", metadata };
    cloud.put(object, Content::File(content), options).await
}

/// The name of an upload of the same content that is detected by these settings: its hash, that of what detections depend on, and its name.
pub(crate) fn beside(upload: &ObjectInfo, settings: &RequestSettings) -> anyhow::Result<ObjectName> {
    let json = serde_json::to_vec(&settings.of_detections())?;
    let (content, detections) = (content_of(upload), hex(&Sha256::digest(json)));
    let name = upload.object.name.rsplit('/').next().unwrap_or_default();
    Ok(ObjectName::new(Bucket::Uploads, format!("{}/{}/{name}", &content[..12], &detections[..12])))
}

/// The hash of an upload's content. An upload that another program wrote has no hash; a unique text replaces it.
fn content_of(upload: &ObjectInfo) -> String {
    let known = upload.metadata.get(SHA256_KEY).filter(|sha256| sha256.len() == 64 && sha256.is_ascii());
    known.cloned().unwrap_or_else(|| hex(&Sha256::digest(upload.generation.to_be_bytes())))
}

/// Uploads the same content once more, to be detected by other settings. It shares its bytes on disk with the first.
pub(crate) async fn copy_beside(
    cloud: &LocalCloud,
    of: &ObjectInfo,
    object: &ObjectName,
    settings: &RequestSettings,
) -> anyhow::Result<Uploaded> {
    let (_, stored) = cloud.fetch(&of.object, Some(of.generation)).await?;
    let settings = serde_json::to_string(settings)?;
    let metadata = BTreeMap::from([(SHA256_KEY.to_owned(), content_of(of)), (METADATA_KEY.to_owned(), settings)]);
    match put_new(cloud, object, link(cloud, stored.path())?, metadata).await {
        Err(error) if error.is_precondition() => Ok(Uploaded::before(cloud.stat(object).await?)),
        outcome => Ok(Uploaded { object: outcome?, is_new: true }),
    }
}

/// Another name for a file in the data directory, or a copy where the file system has no second names.
fn link(cloud: &LocalCloud, file: &Path) -> anyhow::Result<TempPath> {
    let name = tempfile::NamedTempFile::new_in(cloud.scratch())?.into_temp_path();
    std::fs::remove_file(&name)?;
    std::fs::hard_link(file, &name)
        .or_else(|_| std::fs::copy(file, &name).map(drop))
        .with_context(|| format!("copying {} into {:?}", file.display(), cloud.root()))?;
    Ok(name)
}

/// What is known of an object, if there is one.
pub(crate) async fn stat(cloud: &LocalCloud, object: &ObjectName) -> anyhow::Result<Option<ObjectInfo>> {
    match cloud.stat(object).await {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A temporary file with the content, whose hash is known.
fn take(cloud: &LocalCloud, content: &Path, taken: Taken, sha256: &str) -> anyhow::Result<TempPath> {
    let shown = format!("{:?}", content.display().to_string());
    if taken == Taken::Linked {
        return link(cloud, content);
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
pub(crate) fn check_name(name: &str, uploads: &Trigger) -> anyhow::Result<()> {
    if let Some(why) = uploads.ignores(&ObjectName::new(Bucket::Uploads, name), None) {
        bail!("{why}: rename it, or set {IGNORE_VARIABLE} to the patterns that you want ignored (or to none)");
    }
    Ok(())
}

async fn same_upload(cloud: &LocalCloud, object: &ObjectName, sha256: &str) -> anyhow::Result<Option<ObjectInfo>> {
    let is_same = |info: &ObjectInfo| info.metadata.get(SHA256_KEY).is_some_and(|known| known == sha256);
    Ok(stat(cloud, object).await?.filter(is_same))
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
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
