//! Sets up the system's allocator, so that memory does not grow with the number of videos or with their length.

/// Arenas that all threads share.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: i32 = 2;
/// A block of at least this size gets its own pages, which return to the system when it is freed. So does this much
/// free memory at the end of an arena. It is glibc's initial value.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: i32 = 128 << 10;

/// Sets up glibc's allocator so that it returns unused memory. Call it first in a process.
///
/// Two settings are changed. First, threads share few arenas. By default glibc makes up to eight per core. Work moves
/// between many blocking threads, and each arena retains the memory that was freed in it (400 small videos in one run
/// took 323 MB instead of 188). Second, the size from which a block counts as large is fixed. By default it grows up to
/// the largest freed block, at most 32 MiB. Then pictures and packets are among small blocks, and leave holes: the
/// process grew with the length of a video, although the used memory did not (docs/speed.md).
pub fn settle() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` sets numbers of the allocator and touches no memory of ours; no other thread has started yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE_BYTES);
    }
}
