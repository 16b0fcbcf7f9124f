//! rusty_alloc to preload: the crate's functions under the C library's names.

#[path = "../../c_interface.rs"]
mod c_interface;

mod engine {
    use core::ffi::c_void;
    use rusty_alloc::alloc as ra;

    pub fn malloc(bytes: usize) -> *mut c_void {
        ra::malloc(bytes).cast()
    }

    pub fn calloc(count: usize, bytes: usize) -> *mut c_void {
        ra::calloc(count, bytes).cast()
    }

    /// # Safety
    /// As `realloc(3)`.
    pub unsafe fn realloc(block: *mut c_void, bytes: usize) -> *mut c_void {
        // SAFETY: the caller keeps realloc's contract.
        unsafe { ra::realloc(block.cast(), bytes).cast() }
    }

    /// # Safety
    /// As `free(3)`.
    pub unsafe fn free(block: *mut c_void) {
        // SAFETY: the caller keeps free's contract.
        unsafe { ra::free_inline(block.cast()) }
    }

    pub fn aligned(align: usize, bytes: usize) -> *mut c_void {
        ra::malloc_aligned(bytes, align).cast()
    }

    /// # Safety
    /// A live block of this engine.
    pub unsafe fn usable_size(block: *mut c_void) -> usize {
        // SAFETY: as the caller says.
        unsafe { ra::usable_size(block.cast()) }
    }
}
