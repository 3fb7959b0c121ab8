//! FFmpeg's log: kept off the terminal, but what demuxers complain about is counted.
//!
//! A demuxer that meets a broken stretch goes on behind it and returns no error; that something was lost is said in its log alone.

use std::{
    cell::Cell,
    ffi::{c_char, c_int, c_void},
};

use ffmpeg_next::ffi;

thread_local! {
    static DEMUXER_ERRORS: Cell<u64> = const { Cell::new(0) };
}

/// Takes FFmpeg's log over, for the whole process.
pub(crate) fn install() {
    // SAFETY: the callback has the signature that FFmpeg calls; it may be called from any thread.
    unsafe { ffi::av_log_set_callback(Some(count)) };
}

/// Complaints of demuxers on this thread since the last call. Demuxers run on the thread that reads.
pub(crate) fn take_demuxer_errors() -> u64 {
    DEMUXER_ERRORS.take()
}

/// Generic in the last argument, C's `va_list`, because its type differs from platform to platform. It is not used.
unsafe extern "C" fn count<VaList>(context: *mut c_void, level: c_int, _: *const c_char, _: VaList) {
    if level > ffi::AV_LOG_ERROR || context.is_null() {
        return;
    }
    // SAFETY: what logs is null or starts with a pointer to its class, which may be null (libavutil/log.h); the class is static.
    let is_demuxer = unsafe {
        let class = *context.cast::<*const ffi::AVClass>();
        !class.is_null() && (*class).category == ffi::AVClassCategory::AV_CLASS_CATEGORY_DEMUXER
    };
    if is_demuxer {
        DEMUXER_ERRORS.set(DEMUXER_ERRORS.get() + 1);
    }
}
