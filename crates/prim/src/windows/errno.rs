//! The C runtime's variable, whichever runtime the program is linked with. The system's own functions don't write it.

use core::ffi::c_int;

pub(crate) use libc::{EAGAIN, EFAULT, EINVAL, ENOMEM, ENOTSUP, EOVERFLOW};

unsafe extern "C" {
    fn _errno() -> *mut c_int;
}

#[inline]
pub(crate) fn set(number: i32) {
    // SAFETY: the runtime's address of the calling thread's own variable.
    unsafe { *_errno() = number }
}

#[inline]
pub(crate) fn get() -> i32 {
    // SAFETY: as in `set`.
    unsafe { *_errno() }
}
