//! Chooses the video stream of a file, and the sound that belongs to it.

use std::{cmp::Reverse, ffi::CStr, path::Path};

use ffmpeg::{Stream, codec, ffi, format::context::Input, media};
use ffmpeg_next as ffmpeg;
use serde::{Deserialize, Serialize};

use crate::{MediaError, error::Shown};

/// Codecs of stills. Beside a stream of another codec, such a stream is a thumbnail.
const STILLS: [codec::Id; 6] =
    [codec::Id::MJPEG, codec::Id::PNG, codec::Id::BMP, codec::Id::GIF, codec::Id::WEBP, codec::Id::TIFF];

/// The video streams of a file that has several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoStreams {
    /// The number of the stream that is read.
    pub taken: u32,
    /// Why this one was chosen, as the end of a sentence: "it has the largest picture".
    pub rule: String,
    /// All of them, in the order of the file.
    pub streams: Vec<VideoStreamInfo>,
}

/// One of several video streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoStreamInfo {
    /// Its index among the file's video streams, from 0, without cover pictures.
    pub number: u32,
    /// FFmpeg's name of the codec.
    pub codec: String,
    /// Width in pixels that the container or the head of the stream states; 0 if neither states it.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// The number of the programme that it belongs to, in containers with programmes (MPEG-TS).
    pub program: Option<i32>,
}

impl std::fmt::Display for VideoStreamInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { number, codec, width_px, height_px, program } = self;
        write!(f, "{number} ({codec}, {width_px}x{height_px}")?;
        program.map_or(Ok(()), |program| write!(f, ", programme {program}"))?;
        f.write_str(")")
    }
}

impl std::fmt::Display for VideoStreams {
    /// A text for people: which streams there are, which one was chosen, and how to choose another one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (taken, others): (Vec<_>, Vec<_>) = self.streams.iter().partition(|stream| stream.number == self.taken);
        let list = |streams: Vec<&VideoStreamInfo>| {
            streams.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        write!(
            f,
            "the file has {} video streams; number {} is taken, {}; --video-stream (the request setting video_stream) takes another: {}",
            self.streams.len(),
            list(taken),
            self.rule,
            list(others)
        )
    }
}

/// The index of the stream that is read; and all of them, where there is a choice.
pub(crate) fn choose(
    input: &Input,
    path: &Path,
    asked: Option<u32>,
) -> Result<(usize, Option<VideoStreams>), MediaError> {
    let films: Vec<Stream<'_>> = input.streams().filter(is_film).collect();
    let infos: Vec<VideoStreamInfo> =
        (0..).zip(&films).map(|(number, stream)| describe(input, number, stream)).collect();
    let (taken, rule) = match asked {
        Some(number) if (number as usize) < films.len() => (number as usize, "as was asked for".to_owned()),
        Some(number) if !films.is_empty() => {
            let all: Vec<String> = infos.iter().map(ToString::to_string).collect();
            return Err(MediaError::Unsupported {
                reason: format!(
                    "video stream {number} was asked for (video_stream), but {} has these only: {}",
                    Shown(path),
                    all.join(", ")
                ),
            });
        }
        _ => {
            let merits: Vec<Merits> =
                films.iter().enumerate().map(|(number, stream)| Merits::of(stream, number)).collect();
            let Some(best) = (0..merits.len()).max_by_key(|&number| merits[number]) else {
                return Err(MediaError::NoVideoStream { path: path.to_owned(), found: describe_streams(input) });
            };
            let others = merits.iter().enumerate().filter(|&(number, _)| number != best).map(|(_, merits)| *merits);
            (best, others.max().map_or_else(String::new, |next| merits[best].above(next).to_owned()))
        }
    };
    let index = films[taken].index();
    let has_choice = films.len() > 1;
    Ok((index, has_choice.then_some(VideoStreams { taken: taken as u32, rule, streams: infos })))
}

/// The audio stream that belongs to the picture. If there are programmes, it is of the picture's programme. If there
/// are several such streams, it is the one that FFmpeg selects as the best.
pub(crate) fn sound_of(input: &Input, video: usize) -> Option<Stream<'_>> {
    // SAFETY: the context is live and not written to; a null decoder is allowed.
    let best = unsafe {
        ffi::av_find_best_stream(
            input.as_ptr().cast_mut(),
            ffi::AVMediaType::AVMEDIA_TYPE_AUDIO,
            -1,
            video as i32,
            std::ptr::null_mut(),
            0,
        )
    };
    let sound = input.stream(usize::try_from(best).ok()?)?;
    // Where the picture's programme has none, FFmpeg takes that of another.
    let (of_picture, of_sound) = (programs(input, video), programs(input, sound.index()));
    let belongs = of_picture.is_empty() || of_sound.is_empty() || of_picture.iter().any(|one| of_sound.contains(one));
    belongs.then_some(sound)
}

/// A stream of moving pictures: no cover, no thumbnail.
pub(crate) fn is_film(stream: &Stream<'_>) -> bool {
    // SAFETY: a plain field of a live stream.
    let disposition = unsafe { (*stream.as_ptr()).disposition };
    let still =
        ffi::AV_DISPOSITION_ATTACHED_PIC | ffi::AV_DISPOSITION_TIMED_THUMBNAILS | ffi::AV_DISPOSITION_STILL_IMAGE;
    stream.parameters().medium() == media::Type::Video && disposition & still == 0
}

/// What speaks for a stream, the weightiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Merits {
    can_be_decoded: bool,
    moves: bool,
    is_default: bool,
    pixels: i64,
    first: Reverse<usize>,
}

impl Merits {
    fn of(stream: &Stream<'_>, number: usize) -> Self {
        let id = stream.parameters().id();
        // SAFETY: plain fields of a live stream and its parameters.
        let (disposition, width, height) = unsafe {
            let raw = stream.as_ptr();
            ((*raw).disposition, (*(*raw).codecpar).width, (*(*raw).codecpar).height)
        };
        Self {
            can_be_decoded: ffmpeg::decoder::find(id).is_some() && width > 0,
            moves: stream.frames() != 1 && !STILLS.contains(&id),
            is_default: disposition & ffi::AV_DISPOSITION_DEFAULT != 0,
            pixels: i64::from(width) * i64::from(height),
            first: Reverse(number),
        }
    }

    /// What decides between this one and the next best.
    fn above(self, next: Self) -> &'static str {
        if self.can_be_decoded != next.can_be_decoded {
            "the only one that can be decoded"
        } else if self.moves != next.moves {
            "the others are stills"
        } else if self.is_default != next.is_default {
            "which the file marks as the default"
        } else if self.pixels != next.pixels {
            "which has the largest picture"
        } else {
            "the first of those with the largest picture"
        }
    }
}

fn describe(input: &Input, number: u32, stream: &Stream<'_>) -> VideoStreamInfo {
    let parameters = stream.parameters();
    // SAFETY: plain fields of live parameters.
    let (width, height) = unsafe { ((*parameters.as_ptr()).width, (*parameters.as_ptr()).height) };
    VideoStreamInfo {
        number,
        codec: codec_name(&parameters),
        width_px: width.try_into().unwrap_or(0),
        height_px: height.try_into().unwrap_or(0),
        program: programs(input, stream.index()).first().copied(),
    }
}

/// The numbers of the programmes that a stream belongs to.
fn programs(input: &Input, stream: usize) -> Vec<i32> {
    let mut found = Vec::new();
    let mut last = std::ptr::null_mut();
    // SAFETY: the context is live and not written to; the function gives null after the last programme.
    unsafe {
        loop {
            last = ffi::av_find_program_from_stream(input.as_ptr().cast_mut(), last, stream as i32);
            if last.is_null() {
                return found;
            }
            found.push((*last).program_num);
        }
    }
}

fn describe_streams(input: &Input) -> String {
    let kinds: Vec<_> = input
        .streams()
        .map(|s| format!("{:?}: {}", s.parameters().medium(), codec_name(&s.parameters())).to_lowercase())
        .collect();
    if kinds.is_empty() { "no streams at all".into() } else { kinds.join(", ") }
}

/// FFmpeg's short name of a codec, such as `h264`; of one that it does not know, what the container calls it.
pub(crate) fn codec_name(parameters: &codec::Parameters) -> String {
    // SAFETY: avcodec_get_name returns a static NUL-terminated string for any id; the tag is a plain field of live parameters.
    let (name, tag) = unsafe {
        let raw = parameters.as_ptr();
        (CStr::from_ptr(ffi::avcodec_get_name((*raw).codec_id)), (*raw).codec_tag)
    };
    let letters = tag.to_le_bytes();
    if parameters.id() != codec::Id::None {
        name.to_string_lossy().into_owned()
    } else if letters.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        String::from_utf8_lossy(&letters).trim_end().to_owned()
    } else {
        format!("unknown, type {tag:#04x}")
    }
}
