//! A fast, compact, general-purpose allocator: mimalloc v3's design, written in Rust.
//!
//! As the allocator of a whole program:
//!
//! ```
//! use ferrimalloc::MiMalloc;
//!
//! #[global_allocator]
//! static GLOBAL: MiMalloc = MiMalloc;
//!
//! let words: Vec<String> = "every block from ferrimalloc".split(' ').map(String::from).collect();
//! assert_eq!(words.len(), 4);
//! ```
//!
//! A program that uses the crate `mimalloc` changes `mimalloc::MiMalloc` to `ferrimalloc::MiMalloc`, or nothing at all
//! if its `Cargo.toml` says `mimalloc = { package = "ferrimalloc", … }`.
//!
//! # What else is here
//! * [`Heap`]: memory of its own for one job, given back all at once. Any thread may allocate in it.
//! * [`arena`]: memory for heaps, in advance or of the program's own.
//! * [`Options`]: the options that a program starts with, in its `static`.
//! * [`options`]: mimalloc's options, also set by the environment (`MIMALLOC_PURGE_DELAY=0`).
//! * [`Stats`]: what the allocator holds and does.
//! * [`profile`]: who has allocated what is in use.
//! * [`limit`]: how much memory the process may have.
//! * [`scavenger`]: a thread that gives idle memory back.
//! * [`compat`]: names by which users of `tikv-jemalloc-ctl` know some of this.
//! * [`hooks`]: be called for deferred frees, output, errors.
//!
//! # Features
//! | feature | what it adds |
//! |---|---|
//! | `allocator-api2` | the [`allocator-api2`](https://docs.rs/allocator-api2) crate's `Allocator`: collections in a heap, on stable Rust |
//! | `override` | `malloc`, `free`, `operator new` and the rest are exported: the C and C++ libraries in the program have the same allocator |
//! | `secure`, `debug`, `guarded` | levels of checking, unless the environment has others (`MIMALLOC_SECURE=4`, `MIMALLOC_DEBUG=2`, `MIMALLOC_GUARDED_SAMPLE_RATE=4000`) |
//! | `debug_in_debug` | `debug` in builds with debug assertions |
//! | `no_thp` | no transparent huge pages, unless the environment allows them (`MIMALLOC_ALLOW_THP=1`) |
//! | `valgrind` | a slow build for valgrind's memcheck, which then knows every block |
//! | `asan` | a slow build for AddressSanitizer, which then knows what is in no block |
//! | `nightly` | `core::alloc::Allocator`, on a nightly compiler |
//!
//! # Cost
//! An allocation of up to 1 KiB takes about 14 instructions and no call, a free by the thread that allocated about 13;
//! neither has an atomic operation. They are inlined where the global allocator is called, with or without LTO.
//! The crate is `no_std`, needs no C compiler, and depends on `libc` alone.
#![no_std]
#![cfg_attr(feature = "nightly", feature(allocator_api))]
#![warn(missing_docs)]

// Has `malloc` and the rest, by their C names.
#[cfg(feature = "override")]
extern crate ferrimalloc_capi as _;

#[cfg(any(feature = "allocator-api2", feature = "nightly"))]
mod allocator;
pub mod arena;
pub mod compat;
mod configured;
mod global;
mod heap;
pub mod hooks;
pub mod limit;
pub mod options;
pub mod profile;
mod request;
pub mod scavenger;
pub mod stats;

pub use configured::{Configured, Options};
pub use ferrimalloc_core::base::Force;
pub use global::MiMalloc;
pub use heap::{Area, Heap, HeapBuilder, HeapRef};
pub use stats::Stats;

/// The examples of the READMEs run, too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../README.md")]
struct Readme;
