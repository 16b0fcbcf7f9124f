//! Arguments from C, made into what the core takes, and results the other way.

use core::ffi::c_void;
use core::ptr;

use ferrimalloc_core::alloc::{self, Alignment};
use ferrimalloc_core::base::{Force, WORD_BYTES, Zero};
use ferrimalloc_core::diag::{self, Detail, ErrorKind};
use ferrimalloc_core::heap::Heap;
use ferrimalloc_core::runtime::{self, Thread};
use ferrimalloc_core::theap::Theap;
use ferrimalloc_prim::{Errno, errno};

use super::types::{HeapPtr, TheapPtr};

/// This thread's theap in a heap; null: in the main one. `None` without memory.
///
/// # Safety
/// `heap` is null or a live heap.
#[inline]
pub unsafe fn theap_in(heap: HeapPtr) -> Option<&'static Theap> {
    // SAFETY: the precondition.
    match unsafe { heap.as_ref() } {
        Some(heap) => runtime::theap_for(heap),
        None => main_theap(),
    }
}

/// This thread's theap in the main heap of its sub-process.
#[inline]
pub fn main_theap() -> Option<&'static Theap> {
    Some(Thread::of(runtime::live_theap()?).main_theap())
}

/// A theap of this thread; null, and one that has ended, stand for the main one. Another thread's stands for this
/// thread's in the same heap, and is reported.
///
/// # Safety
/// `theap` is null or came from this library.
pub unsafe fn own_theap(theap: TheapPtr) -> Option<&'static Theap> {
    // SAFETY: the precondition; the memory of theaps that have ended stays readable.
    match unsafe { theap.as_ref() } {
        Some(theap) if runtime::is_own(theap) => Some(theap),
        Some(theap) if theap.tid() != 0 => {
            diag::error(
                ErrorKind::InvalidHandle,
                ptr::from_ref(theap).cast(),
                Detail::Named("a theap of another thread"),
            );
            runtime::theap_for(theap.heap())
        }
        _ => main_theap(),
    }
}

/// Allocates through [`own_theap`], with nothing in front of a small block but the question whether the theap is this thread's.
///
/// # Safety
/// `theap` is null or came from this library.
#[inline(always)]
pub unsafe fn malloc_through(theap: TheapPtr, size: usize) -> *mut c_void {
    // SAFETY: the precondition; the memory of theaps that have ended stays readable.
    match unsafe { theap.as_ref() } {
        Some(theap) if theap.tid() == ferrimalloc_prim::thread::id() => alloc::malloc_in(theap, size).cast(),
        // SAFETY: the precondition.
        _ => unsafe { malloc_through_other(theap, size) },
    }
}

#[cold]
#[inline(never)]
unsafe extern "C" fn malloc_through_other(theap: TheapPtr, size: usize) -> *mut c_void {
    // SAFETY: the precondition of `malloc_through`.
    block(unsafe { own_theap(theap) }, size, Zero::Any)
}

/// The heap; null: the main one. `None` without memory.
///
/// # Safety
/// `heap` is null or a live heap.
pub unsafe fn heap_or_main(heap: *const Heap) -> Option<&'static Heap> {
    // SAFETY: the precondition.
    unsafe { heap.as_ref() }.or_else(runtime::heap_main)
}

/// Allocates through a theap.
#[inline]
pub fn block(theap: Option<&'static Theap>, size: usize, zero: Zero) -> *mut c_void {
    match theap {
        Some(theap) if zero == Zero::Any => alloc::malloc_in(theap, size).cast(),
        Some(theap) => alloc::alloc_in(theap, size, zero).cast(),
        None => out_of_memory(size),
    }
}

/// Allocates through a theap, aligned.
pub fn aligned_block(theap: Option<&'static Theap>, size: usize, at: Alignment, zero: Zero) -> *mut c_void {
    match theap {
        Some(theap) => alloc::alloc_aligned_at_in(theap, size, at.align, at.offset, zero).cast(),
        None => out_of_memory(size),
    }
}

/// Resizes into a theap's heap.
///
/// # Safety
/// `p` is null or a block.
pub unsafe fn resized(
    theap: Option<&'static Theap>,
    p: *mut c_void,
    size: usize,
    at: Alignment,
    zero: Zero,
) -> *mut c_void {
    match theap {
        // SAFETY: the precondition.
        Some(theap) => unsafe { alloc::realloc_into(theap, p.cast(), size, at, zero).cast() },
        None => out_of_memory(size),
    }
}

/// Resizes wherever the block is, or through the default theap.
///
/// # Safety
/// `p` is null or a block.
pub unsafe fn resized_anywhere(p: *mut c_void, size: usize, at: Alignment, zero: Zero) -> *mut c_void {
    match runtime::live_theap() {
        // SAFETY: the precondition.
        Some(theap) => unsafe {
            if at == Alignment::NATURAL {
                alloc::realloc_in(theap, p.cast(), size, zero).cast()
            } else {
                alloc::realloc_aligned_at_in(theap, p.cast(), size, at.align, at.offset, zero).cast()
            }
        },
        None => out_of_memory(size),
    }
}

#[cold]
fn out_of_memory(size: usize) -> *mut c_void {
    diag::error(ErrorKind::OutOfMemory, ptr::null(), Detail::Bytes(size));
    no_memory()
}

/// Null, with `ENOMEM`.
#[cold]
pub fn no_memory() -> *mut c_void {
    errno::set(Errno::ENOMEM);
    ptr::null_mut()
}

/// `count * size`; `None`, after reporting it and setting `errno` to `ENOMEM`, if that overflows.
#[inline]
pub fn array_bytes(count: usize, size: usize) -> Option<usize> {
    let bytes = count.checked_mul(size);
    if bytes.is_none() {
        report_overflow(count, size);
    }
    bytes
}

#[cold]
fn report_overflow(count: usize, bytes_each: usize) {
    diag::error(ErrorKind::CountOverflow, ptr::null(), Detail::Array { count, bytes_each });
    errno::set(Errno::ENOMEM);
}

/// As many elements as `make` is told bytes for; null if that overflows.
#[inline]
pub fn array(count: usize, size: usize, make: impl FnOnce(usize) -> *mut c_void) -> *mut c_void {
    array_bytes(count, size).map_or(ptr::null_mut(), make)
}

/// The bytes of so many words: more than can be had if that overflows.
#[inline(always)]
pub fn bytes_of(words: usize) -> usize {
    words.saturating_mul(WORD_BYTES)
}

pub fn force(is_forced: bool) -> Force {
    if is_forced { Force::All } else { Force::Routine }
}

/// Writes a result that the caller may not want.
///
/// # Safety
/// `to` is null or may be written.
#[inline]
pub unsafe fn tell<T>(to: *mut T, value: T) {
    if !to.is_null() {
        // SAFETY: the precondition.
        unsafe { to.write(value) };
    }
}
