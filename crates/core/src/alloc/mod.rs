//! Floor 9: the interface: allocate, free, resize.
//!
//! * `malloc`: the fast path, and what happens when it misses.
//! * `free`: likewise.
//! * `aligned`: alignments above 16 bytes, with offsets.
//! * `through`: allocation through a theap at hand.
//! * `single`: blocks with a page of their own.
//! * `realloc`: resizing, in place where possible; `rehome`: resizing into a heap.
//! * `fail`: what is said when a request can't be met.
//! * `upkeep`: what a thread does besides when it is in a slow path anyway.
//! * `query`: questions about a block.
//! * `watched`: where allocation goes that is checked or guarded; `checked`: blocks of hardened pages; `padding` behind
//!   them; `filling` in them; `guarded`: blocks with an inaccessible OS page behind them.

mod aligned;
mod checked;
mod fail;
mod free;
mod guarded;
mod malloc;
mod query;
mod realloc;
mod rehome;
mod single;
#[cfg(test)]
mod tests;
mod through;
mod upkeep;
mod watched;

pub use crate::base::Alignment;
pub use crate::runtime::{DeferredFreeFn, register_deferred_free};
pub use aligned::{alloc_aligned_at_in, malloc_aligned, malloc_aligned_at};
pub use free::free;
pub use malloc::{alloc_in, malloc, malloc_at_once, zalloc};
pub use query::{good_size, heap_of, is_ours, is_under_utilized, usable_size};
pub use realloc::{expand, realloc, realloc_aligned_at_in, realloc_in};
pub use rehome::realloc_into;
pub use through::malloc_in;
pub use upkeep::{collect, collect_reduce};
