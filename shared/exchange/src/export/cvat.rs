//! CVAT for video 1.1.
//!
//! <https://docs.cvat.ai/docs/other/xml_format>: frames from 0; a track's box holds until the next key
//! frame, with interpolation in between. So every box is a key frame, and where a track is gone a box with `outside="1"`
//! says so, or CVAT would draw it on through the gap and to the end of the video.

use super::{ExportError, VideoMeta};
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};
use std::{
    borrow::{Borrow, Cow},
    collections::BTreeMap,
    io::{self, Write},
    sync::Arc,
};
use trackdrop_tables::tracks::TrackRow;

/// What is held of a row until its track's turn.
struct TrackBox {
    track_id: i64,
    frame_index: i64,
    class_id: i32,
    bbox: [f32; 4],
    observed: bool,
}

type Labels = BTreeMap<i32, Arc<str>>;

pub(super) fn write<R: Borrow<TrackRow>>(
    meta: &VideoMeta,
    rows: impl Iterator<Item = Result<R, ExportError>>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let mut labels = Labels::new();
    let mut boxes = Vec::new();
    for row in rows {
        let row = row?;
        let row = row.borrow();
        labels.entry(row.class_id).or_insert_with(|| Arc::clone(&row.class_name));
        let TrackRow { track_id, frame_index, class_id, bbox, observed, .. } = *row;
        boxes.push(TrackBox { track_id, frame_index, class_id, bbox, observed });
    }
    boxes.sort_by_key(|one| (one.track_id, one.frame_index));
    let same = |pair: &&[TrackBox]| (pair[0].track_id, pair[0].frame_index) == (pair[1].track_id, pair[1].frame_index);
    if let Some([TrackBox { track_id, frame_index, .. }, ..]) = boxes.windows(2).find(same) {
        return Err(ExportError::TwiceInFrame { frame_index: *frame_index, track_id: *track_id });
    }

    let mut xml = Writer::new_with_indent(out, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    xml.create_element("annotations").write_inner_content(|xml| {
        text(xml, "version", "1.1")?;
        xml.create_element("meta").write_inner_content(|xml| write_task(xml, meta, &labels))?;
        boxes.chunk_by(|a, b| a.track_id == b.track_id).try_for_each(|track| write_track(xml, meta, &labels, track))
    })?;
    Ok(xml.get_mut().write_all(b"\n")?)
}

fn write_task<W: Write>(xml: &mut Writer<W>, meta: &VideoMeta, labels: &Labels) -> io::Result<()> {
    xml.create_element("task").write_inner_content(|xml| {
        text(xml, "name", &meta.name)?;
        text(xml, "size", &meta.frame_count.to_string())?;
        text(xml, "mode", "interpolation")?;
        text(xml, "overlap", "0")?;
        text(xml, "start_frame", "0")?;
        text(xml, "stop_frame", &meta.frame_count.saturating_sub(1).to_string())?;
        xml.create_element("labels").write_inner_content(|xml| {
            for name in labels.values() {
                xml.create_element("label").write_inner_content(|xml| {
                    text(xml, "name", name)?;
                    xml.create_element("attributes").write_empty().map(drop)
                })?;
            }
            Ok(())
        })?;
        xml.create_element("original_size").write_inner_content(|xml| {
            text(xml, "width", &meta.width.to_string())?;
            text(xml, "height", &meta.height.to_string())
        })?;
        text(xml, "source", &meta.name)
    })?;
    Ok(())
}

fn write_track<W: Write>(xml: &mut Writer<W>, meta: &VideoMeta, labels: &Labels, track: &[TrackBox]) -> io::Result<()> {
    let label = labels.get(&main_class(track)).map_or("", |name| name);
    let label = allowed(label);
    let id = track[0].track_id.to_string();
    let attributes = [("id", &*id), ("label", &*label), ("source", "auto")];
    xml.create_element("track").with_attributes(attributes).write_inner_content(|xml| {
        for (index, one) in track.iter().enumerate() {
            write_box(xml, one, one.frame_index, false)?;
            let following = one.frame_index + 1;
            let seen = track.get(index + 1).is_some_and(|next| next.frame_index == following);
            if !seen && (following as u64) < meta.frame_count {
                write_box(xml, one, following, true)?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn write_box<W: Write>(xml: &mut Writer<W>, one: &TrackBox, frame: i64, outside: bool) -> io::Result<()> {
    let flag = |set: bool| if set { "1" } else { "0" };
    let mut frame_text = itoa::Buffer::new();
    let mut edges = [(); 4].map(|()| zmij::Buffer::new());
    let [left, top, right, bottom] = &mut edges;
    let [x1, y1, x2, y2] = one.bbox;
    let attributes = [
        ("frame", frame_text.format(frame)),
        ("xtl", left.format_finite(x1)),
        ("ytl", top.format_finite(y1)),
        ("xbr", right.format_finite(x2)),
        ("ybr", bottom.format_finite(y2)),
        ("outside", flag(outside)),
        ("occluded", flag(!one.observed)),
        ("keyframe", "1"),
        ("z_order", "0"),
    ];
    xml.create_element("box").with_attributes(attributes).write_empty().map(drop)
}

/// A CVAT track has one label, but the tracker lets a class flicker: the most frequent one, of equals the lowest.
fn main_class(track: &[TrackBox]) -> i32 {
    let mut counts = BTreeMap::new();
    for one in track {
        *counts.entry(one.class_id).or_insert(0_usize) += 1;
    }
    counts.into_iter().rev().max_by_key(|&(_, count)| count).map_or(0, |(class_id, _)| class_id)
}

fn text<W: Write>(xml: &mut Writer<W>, name: &str, value: &str) -> io::Result<()> {
    xml.create_element(name).write_text_content(BytesText::new(&allowed(value))).map(drop)
}

/// XML 1.0 has no way to write most control characters, not even escaped.
fn allowed(text: &str) -> Cow<'_, str> {
    let forbidden =
        |c: char| (c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    match text.contains(forbidden) {
        true => Cow::Owned(text.replace(forbidden, "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}
