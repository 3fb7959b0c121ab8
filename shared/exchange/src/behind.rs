//! Writes a file in a thread of its own, behind the one that makes its bytes.

use std::{
    fs::File,
    io::{self, Write},
    mem,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
};

/// Bytes that are handed over together, and how many times as many may wait.
const BYTES_AT_ONCE: usize = 1 << 18;
const WAITING: usize = 4;

/// A file to which bytes are written soon. What fails is reported by a later call, at the latest by `flush`, which waits until all is written.
#[derive(Debug)]
pub(crate) struct Behind {
    file: Arc<File>,
    gathered: Vec<u8>,
    /// From the first bytes that are handed over until the next flush.
    writing: Option<Writing>,
}

/// The thread, and the ways to it and back.
#[derive(Debug)]
struct Writing {
    full: SyncSender<Vec<u8>>,
    /// Buffers that are written, to be filled once more.
    used: Receiver<Vec<u8>>,
    thread: JoinHandle<io::Result<()>>,
}

impl Behind {
    pub(crate) fn new(file: File) -> Self {
        Self { file: Arc::new(file), gathered: Vec::new(), writing: None }
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let writing = match self.writing.take() {
            Some(writing) => writing,
            None => Writing::begin(Arc::clone(&self.file))?,
        };
        let empty = writing.used.try_recv().unwrap_or_default();
        if writing.full.send(mem::replace(&mut self.gathered, empty)).is_err() {
            return writing.end();
        }
        self.gathered.clear();
        self.writing = Some(writing);
        Ok(())
    }
}

impl Writing {
    fn begin(file: Arc<File>) -> io::Result<Self> {
        let (full, to_write) = sync_channel::<Vec<u8>>(WAITING);
        let (written, used): (Sender<Vec<u8>>, _) = channel();
        let thread = thread::Builder::new().name("writing".into()).spawn(move || {
            for bytes in to_write {
                (&*file).write_all(&bytes)?;
                // Nobody fills it again after the last bytes.
                written.send(bytes).ok();
            }
            Ok(())
        })?;
        Ok(Self { full, used, thread })
    }

    /// Waits until all is written.
    fn end(self) -> io::Result<()> {
        let Self { full, used: _, thread } = self;
        drop(full);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Write for Behind {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= BYTES_AT_ONCE {
            self.hand_over()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            self.hand_over()?;
        }
        self.writing.take().map_or(Ok(()), Writing::end)
    }
}

impl Drop for Behind {
    /// Nobody asks for bytes that were not flushed, but the thread must not outlive its owner.
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            writing.end().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    #[test]
    fn bytes_are_in_the_file_in_order_after_each_flush() {
        let mut file = tempfile::tempfile().unwrap();
        let mut behind = Behind::new(file.try_clone().unwrap());
        let (mut random, mut expected) = (fastrand::Rng::with_seed(1), Vec::new());
        for flushes in 0..4 {
            for _ in 0..flushes * 40 {
                let bytes: Vec<u8> = (0..random.usize(..60_000)).map(|_| random.u8(..)).collect();
                behind.write_all(&bytes).unwrap();
                expected.extend(bytes);
            }
            behind.flush().unwrap();
            let mut written = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut written).unwrap();
            assert!(written == expected, "{} {}", written.len(), expected.len());
        }
    }

    #[test]
    fn a_full_disk_is_reported_as_such_once_and_later_bytes_end_in_no_silence() {
        let mut behind = Behind::new(File::options().write(true).open("/dev/full").unwrap());
        let bytes = vec![7; BYTES_AT_ONCE];
        let failed = (0..1000).find_map(|_| behind.write(&bytes).err());
        assert_eq!(failed.map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
        behind.write_all(b"a few").unwrap();
        assert_eq!(behind.flush().map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
    }
}
