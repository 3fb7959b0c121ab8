//! The output of the tracker: one row per object per frame.

use crate::{
    parquet_file::{GroupReader, GroupWriter, ROWS_PER_GROUP, TableError},
    schema::TRACKS,
};
use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
    cast::AsArray,
    types::{Float32Type, Int32Type, Int64Type},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    io::Write,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};
use trackdrop_pipeline::{Boxes, Rational, RequestId, Timestamp, links::IdentityLink};

/// One row: an object in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackRow {
    /// Index of the frame in the whole video, from 0.
    pub frame_index: i64,
    /// PTS of the frame.
    pub pts: i64,
    /// Identity over the whole video, from 1.
    pub track_id: i64,
    /// Class index of the model.
    pub class_id: i32,
    /// Class name of the model.
    pub class_name: Arc<str>,
    /// Score of the detection.
    pub score: f32,
    /// `[x1, y1, x2, y2]` in pixels of the upright picture: the tracker's estimate.
    pub bbox: [f32; 4],
    /// False if the tracker did not return the row: a refinement or `detect_every` added it.
    pub observed: bool,
}

/// The values that all rows of a request have in common.
#[derive(Clone, Debug)]
pub struct TracksOf {
    /// The request.
    pub request_id: RequestId,
    /// Object name of the upload.
    pub video: String,
    /// Creation time of the upload.
    pub uploaded_at: Timestamp,
    /// Seconds per tick.
    pub time_base: Rational,
    /// The PTS of the presentation's time 0.
    pub origin_pts: i64,
}

/// Length of the trail behind a drawn object, in frames. The file of a segment also has the rows of this many frames
/// before the segment, so that trails continue at its border.
pub const TRAIL_FRAMES: u64 = 30;

/// The key of the links in the file's footer.
const LINKS_KEY: &str = "trackdrop.identity_links";

/// How the rows of a segment are drawn. It is in the footer of the segment's file. A file without it is drawn with the
/// defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drawing {
    /// Which boxes are drawn over the picture.
    #[serde(default)]
    pub boxes: Boxes,
    /// Classes whose objects are blurred.
    #[serde(default)]
    pub blur: Vec<String>,
    /// The places of objects of these classes in frames in which they have no row.
    #[serde(default)]
    pub between: Vec<Between>,
    /// Whether the best crop of each object is stored.
    #[serde(default)]
    pub crops: bool,
}

/// The place of an object between two times, exclusive: on the straight line between two boxes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Between {
    /// PTS of the first box.
    pub from_pts: i64,
    /// PTS of the second box.
    pub to_pts: i64,
    /// `[x1, y1, x2, y2]`.
    pub from: [f32; 4],
    /// `[x1, y1, x2, y2]`.
    pub to: [f32; 4],
}

impl Between {
    /// The box at a time; none outside of the interval.
    pub fn at(&self, pts: i64) -> Option<[f32; 4]> {
        if pts <= self.from_pts || pts >= self.to_pts {
            return None;
        }
        let part = (pts - self.from_pts) as f64 / (self.to_pts - self.from_pts) as f64;
        let edge = |i: usize| f64::from(self.from[i]) * (1.0 - part) + f64::from(self.to[i]) * part;
        Some([0, 1, 2, 3].map(|i| edge(i) as f32))
    }
}

const DRAWING_KEY: &str = "trackdrop.drawing";

/// The rows of a segment, after the rows for its trails, and how they are drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentTracks {
    /// The rows, in the order of frames.
    pub rows: Vec<TrackRow>,
    /// How they are drawn.
    pub drawing: Drawing,
}

/// Reads the tracks of a segment.
///
/// # Errors
/// [`TableError::Format`]: a file that is not such a table. [`TableError::Io`].
pub fn read_segment(bytes: Bytes) -> Result<SegmentTracks, TableError> {
    let reader = GroupReader::open_bytes(bytes, &TRACKS.arrow())?;
    let drawing = reader.footer(DRAWING_KEY).map(serde_json::from_str).transpose();
    let drawing = drawing.map_err(|error| TableError::Format(format!("{DRAWING_KEY}: {error}")))?.unwrap_or_default();
    Ok(SegmentTracks { rows: rows(reader).collect::<Result<_, _>>()?, drawing })
}

/// Collects rows, and writes them in row groups of a fixed size. A thread of its own encodes a row group while the rows of
/// the next one are collected.
#[derive(Debug)]
pub struct TracksWriter<W: Write + Send + 'static> {
    of: Arc<TracksOf>,
    groups: Groups<W>,
    rows: Vec<TrackRow>,
    written: u64,
}

/// What groups are written with.
#[derive(Debug)]
enum Groups<W: Write + Send + 'static> {
    Idle(GroupWriter<W>),
    /// At work, with the rows of a group, which come back for their memory.
    Busy(JoinHandle<Result<Ended<W>, TableError>>),
    /// A group could not be written, which was said.
    Failed,
}

/// What wrote a group, and its rows.
type Ended<W> = (GroupWriter<W>, Vec<TrackRow>);

impl<W: Write + Send + 'static> TracksWriter<W> {
    /// A new file into `sink`.
    ///
    /// # Errors
    /// [`TableError`]: the sink cannot be written.
    pub fn new(sink: W, of: TracksOf) -> Result<Self, TableError> {
        let groups = Groups::Idle(GroupWriter::new(sink, TRACKS.arrow())?);
        Ok(Self { of: Arc::new(of), groups, rows: Vec::new(), written: 0 })
    }

    /// Appends a row. Rows must be in the order of frames, and within a frame in the tracker's order.
    ///
    /// # Errors
    /// [`TableError`]: the sink cannot be written, or could not be for the group before.
    pub fn push(&mut self, row: TrackRow) -> Result<(), TableError> {
        self.rows.push(row);
        if self.rows.len() == ROWS_PER_GROUP { self.begin_group() } else { Ok(()) }
    }

    /// Encodes what is gathered, while the next rows come.
    fn begin_group(&mut self) -> Result<(), TableError> {
        let (mut groups, mut spare) = self.idle()?;
        // Here, where they were made: names that two threads count take longer.
        spare.clear();
        self.written += self.rows.len() as u64;
        let (of, rows) = (Arc::clone(&self.of), std::mem::replace(&mut self.rows, spare));
        let encode = move || {
            groups.write_group(rows.len(), |at, range| Ok(column(&of, &rows[range], at)))?;
            Ok((groups, rows))
        };
        self.groups = Groups::Busy(thread::Builder::new().name("tracks".into()).spawn(encode)?);
        Ok(())
    }

    /// Waits for the group at work, and gives its rows with what wrote them.
    fn idle(&mut self) -> Result<Ended<W>, TableError> {
        match std::mem::replace(&mut self.groups, Groups::Failed) {
            Groups::Idle(groups) => Ok((groups, Vec::new())),
            Groups::Busy(encoding) => encoding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Groups::Failed => Err(std::io::Error::other("a group of rows could not be written before").into()),
        }
    }

    /// Writes the rest, and what `footer` puts into the footer.
    fn end(
        mut self,
        footer: impl FnOnce(&mut GroupWriter<W>) -> Result<(), TableError>,
    ) -> Result<(W, u64), TableError> {
        let (mut groups, _) = self.idle()?;
        let (of, rows) = (&self.of, &self.rows);
        if !rows.is_empty() {
            groups.write_group(rows.len(), |at, range| Ok(column(of, &rows[range], at)))?;
        }
        footer(&mut groups)?;
        Ok((groups.finish()?, self.written + rows.len() as u64))
    }

    /// Writes the remaining rows. Returns the sink and the number of rows. If tracks were linked, `links` are written
    /// into the footer.
    ///
    /// # Errors
    /// [`TableError`]: the sink cannot be written.
    pub fn finish(self, links: Option<&[IdentityLink]>) -> Result<(W, u64), TableError> {
        self.end(|groups| annotate(groups, LINKS_KEY, links))
    }

    /// The same for the tracks of a segment. The default drawing is not written into the footer.
    ///
    /// # Errors
    /// [`TableError`]: the sink cannot be written.
    pub fn finish_segment(self, drawing: &Drawing) -> Result<(W, u64), TableError> {
        self.end(|groups| {
            annotate(groups, DRAWING_KEY, Some(drawing).filter(|drawing| **drawing != Drawing::default()))
        })
    }
}

/// Puts a value into the footer, if there is one.
fn annotate<W: Write + Send>(
    groups: &mut GroupWriter<W>,
    key: &str,
    value: Option<impl Serialize>,
) -> Result<(), TableError> {
    if let Some(value) = value {
        let json = serde_json::to_string(&value).map_err(|error| TableError::Format(error.to_string()))?;
        groups.annotate(key, json);
    }
    Ok(())
}

/// A column of some rows, by its number in the table.
fn column(of: &TracksOf, rows: &[TrackRow], at: usize) -> ArrayRef {
    fn ints(rows: &[TrackRow], value: impl Fn(&TrackRow) -> i64) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(value)))
    }
    let all = rows.len();
    let float =
        |value: fn(&TrackRow) -> f32| Arc::new(Float32Array::from_iter_values(rows.iter().map(value))) as ArrayRef;
    let text = |value: &str| Arc::new(StringArray::from(vec![value; all])) as ArrayRef;
    match at {
        0 => text(of.request_id.as_str()),
        1 => text(&of.video),
        2 => Arc::new(TimestampMicrosecondArray::from(vec![of.uploaded_at.micros(); all]).with_timezone("UTC")),
        3 => ints(rows, |row| row.frame_index),
        4 => ints(rows, |row| row.pts),
        5 => Arc::new(Int32Array::from(vec![of.time_base.num(); all])),
        6 => Arc::new(Int32Array::from(vec![of.time_base.den(); all])),
        7 => {
            let seconds = rows.iter().map(|row| of.time_base.seconds(row.pts - of.origin_pts));
            Arc::new(Float64Array::from_iter_values(seconds))
        }
        8 => ints(rows, |row| row.track_id),
        9 => Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.class_id))),
        10 => Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &*row.class_name))),
        11 => float(|row| row.score),
        12 => float(|row| row.bbox[0]),
        13 => float(|row| row.bbox[1]),
        14 => float(|row| row.bbox[2]),
        15 => float(|row| row.bbox[3]),
        _ => Arc::new(rows.iter().map(|row| Some(row.observed)).collect::<BooleanArray>()),
    }
}

/// Reads the links in a file's footer. None if its tracks were not linked.
///
/// # Errors
/// [`TableError::Format`]: a file that is not such a table. [`TableError::Io`].
pub fn read_links(bytes: Bytes) -> Result<Option<Vec<IdentityLink>>, TableError> {
    let reader = GroupReader::open_bytes(bytes, &TRACKS.arrow())?;
    let parse = |json| serde_json::from_str(json).map_err(|error| TableError::Format(error.to_string()));
    reader.footer(LINKS_KEY).map(parse).transpose()
}

/// Reads the rows of a file, in order.
///
/// # Errors
/// [`TableError::Format`]: a file that is not such a table. [`TableError::Io`].
pub fn read(bytes: Bytes) -> Result<Vec<TrackRow>, TableError> {
    rows(GroupReader::open_bytes(bytes, &TRACKS.arrow())?).collect()
}

/// Reads the rows of a file one after the other, in order. Only one row group is in memory, for files of any length.
///
/// # Errors
/// The file can't be opened, or is not such a table. A damaged row group is found when it is read; no row follows it.
pub fn stream(path: &Path) -> Result<impl Iterator<Item = Result<TrackRow, TableError>> + use<>, TableError> {
    Ok(rows(GroupReader::open_path(path, &TRACKS.arrow())?))
}

fn rows(reader: GroupReader) -> impl Iterator<Item = Result<TrackRow, TableError>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    reader.batches().flat_map(move |batch| {
        let (rows, error) = match batch {
            Ok(batch) => (of_batch(&batch, &mut names), None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        rows.into_iter().map(Ok).chain(error)
    })
}

fn of_batch(batch: &RecordBatch, names: &mut Vec<Arc<str>>) -> Vec<TrackRow> {
    let int64 = |i: usize| batch.column(i).as_primitive::<Int64Type>().values();
    let float = |i: usize| batch.column(i).as_primitive::<Float32Type>().values();
    let (frames, pts, ids) = (int64(3), int64(4), int64(8));
    let classes = batch.column(9).as_primitive::<Int32Type>().values();
    let class_names = batch.column(10).as_string::<i32>();
    let (scores, observed) = (float(11), batch.column(16).as_boolean());
    let mut name_of = |name: &str| match names.iter().find(|known| ***known == *name) {
        Some(known) => known.clone(),
        None => {
            let name: Arc<str> = name.into();
            names.push(name.clone());
            name
        }
    };
    let row = |i: usize| TrackRow {
        frame_index: frames[i],
        pts: pts[i],
        track_id: ids[i],
        class_id: classes[i],
        class_name: name_of(class_names.value(i)),
        score: scores[i],
        bbox: [float(12)[i], float(13)[i], float(14)[i], float(15)[i]],
        observed: observed.value(i),
    };
    (0..batch.num_rows()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of() -> TracksOf {
        TracksOf {
            request_id: "req_0aZ9bY8c_20261123T182501".parse().unwrap(),
            video: "a \"b\".mp4".into(),
            uploaded_at: Timestamp::from_micros(1_764_000_000_123_456),
            time_base: Rational::new(1, 12_800).unwrap(),
            origin_pts: 0,
        }
    }

    fn row(i: i64) -> TrackRow {
        TrackRow {
            frame_index: i / 4,
            pts: i / 4 * 512,
            track_id: i % 4 + 1,
            class_id: 0,
            class_name: "person".into(),
            score: 0.5,
            bbox: [i as f32, 1.0, i as f32 + 7.25, 9.0],
            observed: true,
        }
    }

    #[test]
    fn rows_read_back_and_the_same_rows_make_the_same_bytes() {
        let rows: Vec<_> = (0..140_000).map(row).collect();
        let write = || {
            let mut writer = TracksWriter::new(Vec::new(), of()).unwrap();
            rows.iter().for_each(|row| writer.push(row.clone()).unwrap());
            writer.finish(None).unwrap().0
        };
        let bytes = write();
        assert_eq!(bytes, write());
        let file = std::env::temp_dir().join(format!("trackdrop-tables-{}.parquet", std::process::id()));
        std::fs::write(&file, &bytes).unwrap();
        let streamed: Result<Vec<_>, _> = stream(&file).unwrap().collect();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(streamed.unwrap(), rows);
        assert_eq!(read(bytes.into()).unwrap(), rows);
    }

    /// Takes what a new file begins with, and nothing else.
    struct FullDisk;

    impl Write for FullDisk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if bytes == b"PAR1" { Ok(4) } else { Err(std::io::ErrorKind::StorageFull.into()) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_group_that_cannot_be_written_is_an_error_of_a_later_row_and_of_the_file() {
        let is_full = |error: &TableError| matches!(error, TableError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull);
        let mut writer = TracksWriter::new(std::io::BufWriter::with_capacity(4, FullDisk), of()).unwrap();
        let failed = (0..3 * ROWS_PER_GROUP as i64).find_map(|i| writer.push(row(i)).err()).unwrap();
        assert!(is_full(&failed), "{failed}");
        assert!(writer.finish(None).is_err());

        let mut writer = TracksWriter::new(std::io::BufWriter::with_capacity(4, FullDisk), of()).unwrap();
        (0..ROWS_PER_GROUP as i64).for_each(|i| writer.push(row(i)).unwrap());
        assert!(is_full(&writer.finish(None).err().unwrap()));
    }

    #[test]
    fn links_are_in_the_footer_and_leave_the_rows_alone() {
        let links = [IdentityLink {
            track_id: 3,
            last_frame_index: 9,
            last_time_s: 0.3,
            first_frame_index: 12,
            first_time_s: 0.4,
            identity_margin: 1.0 / 3.0,
        }];
        let write = |links| {
            let mut writer = TracksWriter::new(Vec::new(), of()).unwrap();
            writer.push(row(0)).unwrap();
            Bytes::from(writer.finish(links).unwrap().0)
        };
        assert_eq!(read_links(write(Some(&links))).unwrap(), Some(links.to_vec()));
        assert_eq!(read(write(Some(&links))).unwrap(), [row(0)]);
        assert_eq!(read_links(write(None)).unwrap(), None);
    }
}
