//! The C interface over an engine's own functions, for engines that are crates in Rust (`rusty_alloc` beside this file).
//!
//! A shim defines `mod engine` with `malloc`, `calloc`, `realloc`, `free`, `aligned` and `usable_size`; `#[path]` brings
//! this file in. These are the calls that the benchmark's programs make, no complete replacement of the C library's.

use crate::engine;
use core::ffi::{c_int, c_void};

const EINVAL: c_int = 22;
const ENOMEM: c_int = 12;
const OS_PAGE: usize = 4096;

#[unsafe(no_mangle)]
pub extern "C" fn malloc(bytes: usize) -> *mut c_void {
    engine::malloc(bytes)
}

#[unsafe(no_mangle)]
pub extern "C" fn calloc(count: usize, bytes: usize) -> *mut c_void {
    engine::calloc(count, bytes)
}

/// # Safety
/// As `realloc(3)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, bytes: usize) -> *mut c_void {
    // SAFETY: the caller keeps realloc's contract.
    unsafe { engine::realloc(block, bytes) }
}

/// # Safety
/// As `free(3)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: the caller keeps free's contract.
    unsafe { engine::free(block) }
}

#[unsafe(no_mangle)]
pub extern "C" fn aligned_alloc(align: usize, bytes: usize) -> *mut c_void {
    engine::aligned(align, bytes)
}

#[unsafe(no_mangle)]
pub extern "C" fn memalign(align: usize, bytes: usize) -> *mut c_void {
    engine::aligned(align, bytes)
}

#[unsafe(no_mangle)]
pub extern "C" fn valloc(bytes: usize) -> *mut c_void {
    engine::aligned(OS_PAGE, bytes)
}

/// # Safety
/// `slot` must be valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(
    slot: *mut *mut c_void,
    align: usize,
    bytes: usize,
) -> c_int {
    if !align.is_power_of_two() || align < size_of::<usize>() {
        return EINVAL;
    }
    let block = engine::aligned(align, bytes);
    if block.is_null() {
        return ENOMEM;
    }
    // SAFETY: the caller says that `slot` may be written.
    unsafe { slot.write(block) };
    0
}

/// # Safety
/// `block` is null or a live block of this engine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    if block.is_null() {
        return 0;
    }
    // SAFETY: as the caller says.
    unsafe { engine::usable_size(block) }
}
