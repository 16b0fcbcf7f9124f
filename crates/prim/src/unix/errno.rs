//! The C library's variable, and the numbers that it has in it.

use crate::platform::errno_location;

pub(crate) use libc::{EAGAIN, EFAULT, EINVAL, ENOMEM, ENOTSUP, EOVERFLOW};

#[inline]
pub(crate) fn set(number: i32) {
    // SAFETY: the C library's address of the calling thread's own variable.
    unsafe { *errno_location() = number }
}

#[inline]
pub(crate) fn get() -> i32 {
    // SAFETY: as in `set`.
    unsafe { *errno_location() }
}
