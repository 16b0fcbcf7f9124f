//! Bytes: `memcpy` and its kin. What is copied by `memmove` is reported as that.

use crate::check;
use crate::next::{MEMCPY, MEMMOVE};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the contract of the C function.
    unsafe { check::copy(&MEMCPY, to, from, bytes) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { check::copy(&MEMMOVE, to, from, bytes) }
}

/// Answers where the next byte would go, also if the copy was cut: what the program does there is its own affair.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { check::copy(&MEMCPY, to, from, bytes) }.wrapping_add(bytes)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __mempcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { mempcpy(to, from, bytes) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(to: *mut u8, byte: i32, bytes: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { check::fill(to, byte, bytes) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bcopy(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: as above.
    unsafe { check::copy(&MEMMOVE, to, from, bytes) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn bzero(to: *mut u8, bytes: usize) {
    // SAFETY: as above.
    unsafe { check::fill(to, 0, bytes) };
}

/// The call is one of a function that the compiler doesn't know: it isn't left out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn explicit_bzero(to: *mut u8, bytes: usize) {
    // SAFETY: as above.
    unsafe { check::fill(to, 0, bytes) };
}
