//! rpmalloc to preload: the crate's C functions under the C library's names. The crate's feature `preload` makes each
//! thread initialise itself at its first call; its end is noticed by the engine's own pthread key.

#[path = "../../c_interface.rs"]
mod c_interface;

mod engine {
    use core::ffi::c_void;
    use rpmalloc_sys as rp;

    pub fn malloc(bytes: usize) -> *mut c_void {
        // SAFETY: any size may be asked for.
        unsafe { rp::rpmalloc(bytes).cast() }
    }

    pub fn calloc(count: usize, bytes: usize) -> *mut c_void {
        if count.checked_mul(bytes).is_none() {
            return core::ptr::null_mut();
        }
        // SAFETY: the product does not overflow.
        unsafe { rp::rpcalloc(count, bytes).cast() }
    }

    /// # Safety
    /// As `realloc(3)`.
    pub unsafe fn realloc(block: *mut c_void, bytes: usize) -> *mut c_void {
        // SAFETY: the caller keeps realloc's contract.
        unsafe { rp::rprealloc(block.cast(), bytes).cast() }
    }

    /// # Safety
    /// As `free(3)`.
    pub unsafe fn free(block: *mut c_void) {
        // SAFETY: the caller keeps free's contract.
        unsafe { rp::rpfree(block.cast()) }
    }

    pub fn aligned(align: usize, bytes: usize) -> *mut c_void {
        // SAFETY: any sizes may be asked for.
        unsafe { rp::rpaligned_alloc(align, bytes).cast() }
    }

    /// # Safety
    /// A live block of this engine.
    pub unsafe fn usable_size(block: *mut c_void) -> usize {
        // SAFETY: as the caller says.
        unsafe { rp::rpmalloc_usable_size(block.cast()) }
    }
}
