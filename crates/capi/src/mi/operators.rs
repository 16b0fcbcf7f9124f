//! Support for C++'s operators: out of memory calls the new-handler and tries again; without one it throws
//! `std::bad_alloc`, or answers null where the name says so.

use core::ffi::c_void;
use core::ptr;

use ferrimalloc_core::alloc::{self, Alignment};
use ferrimalloc_core::base::Zero;
use ferrimalloc_prim::{cxx, cxx_new_loop};

use super::args::{array_bytes, block, own_theap, resized_anywhere, theap_in};
use super::export;
use super::types::{HeapPtr, TheapPtr};
use crate::new::{give_up, new, new_aligned, new_aligned_nothrow, new_failed, new_nothrow};

/// A size that no attempt gets: what an overflow of `count * size` asks for.
const TOO_LARGE: usize = usize::MAX;

extern "C" fn attempt_in_heap(size: usize, heap: usize) -> *mut u8 {
    let heap: HeapPtr = ptr::with_exposed_provenance_mut(heap);
    // SAFETY: the address is that of the heap that the loop was called with.
    block(unsafe { theap_in(heap) }, size, Zero::Any).cast()
}

extern "C" fn attempt_to_resize(size: usize, p: usize) -> *mut u8 {
    let p: *mut c_void = ptr::with_exposed_provenance_mut(p);
    // SAFETY: the address is that of the block that the loop was called with.
    unsafe { resized_anywhere(p, size, Alignment::NATURAL, Zero::Any).cast() }
}

cxx_new_loop!(
    heap_loop,
    "ferrimalloc_heap_new_loop",
    attempt = attempt_in_heap,
    throw = cxx::THROW_BAD_ALLOC,
    give_up = give_up
);
extern "C" fn attempt_in_theap(size: usize, theap: usize) -> *mut u8 {
    let theap: TheapPtr = ptr::with_exposed_provenance_mut(theap);
    // SAFETY: the address is that of the theap that the loop was called with.
    block(unsafe { own_theap(theap) }, size, Zero::Any).cast()
}

extern "C" fn no_memory() -> *mut u8 {
    ptr::null_mut()
}

cxx_new_loop!(
    theap_loop,
    "ferrimalloc_theap_new_loop",
    attempt = attempt_in_theap,
    throw = cxx::THROW_BAD_ALLOC,
    give_up = give_up
);
cxx_new_loop!(
    theap_nothrow_loop,
    "ferrimalloc_theap_nothrow_loop",
    attempt = attempt_in_theap,
    throw = cxx::THROW_NOTHING,
    give_up = no_memory
);
cxx_new_loop!(
    resize_loop,
    "ferrimalloc_new_realloc_loop",
    attempt = attempt_to_resize,
    throw = cxx::THROW_BAD_ALLOC,
    give_up = give_up
);

export! {
    /// `operator new(size)`.
    fn mi_new(size: usize) -> *mut c_void {
        new(size)
    }

    /// `operator new(size, align)`.
    fn mi_new_aligned(size: usize, alignment: usize) -> *mut c_void {
        new_aligned(size, alignment)
    }

    /// `operator new(size, nothrow)`: null when there is no new-handler (any more).
    fn mi_new_nothrow(size: usize) -> *mut c_void {
        new_nothrow(size)
    }

    /// `operator new(size, align, nothrow)`.
    fn mi_new_aligned_nothrow(size: usize, alignment: usize) -> *mut c_void {
        new_aligned_nothrow(size, alignment)
    }

    /// `operator new(count * size)`.
    fn mi_new_n(count: usize, size: usize) -> *mut c_void {
        match array_bytes(count, size) {
            Some(bytes) => new(bytes),
            None => new_failed(TOO_LARGE),
        }
    }

    /// Resizes like `realloc`, and fails like `operator new`.
    fn mi_new_realloc(p: *mut c_void, newsize: usize) -> *mut c_void {
        let resized = alloc::realloc(p.cast(), newsize);
        if resized.is_null() { resize_loop(newsize, p.expose_provenance()).cast() } else { resized.cast() }
    }

    /// [`mi_new_realloc`] to `newcount * size` bytes.
    fn mi_new_reallocn(p: *mut c_void, newcount: usize, size: usize) -> *mut c_void {
        match array_bytes(newcount, size) {
            Some(bytes) => mi_new_realloc(p, bytes),
            None => resize_loop(TOO_LARGE, p.expose_provenance()).cast(),
        }
    }

    /// `operator new(size)` through a theap.
    fn mi_theap_alloc_new(theap: TheapPtr, size: usize) -> *mut c_void {
        let p = block(own_theap(theap), size, Zero::Any);
        if p.is_null() { theap_loop(size, theap.expose_provenance()).cast() } else { p }
    }

    /// `operator new(count * size)` through a theap.
    fn mi_theap_alloc_new_n(theap: TheapPtr, count: usize, size: usize) -> *mut c_void {
        match array_bytes(count, size) {
            Some(bytes) => mi_theap_alloc_new(theap, bytes),
            None => theap_loop(TOO_LARGE, theap.expose_provenance()).cast(),
        }
    }

    /// `operator new(size, nothrow)` through a theap.
    fn mi_theap_alloc_new_nothrow(theap: TheapPtr, size: usize) -> *mut c_void {
        let p = block(own_theap(theap), size, Zero::Any);
        if p.is_null() && cxx::new_handler().is_some() {
            return cxx::null_for_exceptions(size, theap.expose_provenance(), theap_nothrow_loop).cast();
        }
        p
    }

    /// `operator new(size)` in a heap.
    fn mi_heap_alloc_new(heap: HeapPtr, size: usize) -> *mut c_void {
        let p = block(theap_in(heap), size, Zero::Any);
        if p.is_null() { heap_loop(size, heap.expose_provenance()).cast() } else { p }
    }

    /// `operator new(count * size)` in a heap.
    fn mi_heap_alloc_new_n(heap: HeapPtr, count: usize, size: usize) -> *mut c_void {
        match array_bytes(count, size) {
            Some(bytes) => mi_heap_alloc_new(heap, bytes),
            None => heap_loop(TOO_LARGE, heap.expose_provenance()).cast(),
        }
    }
}
