//! What the FFmpeg of this machine can do.

use ffmpeg::{decoder, encoder, ffi};
use ffmpeg_next as ffmpeg;
use std::ffi::CStr;

/// Decoders for videos of phones, cameras, recorders and the web, by FFmpeg's names.
const DECODERS: &[&str] =
    &["h264", "hevc", "av1", "vp9", "vp8", "mpeg4", "mpeg2video", "mjpeg", "prores", "ffv1", "rawvideo"];
/// AV1 has a decoder under another name in builds without hardware.
const ALSO_AV1: &str = "libdav1d";
/// Encoders for the annotated video, its sound, and re-encoded chunks.
const ENCODERS: &[&str] = &["libx264", "aac", "ffv1"];

/// The FFmpeg libraries that this process uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledFfmpeg {
    /// As FFmpeg's own programs print it, such as `5.1.6-0+deb12u1`.
    pub version: String,
    /// The licence of this build, such as `GPL version 2 or later`.
    pub license: String,
    /// The needed decoders and encoders that it lacks, by FFmpeg's names.
    pub lacks: Vec<&'static str>,
}

impl InstalledFfmpeg {
    /// Reads it from the libraries.
    pub fn find() -> Self {
        let has_decoder = |name: &str| decoder::find_by_name(name).is_some();
        let is_there = |name: &str| has_decoder(name) || (name == "av1" && has_decoder(ALSO_AV1));
        let is_lacking = |name: &&str| !is_there(name);
        let decoders = DECODERS.iter().copied().filter(is_lacking);
        let encoders = ENCODERS.iter().copied().filter(|name| encoder::find_by_name(name).is_none());
        // SAFETY: gives a static string.
        let version = text(unsafe { ffi::av_version_info() });
        // SAFETY: gives a static string.
        let license = text(unsafe { ffi::avcodec_license() });
        Self { version, license, lacks: decoders.chain(encoders).collect() }
    }
}

fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return "unknown".into();
    }
    // SAFETY: not null; FFmpeg's strings end with a zero and are never freed.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
