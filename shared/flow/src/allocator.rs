//! The system's allocator, so that memory does not grow with the number of videos or with their length.

/// Arenas that all threads share.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: i32 = 2;
/// What is as large as this gets pages of its own, which go back when it is freed; as much at the end of an arena goes back, too.
/// It is what glibc begins with.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: i32 = 128 << 10;

/// Keeps glibc's allocator from holding on to what nobody has. To be called first in a process.
///
/// Threads share few arenas: it otherwise makes up to eight a core, work moves between many threads that block, and each arena keeps what
/// was freed in it (400 small videos in one run took 323 MB instead of 188). And what counts as large stays what it is: it otherwise
/// becomes as large as the largest thing that was freed, up to 32 MiB, so that pictures and packets lie among small things and leave holes:
/// the process grew with the length of a video while what was in use did not (docs/speed.md).
pub fn settle() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` sets numbers of the allocator and touches no memory of ours; no other thread has started yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE_BYTES);
    }
}
