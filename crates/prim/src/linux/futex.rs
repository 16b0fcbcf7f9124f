//! futex(2), private to the process.

use crate::errno::{Errno, quiet, zero_or_errno};
use crate::futex::Seen;
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

/// Looks at the word at `address`, which need not be mapped.
pub fn look(address: usize, expected: u32) -> Seen {
    let at_once = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel looks at the address, and finds out itself whether it is mapped.
    let looked = zero_or_errno(|| unsafe {
        let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        libc::syscall(libc::SYS_futex, address, wait, expected, &raw const at_once) as libc::c_int
    });
    match looked {
        Ok(()) | Err(Errno(libc::ETIMEDOUT | libc::EINTR)) => Seen::Same,
        Err(Errno::EAGAIN) => Seen::Other,
        Err(Errno::EFAULT) => Seen::Gone,
        Err(_) => Seen::Unknown,
    }
}

/// Wakes at most `most` sleepers.
pub(crate) fn wake(word: &AtomicU32, most: u32) {
    // SAFETY: the kernel uses the address as a name only.
    quiet(|| unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, most)
    });
}
