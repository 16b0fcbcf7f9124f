//! `getentropy`: never blocks once the system has booted, opens no file.

use crate::errno::quiet;
use core::ffi::{c_int, c_void};

/// What one call may ask for, by its manual page.
const MOST_BYTES: usize = 256;

pub(crate) fn fill(buf: &mut [u8]) -> bool {
    buf.chunks_mut(MOST_BYTES).all(fill_chunk)
}

unsafe extern "C" {
    // Not in the `libc` crate for every C library that has it.
    fn getentropy(buf: *mut c_void, bytes: usize) -> c_int;
}

fn fill_chunk(chunk: &mut [u8]) -> bool {
    // SAFETY: writes to the chunk only.
    quiet(|| unsafe { getentropy(chunk.as_mut_ptr().cast(), chunk.len()) }) == 0
}
