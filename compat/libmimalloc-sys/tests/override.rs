//! With the feature `override` the whole program has one allocator: Rust's `System`, and the C library inside.

use std::alloc::{GlobalAlloc, Layout, System};

use libmimalloc_sys::{mi_free, mi_is_in_heap_region};

#[test]
fn malloc_is_ours() {
    // SAFETY: the block is used while it lives.
    unsafe {
        let p = libc::malloc(100);
        assert!(mi_is_in_heap_region(p));
        mi_free(p);
    }
}

#[test]
fn the_system_allocator_is_ours() {
    let layout = Layout::new::<[u64; 100]>();
    // SAFETY: as above.
    unsafe {
        let p = System.alloc(layout);
        assert!(mi_is_in_heap_region(p.cast()));
        System.dealloc(p, layout);
    }
}

#[test]
fn the_c_library_allocates_in_our_heap() {
    // SAFETY: `strdup` answers a block with the text.
    unsafe {
        let copy = libc::strdup(c"12345".as_ptr());
        assert!(mi_is_in_heap_region(copy.cast()));
        libc::free(copy.cast());
        let name = libc::realpath(c"/".as_ptr(), std::ptr::null_mut());
        assert!(mi_is_in_heap_region(name.cast()));
        libc::free(name.cast());
    }
}
