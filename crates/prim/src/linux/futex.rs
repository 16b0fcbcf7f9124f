//! futex(2), private to the process.

use crate::errno::quiet;
use core::ptr;
use core::sync::atomic::AtomicU32;
use libc::timespec;

pub(crate) fn wait(word: &AtomicU32, expected: u32) {
    wait_until(word, expected, ptr::null());
}

pub(crate) fn wait_for(word: &AtomicU32, expected: u32, millis: u32) {
    // SAFETY: integers only: all zero is a value.
    let mut patience: timespec = unsafe { core::mem::zeroed() };
    patience.tv_sec = (millis / 1000) as _;
    patience.tv_nsec = (millis % 1000 * 1_000_000) as _;
    wait_until(word, expected, &patience);
}

/// `patience` is null or a duration.
fn wait_until(word: &AtomicU32, expected: u32, patience: *const timespec) {
    // SAFETY: the word and the duration live during the call. Every error is a reason to look again.
    quiet(|| unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, expected, patience)
    });
}

/// Wakes at most `most` sleepers.
pub(crate) fn wake(word: &AtomicU32, most: u32) {
    // SAFETY: the kernel uses the address as a name only.
    quiet(|| unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, most)
    });
}
