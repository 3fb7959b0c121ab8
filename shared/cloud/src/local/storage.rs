//! Objects: a row of the catalog and an immutable blob.

use super::catalog::{Inner, LocalCloud, unavailable};
use crate::{Content, LocalFile, ObjectInfo, Page, Precondition, PutOptions, Storage, StorageError};
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use std::{
    fs::File,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};
use trackdrop_pipeline::{
    Bucket, Event, ObjectFinalized, RequestId, Timestamp,
    names::{self, ObjectName},
};

const COLUMNS: &str = "bucket, name, generation, created, bytes, crc32c, metadata";
const LONGEST_NAME_BYTES: usize = 1_024;
/// Objects of one page of a listing, as many as in Cloud Storage.
const PAGE_OBJECTS: u32 = 1_000;

#[async_trait]
impl Storage for LocalCloud {
    async fn put(
        &self,
        object: &ObjectName,
        content: Content,
        options: PutOptions,
    ) -> Result<ObjectInfo, StorageError> {
        if !(1..=LONGEST_NAME_BYTES).contains(&object.name.len()) {
            return Err(StorageError::Name(object.name.len()));
        }
        let object = object.clone();
        self.on_catalog(move |inner| inner.put(object, content, options)).await
    }

    async fn stat(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        let object = object.clone();
        self.on_catalog(move |inner| inner.stat(&object)).await
    }

    async fn get(&self, object: &ObjectName) -> Result<(ObjectInfo, Bytes), StorageError> {
        let object = object.clone();
        self.on_catalog(move |inner| {
            // If the object is overwritten between the two steps, its blob is deleted. The next attempt finds the new
            // one.
            for _ in 0..100 {
                let info = inner.stat(&object)?;
                match std::fs::read(inner.blob(info.generation)) {
                    Ok(content) => return Ok((info, content.into())),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(inner.io_error(&format!("reading {object}"), error)),
                }
            }
            Err(unavailable(&format!("reading {object}"), "its content is missing from the data directory"))
        })
        .await
    }

    async fn fetch(
        &self,
        object: &ObjectName,
        generation: Option<i64>,
    ) -> Result<(ObjectInfo, LocalFile), StorageError> {
        let info = self.stat(object).await?;
        if generation.is_some_and(|wanted| wanted != info.generation) {
            return Err(StorageError::NotFound(object.clone()));
        }
        let path = self.inner.blob(info.generation);
        Ok((info, LocalFile::Stored(path)))
    }

    async fn list(&self, prefix: &ObjectName) -> Result<Vec<ObjectInfo>, StorageError> {
        let prefix = prefix.clone();
        self.on_catalog(move |inner| inner.list(&prefix)).await
    }

    async fn list_page(&self, prefix: &ObjectName, from: Option<&str>) -> Result<Page, StorageError> {
        let (prefix, after) = (prefix.clone(), from.map(str::to_owned));
        let objects = self.on_catalog(move |inner| inner.list_after(&prefix, after.as_deref(), PAGE_OBJECTS)).await?;
        let is_full = objects.len() == PAGE_OBJECTS as usize;
        let next = objects.last().filter(|_| is_full).map(|last| last.object.name.clone());
        Ok(Page { objects, next })
    }

    async fn delete(&self, object: &ObjectName) -> Result<(), StorageError> {
        let object = object.clone();
        self.on_catalog(move |inner| {
            let doing = format!("deleting {object}");
            let deleted = inner.transaction(&doing, |transaction| inner.delete_row(transaction, &object))?;
            inner.drop_contents(&object, deleted);
            Ok(())
        })
        .await
    }

    fn scratch(&self) -> &Path {
        &self.inner.host.scratch
    }
}

impl LocalCloud {
    /// Creates the links of a request's results among the user's files again, if they were deleted.
    ///
    /// # Errors
    /// The catalogue cannot be read or written.
    pub async fn restore_results(&self, request: &RequestId) -> Result<(), StorageError> {
        let request = request.clone();
        self.on_catalog(move |inner| inner.relink(&request)).await
    }
}

impl Inner {
    fn put(&self, object: ObjectName, content: Content, options: PutOptions) -> Result<ObjectInfo, StorageError> {
        let doing = format!("writing {object}");
        let io_error = |error| self.io_error(&doing, error);
        // This check is first, because a duplicate delivery must not write gigabytes before it finds that it is one.
        self.check(&options.precondition, &object, self.generation_of(&object)?)?;
        let file = match content {
            Content::File(path) => path,
            Content::Bytes(bytes) => {
                let mut file = tempfile::NamedTempFile::new_in(&self.host.scratch).map_err(io_error)?;
                file.write_all(&bytes).map_err(io_error)?;
                file.into_temp_path()
            }
        };
        let (bytes, crc32c) = sync_and_sum(&file).map_err(io_error)?;
        let metadata = serde_json::to_string(&options.metadata).map_err(|error| unavailable(&doing, error))?;
        let mut placed = None;
        let written = self.transaction(&doing, |transaction| {
            let fail = |error| self.sql_error(&doing, error);
            let replaced: Option<i64> = transaction
                .query_row(
                    "SELECT generation FROM objects WHERE bucket = ?1 AND name = ?2",
                    params![object.bucket.as_str(), object.name.as_bytes()],
                    |row| row.get(0),
                )
                .optional()
                .map_err(fail)?;
            self.check(&options.precondition, &object, replaced)?;
            let last: i64 =
                transaction.query_row("SELECT last_generation FROM clock", [], |row| row.get(0)).map_err(fail)?;
            let created = Timestamp::now();
            // Microseconds, as in Cloud Storage. They never decrease, even if the clock is set back.
            let generation = created.micros().max(last + 1);
            transaction.execute("UPDATE clock SET last_generation = ?1", params![generation]).map_err(fail)?;
            let blob = self.blob(generation);
            move_file(&file, &blob).map_err(io_error)?;
            placed = Some(blob);
            // After a power loss the catalog must not name a file that does not exist.
            File::open(self.store.join("blobs")).and_then(|folder| folder.sync_all()).map_err(io_error)?;
            transaction
                .execute(
                    "INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    params![
                        object.bucket.as_str(),
                        object.name.as_bytes(),
                        generation,
                        created.micros(),
                        bytes as i64,
                        i64::from(crc32c),
                        options.content_type,
                        metadata
                    ],
                )
                .map_err(fail)?;
            let event = ObjectFinalized { object: object.clone(), generation, created };
            self.enqueue(transaction, &Event::ObjectFinalized(event), None)?;
            let info = ObjectInfo {
                object: object.clone(),
                generation,
                created,
                bytes,
                crc32c: Some(crc32c),
                metadata: options.metadata.clone(),
                obstacle: None,
            };
            Ok((info, replaced))
        });
        match written {
            Ok((info, replaced)) => {
                if let Some(generation) = replaced {
                    std::fs::remove_file(self.blob(generation)).ok();
                }
                self.link_result(&info).map_err(io_error)?;
                Ok(info)
            }
            Err(error) => {
                if let Some(blob) = placed {
                    std::fs::remove_file(blob).ok();
                }
                Err(error)
            }
        }
    }

    fn check(&self, precondition: &Precondition, object: &ObjectName, live: Option<i64>) -> Result<(), StorageError> {
        let holds = match precondition {
            Precondition::None => true,
            Precondition::NotExists => live.is_none(),
            Precondition::Generation(generation) => live == Some(*generation),
        };
        let (object, precondition) = (object.clone(), *precondition);
        if holds { Ok(()) } else { Err(StorageError::Precondition { object, precondition }) }
    }

    fn generation_of(&self, object: &ObjectName) -> Result<Option<i64>, StorageError> {
        match self.stat(object) {
            Ok(info) => Ok(Some(info.generation)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn stat(&self, object: &ObjectName) -> Result<ObjectInfo, StorageError> {
        let doing = format!("looking at {object}");
        self.connection()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM objects WHERE bucket = ?1 AND name = ?2"))
            .and_then(|mut query| {
                query.query_row(params![object.bucket.as_str(), object.name.as_bytes()], to_info).optional()
            })
            .map_err(|error| self.sql_error(&doing, error))?
            .ok_or_else(|| StorageError::NotFound(object.clone()))
    }

    pub(super) fn list(&self, prefix: &ObjectName) -> Result<Vec<ObjectInfo>, StorageError> {
        self.list_after(prefix, None, u32::MAX)
    }

    /// The first objects whose names begin with the prefix, or the first ones after a name.
    fn list_after(&self, prefix: &ObjectName, after: Option<&str>, most: u32) -> Result<Vec<ObjectInfo>, StorageError> {
        let from = prefix.name.as_bytes();
        // One lower bound, at which the index is entered. No name is between a name and the same name with a zero byte
        // after it.
        let first = after.map_or_else(|| from.to_vec(), |after| [after.as_bytes(), &[0]].concat());
        // The first name after all that begin with the prefix. UTF-8 has no byte 0xff, so the last byte can grow.
        let mut until = from.to_vec();
        match until.last_mut() {
            Some(last) => *last += 1,
            None => until.push(0xff),
        }
        self.connection()
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM objects WHERE bucket = ?1 AND name >= ?2 AND name < ?3 ORDER BY name LIMIT ?4"
            ))
            .and_then(|mut query| {
                query.query_map(params![prefix.bucket.as_str(), first, until, most], to_info)?.collect()
            })
            .map_err(|error| self.sql_error(&format!("listing {prefix}"), error))
    }

    pub(super) fn delete_row(
        &self,
        transaction: &Transaction<'_>,
        object: &ObjectName,
    ) -> Result<Option<i64>, StorageError> {
        transaction
            .query_row(
                "DELETE FROM objects WHERE bucket = ?1 AND name = ?2 RETURNING generation",
                params![object.bucket.as_str(), object.name.as_bytes()],
                |row| row.get(0),
            )
            .optional()
            .map_err(|error| self.sql_error(&format!("deleting {object}"), error))
    }

    pub(super) fn drop_contents(&self, object: &ObjectName, generation: Option<i64>) {
        if let Some(generation) = generation {
            std::fs::remove_file(self.blob(generation)).ok();
            if let Some(link) = self.link_path(object) {
                std::fs::remove_file(link).ok();
            }
        }
    }

    /// The path at which people find a result. None for every name that Trackdrop did not make.
    fn link_path(&self, object: &ObjectName) -> Option<PathBuf> {
        let request = names::request_of(object).filter(|_| object.bucket == Bucket::Results)?;
        let (_, file) = object.name.split_once('/')?;
        let mut parts = Path::new(file).components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(_)), None) => Some(self.root.join("results").join(request.as_str()).join(file)),
            _ => None,
        }
    }

    /// Creates the link of a result among the files of the user. It is derived from the catalog, so it can be created
    /// again at any time.
    fn link_result(&self, info: &ObjectInfo) -> std::io::Result<()> {
        let Some(link) = self.link_path(&info.object) else { return Ok(()) };
        let blob = self.blob(info.generation);
        if let Some(folder) = link.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let fresh = self.host.scratch.join(format!("link-{}", info.generation));
        // A file system without hard links gets a copy.
        let made = std::fs::hard_link(&blob, &fresh).or_else(|_| std::fs::copy(&blob, &fresh).map(drop));
        match made.and_then(|()| std::fs::rename(&fresh, &link)) {
            // It was overwritten in the meantime. The process that did this links the newer blob.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    /// Creates the links of a request's results again, if people deleted them.
    fn relink(&self, request: &RequestId) -> Result<(), StorageError> {
        for info in self.list(&ObjectName::new(Bucket::Results, format!("{request}/")))? {
            if self.link_path(&info.object).is_some_and(|link| !link.exists()) {
                self.link_result(&info).map_err(|error| self.io_error("linking results", error))?;
            }
        }
        Ok(())
    }

    pub(super) fn link_all_results(&self) -> Result<(), StorageError> {
        for info in self.list(&ObjectName::new(Bucket::Results, ""))? {
            if self.link_path(&info.object).is_some() {
                self.link_result(&info).map_err(|error| self.io_error("linking results", error))?;
            }
        }
        Ok(())
    }
}

fn to_info(row: &Row<'_>) -> rusqlite::Result<ObjectInfo> {
    let bucket: String = row.get(0)?;
    let name: Vec<u8> = row.get(1)?;
    let metadata: String = row.get(6)?;
    let bad = |column, what: &str| rusqlite::Error::InvalidColumnType(column, what.into(), rusqlite::types::Type::Text);
    let bucket = Bucket::ALL.into_iter().find(|known| known.as_str() == bucket).ok_or_else(|| bad(0, "bucket"))?;
    Ok(ObjectInfo {
        object: ObjectName::new(bucket, String::from_utf8(name).map_err(|_| bad(1, "name"))?),
        generation: row.get(2)?,
        created: Timestamp::from_micros(row.get(3)?),
        bytes: row.get::<_, i64>(4)? as u64,
        crc32c: Some(row.get::<_, i64>(5)? as u32),
        metadata: serde_json::from_str(&metadata).map_err(|_| bad(6, "metadata"))?,
        obstacle: None,
    })
}

/// Syncs a file to disk. Returns its size and CRC32C.
fn sync_and_sum(path: &Path) -> std::io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    // Every user who can read the folder can read it, and nobody can write it, because results are links to blobs,
    // which never change.
    file.set_permissions(std::fs::Permissions::from_mode(0o444))?;
    file.sync_all()?;
    let (mut bytes, mut sum, mut buffer) = (0, 0, vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((bytes, sum)),
            count => {
                bytes += count as u64;
                sum = crc32c::crc32c_append(sum, &buffer[..count]);
            }
        }
    }
}

/// Renames the temporary file, or copies it if it is on another disk.
fn move_file(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            std::fs::copy(from, to)?;
            File::open(to)?.sync_all()
        }
        outcome => outcome,
    }
}
