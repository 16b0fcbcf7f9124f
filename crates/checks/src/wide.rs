//! Wide characters: those functions that are given a length, in characters of 4 bytes. Reported as the functions for
//! bytes.

use crate::memory::{memcpy, memmove, mempcpy};

const WIDE_BYTES: usize = 4;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wmemcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the contract of the C function.
    unsafe { memcpy(to, from, count.saturating_mul(WIDE_BYTES)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wmemmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { memmove(to, from, count.saturating_mul(WIDE_BYTES)) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn wmempcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { mempcpy(to, from, count.saturating_mul(WIDE_BYTES)) }
}
