//! Memory for what the profiler knows: from the system, in chunks, never given back. So nothing of it comes from the heap that
//! is looked at.

use core::ptr::NonNull;

use ferrimalloc_prim::mem::Access;

use crate::os;

const CHUNK_BYTES: usize = 256 << 10;

/// Where the next piece comes from.
pub struct Pool {
    next: usize,
    end: usize,
}

impl Pool {
    pub const fn new() -> Pool {
        Pool { next: 0, end: 0 }
    }

    /// Zeroed memory, aligned to 16 bytes, for ever; `None` if there is none.
    pub fn take(&mut self, bytes: usize) -> Option<NonNull<u8>> {
        let bytes = bytes.next_multiple_of(16);
        if self.end - self.next < bytes {
            self.grow(bytes)?;
        }
        let place = self.next;
        self.next += bytes;
        NonNull::new(core::ptr::with_exposed_provenance_mut(place))
    }

    fn grow(&mut self, bytes: usize) -> Option<()> {
        let bytes = bytes.max(CHUNK_BYTES).next_multiple_of(os::os_page_bytes());
        let memory = os::reserve(bytes, os::os_page_bytes(), Access::ReadWrite, |_| true, core::iter::empty())?;
        self.next = memory.region().start.expose_provenance();
        self.end = self.next + bytes;
        Some(())
    }
}
