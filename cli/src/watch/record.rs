//! The record of processed files, so that a restart need not read all of them again. It proves nothing: an upload is recognised
//! by its content.

use super::complete::Seen;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};
use trackdrop_pipeline::RequestId;

/// A line of the record.
#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    path: PathBuf,
    #[serde(flatten)]
    seen: Seen,
    request_id: RequestId,
}

/// Files that were taken, each as it was.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    file: File,
    taken: HashMap<PathBuf, (Seen, RequestId)>,
}

impl Record {
    /// That of a data directory.
    ///
    /// # Errors
    /// It can't be read or written.
    pub(super) fn open(data: &Path) -> anyhow::Result<Self> {
        let path = data.join("watched.jsonl");
        let failed = || format!("{} can't be used", path.display());
        let lines = match fs::read_to_string(&path) {
            Ok(lines) => lines,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(failed),
        };
        // A line that a crash cut off is not read; its file is taken again, and found to be known.
        let taken = lines.lines().filter_map(|line| serde_json::from_str::<Taken>(line).ok());
        let taken = taken.map(|taken| (taken.path, (taken.seen, taken.request_id))).collect();
        let mut file = File::options().create(true).append(true).open(&path).with_context(failed)?;
        if !lines.is_empty() && !lines.ends_with('\n') {
            file.write_all(b"\n").with_context(failed)?;
        }
        Ok(Self { path, file, taken })
    }

    /// Whether this file was taken as it is now.
    pub(super) fn holds(&self, path: &Path, seen: &Seen) -> bool {
        self.taken.get(path).is_some_and(|(taken, _)| taken == seen)
    }

    /// The requests of the files, with the files' names.
    pub(super) fn requests(&self) -> Vec<(String, RequestId)> {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.taken.iter().map(|(path, (_, request))| (name(path), request.clone())).collect()
    }

    /// Notes a file.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn add(&mut self, path: &Path, seen: Seen, request: &RequestId) -> anyhow::Result<()> {
        let taken = Taken { path: path.to_owned(), seen, request_id: request.clone() };
        let line = serde_json::to_string(&taken)? + "\n";
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("{} can't be written", self.path.display()))?;
        self.taken.insert(taken.path, (seen, taken.request_id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_known_after_a_restart_and_a_line_that_broke_off_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let request: RequestId = "req_0aZ9bY8c_20261123T182501".parse().unwrap();
        let files = ["a.mp4", "b.mp4"].map(|name| folder.path().join(name));
        let seen = files.each_ref().map(|file| {
            fs::write(file, "x").unwrap();
            Seen::of(file).unwrap()
        });
        Record::open(folder.path()).unwrap().add(&files[0], seen[0], &request).unwrap();
        File::options()
            .append(true)
            .open(folder.path().join("watched.jsonl"))
            .unwrap()
            .write_all(b"{\"path\":")
            .unwrap();
        Record::open(folder.path()).unwrap().add(&files[1], seen[1], &request).unwrap();
        let record = Record::open(folder.path()).unwrap();
        assert!(record.holds(&files[0], &seen[0]) && record.holds(&files[1], &seen[1]));
        assert!(!record.holds(&files[0], &seen[1]));
        assert_eq!(record.requests().len(), 2);
    }
}
