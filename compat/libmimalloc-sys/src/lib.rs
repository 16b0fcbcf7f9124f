//! The functions of the crate `libmimalloc-sys` 0.1.49, which are ferrimalloc's.
//!
//! What each does is said in `mimalloc.h`. In short: sizes are in bytes and alignments powers of two; without memory the answer
//! is null; any block may be given to any function that takes one, on any thread.
#![no_std]
// Their contracts are those of the C functions.
#![allow(clippy::missing_safety_doc)]

use core::ffi::c_void;

// Has the functions, by their C names.
extern crate ferrimalloc_capi as _;

#[cfg(feature = "extended")]
mod extended;
#[cfg(all(feature = "extended", feature = "v2"))]
mod v2;

#[cfg(feature = "extended")]
pub use extended::*;
#[cfg(all(feature = "extended", feature = "v2"))]
pub use v2::*;

unsafe extern "C" {
    pub fn mi_malloc(size: usize) -> *mut c_void;
    /// As [`mi_malloc`], and the block reads as zero.
    pub fn mi_zalloc(size: usize) -> *mut c_void;
    /// Resizes a block, which may move; null for `p` allocates. Without memory `p` is as it was.
    pub fn mi_realloc(p: *mut c_void, newsize: usize) -> *mut c_void;
    pub fn mi_malloc_aligned(size: usize, alignment: usize) -> *mut c_void;
    pub fn mi_zalloc_aligned(size: usize, alignment: usize) -> *mut c_void;
    pub fn mi_realloc_aligned(p: *mut c_void, newsize: usize, alignment: usize) -> *mut c_void;
    /// Frees a block; null is none.
    pub fn mi_free(p: *mut c_void);
}
