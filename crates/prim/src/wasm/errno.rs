//! WASI's numbers ("WASI preview 1", type `errno`). There is no variable: the C library's is out of reach of stable Rust.

pub(crate) const EAGAIN: i32 = 6;
pub(crate) const EFAULT: i32 = 21;
pub(crate) const EINVAL: i32 = 28;
pub(crate) const ENOMEM: i32 = 48;
pub(crate) const ENOTSUP: i32 = 58;
pub(crate) const EOVERFLOW: i32 = 61;

pub(crate) fn set(_number: i32) {}

pub(crate) fn get() -> i32 {
    0
}
