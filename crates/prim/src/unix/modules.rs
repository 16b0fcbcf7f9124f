//! POSIX has no list of what is loaded. Files can be mapped.

use crate::modules::Module;
use core::ffi::CStr;

pub(crate) fn for_each(_visit: &mut dyn FnMut(&Module<'_>) -> bool) {}

pub(crate) fn program_path(_buf: &mut [u8]) -> usize {
    0
}

pub(crate) fn for_each_mapping(_write: &mut dyn FnMut(&[u8])) {}

/// Maps a whole file for reading.
pub(crate) fn map_file(path: &CStr) -> Option<(*const u8, usize)> {
    // SAFETY: a C string and numbers.
    let file = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if file < 0 {
        return None;
    }
    let mapped = map(file);
    // SAFETY: opened above.
    unsafe { libc::close(file) };
    mapped
}

/// # Safety
/// What `map_file` has returned, of no use to anybody any more.
pub(crate) unsafe fn unmap_file(start: *const u8, bytes: usize) {
    // SAFETY: the precondition.
    unsafe { libc::munmap(start.cast_mut().cast(), bytes) };
}

fn map(file: libc::c_int) -> Option<(*const u8, usize)> {
    // SAFETY: integers only: all zero is a value.
    let mut facts: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: a place for the facts.
    if unsafe { libc::fstat(file, &mut facts) } != 0 || facts.st_size <= 0 {
        return None;
    }
    let bytes = facts.st_size as usize;
    // SAFETY: a new mapping, at an address of the system's choice.
    let start = unsafe { libc::mmap(core::ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_PRIVATE, file, 0) };
    (start != libc::MAP_FAILED).then_some((start.cast_const().cast(), bytes))
}
