//! Chooses the best crop of each object in the whole video from the best ones of the segments.

use std::{collections::BTreeMap, io::BufWriter};
use trackdrop_flow::{Cloud, NewObject, blocking, scratch_file};
use trackdrop_pipeline::{
    Delivery, Failure, Manifest,
    names::{self, ResultFile},
};
use trackdrop_tables::{
    TableError,
    crops::{self, Crop},
};

/// Creates the request's crops, by track id. In memory is one crop per object.
pub(crate) async fn create(cloud: &Cloud, manifest: &Manifest, delivery: &Delivery) -> Result<(), Failure> {
    let mut best: BTreeMap<i64, Crop> = BTreeMap::new();
    for segment in &manifest.segments {
        delivery.step()?;
        let object = names::crops(&manifest.request_id, segment.segment_number);
        let (_, file) = cloud.storage.fetch(&object, None).await?;
        let of_segment = blocking(move || crops::read(file.path()).map_err(table)).await?;
        for crop in of_segment {
            // Of equal ones the first remains.
            if best.get(&crop.track_id).is_none_or(|known| known.quality < crop.quality) {
                best.insert(crop.track_id, crop);
            }
        }
    }
    let scratch = cloud.storage.scratch().to_owned();
    let file = blocking(move || {
        let all: Vec<_> = best.into_values().collect();
        let file = scratch_file(&scratch, "")?;
        let written = crops::write(&all, BufWriter::new(file)).map_err(table)?;
        let file = written.into_inner().map_err(|error| Failure::from_io("writing crops", error.into_error()))?;
        Ok(file.into_temp_path())
    })
    .await?;
    let object = ResultFile::Crops.object(&manifest.request_id);
    cloud.create(NewObject::of_file(object, file, "application/vnd.apache.parquet")).await?;
    Ok(())
}

fn table(error: TableError) -> Failure {
    match error {
        TableError::Io(error) => Failure::from_io("reading or writing crops", error),
        TableError::Format(_) => Failure::permanent(format!("crops: {error}")),
    }
}
