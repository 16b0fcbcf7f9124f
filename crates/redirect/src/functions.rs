//! What stands in place of a runtime's functions, with their contracts (Microsoft, "C runtime library reference"). `R` is the runtime's number.
//!
//! A block of ours is known by the page map, for any address. All others were the runtime's before, or come from a module that wasn't reached; or
//! from a function of the runtime that allocates (`_strdup`, `_wgetcwd`, …). They stay the runtime's: it resizes and frees them. Null, and
//! arguments that a runtime has a handler for, are its own affair, too.

use crate::runtimes::{AtEnd, Runtime, runtime};
use core::ffi::c_void;
use core::ptr;
use ferrimalloc_core::alloc::{self, Alignment};
use ferrimalloc_core::base::Zero;
use ferrimalloc_core::runtime::live_theap;

/// Memory from `allocate`; without any, as the runtime has it: the program's handler is asked to free some, and `errno` says so.
#[inline(always)]
fn served<const R: usize>(bytes: usize, allocate: impl Fn() -> *mut u8) -> *mut c_void {
    let block = allocate();
    if block.is_null() { served_late(runtime::<R>(), bytes, &allocate) } else { block.cast() }
}

#[cold]
#[inline(never)]
fn served_late(runtime: &Runtime, bytes: usize, allocate: &dyn Fn() -> *mut u8) -> *mut c_void {
    while runtime.program_frees_some(bytes) {
        let block = allocate();
        if !block.is_null() {
            return block.cast();
        }
    }
    none(runtime)
}

#[cold]
fn none(runtime: &Runtime) -> *mut c_void {
    runtime.say_out_of_memory();
    ptr::null_mut()
}

#[inline(always)]
fn is_ours(p: *mut c_void) -> bool {
    alloc::is_block(p.cast())
}

/// A block of ours that is resized to nothing is freed, as the runtimes do.
///
/// # Safety
/// It is the caller's.
unsafe fn freed(p: *mut c_void) -> *mut c_void {
    // SAFETY: the precondition.
    unsafe { alloc::free(p.cast()) };
    ptr::null_mut()
}

/// # Safety
/// Block `p` of ours is the caller's.
unsafe fn resized<const R: usize>(p: *mut c_void, bytes: usize, alignment: Alignment, zero: Zero) -> *mut c_void {
    if bytes == 0 {
        // SAFETY: the precondition.
        return unsafe { freed(p) };
    }
    let Alignment { align, offset } = alignment;
    let resize = || match live_theap() {
        // SAFETY: the precondition; after a failure it is as it was.
        Some(theap) => unsafe { alloc::realloc_aligned_at_in(theap, p.cast(), bytes, align, offset, zero) },
        None => ptr::null_mut(),
    };
    served::<R>(bytes, resize)
}

pub unsafe extern "C" fn malloc<const R: usize>(size: usize) -> *mut c_void {
    served::<R>(size, || alloc::malloc(size))
}

pub unsafe extern "C" fn calloc<const R: usize>(count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        Some(bytes) => served::<R>(bytes, || alloc::zalloc(bytes)),
        None => none(runtime::<R>()),
    }
}

pub unsafe extern "C" fn realloc<const R: usize>(p: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the contract of `realloc`; each block is resized by whose it is.
    unsafe {
        match is_ours(p) {
            true if size == 0 => freed(p),
            true => served::<R>(size, || alloc::realloc(p.cast(), size)),
            false if p.is_null() => malloc::<R>(size),
            false => runtime::<R>().realloc()(p, size),
        }
    }
}

pub unsafe extern "C" fn recalloc<const R: usize>(p: *mut c_void, count: usize, size: usize) -> *mut c_void {
    // SAFETY: the contract of `_recalloc`.
    unsafe {
        match count.checked_mul(size) {
            Some(bytes) if is_ours(p) => resized::<R>(p, bytes, Alignment::NATURAL, Zero::Zeroed),
            _ if p.is_null() => calloc::<R>(count, size),
            None if is_ours(p) => none(runtime::<R>()),
            _ => runtime::<R>().recalloc()(p, count, size),
        }
    }
}

pub unsafe extern "C" fn free<const R: usize>(p: *mut c_void) {
    // SAFETY: the contract of `free`; each block is freed by whose it is.
    unsafe { if is_ours(p) { alloc::free(p.cast()) } else { runtime::<R>().free()(p) } }
}

pub unsafe extern "C" fn msize<const R: usize>(p: *mut c_void) -> usize {
    // SAFETY: the contract of `_msize`.
    unsafe { if is_ours(p) { alloc::usable_size(p.cast()) } else { runtime::<R>().msize()(p) } }
}

pub unsafe extern "C" fn expand<const R: usize>(p: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the contract of `_expand`.
    unsafe { if is_ours(p) { alloc::expand(p.cast(), size).cast() } else { runtime::<R>().expand()(p, size) } }
}

/// Whether the runtimes take this for an alignment, and for an offset of a block.
fn is_valid(size: usize, alignment: Alignment) -> bool {
    alignment.align.is_power_of_two() && (alignment.offset == 0 || alignment.offset < size)
}

/// Theirs are no less aligned than this.
fn at_least_a_word(align: usize, offset: usize) -> Alignment {
    Alignment { align: align.max(size_of::<usize>()), offset }
}

pub unsafe extern "C" fn aligned_malloc<const R: usize>(size: usize, align: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        // SAFETY: what has a handler is the runtime's affair.
        return unsafe { runtime::<R>().aligned_malloc()(size, align) };
    }
    served::<R>(size, || alloc::malloc_aligned(size, at_least_a_word(align, 0).align, Zero::Any))
}

pub unsafe extern "C" fn aligned_offset_malloc<const R: usize>(
    size: usize,
    align: usize,
    offset: usize,
) -> *mut c_void {
    if !is_valid(size, Alignment { align, offset }) {
        // SAFETY: as above.
        return unsafe { runtime::<R>().aligned_offset_malloc()(size, align, offset) };
    }
    let Alignment { align, offset } = at_least_a_word(align, offset);
    served::<R>(size, || alloc::malloc_aligned_at(size, align, offset, Zero::Any))
}

pub unsafe extern "C" fn aligned_realloc<const R: usize>(p: *mut c_void, size: usize, align: usize) -> *mut c_void {
    // SAFETY: the contract of `_aligned_realloc`. Bad arguments alone go to the runtime, not the block.
    unsafe {
        match is_ours(p) {
            true if size == 0 => freed(p),
            true if align.is_power_of_two() => resized::<R>(p, size, at_least_a_word(align, 0), Zero::Any),
            true => runtime::<R>().aligned_malloc()(size, align),
            false if p.is_null() => aligned_malloc::<R>(size, align),
            false => runtime::<R>().aligned_realloc()(p, size, align),
        }
    }
}

pub unsafe extern "C" fn aligned_offset_realloc<const R: usize>(
    p: *mut c_void,
    size: usize,
    align: usize,
    offset: usize,
) -> *mut c_void {
    // SAFETY: as for `_aligned_realloc`.
    unsafe {
        match is_ours(p) {
            true if size == 0 => freed(p),
            true if is_valid(size, Alignment { align, offset }) => {
                resized::<R>(p, size, at_least_a_word(align, offset), Zero::Any)
            }
            true => runtime::<R>().aligned_offset_malloc()(size, align, offset),
            false if p.is_null() => aligned_offset_malloc::<R>(size, align, offset),
            false => runtime::<R>().aligned_offset_realloc()(p, size, align, offset),
        }
    }
}

pub unsafe extern "C" fn aligned_recalloc<const R: usize>(
    p: *mut c_void,
    count: usize,
    size: usize,
    align: usize,
) -> *mut c_void {
    if !p.is_null() && !is_ours(p) {
        // SAFETY: the contract of `_aligned_recalloc`; a block of the runtime's.
        return unsafe { runtime::<R>().aligned_recalloc()(p, count, size, align) };
    }
    // SAFETY: the contract.
    unsafe { recalloc_at::<R>(p, count.checked_mul(size), align, 0) }
}

pub unsafe extern "C" fn aligned_offset_recalloc<const R: usize>(
    p: *mut c_void,
    count: usize,
    size: usize,
    align: usize,
    offset: usize,
) -> *mut c_void {
    if !p.is_null() && !is_ours(p) {
        // SAFETY: as above.
        return unsafe { runtime::<R>().aligned_offset_recalloc()(p, count, size, align, offset) };
    }
    // SAFETY: the contract.
    unsafe { recalloc_at::<R>(p, count.checked_mul(size), align, offset) }
}

/// # Safety
/// `p` is null or a block of ours that is the caller's.
unsafe fn recalloc_at<const R: usize>(
    p: *mut c_void,
    bytes: Option<usize>,
    align: usize,
    offset: usize,
) -> *mut c_void {
    let Some(bytes) = bytes else { return none(runtime::<R>()) };
    if bytes != 0 && !is_valid(bytes, Alignment { align, offset }) {
        // SAFETY: bad arguments alone.
        return unsafe { runtime::<R>().aligned_offset_malloc()(bytes, align, offset) };
    }
    match p.is_null() {
        true if !align.is_power_of_two() => none(runtime::<R>()),
        true => {
            let Alignment { align, offset } = at_least_a_word(align, offset);
            served::<R>(bytes, || alloc::malloc_aligned_at(bytes, align, offset, Zero::Zeroed))
        }
        // SAFETY: the precondition.
        false => unsafe { resized::<R>(p, bytes, at_least_a_word(align, offset), Zero::Zeroed) },
    }
}

pub unsafe extern "C" fn aligned_free<const R: usize>(p: *mut c_void) {
    // SAFETY: the contract of `_aligned_free`.
    unsafe { if is_ours(p) { alloc::free(p.cast()) } else { runtime::<R>().aligned_free()(p) } }
}

pub unsafe extern "C" fn aligned_msize<const R: usize>(p: *mut c_void, align: usize, offset: usize) -> usize {
    // SAFETY: the contract of `_aligned_msize`.
    unsafe { if is_ours(p) { alloc::usable_size(p.cast()) } else { runtime::<R>().aligned_msize()(p, align, offset) } }
}

/// Adds a function to a table that a library has from `malloc`, and that the runtime itself resizes: the one place where a runtime is
/// given a block to resize or free. So it gets one of its own first.
pub unsafe extern "C" fn dll_on_exit<const R: usize>(
    function: AtEnd,
    begin: *mut *mut AtEnd,
    end: *mut *mut AtEnd,
) -> AtEnd {
    // SAFETY: the contract of `__dllonexit`: the table is `*begin .. *end`, in a block of the caller's.
    unsafe {
        if is_ours((*begin).cast()) && !give_away(runtime::<R>(), &mut *begin, &mut *end) {
            return ptr::null();
        }
        runtime::<R>().dll_on_exit()(function, begin, end)
    }
}

/// Moves a table from a block of ours to one of the runtime's; false without memory.
///
/// # Safety
/// `*begin` is a block of ours, and used until `*end`.
unsafe fn give_away(runtime: &Runtime, begin: &mut *mut AtEnd, end: &mut *mut AtEnd) -> bool {
    // SAFETY: the precondition; the new block is as large.
    unsafe {
        let count = end.offset_from(*begin) as usize;
        let table: *mut AtEnd = runtime.malloc()(alloc::usable_size((*begin).cast())).cast();
        if table.is_null() {
            return false;
        }
        ptr::copy_nonoverlapping(*begin, table, count);
        alloc::free((*begin).cast());
        (*begin, *end) = (table, table.add(count));
        true
    }
}
