//! An allocator for programs with one thread and little memory: WebAssembly, and machines without an operating system.
//!
//! ```
//! use ferrimalloc_small::{Region, Small};
//!
//! // SAFETY: the program has one thread, and no interrupt handler allocates.
//! static GLOBAL: Small<Region<65536>> = unsafe { Small::single_threaded(Region::new()) };
//! ```
//!
//! with `#[global_allocator]`. On WebAssembly the memory is not a [`Region`] but `Grown`.
//!
//! # How it is built
//! The idea is mimalloc's, and nothing of the large allocator beside it is used: blocks of one size class share a page, each page has its own list of free blocks, and
//! an allocation takes the first of the list. What is larger than a class lies in runs of granules.
//!
//! * `sizes`: the size classes, the page (4 KiB) and the granule (512 bytes).
//! * `source`: where memory comes from.
//! * `runs`: free memory as runs of granules, which are split and joined again. One word per granule, in a table, tells where they are; nothing is written
//!   before a block, so blocks of a power of two waste nothing.
//! * `pages`: pages of small blocks. A page's description lies in the eight words that the table has for its granules.
//! * `global`: Rust's interface. Rust tells a block's size when it is freed, so nothing is looked up.
//!
//! There are no options, statistics, or checks, and memory never goes back to the source.
#![no_std]
#![warn(missing_docs)]

#[cfg(test)]
extern crate std;

mod global;
mod pages;
mod runs;
mod sizes;
mod source;

pub use global::Small;
#[cfg(all(feature = "grown", target_family = "wasm"))]
pub use source::Grown;
pub use source::{Region, Source};
