//! futex(2), private to the process.

use crate::errno::quiet;
use core::ptr;
use core::sync::atomic::AtomicU32;
use libc::timespec;

pub(crate) fn wait(word: &AtomicU32, expected: u32) {
    // SAFETY: the word lives during the call, no time limit. Every error is a reason to look again.
    quiet(|| unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            ptr::null::<timespec>(),
        )
    });
}

/// Wakes at most `most` sleepers.
pub(crate) fn wake(word: &AtomicU32, most: u32) {
    // SAFETY: the kernel uses the address as a name only.
    quiet(|| unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, most)
    });
}
