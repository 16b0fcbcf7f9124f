//! POSIX process accounting, exit and fork handlers.

use crate::errno::{quiet, zero_or_errno};
use crate::once::Detected;
use crate::platform::MAXRSS_UNIT_BYTES;
use crate::process::ProcessInfo;
use crate::thread::NAME_BYTES;
use core::ffi::{CStr, c_char};

/// From `getrusage`; resident memory is known by its peak only.
pub(crate) fn info() -> ProcessInfo {
    let usage = usage();
    let peak_rss = usage.ru_maxrss as usize * MAXRSS_UNIT_BYTES;
    ProcessInfo {
        elapsed_msecs: elapsed_msecs(),
        user_msecs: msecs(usage.ru_utime),
        system_msecs: msecs(usage.ru_stime),
        current_rss: peak_rss,
        peak_rss,
        page_faults: usage.ru_majflt as usize,
        minor_page_faults: usage.ru_minflt as usize,
    }
}

/// Counted from the first question, which is close enough to the start if the allocator asks early.
fn elapsed_msecs() -> usize {
    static FIRST_QUESTION: Detected<u64> = Detected::new();
    let start = *FIRST_QUESTION.get(crate::clock::now_millis);
    crate::clock::now_millis().saturating_sub(start) as usize
}

fn usage() -> libc::rusage {
    // SAFETY: integers only: all zero is a value.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    // SAFETY: a place for the result, which stays zero in case of an error.
    let _ = zero_or_errno(|| unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) });
    usage
}

fn msecs(time: libc::timeval) -> usize {
    time.tv_sec as usize * 1000 + time.tv_usec as usize / 1000
}

/// POSIX knows no groups of processes that share a limit.
pub(crate) fn memory_limit() -> Option<usize> {
    None
}

/// POSIX threads have no names.
pub(crate) fn name_thread(_name: &CStr) {}

/// POSIX threads have no names.
pub(crate) fn thread_name() -> [u8; NAME_BYTES] {
    [0; NAME_BYTES]
}

/// Whether the process has got rights by the program's file: its effective ids are not those of whoever started it.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: these take nothing, return numbers, and never fail.
    unsafe { libc::getuid() != libc::geteuid() || libc::getgid() != libc::getegid() }
}

/// A full table of the C library is the one error, which leaves nothing to be done: `f` will not run.
pub(crate) fn at_exit(f: extern "C" fn()) {
    // SAFETY: a function that stays as long as this library does; the C library ties the two together.
    quiet(|| unsafe { libc::atexit(f) });
}

/// Out of memory is the one error; the process then forks as if the allocator knew nothing of it.
pub(crate) fn at_fork(prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) {
    // SAFETY: as for `at_exit`. `extern "C" fn` and `unsafe extern "C" fn` are called alike.
    quiet(|| unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) });
}

pub(crate) fn flush_streams() {
    // SAFETY: null stands for all streams.
    unsafe { libc::fflush(core::ptr::null_mut()) };
}

pub(crate) fn id() -> u32 {
    // SAFETY: takes nothing, returns a number.
    unsafe { libc::getpid() as u32 }
}

pub(crate) unsafe fn real_path(name: *const c_char, buf: *mut c_char) -> bool {
    // SAFETY: the caller's promise (`process::real_path`): PATH_MAX is no more than that anywhere.
    !unsafe { libc::realpath(name, buf) }.is_null()
}

pub(crate) fn abort() -> ! {
    // SAFETY: takes nothing and never returns.
    unsafe { libc::abort() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_portable_numbers_are_plausible() {
        let info = super::info();
        assert!(info.peak_rss > 100 << 10);
        assert_eq!(info.peak_rss, info.current_rss);
    }
}
