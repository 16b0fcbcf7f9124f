//! Where memory comes from.

use core::cell::{Cell, UnsafeCell};

use crate::sizes::PAGE_BYTES;

/// A source of memory.
///
/// # Safety
/// While the source stays where it is, what [`grow`](Self::grow) answers is nobody else's from then on, may be read and written, begins at a multiple of 4 KiB and has as
/// many as it says, a multiple of 4 KiB, too.
pub unsafe trait Source {
    /// At least so many bytes more: where they begin, and how many there are. They must lie above all before; right behind these,
    /// if that can be. `None` if there are no more. Must not allocate.
    fn grow(&self, bytes: usize) -> Option<(*mut u8, usize)>;
}

/// WebAssembly's memory, which grows upwards, by 64 KiB. Others have none such.
#[cfg(all(feature = "grown", target_family = "wasm"))]
#[derive(Clone, Copy, Default, Debug)]
pub struct Grown;

/// The unit of WebAssembly's memory. Bytes.
#[cfg(all(feature = "grown", target_family = "wasm"))]
const UNIT_BYTES: usize = 64 << 10;

// SAFETY: fresh memory of the system's.
#[cfg(all(feature = "grown", target_family = "wasm"))]
unsafe impl Source for Grown {
    fn grow(&self, bytes: usize) -> Option<(*mut u8, usize)> {
        use ferrimalloc_prim::mem::{self, Access};
        let bytes = bytes.checked_next_multiple_of(UNIT_BYTES)?;
        Some((mem::map(0, bytes, Access::ReadWrite).ok()?, bytes))
    }
}

/// Memory of the program's own: part of an allocator that is a `static`.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct Region<const BYTES: usize> {
    memory: UnsafeCell<[u8; BYTES]>,
    is_given: Cell<bool>,
}

impl<const BYTES: usize> Region<BYTES> {
    /// All of it unused.
    pub const fn new() -> Self {
        assert!(BYTES.is_multiple_of(PAGE_BYTES), "a region has whole pages of 4 KiB");
        Region { memory: UnsafeCell::new([0; BYTES]), is_given: Cell::new(false) }
    }
}

impl<const BYTES: usize> Default for Region<BYTES> {
    fn default() -> Self {
        Region::new()
    }
}

// SAFETY: all of it, once; it is aligned as the type is, and in a `static`, which stays where it is.
unsafe impl<const BYTES: usize> Source for Region<BYTES> {
    fn grow(&self, bytes: usize) -> Option<(*mut u8, usize)> {
        (bytes <= BYTES && !self.is_given.replace(true)).then(|| (self.memory.get().cast(), BYTES))
    }
}
