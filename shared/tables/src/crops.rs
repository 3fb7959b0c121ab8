//! The best crop of each object, one row per object: for the whole video in `results/<request_id>/crops.parquet`, and for each
//! segment in `work`.

use crate::parquet_file::{GroupReader, GroupWriter, TableError};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray,
    cast::AsArray,
    types::{Float32Type, Float64Type, Int32Type, Int64Type},
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::{io::Write, path::Path, sync::Arc};

/// Crops of a group: at 40 kB each some 10 MB.
const CROPS_PER_GROUP: usize = 256;

/// One object's best picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Crop {
    /// Identity over the whole video.
    pub track_id: i64,
    /// Class index of the model.
    pub class_id: i32,
    /// Class name of the model.
    pub class_name: Arc<str>,
    /// Index of the frame in the whole video, from 0.
    pub frame_index: i64,
    /// PTS of the frame.
    pub pts: i64,
    /// Seconds since the presentation's time 0.
    pub time_s: f64,
    /// Score of the detection in that frame.
    pub score: f32,
    /// Quality from 0 to 1, from score, size and sharpness. The crop of an object with the highest quality is the best.
    pub quality: f64,
    /// `[x1, y1, x2, y2]` of the object, in pixels of the upright picture.
    pub bbox: [f32; 4],
    /// Width of the JPEG, px.
    pub width: i32,
    /// Height of the JPEG, px.
    pub height: i32,
    /// The picture as JPEG.
    pub jpeg: Vec<u8>,
}

fn schema() -> SchemaRef {
    let field = |name: &str, kind| Field::new(name, kind, false);
    Arc::new(Schema::new(vec![
        field("track_id", DataType::Int64),
        field("class_id", DataType::Int32),
        field("class_name", DataType::Utf8),
        field("frame_index", DataType::Int64),
        field("pts", DataType::Int64),
        field("time_s", DataType::Float64),
        field("score", DataType::Float32),
        field("quality", DataType::Float64),
        field("x1", DataType::Float32),
        field("y1", DataType::Float32),
        field("x2", DataType::Float32),
        field("y2", DataType::Float32),
        field("width", DataType::Int32),
        field("height", DataType::Int32),
        field("jpeg", DataType::Binary),
    ]))
}

fn columns(crops: &[Crop]) -> Vec<ArrayRef> {
    fn ints(crops: &[Crop], of: impl Fn(&Crop) -> i64) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(crops.iter().map(of)))
    }
    fn small(crops: &[Crop], of: impl Fn(&Crop) -> i32) -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(crops.iter().map(of)))
    }
    fn floats(crops: &[Crop], of: impl Fn(&Crop) -> f32) -> ArrayRef {
        Arc::new(Float32Array::from_iter_values(crops.iter().map(of)))
    }
    fn doubles(crops: &[Crop], of: impl Fn(&Crop) -> f64) -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(crops.iter().map(of)))
    }
    vec![
        ints(crops, |crop| crop.track_id),
        small(crops, |crop| crop.class_id),
        Arc::new(StringArray::from_iter_values(crops.iter().map(|crop| &*crop.class_name))) as ArrayRef,
        ints(crops, |crop| crop.frame_index),
        ints(crops, |crop| crop.pts),
        doubles(crops, |crop| crop.time_s),
        floats(crops, |crop| crop.score),
        doubles(crops, |crop| crop.quality),
        floats(crops, |crop| crop.bbox[0]),
        floats(crops, |crop| crop.bbox[1]),
        floats(crops, |crop| crop.bbox[2]),
        floats(crops, |crop| crop.bbox[3]),
        small(crops, |crop| crop.width),
        small(crops, |crop| crop.height),
        Arc::new(BinaryArray::from_iter_values(crops.iter().map(|crop| crop.jpeg.as_slice()))) as ArrayRef,
    ]
}

/// Writes crops, and returns the sink. The same crops make the same bytes.
///
/// # Errors
/// [`TableError`]: the sink cannot be written.
pub fn write<W: Write + Send>(crops: &[Crop], sink: W) -> Result<W, TableError> {
    let mut groups = GroupWriter::new(sink, schema())?;
    for group in crops.chunks(CROPS_PER_GROUP) {
        let columns = columns(group);
        groups.write_group(group.len(), |at, range| Ok(columns[at].slice(range.start, range.len())))?;
    }
    groups.finish()
}

/// Reads crops, in the file's order.
///
/// # Errors
/// [`TableError::Format`]: a file that is not such a table. [`TableError::Io`].
pub fn read(path: &Path) -> Result<Vec<Crop>, TableError> {
    let mut crops = Vec::new();
    for batch in GroupReader::open_path(path, &schema())?.batches() {
        let batch = batch?;
        let int64 = |i: usize| batch.column(i).as_primitive::<Int64Type>();
        let int32 = |i: usize| batch.column(i).as_primitive::<Int32Type>();
        let float = |i: usize| batch.column(i).as_primitive::<Float32Type>();
        let double = |i: usize| batch.column(i).as_primitive::<Float64Type>();
        let (names, jpegs) = (batch.column(2).as_string::<i32>(), batch.column(14).as_binary::<i32>());
        for row in 0..names.len() {
            crops.push(Crop {
                track_id: int64(0).value(row),
                class_id: int32(1).value(row),
                class_name: names.value(row).into(),
                frame_index: int64(3).value(row),
                pts: int64(4).value(row),
                time_s: double(5).value(row),
                score: float(6).value(row),
                quality: double(7).value(row),
                bbox: [8, 9, 10, 11].map(|edge| float(edge).value(row)),
                width: int32(12).value(row),
                height: int32(13).value(row),
                jpeg: jpegs.value(row).to_vec(),
            });
        }
    }
    Ok(crops)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_read_back_and_the_same_crops_make_the_same_bytes() {
        let crop = |track_id: i64| Crop {
            track_id,
            class_id: 2,
            class_name: "car".into(),
            frame_index: 3 * track_id,
            pts: 7 * track_id,
            time_s: 0.25,
            score: 0.5,
            quality: 0.125,
            bbox: [1.0, 2.0, 3.5, 4.0],
            width: 64,
            height: 32,
            jpeg: vec![track_id as u8; 1_000],
        };
        let crops: Vec<_> = (1..600).map(crop).collect();
        let bytes = write(&crops, Vec::new()).unwrap();
        assert_eq!(bytes, write(&crops, Vec::new()).unwrap());
        let file = std::env::temp_dir().join(format!("trackdrop-crops-{}.parquet", std::process::id()));
        for (crops, bytes) in [(crops, bytes), (vec![], write(&[], Vec::new()).unwrap())] {
            std::fs::write(&file, &bytes).unwrap();
            assert_eq!(read(&file).unwrap(), crops);
        }
        std::fs::remove_file(&file).unwrap();
    }
}
