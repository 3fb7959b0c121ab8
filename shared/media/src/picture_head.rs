//! What the first bytes of a packet say about its picture, as FFmpeg's parsers read them. Is it the second field of the
//! frame that the packet before it began? Does the bitstream show it before the picture that is stored before it?

use ffmpeg::{codec, ffi};
use ffmpeg_next as ffmpeg;

use crate::{
    demux::codec_name,
    h264::{extradata, length_bytes, start_code_units},
};

/// Zeros behind what a parser reads.
const PADDING: usize = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;

/// What a packet's first bytes say about its picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PictureHead {
    /// It completes the frame that the packet before it began. The decoder returns one picture for both, with the time
    /// of the first.
    pub is_second_field: bool,
    /// The bitstream shows it before the picture that is stored before it, so its time must be earlier.
    pub shows_before_previous: bool,
}

/// How a codec states the order in which pictures are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OrderBy {
    /// Each has a picture order count, which restarts at some key frames (H.264, HEVC).
    Count,
    /// A B-picture is shown before the reference picture that is stored ahead of it (MPEG-1, MPEG-2, MPEG-4 part 2, VC-1).
    Kind,
}

/// Reads the packets of a stream in stored order; between packets that are left out call [`PictureHeads::skip`].
pub(crate) struct PictureHeads {
    parser: Parser,
    context: codec::context::Context,
    order_by: OrderBy,
    /// Whether the decoder returns one picture for two fields. FFmpeg's HEVC decoder returns each field as a picture.
    pairs: Option<Pairs>,
    /// Bytes of the length before each NAL unit; 0 for start codes.
    length_bytes: usize,
    /// The packet before was the first field of a frame: whether it was the bottom one.
    open_field: Option<bool>,
    previous: Option<Shown>,
}

/// A picture's place in the order of showing.
#[derive(Clone, Copy, Debug)]
struct Shown {
    count: i32,
    is_b: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pairs {
    H264,
    Mpeg2,
}

struct Parser(*mut ffi::AVCodecParserContext);

impl Drop for Parser {
    fn drop(&mut self) {
        // SAFETY: made by av_parser_init and closed once.
        unsafe { ffi::av_parser_close(self.0) }
    }
}

#[cfg(parser_takes_codec_id)]
fn parser_id(codec: ffi::AVCodecID) -> ffi::AVCodecID {
    codec
}

#[cfg(not(parser_takes_codec_id))]
fn parser_id(codec: ffi::AVCodecID) -> i32 {
    codec as i32
}

impl PictureHeads {
    /// `None` for codecs whose packets are stored in shown order, with one whole picture each, and for codecs without a
    /// parser.
    pub(crate) fn of(parameters: &codec::Parameters) -> Option<Self> {
        let codec = codec_name(parameters);
        let order_by = match codec.as_str() {
            "h264" | "hevc" => OrderBy::Count,
            "mpeg1video" | "mpeg2video" | "mpeg4" | "vc1" => OrderBy::Kind,
            _ => return None,
        };
        let context = codec::context::Context::from_parameters(parameters.clone()).ok()?;
        // SAFETY: the parameters are live; a null pointer, for a codec without a parser, is checked; the flag is a plain field.
        let parser = unsafe {
            let parser = ffi::av_parser_init(parser_id((*parameters.as_ptr()).codec_id));
            if parser.is_null() {
                return None;
            }
            (*parser).flags |= ffi::PARSER_FLAG_COMPLETE_FRAMES;
            Parser(parser)
        };
        let length_bytes = length_bytes(&codec, extradata(parameters));
        let pairs = match codec.as_str() {
            "h264" => Some(Pairs::H264),
            "mpeg2video" => Some(Pairs::Mpeg2),
            _ => None,
        };
        Some(Self { parser, context, order_by, pairs, length_bytes, open_field: None, previous: None })
    }

    /// Call it where packets are skipped: then the packet before the next one is unknown.
    pub(crate) fn skip(&mut self) {
        (self.open_field, self.previous) = (None, None);
    }

    /// Reads the first bytes of the next packet, or all of them.
    pub(crate) fn read(&mut self, data: &[u8]) -> PictureHead {
        if data.is_empty() {
            return PictureHead::default();
        }
        let padded = self.padded(data);
        let (mut out, mut out_bytes) = (std::ptr::null_mut(), 0);
        // SAFETY: parser and context are live and of the same codec. The data have the stated length, and are followed
        // by zeros, as parsers require. The outputs point into the data, and are not used. The fields that are read
        // afterwards are plain numbers.
        let (key, kind, count, field, goes_on) = unsafe {
            let (bytes, len) = (padded.as_ptr(), (padded.len() - PADDING) as i32);
            let none = ffi::AV_NOPTS_VALUE;
            ffi::av_parser_parse2(
                self.parser.0,
                self.context.as_mut_ptr(),
                &mut out,
                &mut out_bytes,
                bytes,
                len,
                none,
                none,
                -1,
            );
            let raw = &*self.parser.0;
            use ffi::AVPictureStructure::{AV_PICTURE_STRUCTURE_BOTTOM_FIELD, AV_PICTURE_STRUCTURE_TOP_FIELD};
            let field = match raw.picture_structure {
                AV_PICTURE_STRUCTURE_TOP_FIELD => Some(false),
                AV_PICTURE_STRUCTURE_BOTTOM_FIELD => Some(true),
                _ => None,
            };
            let goes_on = raw.field_order != ffi::AVFieldOrder::AV_FIELD_UNKNOWN;
            (raw.key_frame == 1, raw.pict_type, raw.output_picture_number, field, goes_on)
        };
        let (field, goes_on) = match self.pairs {
            Some(Pairs::H264) => (field, goes_on),
            // FFmpeg's parser does not tell fields from frames here.
            Some(Pairs::Mpeg2) => (mpeg2_field(data), true),
            None => (None, false),
        };
        let is_second_field = goes_on && field.is_some() && self.open_field == field.map(|is_bottom| !is_bottom);
        self.open_field = field.filter(|_| !is_second_field);
        if is_second_field {
            return PictureHead { is_second_field, shows_before_previous: false };
        }
        use ffi::AVPictureType::{AV_PICTURE_TYPE_B, AV_PICTURE_TYPE_BI};
        let is_b = [AV_PICTURE_TYPE_B as i32, AV_PICTURE_TYPE_BI as i32].contains(&kind);
        let shows_before_previous = self.previous.is_some_and(|previous| match self.order_by {
            OrderBy::Count => !key && count < previous.count,
            OrderBy::Kind => is_b && !previous.is_b,
        });
        self.previous = Some(Shown { count, is_b });
        PictureHead { is_second_field, shows_before_previous }
    }

    /// The data with zeros behind them; a NAL unit that is cut off ends where the data end.
    fn padded(&self, data: &[u8]) -> Vec<u8> {
        let mut padded = data.to_vec();
        let mut at = 0;
        while self.length_bytes > 0 && at + self.length_bytes <= data.len() {
            let length = data[at..at + self.length_bytes].iter().fold(0usize, |n, &byte| n << 8 | usize::from(byte));
            let body = at + self.length_bytes;
            let rest = data.len() - body;
            if length > rest {
                let stated = rest.to_be_bytes();
                padded[at..body].copy_from_slice(&stated[stated.len() - self.length_bytes..]);
            }
            at = body.saturating_add(length.min(rest));
        }
        padded.resize(data.len() + PADDING, 0);
        padded
    }
}

/// Whether an MPEG-2 picture is the bottom field; `None` for a frame. It is stated by `picture_structure` in the
/// picture coding extension (ISO/IEC 13818-2, 6.2.3.1).
fn mpeg2_field(data: &[u8]) -> Option<bool> {
    let extension = start_code_units(data).find(|unit| matches!(unit, [0xb5, id, ..] if id >> 4 == 8))?;
    match extension.get(3)? & 3 {
        1 => Some(false),
        2 => Some(true),
        _ => None,
    }
}
