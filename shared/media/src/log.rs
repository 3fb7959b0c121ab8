//! FFmpeg's log: it does not reach the terminal, but the complaints of demuxers and decoders are counted.
//!
//! A demuxer continues after a broken part, and returns no error. Only its log says that something was lost. If a
//! decoder works on several pictures at a time, only its log reports damage reliably: the flags of its pictures depend
//! on how fast its threads were (FFmpeg 5.1, H.264 and MPEG-4).

use std::{
    cell::Cell,
    ffi::{CStr, c_char, c_int, c_void},
    sync::atomic::{AtomicBool, Ordering},
};

use ffmpeg_next::{codec, ffi};

/// The beginning of the message that a part of a picture was concealed. FFmpeg does not report it as an error.
const CONCEALING: &[u8] = b"concealing";

thread_local! {
    static DEMUXER_ERRORS: Cell<u64> = const { Cell::new(0) };
}

/// Receives FFmpeg's log, for the whole process.
pub(crate) fn install() {
    // SAFETY: the callback has the signature that FFmpeg calls; it may be called from any thread.
    unsafe { ffi::av_log_set_callback(Some(notice)) };
}

/// How many errors the demuxers on this thread reported since the last call. Demuxers run on the thread that reads.
pub(crate) fn take_demuxer_errors() -> u64 {
    DEMUXER_ERRORS.take()
}

/// Whether a decoder has reported an error, on any of its threads.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Box<AtomicBool>);

impl Complaints {
    /// From now on, records errors of a decoder. The decoder must not be open yet.
    ///
    /// # Safety
    /// This value must outlive the context and everything that is opened from it.
    pub(crate) unsafe fn listen_to(&self, context: &mut codec::context::Context) {
        // SAFETY: the field `opaque` belongs to the user. FFmpeg copies it into the context of each of its threads, and
        // never dereferences it.
        unsafe { (*context.as_mut_ptr()).opaque = std::ptr::from_ref(&*self.0).cast_mut().cast() }
    }

    /// Whether there was an error. A picture is returned after the thread that decoded it is done, so all errors of
    /// that picture are known.
    pub(crate) fn are_there(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Generic in the last argument, C's `va_list`, because its type differs from platform to platform. It is not used.
unsafe extern "C" fn notice<VaList>(context: *mut c_void, level: c_int, message: *const c_char, _: VaList) {
    if context.is_null() || level > ffi::AV_LOG_INFO {
        return;
    }
    // SAFETY: `context` is null, or begins with a pointer to its class, which may be null (libavutil/log.h). The class
    // is static. A context of a codec has the class that `avcodec_get_class` returns. Its `opaque` is null or was set
    // by `Complaints::listen_to`, whose caller makes sure that it lives long enough. A message is a C string.
    unsafe {
        let class = *context.cast::<*const ffi::AVClass>();
        if class.is_null() {
            return;
        }
        let is_error = level <= ffi::AV_LOG_ERROR;
        if class == ffi::avcodec_get_class() {
            let complained = (*context.cast::<ffi::AVCodecContext>()).opaque.cast::<AtomicBool>();
            if !complained.is_null() && (is_error || CStr::from_ptr(message).to_bytes().starts_with(CONCEALING)) {
                (*complained).store(true, Ordering::Release);
            }
        } else if is_error && (*class).category == ffi::AVClassCategory::AV_CLASS_CATEGORY_DEMUXER {
            DEMUXER_ERRORS.set(DEMUXER_ERRORS.get() + 1);
        }
    }
}
