//! Optimised graphs on disk: ONNX Runtime's result for a model on this processor, stored so that the next start is quick.
//!
//! The name of a file is computed from everything on which its content depends. The file contains its own checksum, and
//! is created by a rename. So an outdated file is never read, a damaged file is never used, and several processes can
//! write the same file at the same time.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::runtime;

/// Where graphs are stored by default: `${TRACKDROP_CACHE:-~/.cache/trackdrop}/graphs`.
pub(crate) fn default_folder() -> Option<PathBuf> {
    Some(runtime::cache_dir()?.join("graphs"))
}

/// The place of one optimised graph.
#[derive(Debug)]
pub(crate) struct GraphCache {
    folder: PathBuf,
    file: PathBuf,
}

impl GraphCache {
    /// Of a model, for this processor. `runtime` is what the library says of its build.
    pub(crate) fn of(folder: &Path, model_sha256: &str, runtime: &str) -> Self {
        Self::named(folder, model_sha256, runtime, &processor())
    }

    fn named(folder: &Path, model_sha256: &str, runtime: &str, processor: &str) -> Self {
        let mut key = Sha256::new();
        // How it is made: provider and level. Threads and batch do not change a graph.
        for part in ["cpu", "level3 without Pad_Fusion", model_sha256, runtime, processor] {
            key.update(part.len().to_le_bytes());
            key.update(part);
        }
        let (model, key) = (&model_sha256[..model_sha256.len().min(16)], format!("{:x}", key.finalize()));
        Self { folder: folder.to_owned(), file: folder.join(format!("{model}-cpu-{}.graph", &key[..16])) }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Reads the graph, if it exists and is complete.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        let mut graph = fs::read(&self.file).ok()?;
        let whole = graph.split_first_chunk::<32>().is_some_and(|(sum, rest)| Sha256::digest(rest)[..] == sum[..]);
        if !whole {
            tracing::warn!(file = %self.file.display(), "an optimised graph is damaged: it is recreated");
            return None;
        }
        graph.drain(..32);
        Some(graph)
    }

    /// Returns the graph that `optimise` writes to a path. The graph is stored if the disk allows it. Otherwise only
    /// this process uses it.
    ///
    /// # Errors
    ///
    /// No folder can be written, or `optimise` failed.
    pub(crate) fn make(&self, optimise: impl FnOnce(&Path) -> Result<(), String>) -> Result<Vec<u8>, String> {
        let in_folder = fs::create_dir_all(&self.folder).and_then(|()| tempfile::tempdir_in(&self.folder));
        let work = in_folder.or_else(|_| tempfile::tempdir()).map_err(|error| error.to_string())?;
        let made = work.path().join("graph.onnx");
        optimise(&made)?;
        let graph = fs::read(&made).map_err(|error| error.to_string())?;
        if let Err(error) = self.keep(&graph) {
            tracing::debug!(%error, file = %self.file.display(), "the optimised graph can't be stored");
        }
        Ok(graph)
    }

    fn keep(&self, graph: &[u8]) -> io::Result<()> {
        // For other users of the machine, too.
        let readable = fs::Permissions::from_mode(0o644);
        let mut file = tempfile::Builder::new().permissions(readable).tempfile_in(&self.folder)?;
        file.write_all(&Sha256::digest(graph))?;
        file.write_all(graph)?;
        file.persist(&self.file)?;
        Ok(())
    }
}

/// The properties of the machine on which an optimised graph depends: layouts and kernels depend on the processor's
/// instructions.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    [std::env::consts::ARCH, line("model name"), line("flags"), line("Features")].join("|")
}

/// Whether some weights of a model can be in separate files, which its hash does not include.
pub(crate) fn has_external_weights(model: &Path) -> bool {
    // TensorProto.external_data is a list of named strings; the name "location" is always among them.
    const NAME: &[u8] = b"\x0a\x08location";
    fs::read(model).is_ok_and(|bytes| memchr::memmem::find(&bytes, NAME).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_runtime_and_processor_has_a_file_of_its_own() {
        let file = |model, runtime, processor| GraphCache::named(Path::new("/c"), model, runtime, processor).file;
        let one = file("0123456789abcdef0123", "1.26.0", "avx512");
        assert!(one.to_str().unwrap().starts_with("/c/0123456789abcdef-cpu-"), "{one:?}");
        let others = [
            file("0123456789abcdef0124", "1.26.0", "avx512"),
            file("0123456789abcdef0123", "1.27.0", "avx512"),
            file("0123456789abcdef0123", "1.26.0", "avx2"),
        ];
        assert!(others.iter().all(|other| *other != one), "{others:?}");
    }

    #[test]
    fn a_damaged_file_is_no_graph_and_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let cache = GraphCache::of(&dir.path().join("new"), "00", "1.26.0");
        let make = |bytes: &'static [u8]| cache.make(|path| fs::write(path, bytes).map_err(|e| e.to_string()));
        assert_eq!(cache.read(), None);
        assert_eq!(make(b"graph").unwrap(), b"graph");
        assert_eq!(cache.read().unwrap(), b"graph");
        let whole = fs::read(cache.file()).unwrap();
        let mut flipped = whole.clone();
        flipped[34] ^= 1;
        for damaged in [&whole[..10], &whole[..whole.len() - 1], &flipped, b""] {
            fs::write(cache.file(), damaged).unwrap();
            assert_eq!(cache.read(), None);
        }
        assert_eq!(make(b"another").unwrap(), b"another");
        assert_eq!(cache.read().unwrap(), b"another");
        let left: Vec<_> = fs::read_dir(dir.path().join("new")).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing is left of making it: {left:?}");
    }

    #[test]
    fn weights_in_files_of_their_own_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model.onnx");
        fs::write(&model, b"..\x6a\x18\x0a\x08location\x12\x0cmodel.data..").unwrap();
        assert!(has_external_weights(&model));
        fs::write(&model, b"a metadata field that is called location").unwrap();
        assert!(!has_external_weights(&model));
    }

    #[test]
    fn many_that_make_one_graph_at_once_leave_a_whole_one() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8u8 {
                let cache = GraphCache::of(dir.path(), "00", "1.26.0");
                scope.spawn(move || {
                    for _ in 0..20 {
                        let made = vec![writer; 100_000];
                        let graph = cache.make(|path| fs::write(path, &made).map_err(|e| e.to_string())).unwrap();
                        assert_eq!(graph, made);
                        let read = cache.read().unwrap();
                        assert!(read.len() == 100_000 && read.iter().all(|byte| *byte == read[0]));
                    }
                });
            }
        });
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_keeps_nothing_and_costs_nothing() {
        let cache = GraphCache::of(Path::new("/dev/null/no"), "00", "1.26.0");
        assert_eq!(cache.make(|path| fs::write(path, "graph").map_err(|e| e.to_string())).unwrap(), b"graph");
        assert_eq!(cache.read(), None);
        assert_eq!(cache.make(|_| Err("no model".into())).unwrap_err(), "no model");
    }
}
