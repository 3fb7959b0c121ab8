//! Files that a user asks for by name.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// A file that has its name only when it is complete; it replaces an older one. What is no ordinary file (a pipe, `/dev/stdout`) is
/// written to as it is.
pub(crate) fn write<T>(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<T>) -> anyhow::Result<T> {
    // What a link points to is replaced, not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
        return write(&File::create(&path)?);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".trackdrop-").permissions(Permissions::from_mode(0o666)); // Less the umask, as any new file.
    let pending = builder.tempfile_in(folder)?;
    let written = write(pending.as_file())?;
    pending.persist(&path)?;
    Ok(written)
}
