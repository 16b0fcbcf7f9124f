//! The C library's error numbers, as values and as its per-thread variable.
//!
//! A program may look at `errno` after `free`, so nothing in this crate may change it by the way: every system call runs inside
//! `quiet`. The interface above sets it on purpose, with [`set`].

use crate::platform;

/// An error number of the operating system, such as [`Errno::ENOMEM`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// Out of memory, or of address space.
    pub const ENOMEM: Errno = Errno(platform::errno::ENOMEM);
    /// An argument makes no sense, or the kernel does not know the request.
    pub const EINVAL: Errno = Errno(platform::errno::EINVAL);
    /// Not now; asking again may succeed.
    pub const EAGAIN: Errno = Errno(platform::errno::EAGAIN);
    /// An address that is not mapped.
    pub const EFAULT: Errno = Errno(platform::errno::EFAULT);
    /// A size computation overflowed.
    pub const EOVERFLOW: Errno = Errno(platform::errno::EOVERFLOW);
    /// This system has no such service.
    pub const ENOTSUP: Errno = Errno(platform::errno::ENOTSUP);
}

/// Sets the calling thread's `errno`.
pub fn set(e: Errno) {
    platform::errno::set(e.0);
}

/// The calling thread's `errno`.
pub fn get() -> Errno {
    Errno(platform::errno::get())
}

#[allow(dead_code, reason = "not every system has such a variable")]
/// Runs `call` and puts `errno` back to what it was before.
pub(crate) fn quiet<R>(call: impl FnOnce() -> R) -> R {
    let before = get();
    let result = call();
    set(before);
    result
}

#[allow(dead_code, reason = "not every system has such functions")]
/// The result of a C function that returns 0 or else sets `errno`, which stays as it was.
pub(crate) fn zero_or_errno(call: impl FnOnce() -> core::ffi::c_int) -> Result<(), Errno> {
    quiet(|| if call() == 0 { Ok(()) } else { Err(get()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_per_thread() {
        set(Errno::EAGAIN);
        std::thread::spawn(|| set(Errno::ENOMEM)).join().unwrap();
        assert_eq!(get(), Errno::EAGAIN);
    }

    #[test]
    #[cfg(unix)]
    fn a_failed_call_reports_and_leaves_the_variable() {
        set(Errno::EAGAIN);
        // SAFETY: closing a number that is no file fails.
        let failed = zero_or_errno(|| unsafe { libc::close(-1) });
        assert_eq!(failed, Err(Errno(libc::EBADF)));
        assert_eq!(get(), Errno::EAGAIN);
    }
}
