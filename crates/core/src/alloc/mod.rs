//! Floor 9: the interface: allocate, free, resize.
//!
//! * `malloc`: the fast path, and what happens when it misses.
//! * `free`: likewise; `stated`: what callers say about the block that they free.
//! * `aligned`: alignments above 16 bytes, with offsets.
//! * `single`: blocks with a page of their own.
//! * `realloc`: resizing, in place where possible.
//! * `upkeep`: what a thread does besides when it is in a slow path anyway. `fail`: what is said when a request can't be met.
//! * `query`: questions about a block. `bounds`: how far it reaches from an address inside.
//! * `sampled`: allocations that are the profiler's samples; `marking`: how a block becomes one.
//! * `origins`: who allocated and freed a block, for reports.
//! * `hardened`: where the fast paths fail: allocation that is checked or guarded; `hardened_fast`: the way of most blocks
//!   of hardened pages; `hardened_single`: of blocks with a page of their own.

mod aligned;
mod bounds;
mod fail;
mod free;
mod hardened;
mod hardened_fast;
mod hardened_single;
mod malloc;
mod marking;
mod origins;
mod query;
mod realloc;
mod sampled;
mod single;
mod stated;
#[cfg(test)]
mod tests;
mod upkeep;

pub use crate::base::Alignment;
pub use crate::runtime::{DeferredFreeFn, register_deferred_free};
pub use aligned::{alloc_aligned_at_in, malloc_aligned, malloc_aligned_at};
pub use bounds::{Access, Copier, CopyFn, FillFn, UNLIMITED, allowed, copy_checked, fill_checked, remaining};
pub use free::{free, free_as};
pub use malloc::{alloc_in, malloc, malloc_at_once, malloc_in, malloc_words, zalloc};
pub use query::{good_size, heap_of, is_block, is_ours, is_under_utilized, thread_of, usable_size};
pub use realloc::{expand, realloc, realloc_aligned_at_in, realloc_in, realloc_into};
pub use stated::{Stated, check_free};
pub use upkeep::{collect, collect_reduce, idle};
