//! Rows by track, without holding them: runs that are sorted in memory go to temporary files, and are merged.

use super::ExportError;
use std::{
    borrow::Borrow,
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::Path,
    sync::Arc,
};
use trackdrop_tables::tracks::TrackRow;

/// Rows of a run, which are held: some 12 MB.
const RUN_ROWS: usize = 1 << 18;
/// Read ahead in each run while they are merged.
const RUN_BUFFER_BYTES: usize = 1 << 16;
const ROW_BYTES: usize = 44;

/// What is stored of a row until its track's turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct KeptRow {
    pub(super) track_id: i64,
    pub(super) frame_index: i64,
    pub(super) pts: i64,
    pub(super) score: f32,
    /// As the caller made it of the box.
    pub(super) ltrb: [f32; 4],
}

impl KeptRow {
    fn key(&self) -> (i64, i64) {
        (self.track_id, self.frame_index)
    }

    fn to_bytes(self) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        let integers = [self.track_id, self.frame_index, self.pts].into_iter().flat_map(i64::to_le_bytes);
        let floats = [self.score].into_iter().chain(self.ltrb).flat_map(f32::to_le_bytes);
        bytes.iter_mut().zip(integers.chain(floats)).for_each(|(to, from)| *to = from);
        bytes
    }

    fn from_bytes(bytes: &[u8; ROW_BYTES]) -> Self {
        let part = |at: usize| -> [u8; 4] { [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]] };
        let float = |i: usize| f32::from_le_bytes(part(24 + 4 * i));
        let integer = |i: usize| {
            let (low, high) = (u32::from_le_bytes(part(8 * i)), u32::from_le_bytes(part(8 * i + 4)));
            (u64::from(high) << 32 | u64::from(low)) as i64
        };
        Self {
            track_id: integer(0),
            frame_index: integer(1),
            pts: integer(2),
            score: float(0),
            ltrb: [float(1), float(2), float(3), float(4)],
        }
    }
}

/// All rows, by track and then by frame.
pub(super) struct ByTrack {
    /// The class of each track's first row.
    classes: BTreeMap<i64, Arc<str>>,
    runs: Vec<BufReader<File>>,
    /// The next row of each run.
    heads: BinaryHeap<Reverse<(i64, i64, usize)>>,
    rows: Vec<Option<KeptRow>>,
    last: Option<(i64, i64)>,
}

impl ByTrack {
    /// Sorts rows, which come in frame order; `ltrb` returns what is stored of a box.
    pub(super) fn sort<R: Borrow<TrackRow>>(
        rows: impl Iterator<Item = Result<R, ExportError>>,
        ltrb: impl Fn(&TrackRow) -> [f32; 4],
        scratch: &Path,
    ) -> Result<Self, ExportError> {
        let mut sorted =
            Self { classes: BTreeMap::new(), runs: Vec::new(), heads: BinaryHeap::new(), rows: Vec::new(), last: None };
        let mut run = Vec::new();
        for row in rows {
            let row = row?;
            let row = row.borrow();
            let &TrackRow { track_id, frame_index, pts, score, .. } = row;
            sorted.classes.entry(track_id).or_insert_with(|| row.class_name.clone());
            run.push(KeptRow { track_id, frame_index, pts, score, ltrb: ltrb(row) });
            if run.len() == RUN_ROWS {
                sorted.end_run(&mut run, scratch)?;
            }
        }
        sorted.end_run(&mut run, scratch)?;
        for number in 0..sorted.runs.len() {
            sorted.rows.push(None);
            sorted.advance(number)?;
        }
        Ok(sorted)
    }

    fn end_run(&mut self, run: &mut Vec<KeptRow>, scratch: &Path) -> io::Result<()> {
        run.sort_by_key(KeptRow::key);
        let mut file = BufWriter::with_capacity(RUN_BUFFER_BYTES, tempfile::tempfile_in(scratch)?);
        for row in run.drain(..) {
            file.write_all(&row.to_bytes())?;
        }
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(BufReader::with_capacity(RUN_BUFFER_BYTES, file));
        Ok(())
    }

    /// Makes the next row of a run its head.
    fn advance(&mut self, number: usize) -> io::Result<()> {
        let mut bytes = [0; ROW_BYTES];
        self.rows[number] = match self.runs[number].read_exact(&mut bytes) {
            Ok(()) => Some(KeptRow::from_bytes(&bytes)),
            // Rows are written whole: it ends between two of them.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        if let Some(row) = &self.rows[number] {
            self.heads.push(Reverse((row.track_id, row.frame_index, number)));
        }
        Ok(())
    }

    /// The class that a track was first seen as.
    pub(super) fn class_of(&self, track_id: i64) -> &str {
        self.classes.get(&track_id).map_or("", |name| name)
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<KeptRow>, ExportError> {
        let Some(Reverse((.., number))) = self.heads.pop() else { return Ok(None) };
        let row = self.rows[number].take();
        self.advance(number)?;
        if let Some(row) = row.filter(|row| self.last == Some(row.key())) {
            return Err(ExportError::TwiceInFrame { frame_index: row.frame_index, track_id: row.track_id });
        }
        self.last = row.as_ref().map(KeptRow::key);
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_by_track_and_frame_however_many_runs_they_fill() {
        let frames = RUN_ROWS as i64;
        let row = |frame_index: i64, track_id: i64| TrackRow {
            frame_index,
            pts: -7 * frame_index,
            track_id,
            class_id: 0,
            class_name: if track_id == 1 { "a".into() } else { "b".into() },
            score: frame_index as f32,
            bbox: [0.25, -1.0, f32::MAX, track_id as f32],
            observed: true,
        };
        // Two and a half runs, and each track in all of them.
        let rows = (0..frames).flat_map(|frame| [(frame, 1 << 40), (frame, 1)]).chain((0..frames / 2).map(|f| (f, 5)));
        let folder = std::env::temp_dir();
        let mut sorted = ByTrack::sort(rows.map(|(frame, id)| Ok(row(frame, id))), |row| row.bbox, &folder).unwrap();
        assert_eq!(sorted.runs.len(), 3);
        for (id, count) in [(1, frames), (5, frames / 2), (1 << 40, frames)] {
            for frame in 0..count {
                let expected = row(frame, id);
                let found = sorted.next().unwrap().unwrap();
                let TrackRow { track_id, frame_index, pts, score, bbox: ltrb, .. } = expected;
                assert_eq!(found, KeptRow { track_id, frame_index, pts, score, ltrb });
            }
        }
        assert_eq!(sorted.next().unwrap(), None);
        assert_eq!((sorted.class_of(1), sorted.class_of(5)), ("a", "b"));
    }
}
