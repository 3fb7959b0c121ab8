//! The index of a video: its packets, where decoding can start, and which pictures are shown.

use std::collections::BTreeMap;

use ffmpeg::{ffi, media};
use ffmpeg_next as ffmpeg;
use serde::{Deserialize, Serialize};

use crate::{
    ColorTags, FieldOrder, Limits, MediaError, Orientation, PtsList, Rational, Source, VideoParams, carried,
    continuation,
    demux::{Demuxer, Timeline, codec_name},
    edit_list,
    entry_point::LeadIn,
    first_pictures::{Head, try_decoding},
    keyframes::{check_gaps, drop_undecodable_leading, first_entry, keyframes},
    orientation::{matrix_of_stream, of_matrix},
    origin,
    rational::FfmpegRational,
    raw,
    scan::{self, Scan},
    scanned_packet::ScannedPacket,
    streams::{VideoStreams, sound_of},
};

/// If a video is shorter than its header says, by this many seconds, its end is missing. A smaller difference can come
/// from rounding or from the length of the last picture.
const CUT_OFF_S: f64 = 0.5;
/// Everything that later steps need to know about a source. All times are ticks of `time_base`, on the same clock as in
/// players and other readers: after an MP4's edit list. Intervals are half-open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoIndex {
    /// FFmpeg's name of the container, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// FFmpeg's name of the codec, such as `h264`.
    pub codec: String,
    /// Width of the decoded picture in pixels, as it is stored.
    pub width: u32,
    /// Height of the decoded picture in pixels, as it is stored.
    pub height: u32,
    /// Seconds per tick.
    pub time_base: Rational,
    /// Average pictures per second, for information only. Time is always PTS times time base.
    pub frame_rate: Rational,
    /// Width of a pixel divided by its height, as it is stored.
    pub sample_aspect_ratio: Rational,
    /// What makes the decoded picture upright.
    pub orientation: Orientation,
    /// Which field comes first, if the first picture is interlaced.
    #[serde(default)]
    pub field_order: Option<FieldOrder>,
    /// FFmpeg's name of the pixel format, such as `yuv420p`.
    pub pixel_format: String,
    /// What the numbers in a picture mean as colours.
    pub color: ColorTags,
    /// Size of the file.
    pub bytes: u64,
    /// When it was recorded, as the container says (RFC 3339).
    #[serde(default)]
    pub creation_time: Option<String>,
    /// The file's video streams, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_streams: Option<VideoStreams>,
    /// The audio stream that belongs to the video.
    pub audio: Option<AudioInfo>,
    /// PTS of the presentation's time 0. It is 0 for ordinary files. If the clock does not start at 0, as in MPEG-TS,
    /// it is the PTS of the first shown picture.
    pub origin_pts: i64,
    /// PTS of the first shown picture.
    pub shown_start_pts: i64,
    /// The end of the last shown picture: its PTS plus its duration.
    pub shown_end_pts: i64,
    /// PTS of every shown picture, ascending and unique.
    pub frame_pts: PtsList,
    /// Whether the container states the time of every picture. Otherwise some times were found by decoding, or moved by
    /// a tick to be unique.
    pub times_are_stated: bool,
    /// The key frames at which a chunk can start, ascending in every field.
    pub keyframes: Vec<Keyframe>,
    /// Whether chunks can hold the packets as they are. Otherwise every segment is re-encoded without loss.
    pub can_be_copied: bool,
    /// What is unusual about the file, as text for people.
    pub warnings: Vec<String>,
    /// Every packet of the stream, in stored order.
    pub(crate) packets: Vec<PacketRecord>,
    /// The clock of the container.
    #[serde(default)]
    pub(crate) stored_clock: StoredClock,
    /// Parameter sets that a chunk needs before a packet, by the index of the packet.
    pub(crate) lead_ins: BTreeMap<usize, LeadIn>,
}

/// The clock by which a container stores its packets, and seeks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredClock {
    /// Its ticks at the presentation's PTS 0.
    pub ahead: i64,
    /// Ticks of the index in one of it.
    pub fineness: i64,
}

impl Default for StoredClock {
    fn default() -> Self {
        Self { ahead: 0, fineness: 1 }
    }
}

impl StoredClock {
    /// The stored time of a PTS of the index.
    pub(crate) fn time_of(self, pts: i64) -> i64 {
        pts.div_euclid(self.fineness.max(1)).saturating_add(self.ahead)
    }
}

/// A key frame at which decoding can start. After it, only its leading pictures are shown earlier than it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyframe {
    /// When it is shown, in ticks.
    pub pts: i64,
    /// When it is decoded, in ticks. Equal to `pts` if the container does not state it.
    pub dts: i64,
    /// Its index among the packets of the stream, from 0.
    pub packet_index: usize,
    /// How many leading pictures it has: they are stored after it, shown before it, and need the part before it to be
    /// decoded.
    pub has_leading_pictures: bool,
    /// The packet after its last leading picture; `packet_index + 1` if it has none.
    pub leading_end_index: usize,
}

/// The audio stream of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioInfo {
    /// Index of the stream in the file.
    pub stream_index: usize,
    /// FFmpeg's name of the codec, such as `aac`.
    pub codec: String,
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Number of channels.
    pub channels: u32,
    /// Whether an MP4 can hold the codec, so that it can be copied.
    pub fits_mp4: bool,
}

/// What cutting needs of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PacketRecord {
    /// Presentation time, if a picture comes out of it.
    pub pts: Option<i64>,
    /// Whether that picture cannot be decoded, because it refers to a part that the file does not hold.
    pub is_lost: bool,
    /// Byte offset in the file, or -1; identifies the packet after a seek.
    pub position: i64,
    /// Bytes of payload.
    pub size: u32,
}

/// Checks the beginning of a source: whether its format is known, and whether it has a video stream that can be
/// decoded. An MP4 whose index is not written yet is refused.
///
/// # Errors
/// The same as of [`index`], of which this is the first step. It reads only a part of the source.
pub fn check_head(source: impl Into<Source>, limits: &Limits) -> Result<(), MediaError> {
    let source = source.into();
    source.check(limits)?;
    Demuxer::open(&source, Timeline::Media, limits).map(drop)
}

/// Finds all packets of the video stream of `source`, and when each picture is shown. `source` is a path or a
/// [`Source`].
///
/// Of an MP4 it reads little more than the index; of other containers it reads everything. It decodes only the first
/// pictures, except if the container stores no presentation times, which is rare.
///
/// # Errors
/// Each kind of unusable input has its own [`MediaError`]. Only after an I/O error can another attempt succeed.
pub fn index(source: impl Into<Source>, limits: &Limits) -> Result<VideoIndex, MediaError> {
    let source = source.into();
    let bytes = source.check(limits)?;
    let mut demuxer = Demuxer::open(&source, Timeline::Media, limits)?;
    let mut warnings = Vec::new();
    let Scan { mut packets, can_be_copied } = scan::scan(&mut demuxer, limits)?;
    continuation::check(&demuxer, &packets, &mut warnings)?;
    if let Some(streams) = demuxer.choice() {
        warnings.push(streams.to_string());
    }
    let raw_rate = match demuxer.is_raw() {
        true => Some(raw::count_out(&mut packets, &demuxer, limits, &mut warnings)?),
        false => None,
    };
    let container = demuxer.input().format().name().to_owned();
    let ahead = if demuxer.is_mp4() { edit_list::present(&demuxer, &mut packets, limits)? } else { 0 };
    let settled = scan::settle_times(&mut packets, &demuxer, limits, &mut warnings)?;
    edit_list::check_hidden(&packets)?;

    let scan::Settled { times_are_stated, time_base, fineness } = settled;
    let times_are_stated = times_are_stated && raw_rate.is_none();
    let first_entry = first_entry(&mut packets, &demuxer, &mut warnings)?;
    let keyframes = keyframes(&packets, first_entry)?;
    let head = try_decoding(&demuxer, &packets, first_entry, limits)?;
    let can_be_copied = can_be_copied && carried::holds(&demuxer, first_entry, limits)?;
    drop_undecodable_leading(&mut packets, &keyframes, &head.whole, &mut warnings);

    let mut frame_pts: Vec<i64> =
        packets.iter().filter(|p| p.has_picture && !p.is_lost && !p.is_hidden).filter_map(|p| p.pts).collect();
    frame_pts.sort_unstable();
    let (Some(&shown_start_pts), Some(&last)) = (frame_pts.first(), frame_pts.last()) else {
        return Err(MediaError::Damaged { path: source.name().into(), reason: "none of its pictures is shown".into() });
    };
    let origin_pts = origin::origin_pts(&demuxer, time_base, shown_start_pts);
    let shown_end_pts = last + last_duration(&packets, &frame_pts, last);
    limits.check_duration((shown_end_pts as f64 - shown_start_pts as f64) * time_base.to_f64())?;

    check_gaps(&frame_pts, time_base)?;
    let broken = demuxer.broken_places();
    if broken > 0 {
        warnings.push(format!("{broken} places of the file are damaged; pictures that were stored there are lost"));
    }
    let stream = demuxer.stream()?;
    let promised = stream.frames();
    if promised > packets.len() as i64 && !is_complete_avi(&demuxer, bytes)? {
        warnings.push(format!(
            "the header promises {promised} pictures but {} can be read; the file is cut off",
            packets.len()
        ));
    }
    let declared_s = demuxer.declared_duration_s();
    let found_s = shown_end_pts as f64 * time_base.to_f64();
    if let Some(declared_s) = declared_s.filter(|declared| *declared > found_s + CUT_OFF_S) {
        warnings
            .push(format!("the header promises {declared_s:.3} s but {found_s:.3} s can be read; the file is cut off"));
    }
    let guess = Rational::of(25, 1);
    let average = Rational::from_ffmpeg(stream.avg_frame_rate().into(), guess);
    let measured = measured_rate(&frame_pts, time_base, average);
    let counts_fields = packets.iter().any(|packet| packet.is_second_field);
    let frame_rate = match raw_rate {
        Some(rate) => rate,
        None if counts_fields => measured,
        None => Rational::from_ffmpeg(stream.avg_frame_rate().into(), measured),
    };
    let orientation = orientation(&stream, &head, &mut warnings);
    let audio = audio_info(&demuxer, &mut warnings)?;
    Ok(VideoIndex {
        container,
        codec: codec_name(&demuxer.parameters()?),
        width: head.width_px,
        height: head.height_px,
        time_base,
        frame_rate,
        sample_aspect_ratio: pixel_shape(&demuxer)?,
        orientation,
        field_order: head.field_order,
        pixel_format: head.pixel_format,
        color: head.color,
        bytes,
        creation_time: creation_time(&demuxer)?,
        video_streams: demuxer.choice().cloned(),
        audio,
        origin_pts,
        shown_start_pts,
        shown_end_pts,
        frame_pts: PtsList::new(frame_pts).map_err(|error| MediaError::Mismatch { reason: error.to_string() })?,
        times_are_stated,
        keyframes,
        can_be_copied,
        warnings,
        lead_ins: packets.iter_mut().enumerate().filter_map(|(at, p)| Some((at, *p.lead_in.take()?))).collect(),
        packets: packets
            .iter()
            .map(|p| PacketRecord {
                pts: p.pts.filter(|_| p.has_picture),
                is_lost: p.is_lost,
                position: p.position,
                size: p.size.try_into().unwrap_or(u32::MAX),
            })
            .collect(),
        stored_clock: StoredClock { ahead, fineness },
    })
}

impl VideoIndex {
    /// Number of shown pictures.
    pub fn frame_count(&self) -> u64 {
        self.frame_pts.len() as u64
    }

    /// PTS of every packet in stored order, also of hidden pictures. `None` for a packet without a picture.
    pub fn packet_pts(&self) -> impl ExactSizeIterator<Item = Option<i64>> + '_ {
        self.packets.iter().map(|p| p.pts)
    }

    /// Players guess the colours of a picture without tags from its size. So a picture that is turned on its side needs
    /// tags.
    fn color_of_annotated(&self) -> ColorTags {
        let mut color = self.color.as_yuv(&self.pixel_format);
        if self.orientation.swaps_sides() && color.matrix.is_none() {
            color.matrix = Some(color.matrix_for(self.width, self.height).unwrap_or("smpte170m").to_owned());
        }
        color
    }

    /// What encoding and joining need to know about the source.
    pub fn video_params(&self) -> VideoParams {
        VideoParams {
            width: self.width,
            height: self.height,
            time_base: self.time_base,
            frame_rate: self.frame_rate,
            sample_aspect_ratio: self.sample_aspect_ratio,
            orientation: self.orientation,
            field_order: self.field_order,
            pixel_format: self.pixel_format.clone(),
            color: self.color_of_annotated(),
            origin_pts: self.origin_pts,
            has_presented_times: true,
            creation_time: self.creation_time.clone(),
        }
    }
}

/// Whether the container is an AVI that is complete. Then each picture that its header counts but that is not stored
/// repeats the picture before it, and takes no bytes.
fn is_complete_avi(demuxer: &Demuxer, bytes: u64) -> Result<bool, MediaError> {
    if demuxer.input().format().name() != "avi" {
        return Ok(false);
    }
    let mut source = demuxer.source().open()?;
    // A file of more than a gigabyte is several RIFF chunks, one behind the other (OpenDML AVI 1.02).
    let (mut at, mut header) = (0u64, [0; 8]);
    while at + 8 <= bytes {
        source.read_exactly_at(at, &mut header).map_err(|error| MediaError::io("read", demuxer.path(), error))?;
        if &header[..4] != b"RIFF" {
            return Ok(at > 0);
        }
        let size = u64::from(u32::from_le_bytes([header[4], header[5], header[6], header[7]]));
        if size == 0 {
            return Ok(false);
        }
        at += 8 + size + size % 2;
    }
    Ok(at <= bytes + 1)
}

/// Ticks for which the last picture is shown: its own duration, or if it has none, the gap before it. It never lasts
/// into the next packet.
fn last_duration(packets: &[ScannedPacket], frame_pts: &[i64], last: i64) -> i64 {
    let own = packets.iter().find(|p| p.pts == Some(last)).map_or(0, |p| p.duration);
    let gap = frame_pts.len().checked_sub(2).map_or(1, |i| last - frame_pts[i]);
    let next = packets.iter().filter_map(|p| p.pts).filter(|&pts| pts > last).min().map_or(i64::MAX, |pts| pts - last);
    if own > 0 { own } else { gap }.clamp(1, next)
}

/// The mean number of pictures per second, for a container that does not state it.
fn measured_rate(frame_pts: &[i64], time_base: Rational, otherwise: Rational) -> Rational {
    let (Some(first), Some(last)) = (frame_pts.first(), frame_pts.last()) else { return otherwise };
    let seconds = (last - first) as f64 * time_base.to_f64();
    if seconds <= 0.0 {
        return otherwise;
    }
    let milli = ((frame_pts.len() - 1) as f64 / seconds * 1000.0).round();
    if (1.0..1e9).contains(&milli) { Rational::of(milli as i32, 1000) } else { otherwise }
}

fn pixel_shape(demuxer: &Demuxer) -> Result<Rational, MediaError> {
    let square = Rational::of(1, 1);
    let stream = demuxer.stream()?;
    // SAFETY: the context and the stream are live; a null frame is allowed; nothing is written through the pointers.
    let ratio = unsafe {
        ffi::av_guess_sample_aspect_ratio(
            demuxer.input().as_ptr().cast_mut(),
            stream.as_ptr().cast_mut(),
            std::ptr::null_mut(),
        )
    };
    Ok(Rational::from_ffmpeg(ratio, square))
}

/// The creation time of the file. If the container states none, that of the video stream.
fn creation_time(demuxer: &Demuxer) -> Result<Option<String>, MediaError> {
    let of = |tags: ffmpeg::DictionaryRef<'_>| tags.get("creation_time").map(str::to_owned);
    Ok(of(demuxer.input().metadata()).or(of(demuxer.stream()?.metadata())))
}

/// How the picture is turned. The container's display matrix decides, as in browsers and players. If there is none,
/// that of the first picture decides, as with FFmpeg's `-autorotate`.
fn orientation(stream: &ffmpeg::Stream<'_>, head: &Head, warnings: &mut Vec<String>) -> Orientation {
    let of_picture = head.display_matrix.as_ref().map(of_matrix);
    let Some(matrix) = matrix_of_stream(stream) else {
        let (orientation, odd) = of_picture.unwrap_or_default();
        warnings.extend(odd);
        return orientation;
    };
    let (orientation, odd) = of_matrix(&matrix);
    warnings.extend(odd);
    if let Some((other, _)) = of_picture.filter(|(other, _)| *other != orientation) {
        warnings.push(format!(
            "the container says that the picture is stored {orientation}, the pictures themselves say {other}: the container is followed"
        ));
    }
    orientation
}

fn audio_info(demuxer: &Demuxer, warnings: &mut Vec<String>) -> Result<Option<AudioInfo>, MediaError> {
    let Some(stream) = sound_of(demuxer.input(), demuxer.stream()?.index()) else {
        if demuxer.input().streams().any(|stream| stream.parameters().medium() == media::Type::Audio) {
            warnings.push(
                "all sound in the file is of other programmes than the picture; the annotated video is silent".into(),
            );
        }
        return Ok(None);
    };
    let parameters = stream.parameters();
    // SAFETY: plain fields of live codec parameters.
    let (sample_rate, channels) = unsafe {
        let raw = parameters.as_ptr();
        ((*raw).sample_rate, (*raw).ch_layout.nb_channels)
    };
    Ok(Some(AudioInfo {
        stream_index: stream.index(),
        codec: codec_name(&parameters),
        sample_rate_hz: sample_rate.try_into().unwrap_or(0),
        channels: channels.try_into().unwrap_or(0),
        fits_mp4: crate::audio::fits_mp4(&parameters),
    }))
}
