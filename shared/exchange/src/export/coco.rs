//! COCO JSON for video.
//!
//! The object detection format of <https://cocodataset.org/#format-data>, with the keys that OpenMMLab's CocoVID adds
//! for video: `videos`, and `video_id`, `frame_id` and `instance_id`. The bounding box is left, top, width and height with
//! 0-based coordinates. Ids start from 1, since 0 means "none" to some readers.

use super::{ExportError, VideoMeta, json, tlwh};
use serde::Serialize;
use std::{
    borrow::Borrow,
    collections::BTreeMap,
    io::{self, Write},
    sync::Arc,
};
use trackdrop_tables::tracks::TrackRow;

const VIDEO_ID: u32 = 1;

#[derive(Serialize)]
struct Info<'a> {
    description: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct Video<'a> {
    id: u32,
    name: &'a str,
    file_name: &'a str,
    width: u32,
    height: u32,
    fps: f64,
    length: u64,
}

#[derive(Serialize)]
struct Image {
    id: u64,
    video_id: u32,
    file_name: String,
    width: u32,
    height: u32,
    frame_index: u64,
    /// The same, as CocoVID calls it.
    frame_id: u64,
}

#[derive(Serialize)]
struct Annotation {
    id: u64,
    image_id: i64,
    video_id: u32,
    category_id: i64,
    track_id: i64,
    /// The same, as CocoVID calls it.
    instance_id: i64,
    bbox: [f32; 4],
    area: f32,
    iscrowd: u8,
    score: f32,
    observed: bool,
}

#[derive(Serialize)]
struct Category<'a> {
    id: i64,
    name: &'a str,
}

/// Streams: images and annotations are never held. Categories are known last, and the order of a JSON object's keys is free.
pub(super) fn write<R: Borrow<TrackRow>>(
    meta: &VideoMeta,
    rows: impl Iterator<Item = Result<R, ExportError>>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    out.write_all(b"{\"info\":")?;
    json(out, &Info { description: &meta.name, version: concat!("trackdrop ", env!("CARGO_PKG_VERSION")) })?;
    out.write_all(b",\n\"licenses\":[],\n\"videos\":[")?;
    json(out, &video(meta))?;
    out.write_all(b"],\n\"images\":[")?;
    for frame_index in 0..meta.frame_count {
        separate(out, frame_index == 0)?;
        json(out, &image(meta, frame_index))?;
    }
    out.write_all(b"],\n\"annotations\":[")?;
    let mut categories = BTreeMap::new();
    for (id, row) in (1..).zip(rows) {
        let row = row?;
        let row = row.borrow();
        categories.entry(row.class_id).or_insert_with(|| Arc::clone(&row.class_name));
        separate(out, id == 1)?;
        json(out, &annotation(id, row))?;
    }
    out.write_all(b"],\n\"categories\":")?;
    json(out, &categories.iter().map(|(&id, name)| Category { id: i64::from(id) + 1, name }).collect::<Vec<_>>())?;
    out.write_all(b"}\n")?;
    Ok(())
}

fn video(meta: &VideoMeta) -> Video<'_> {
    Video {
        id: VIDEO_ID,
        name: &meta.name,
        file_name: &meta.name,
        width: meta.width,
        height: meta.height,
        fps: meta.frame_rate.to_f64(),
        length: meta.frame_count,
    }
}

fn image(meta: &VideoMeta, frame_index: u64) -> Image {
    Image {
        id: frame_index + 1,
        video_id: VIDEO_ID,
        // As `ffmpeg -i VIDEO -start_number 0 frame_%06d.png` names them, and CVAT.
        file_name: format!("frame_{frame_index:06}.png"),
        width: meta.width,
        height: meta.height,
        frame_index,
        frame_id: frame_index,
    }
}

fn annotation(id: u64, row: &TrackRow) -> Annotation {
    let bbox @ [_, _, width, height] = tlwh(row);
    Annotation {
        id,
        image_id: row.frame_index + 1,
        video_id: VIDEO_ID,
        category_id: i64::from(row.class_id) + 1,
        track_id: row.track_id,
        instance_id: row.track_id,
        bbox,
        area: width * height,
        iscrowd: 0,
        score: row.score,
        observed: row.observed,
    }
}

fn separate(out: &mut impl Write, first: bool) -> io::Result<()> {
    out.write_all(if first { b"\n" } else { b",\n" })
}
