//! A bitmap with memory of its own, for tests. Shared by the unit tests and the loom models (which include this file).

use super::Bitmap;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::Deref;

/// Owns the memory that its bitmap lies in.
pub struct OwnedBitmap {
    bitmap: Bitmap,
    memory: *mut u8,
    layout: Layout,
}

impl OwnedBitmap {
    /// All `bits` bits are clear.
    pub fn new(bits: usize) -> Self {
        let layout = Layout::from_size_align(Bitmap::layout_bytes(bits).max(64), 64).expect("a layout");
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: zeroed, aligned, large enough, and kept until the drop below.
        let bitmap = unsafe { Bitmap::init_at(memory, bits) };
        OwnedBitmap { bitmap, memory, layout }
    }
}

impl Deref for OwnedBitmap {
    type Target = Bitmap;

    fn deref(&self) -> &Bitmap {
        &self.bitmap
    }
}

impl Drop for OwnedBitmap {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; the bitmap, which has no drop, is not used again.
        unsafe { dealloc(self.memory, self.layout) };
    }
}

// SAFETY: the memory is only reached through the bitmap, which any thread may use.
unsafe impl Send for OwnedBitmap {}
// SAFETY: as above.
unsafe impl Sync for OwnedBitmap {}
