//! The type of the crate `mimalloc` 0.1.52, whose memory is ferrimalloc's.
//!
//! ```
//! use mimalloc::MiMalloc;
//!
//! #[global_allocator]
//! static GLOBAL: MiMalloc = MiMalloc;
//! ```
#![no_std]

use core::alloc::{GlobalAlloc, Layout};

// Has mimalloc's C functions, and `malloc` if asked for.
extern crate libmimalloc_sys as _;

#[cfg(feature = "extended")]
mod extended;

#[cfg(all(feature = "extended", not(feature = "v2")))]
pub use extended::StatsJson;

/// The allocator, to be put in a `static` with `#[global_allocator]`.
pub struct MiMalloc;

/// What does the work.
const ALLOCATOR: ferrimalloc::MiMalloc = ferrimalloc::MiMalloc;

// SAFETY: all calls go to a global allocator.
unsafe impl GlobalAlloc for MiMalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the contract of `GlobalAlloc`, here and below.
        unsafe { ALLOCATOR.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { ALLOCATOR.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { ALLOCATOR.dealloc(p, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { ALLOCATOR.realloc(p, layout, new_size) }
    }
}
