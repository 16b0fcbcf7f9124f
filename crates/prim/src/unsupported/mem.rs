//! Memory that is of one kind and of one node: nothing can be said about it, and what is asked for is refused.

use crate::errno::Errno;
use crate::mem::{Access, HugeSize, MemConfig, Thp};
use core::ffi::CStr;

/// Of the simulated system only.
pub(crate) fn replaced_config() -> Option<&'static MemConfig> {
    None
}

/// Of the simulated system only.
pub(crate) fn replaced_millis() -> Option<u64> {
    None
}

/// Mappings can be cut, which aligns them.
pub(crate) fn map_aligned(_bytes: usize, _align: usize, _access: Access) -> Result<*mut u8, Errno> {
    Err(Errno::ENOTSUP)
}

/// Contents stay.
pub(crate) const CLOSING_CLEARS: bool = false;

pub(crate) unsafe fn close(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise (`mem::close`).
    unsafe { crate::mem::protect(p, bytes, Access::None) }
}

pub(crate) unsafe fn thp(_p: *mut u8, _bytes: usize, _mode: Thp) -> Result<(), Errno> {
    Err(Errno::ENOTSUP)
}

pub(crate) fn thp_disable_process() {}

pub(crate) unsafe fn dont_dump(_p: *mut u8, _bytes: usize) {}

pub(crate) unsafe fn dump(_p: *mut u8, _bytes: usize) {}

pub(crate) unsafe fn set_name(_p: *mut u8, _bytes: usize, _name: &'static CStr) {}

pub(crate) unsafe fn move_pages(_from: *mut u8, _to: *mut u8, _bytes: usize) -> Result<(), Errno> {
    Err(Errno::ENOTSUP)
}

pub(crate) fn map_huge(_hint: usize, _bytes: usize, _size: HugeSize) -> Result<*mut u8, Errno> {
    Err(Errno::ENOTSUP)
}

pub(crate) unsafe fn bind_numa(_p: *mut u8, _bytes: usize, _node: usize) -> Result<(), Errno> {
    Err(Errno::ENOTSUP)
}

pub(crate) unsafe fn populate(_p: *mut u8, _bytes: usize) {}
