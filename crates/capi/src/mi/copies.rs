//! What `libferrimalloc-checks.so` calls: copies that are checked before the C library's function is called. In no
//! header.

use core::ffi::{c_char, c_int, c_void};

use ferrimalloc_core::alloc::{self, Access, Copier, CopyFn, FillFn};

use super::export;

export! {
    /// Copies by the function of `by`, or as much as both blocks have after that has been reported.
    fn ferrimalloc_copy(to: *mut c_void, from: *const c_void, bytes: usize, by: &Copier<CopyFn>) -> *mut c_void {
        alloc::copy_checked(to.cast(), from.cast(), bytes, by).cast()
    }

    /// The same for `memset`.
    fn ferrimalloc_fill(to: *mut c_void, byte: c_int, bytes: usize, by: &Copier<FillFn>) -> *mut c_void {
        alloc::fill_checked(to.cast(), byte, bytes, by).cast()
    }

    /// How many of `bytes` bytes from `p` on the C function of that name may write (or else read); reports it if not
    /// all.
    fn ferrimalloc_allowed(function: *const c_char, p: *const c_void, bytes: usize, writes: bool) -> usize {
        alloc::allowed(function, p.cast(), bytes, if writes { Access::Write } else { Access::Read })
    }
}
