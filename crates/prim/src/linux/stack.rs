//! Which memory a stack walk may read.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::errno::{Errno, get, quiet};

/// The kernel copies a signal set from the address before it finds that it doesn't know what to do with it. No sandbox forbids
/// this call. Idea: Abseil's `AddressIsReadable`.
pub(crate) fn is_readable(address: usize) -> bool {
    const UNKNOWN: libc::c_int = !0;
    const SET_BYTES: usize = 8;
    let set: *const u8 = core::ptr::with_exposed_provenance(address);
    quiet(|| {
        // SAFETY: the kernel looks at the address itself, and writes nothing.
        let done = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, UNKNOWN, set, core::ptr::null::<u8>(), SET_BYTES) };
        done == -1 && get() == Errno::EINVAL
    })
}

/// The kernel puts a few random bytes above the main thread's stack, and tells where.
pub(crate) fn main_top() -> Option<usize> {
    static ADDRESS: AtomicUsize = AtomicUsize::new(0);
    let address = match ADDRESS.load(Ordering::Relaxed) {
        // SAFETY: takes and returns a number.
        0 => quiet(|| unsafe { libc::getauxval(libc::AT_RANDOM) }) as usize,
        known => known,
    };
    ADDRESS.store(address, Ordering::Relaxed);
    Some(address).filter(|&address| address != 0)
}

/// The C library puts a thread's control block at the end of its stack.
pub(crate) fn thread_top() -> Option<usize> {
    Some(crate::thread::id())
}
