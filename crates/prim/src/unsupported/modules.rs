//! Code has no addresses that anybody could tell, and files are not mapped.

use crate::modules::Module;
use core::ffi::CStr;

pub(crate) fn for_each(_visit: &mut dyn FnMut(&Module<'_>) -> bool) {}

pub(crate) fn program_path(_buf: &mut [u8]) -> usize {
    0
}

pub(crate) fn for_each_mapping(_write: &mut dyn FnMut(&[u8])) {}

pub(crate) fn map_file(_path: &CStr) -> Option<(*const u8, usize)> {
    None
}

/// # Safety
/// None: there are none.
pub(crate) unsafe fn unmap_file(_start: *const u8, _bytes: usize) {}
