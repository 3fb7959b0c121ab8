//! A scan that is interrupted anywhere, again and again, comes to the index that one without interruption gives.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use common::make;
use trackdrop_media::{Limits, NoteEvery, Notes, Source, VideoIndex, index};

/// Notes in memory, which outlive a scan. Parts of one name must be the same.
#[derive(Default)]
struct InMemory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Notes for InMemory {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().get(name).cloned())
    }

    fn write(&self, name: &str, part: Vec<u8>) -> io::Result<()> {
        let mut parts = self.0.lock().unwrap();
        let stored = parts.entry(name.to_owned()).or_insert_with(|| part.clone());
        assert!(*stored == part, "two scans disagree on {name}");
        Ok(())
    }
}

/// Scans of one file, each of which may read this many bytes.
struct Scans {
    content: Arc<Vec<u8>>,
    notes: Arc<InMemory>,
    read_bytes: Arc<AtomicU64>,
}

/// As for a long file, on a short one.
const EVERY: NoteEvery = NoteEvery { bytes: 24 << 10, overlap_packets: 40 };

impl Scans {
    fn of(path: &Path) -> Self {
        Self { content: Arc::new(fs::read(path).unwrap()), notes: Arc::default(), read_bytes: Arc::default() }
    }

    fn scan(&self, most_bytes: u64) -> Option<VideoIndex> {
        let (content, read) = (self.content.clone(), self.read_bytes.clone());
        read.store(0, Ordering::Relaxed);
        let source = Source::of_ranges("clip", content.len() as u64, move |offset, into| {
            if read.fetch_add(into.len() as u64, Ordering::Relaxed) > most_bytes {
                return Err(io::Error::other("interrupted"));
            }
            into.copy_from_slice(&content[offset as usize..][..into.len()]);
            Ok(())
        });
        match index(source.with_notes(self.notes.clone(), EVERY), &Limits::default()) {
            Ok(index) => Some(index),
            Err(error) => {
                assert!(error.is_transient() && error.to_string().contains("interrupted"), "{error}");
                None
            }
        }
    }
}

/// Every scan is interrupted somewhere, until one gets to the end from what the others noted.
fn comes_to_the_same_index(name: &str, path: &Path, begins_with_bytes: u64) {
    const MORE: u64 = 48 << 10;
    let mut expected = index(path, &Limits::default()).unwrap();
    let (scans, mut interrupted, mut allowed, mut noted) = (Scans::of(path), 0, begins_with_bytes, 0);
    let (whole, mut random) = (scans.content.len() as u64, 0x2545_f491_4f6c_dd1d_u64);
    let found = loop {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if let Some(found) = scans.scan(allowed + (random >> 33) % MORE) {
            break found;
        }
        interrupted += 1;
        let parts = scans.notes.0.lock().unwrap().len();
        if parts == noted {
            // It takes more to open this container, and to go back in it.
            allowed += MORE;
        }
        noted = parts;
        assert!(interrupted < 100, "{name} comes to no end");
    };
    expected.bytes = found.bytes;
    println!("{name}: {interrupted} interruptions, {noted} parts, at most {} of {whole} bytes a scan", allowed + MORE);
    assert!(found == expected, "{name} was interrupted {interrupted} times");
    assert!(interrupted > 1 && allowed + MORE < whole, "{name}: no scan may have read all");
}

const PICTURE: &str =
    "-f lavfi -i testsrc2=s=160x90:r=30:d=20,noise=alls=20:allf=t -f lavfi -i sine=d=20 -c:a mp2 -b:v 500k";

#[test]
fn a_scan_that_is_interrupted_anywhere_comes_to_the_same_index() {
    for (name, codec, begins_with_bytes) in [
        ("a.ts", "-c:v libx264 -preset veryfast -g 30 -bf 3", 300 << 10),
        ("open-gop.ts", "-c:v libx264 -preset veryfast -g 24 -bf 3 -x264-params open-gop=1:scenecut=0", 300 << 10),
        ("mpeg2.ts", "-c:v mpeg2video -g 15 -bf 2", 700 << 10),
        ("hevc.ts", "-c:v libx265 -preset ultrafast -g 30 -x265-params log-level=none", 300 << 10),
        ("a.mkv", "-c:v libx264 -preset veryfast -g 30 -bf 3", 250 << 10),
        ("vp9.mkv", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 30", 250 << 10),
        ("a.flv", "-c:v flv -g 30 -c:a mp3", 250 << 10),
        ("h264.flv", "-c:v libx264 -preset veryfast -g 30 -bf 3 -c:a aac", 250 << 10),
        ("a.avi", "-c:v mpeg4 -g 30", 250 << 10),
        ("mjpeg.avi", "-c:v mjpeg", 250 << 10),
    ] {
        let clip = make(name, &format!("{PICTURE} {codec} OUT"));
        comes_to_the_same_index(name, &clip.path, begins_with_bytes);
    }
    // To open one of these takes the first 20 s.
    let clip = make("a.mpg", &format!("{} -c:v mpeg2video -g 15 -bf 2 OUT", PICTURE.replace("d=20", "d=60")));
    comes_to_the_same_index("a.mpg", &clip.path, 2_500 << 10);
}

/// Those of another file.
struct Wrong(InMemory);

impl Notes for Wrong {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.read(name)
    }

    fn write(&self, _name: &str, _part: Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn notes_that_do_not_fit_are_passed_over() {
    let of = |options: &str| make("a.ts", &format!("{PICTURE} -c:v libx264 -preset veryfast -g 30 {options} OUT"));
    let (one, other) = (of("-bf 3"), of("-bf 0"));
    let scans = Scans::of(&one.path);
    scans.scan(u64::MAX).unwrap();
    let parts = std::mem::take(&mut *scans.notes.0.lock().unwrap());
    assert!(parts.len() > 10);
    let content = fs::read(&other.path).unwrap();
    let expected = index(&other.path, &Limits::default()).unwrap();
    for wrong in
        [parts.clone(), parts.into_iter().map(|(name, part)| (name, part[..part.len() / 2].to_vec())).collect()]
    {
        let content = content.clone();
        let source = Source::of_ranges("clip", content.len() as u64, move |offset, into| {
            into.copy_from_slice(&content[offset as usize..][..into.len()]);
            Ok(())
        });
        let wrong = Arc::new(Wrong(InMemory(Mutex::new(wrong))));
        assert!(index(source.with_notes(wrong, EVERY), &Limits::default()).unwrap() == expected);
    }
}
