//! Decodes the first pictures of a stream, to find their size, and which of them are undamaged.

use std::collections::BTreeSet;

use ffmpeg::{Packet, frame};
use ffmpeg_next as ffmpeg;

use crate::{
    ColorTags, FieldOrder, Limits, MediaError,
    decoder::{Decoder, Step},
    demux::{Demuxer, Timeline, codec_name},
    orientation::matrix_of_picture,
    picture_format::{FfmpegColors, field_order, pixel_format_name},
    scan::tag_packet,
    scanned_packet::ScannedPacket,
};

/// If no picture is shown within this many packets after the first key frame, the stream counts as one without
/// pictures.
const MAX_TRIAL_PACKETS: usize = 600;

/// What is known from the first pictures.
#[derive(Debug)]
pub(crate) struct Head {
    pub width_px: u32,
    pub height_px: u32,
    pub pixel_format: String,
    pub color: ColorTags,
    /// Whether the first picture is interlaced.
    pub field_order: Option<FieldOrder>,
    /// The orientation that the first picture itself states.
    pub display_matrix: Option<[i32; 9]>,
    /// Indices of the packets whose pictures were undamaged, up to that of the first key frame.
    pub whole: BTreeSet<usize>,
}

/// Decodes from the packet `first_entry` until its picture is out.
///
/// Pictures shown before the first key frame but stored after it (leading pictures) refer to a part of the stream that
/// may be missing. Whether they can be decoded depends on the codec and the encoder, so it is tried.
pub(crate) fn try_decoding(
    source: &Demuxer,
    packets: &[ScannedPacket],
    first_entry: usize,
    limits: &Limits,
) -> Result<Head, MediaError> {
    let mut demuxer = Demuxer::open(source.source(), Timeline::Media, limits)?;
    let parameters = demuxer.parameters()?;
    let codec = codec_name(&parameters);
    // SAFETY: plain fields of live codec parameters.
    let (width, height) = unsafe { ((*parameters.as_ptr()).width, (*parameters.as_ptr()).height) };
    limits.check_picture(width.try_into().unwrap_or(0), height.try_into().unwrap_or(0))?;
    let mut decoder = Decoder::open(parameters, demuxer.time_base()?, 1, limits, source.path())?;
    let (mut packet, mut picture) = (Packet::empty(), frame::Video::empty());
    let (mut index, mut at_end) = (0, false);
    let mut head: Option<Head> = None;
    loop {
        match decoder.receive(&mut picture)? {
            Step::Picture => {
                limits.check_picture(picture.width(), picture.height())?;
                let seen = head.get_or_insert_with(|| Head {
                    width_px: picture.width(),
                    height_px: picture.height(),
                    pixel_format: pixel_format_name(&picture),
                    color: ColorTags::of(&picture),
                    field_order: field_order(&picture),
                    display_matrix: matrix_of_picture(&picture),
                    whole: BTreeSet::new(),
                });
                let tag = picture.pts().and_then(|tag| usize::try_from(tag).ok());
                if !picture.is_corrupt() && !picture.has_decode_errors() {
                    seen.whole.extend(tag);
                }
                let pts = tag.and_then(|tag| packets.get(tag)).and_then(|p| p.pts);
                if pts >= packets[first_entry].pts {
                    break;
                }
            }
            Step::Finished => break,
            // One thread tells what is damaged.
            Step::Error | Step::IsDamaged => {}
            Step::NeedsPacket if at_end => break,
            Step::NeedsPacket => {
                at_end = index > first_entry + MAX_TRIAL_PACKETS || !demuxer.read(&mut packet)?;
                if at_end {
                    decoder.send_eof()?;
                } else {
                    tag_packet(&mut packet, index);
                    if index >= first_entry {
                        decoder.send(&packet)?;
                    }
                    index += 1;
                }
            }
        }
    }
    head.ok_or_else(|| MediaError::NoDecodableFrame {
        path: source.path().to_owned(),
        codec,
        reason: "the decoder put out no picture; the data is damaged or encrypted".into(),
    })
}
