//! snmalloc to preload: the crate's C functions under the C library's names.

#[path = "../../c_interface.rs"]
mod c_interface;

mod engine {
    use core::ffi::c_void;
    use snmalloc_sys as sn;

    pub fn malloc(bytes: usize) -> *mut c_void {
        // SAFETY: any size may be asked for.
        unsafe { sn::sn_malloc(bytes) }
    }

    pub fn calloc(count: usize, bytes: usize) -> *mut c_void {
        // SAFETY: any sizes may be asked for; the engine checks the product.
        unsafe { sn::sn_calloc(count, bytes) }
    }

    /// # Safety
    /// As `realloc(3)`.
    pub unsafe fn realloc(block: *mut c_void, bytes: usize) -> *mut c_void {
        // SAFETY: the caller keeps realloc's contract.
        unsafe { sn::sn_realloc(block, bytes) }
    }

    /// # Safety
    /// As `free(3)`.
    pub unsafe fn free(block: *mut c_void) {
        // SAFETY: the caller keeps free's contract.
        unsafe { sn::sn_free(block) }
    }

    pub fn aligned(align: usize, bytes: usize) -> *mut c_void {
        // SAFETY: `sn_free` accepts aligned blocks too, without their alignment.
        unsafe { sn::sn_rust_alloc(align, bytes.max(1)) }
    }

    /// # Safety
    /// A live block of this engine.
    pub unsafe fn usable_size(block: *mut c_void) -> usize {
        // SAFETY: as the caller says.
        unsafe { sn::sn_malloc_usable_size(block) }
    }
}
