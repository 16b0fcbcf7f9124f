//! A limit on the memory that the allocator may have committed in this process: `MIMALLOC_LIMIT=512MiB`, or a call.
//!
//! Counted are pages in use as a whole, unused memory that has not gone back to the system yet, big blocks, and the allocator's own
//! structures. It is exact: the limit is never exceeded, not for a moment. What a request would exceed it by is given back to
//! the system first, then the thread gives back all that it keeps without need, then the hook of
//! [`hooks::on_limit`](crate::hooks::on_limit) is asked, and then the request fails. Heaps can have
//! [limits of their own](crate::HeapRef::set_limit).
//!
//! ```
//! use ferrimalloc::{MiMalloc, limit};
//!
//! #[global_allocator]
//! static GLOBAL: MiMalloc = MiMalloc;
//!
//! limit::set(Some(limit::charged_bytes() + (64 << 20)));
//! let mut large: Vec<u8> = Vec::new();
//! assert!(large.try_reserve(100 << 20).is_err());
//! assert!(large.try_reserve(50 << 20).is_ok());
//! assert!(limit::charged_bytes() <= limit::get().unwrap());
//! limit::set(None);
//! ```

use ferrimalloc_core::arena::{process_limit, set_process_limit};
use ferrimalloc_core::base::SLICE_BYTES;

/// Limits committed memory to so many bytes, rounded down to 64 KiB; `None`: no limit. What is in use stays, if it is more.
#[doc(alias = "mi_process_set_limit")]
pub fn set(bytes: Option<usize>) {
    set_process_limit(bytes.map_or(0, |bytes| bytes.max(1)));
}

/// The limit, in bytes.
#[doc(alias = "mi_process_limit")]
pub fn get() -> Option<usize> {
    process_limit().most().map(|slices| slices * SLICE_BYTES)
}

/// What counts against it now, in bytes; counted without a limit, too.
#[doc(alias = "mi_process_charged")]
pub fn charged_bytes() -> usize {
    process_limit().charged() * SLICE_BYTES
}
