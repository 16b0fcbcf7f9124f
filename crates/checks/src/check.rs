//! Asking how far blocks reach, and what follows if a copy goes farther.
//!
//! A copy that leaves its block is reported by `libferrimalloc`, which ends the process, unless there is an error hook
//! or `MIMALLOC_ABORT` is 0. If the process goes on, the copy is *cut*: it stops where the first of its two blocks
//! does. So memory around the blocks stays whole, and the program gets as much as it could have; strings get their
//! zero where there is room for one.

use core::ffi::{CStr, c_char};
use core::mem::transmute;
use core::sync::atomic::{AtomicBool, Ordering};
use ferrimalloc_prim::weak_word;

use crate::next::{self, Next};

// Of whichever library the process has them from; 0 where there is none.
weak_word!(COPY, "ferrimalloc_copy", "ferrimalloc_checks_copy");
weak_word!(FILL, "ferrimalloc_fill", "ferrimalloc_checks_fill");
weak_word!(ALLOWED, "ferrimalloc_allowed", "ferrimalloc_checks_allowed");
weak_word!(REMAINING, "mi_remaining_size", "ferrimalloc_checks_remaining");

/// Whether there is somebody to ask, and that library's own copies are not asked about: it clears and fills blocks
/// that nobody has.
static IS_ON: AtomicBool = AtomicBool::new(false);

pub fn begin() {
    // SAFETY: words that the dynamic linker has filled in.
    let words = unsafe { [COPY, FILL, ALLOWED, REMAINING] };
    let is_on = words.iter().all(|word| *word != 0) && next::spare(words[0]);
    // ORDERING: release pairs with `is_on`: who sees this sees the functions that have been found.
    IS_ON.store(is_on, Ordering::Release);
}

#[inline(always)]
fn is_on() -> bool {
    // ORDERING: acquire pairs with `begin`.
    IS_ON.load(Ordering::Acquire)
}

/// Copies by `memcpy` or `memmove`, as much as blocks have.
///
/// # Safety
/// The contract of that function, but for the ends of blocks.
#[inline(always)]
pub unsafe fn copy(by: &'static Next, to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    type Copy = unsafe extern "C" fn(*mut u8, *const u8, usize, &'static Next) -> *mut u8;
    // SAFETY: the precondition; if it is on, the word is that function.
    unsafe {
        if is_on() { transmute::<usize, Copy>(COPY)(to, from, bytes, by) } else { next::copy_by(by, to, from, bytes) }
    }
}

/// Sets bytes, as many as the block has.
///
/// # Safety
/// As for C's `memset`, but for the end of the block.
#[inline(always)]
pub unsafe fn fill(to: *mut u8, byte: i32, bytes: usize) -> *mut u8 {
    type Fill = unsafe extern "C" fn(*mut u8, i32, usize, &'static Next) -> *mut u8;
    // SAFETY: as above.
    unsafe {
        if is_on() {
            transmute::<usize, Fill>(FILL)(to, byte, bytes, &next::MEMSET)
        } else {
            next::fill(to, byte, bytes)
        }
    }
}

/// How many of `bytes` bytes from `to` on `function` may write.
pub fn writable(function: &'static CStr, to: *const u8, bytes: usize) -> usize {
    allowed(function, to, bytes, true)
}

fn allowed(function: &'static CStr, p: *const u8, bytes: usize, writes: bool) -> usize {
    type Allowed = unsafe extern "C" fn(*const c_char, *const u8, usize, bool) -> usize;
    if !is_on() {
        return bytes;
    }
    // SAFETY: it is on, so the word is that function.
    unsafe { transmute::<usize, Allowed>(ALLOWED)(function.as_ptr(), p, bytes, writes) }
}

/// A string's bytes before its zero, at most `limit`; `Err` if the block ends before the string.
///
/// # Safety
/// As for C's `strnlen`, but for the end of the block.
pub unsafe fn text_bytes(function: &'static CStr, text: *const u8, limit: usize) -> Result<usize, usize> {
    if limit == 0 {
        return Ok(0);
    }
    let room = remaining(text);
    // SAFETY: the precondition.
    let bytes = unsafe { next::length(text, limit.min(room)) };
    if bytes < room || bytes == limit {
        return Ok(bytes);
    }
    allowed(function, text, bytes.saturating_add(1), false);
    Err(bytes)
}

/// Bytes from `p` to the end of its block; `usize::MAX` if it is in none that is known.
fn remaining(p: *const u8) -> usize {
    if !is_on() {
        return usize::MAX;
    }
    // SAFETY: it is on, so the word is that function. It takes any address.
    unsafe { transmute::<usize, unsafe extern "C" fn(*const u8) -> usize>(REMAINING)(p) }
}
