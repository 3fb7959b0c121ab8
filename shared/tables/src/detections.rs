//! The detections, for each segment (in `work`) and for the whole video (in `results`).
//!
//! There are three versions of the file. The second has a last column, `appearance`, with the colours of each detection
//! in 64 bytes. In the third version that column has two bytes for each number of a network's vector. These two
//! versions are written only if the request setting `appearance` is used. Otherwise the file has the bytes of the first
//! version. All versions can be read.

use crate::{
    parquet_file::{GroupReader, GroupWriter, ROWS_PER_GROUP, TableError},
    schema::DETECTIONS,
};
use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, Float32Array, Int32Array, Int64Array, RecordBatch,
    cast::AsArray,
    types::{Float32Type, Int32Type, Int64Type},
};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{io::Write, ops::Range, path::Path, sync::Arc};
use trackdrop_pipeline::{Appearance, PtsList, ledger::FrameAccount, manifest::ModelIdentity};

pub use crate::appearance_column::{AppearanceColumn, MOST_APPEARANCE_BYTES};

/// One detection, with exactly the 32-bit floats of the detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectionRow {
    /// Index of the frame in the whole video, from 0.
    pub frame_index: i64,
    /// PTS of the frame.
    pub pts: i64,
    /// `[x1, y1, x2, y2]` in pixels of the upright picture.
    pub bbox: [f32; 4],
    /// 0 to 1.
    pub score: f32,
    /// Class index of the model.
    pub class_id: i32,
}

/// The Parquet footer of a segment's detections file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentFooter {
    /// The PTS of all planned frames of this segment. So a reader knows frames without detections, without the
    /// manifest.
    pub frame_pts: PtsList,
    /// The account of the decoded frames, for the ledger.
    pub account: FrameAccount,
    /// The model.
    pub model: ModelIdentity,
    /// Class names by class id.
    pub class_names: Vec<String>,
    /// The track threshold that the model's card recommends for its score scale.
    pub track_thresh: Option<f64>,
    /// The kind of appearance in the column `appearance`, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appearance: Option<Appearance>,
    /// The network that computed it, if a network did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appearance_network: Option<ModelIdentity>,
}

/// A segment's file.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentFile {
    /// The detections, in order.
    pub rows: Vec<DetectionRow>,
    /// The appearance of each detection. It has no bytes if the file has no such column.
    pub appearances: AppearanceColumn,
    /// The footer.
    pub footer: SegmentFooter,
}

const FOOTER_KEY: &str = "trackdrop.segment";

/// Collects rows, and writes them in row groups of a fixed size.
#[derive(Debug)]
pub struct DetectionsWriter<W: Write + Send> {
    groups: GroupWriter<W>,
    rows: Vec<DetectionRow>,
    /// The appearance of each row. It has no bytes in a file of the first version.
    appearances: AppearanceColumn,
    written: u64,
}

impl<W: Write + Send> std::fmt::Debug for GroupWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GroupWriter")
    }
}

impl<W: Write + Send> DetectionsWriter<W> {
    /// A new file into `sink`.
    ///
    /// # Errors
    /// [`TableError`]: the sink cannot be written.
    pub fn new(sink: W) -> Result<Self, TableError> {
        Self::with_appearance(sink, 0)
    }

    /// A new file whose column `appearance` has this many bytes per detection. 0: without that column.
    ///
    /// # Errors
    /// [`TableError`]: the sink cannot be written.
    pub fn with_appearance(sink: W, bytes_each: usize) -> Result<Self, TableError> {
        let groups = GroupWriter::new(sink, columns(bytes_each))?;
        Ok(Self { groups, rows: Vec::new(), appearances: AppearanceColumn::new(bytes_each), written: 0 })
    }

    /// Appends a row with unknown appearance. Rows must be in the order of frames.
    ///
    /// # Errors
    /// [`TableError`]: the sink cannot be written.
    pub fn push(&mut self, row: DetectionRow) -> Result<(), TableError> {
        self.push_seen(row, &[])
    }

    /// Appends a row with its appearance. If `appearance` does not have the column's length, all bytes are 0.
    ///
    /// # Errors
    /// [`TableError`]: the sink cannot be written.
    pub fn push_seen(&mut self, row: DetectionRow, appearance: &[u8]) -> Result<(), TableError> {
        self.rows.push(row);
        self.appearances.push(appearance);
        if self.rows.len() == rows_per_group(self.appearances.bytes_each()) { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TableError> {
        if !self.rows.is_empty() {
            let (rows, appearances) = (&self.rows, &self.appearances);
            self.groups.write_group(rows.len(), |at, range| column(rows, appearances, at, range))?;
            self.written += self.rows.len() as u64;
            self.rows.clear();
            self.appearances.clear();
        }
        Ok(())
    }

    /// Writes the remaining rows and the footer. Returns the sink and the number of rows.
    ///
    /// # Errors
    /// [`TableError`]: the sink cannot be written.
    pub fn finish(mut self, footer: Option<&SegmentFooter>) -> Result<(W, u64), TableError> {
        self.flush()?;
        if let Some(footer) = footer {
            let json = serde_json::to_string(footer).map_err(|error| TableError::Format(error.to_string()))?;
            self.groups.annotate(FOOTER_KEY, json);
        }
        Ok((self.groups.finish()?, self.written))
    }
}

/// The columns of a file with this many bytes of appearance.
fn columns(bytes_each: usize) -> SchemaRef {
    let of_first = DETECTIONS.arrow();
    if bytes_each == 0 {
        return of_first;
    }
    // A larger number never occurs: see `MOST_APPEARANCE_BYTES`.
    let width = i32::try_from(bytes_each).unwrap_or(i32::MAX);
    let appearance = Field::new(APPEARANCE, DataType::FixedSizeBinary(width), false);
    let fields = of_first.fields().iter().cloned().chain([Arc::new(appearance)]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

const APPEARANCE: &str = "appearance";

/// Rows of a row group. If rows are wider, a group has fewer rows, so that it needs no more memory.
fn rows_per_group(bytes_each: usize) -> usize {
    (GROUP_BYTES / bytes_each.max(1)).clamp(1, ROWS_PER_GROUP)
}

/// Bytes of the column `appearance` in a row group. A constant, like `ROWS_PER_GROUP`.
const GROUP_BYTES: usize = 64 * ROWS_PER_GROUP;

/// The bytes of appearance in a file with these columns. None if no version has these columns.
fn bytes_of_appearance(columns: &Fields) -> Option<usize> {
    let first = DETECTIONS.arrow();
    let (known, last) = columns.split_at_checked(first.fields().len())?;
    if known != &first.fields()[..] {
        return None;
    }
    match last {
        [] => Some(0),
        [last] => match last.data_type() {
            DataType::FixedSizeBinary(width) if last.name() == APPEARANCE => {
                usize::try_from(*width).ok().filter(|bytes| (1..=MOST_APPEARANCE_BYTES).contains(bytes))
            }
            _ => None,
        },
        _ => None,
    }
}

fn is_version(columns: &Fields) -> bool {
    bytes_of_appearance(columns).is_some()
}

/// A column of some rows, by its number in the table.
fn column(
    rows: &[DetectionRow],
    appearances: &AppearanceColumn,
    at: usize,
    range: Range<usize>,
) -> Result<ArrayRef, TableError> {
    let some = &rows[range.clone()];
    let float = |value: &dyn Fn(&DetectionRow) -> f32| {
        Arc::new(Float32Array::from_iter_values(some.iter().map(value))) as ArrayRef
    };
    Ok(match at {
        0 => Arc::new(Int64Array::from_iter_values(some.iter().map(|row| row.frame_index))) as ArrayRef,
        1 => Arc::new(Int64Array::from_iter_values(some.iter().map(|row| row.pts))),
        2..6 => float(&|row| row.bbox[at - 2]),
        6 => float(&|row| row.score),
        7 => Arc::new(Int32Array::from_iter_values(some.iter().map(|row| row.class_id))),
        _ => {
            let width = i32::try_from(appearances.bytes_each()).unwrap_or(i32::MAX);
            let bytes = range.map(|row| appearances.get(row));
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes, width)?)
        }
    })
}

/// Reads the appearance of detections, if the file has it.
fn appearances_of(batch: &RecordBatch, appearances: &mut AppearanceColumn) {
    let column = batch.columns().get(8).and_then(|column| column.as_fixed_size_binary_opt());
    column.into_iter().flat_map(|column| column.iter().flatten()).for_each(|bytes| appearances.push(bytes));
}

fn from_batch(batch: &RecordBatch, rows: &mut Vec<DetectionRow>) {
    let int64 = |i: usize| batch.column(i).as_primitive::<Int64Type>().values();
    let float = |i: usize| batch.column(i).as_primitive::<Float32Type>().values();
    let (frames, pts, classes) = (int64(0), int64(1), batch.column(7).as_primitive::<Int32Type>().values());
    let (x1, y1, x2, y2, scores) = (float(2), float(3), float(4), float(5), float(6));
    rows.extend((0..batch.num_rows()).map(|i| DetectionRow {
        frame_index: frames[i],
        pts: pts[i],
        bbox: [x1[i], y1[i], x2[i], y2[i]],
        score: scores[i],
        class_id: classes[i],
    }));
}

/// Reads a segment's file.
///
/// # Errors
/// [`TableError::Format`]: a file that is not such a table. [`TableError::Io`].
pub fn read_segment(bytes: Bytes) -> Result<SegmentFile, TableError> {
    let reader = GroupReader::open_bytes_of(bytes, is_version)?;
    let footer = footer(&reader)?;
    let bytes_each = bytes_of_appearance(reader.columns()).unwrap_or(0);
    let (mut rows, mut appearances) = (Vec::new(), AppearanceColumn::new(bytes_each));
    for batch in reader.batches() {
        let batch = batch?;
        from_batch(&batch, &mut rows);
        appearances_of(&batch, &mut appearances);
    }
    Ok(SegmentFile { rows, appearances, footer })
}

/// Reads the footer of a segment's file alone.
///
/// # Errors
/// [`TableError::Format`]: a file that is not such a table.
pub fn read_footer(bytes: Bytes) -> Result<SegmentFooter, TableError> {
    footer(&GroupReader::open_bytes_of(bytes, is_version)?)
}

fn footer(reader: &GroupReader) -> Result<SegmentFooter, TableError> {
    let json = reader.footer(FOOTER_KEY).ok_or_else(|| TableError::Format("it has no segment footer".into()))?;
    serde_json::from_str(json).map_err(|error| TableError::Format(error.to_string()))
}

/// Reads a whole video's file, or a segment's without its footer.
///
/// # Errors
/// [`TableError::Format`]: a file that is not such a table. [`TableError::Io`].
pub fn read_rows(path: &Path) -> Result<Vec<DetectionRow>, TableError> {
    let mut rows = Vec::new();
    for batch in read_batches(path)? {
        rows.extend(batch?);
    }
    Ok(rows)
}

/// Reads the appearance of each detection of a whole video's file, or of a segment's. It has no bytes if the file has no
/// such column.
///
/// # Errors
/// The same as of [`read_rows`].
pub fn read_appearances(path: &Path) -> Result<AppearanceColumn, TableError> {
    let reader = GroupReader::open_path_of(path, is_version)?;
    let mut appearances = AppearanceColumn::new(bytes_of_appearance(reader.columns()).unwrap_or(0));
    for batch in reader.batches() {
        appearances_of(&batch?, &mut appearances);
    }
    Ok(appearances)
}

/// The same as [`read_rows`], in batches.
///
/// # Errors
/// The same as of [`read_rows`]. Each batch can fail separately.
pub fn read_batches(
    path: &Path,
) -> Result<impl Iterator<Item = Result<Vec<DetectionRow>, TableError>> + use<>, TableError> {
    let reader = GroupReader::open_path_of(path, is_version)?;
    Ok(reader.batches().map(|batch| {
        let mut rows = Vec::new();
        from_batch(&batch?, &mut rows);
        Ok(rows)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(i: i64) -> DetectionRow {
        let x = f32::from_bits(0x3f80_0001) * i as f32;
        DetectionRow { frame_index: i / 3, pts: i / 3 * 512, bbox: [x, 1.0, x + 10.0, 20.0], score: 0.1, class_id: 2 }
    }

    fn footer(appearance: Option<Appearance>) -> SegmentFooter {
        SegmentFooter {
            frame_pts: PtsList::new(vec![0, 512]).unwrap(),
            account: FrameAccount {
                frames_decoded: 2,
                missing_pts: vec![],
                damaged_pts: vec![],
                pts_sha256: "aa".into(),
                detect_every: 1,
            },
            model: ModelIdentity { name: "m".into(), sha256: "bb".into() },
            class_names: vec!["person".into()],
            track_thresh: Some(0.4),
            appearance,
            appearance_network: None,
        }
    }

    #[test]
    fn a_segment_reads_back_bit_for_bit() {
        let footer = footer(None);
        let mut writer = DetectionsWriter::new(Vec::new()).unwrap();
        let rows: Vec<_> = (0..70_000).map(row).collect();
        rows.iter().for_each(|&row| writer.push(row).unwrap());
        let (bytes, count) = writer.finish(Some(&footer)).unwrap();
        assert_eq!(count, 70_000);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains("appearance"), "a file of the first version is as it always was");
        assert_eq!(
            read_segment(bytes.into()).unwrap(),
            SegmentFile { rows, appearances: AppearanceColumn::default(), footer }
        );
    }

    #[test]
    fn what_detections_look_like_is_read_back_from_a_file_of_the_later_versions() {
        // As colours have it, and a vector of 256 numbers, of which a group holds fewer.
        for (bytes_each, count) in [(64, 70_000), (512, 9_000)] {
            let footer = footer(Some(Appearance::COLOR));
            let looks = |i: i64| -> Vec<u8> { (0..bytes_each as i64).map(|at| (i * 7 + at) as u8).collect() };
            let rows: Vec<_> = (0..count).map(row).collect();
            let mut writer = DetectionsWriter::with_appearance(Vec::new(), bytes_each).unwrap();
            (0..).zip(&rows).for_each(|(i, &row)| writer.push_seen(row, &looks(i)).unwrap());
            writer.push(rows[0]).unwrap();
            let (bytes, _) = writer.finish(Some(&footer)).unwrap();
            let read = read_segment(bytes.into()).unwrap();
            assert_eq!((read.appearances.bytes_each(), read.appearances.len() as i64), (bytes_each, count + 1));
            assert!((0..count).all(|i| read.appearances.get(i as usize) == Some(&looks(i)[..])));
            assert_eq!(read.appearances.get(count as usize), Some(&vec![0; bytes_each][..]), "unknown");
            assert_eq!((&read.rows[..count as usize], &read.footer), (&rows[..], &footer));
            let empty = DetectionsWriter::with_appearance(Vec::new(), bytes_each).unwrap();
            let empty = empty.finish(Some(&read.footer)).unwrap().0;
            assert!(read_segment(empty.into()).unwrap().appearances.is_empty());
        }
    }

    #[test]
    fn a_file_of_wider_appearances_than_there_are_is_refused() {
        let writer = DetectionsWriter::with_appearance(Vec::new(), MOST_APPEARANCE_BYTES + 1).unwrap();
        let bytes = writer.finish(Some(&footer(None))).unwrap().0;
        assert!(read_segment(bytes.into()).unwrap_err().to_string().contains("appearance"));
    }

    #[test]
    fn an_empty_segment_is_a_file_without_rows() {
        let (bytes, count) = DetectionsWriter::new(Vec::new()).unwrap().finish(None).unwrap();
        assert_eq!(count, 0);
        assert!(read_segment(bytes.into()).unwrap_err().to_string().contains("footer"));
    }

    #[test]
    fn bytes_that_are_no_parquet_are_refused() {
        assert!(read_segment(Bytes::from_static(b"PAR1 not really PAR1")).is_err());
    }
}
