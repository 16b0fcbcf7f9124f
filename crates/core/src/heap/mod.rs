//! Floor 6: heaps, the sub-process they belong to, and their pages wherever these are.
//!
//! * `registry`: which pages a heap has, and which of them any thread may take: bitmaps per arena.
//! * `heap`: a first-class heap, and its sub-process: a set of heaps and arenas that shares nothing with another.
//!   `count`: what a heap counts of its pages.
//! * `page_heap`: a page's heap for a thread that may meet it at its end.
//! * `page_alloc`: making and releasing a heap's pages, `color`: where in them blocks start; `guard`: what hardened and
//!   guarded pages have besides, and what is said when a guard is hit.
//! * `samples`: pages that the profiler's samples share; `sample_blocks`: allocating and freeing in them.
//! * `visit`: a heap's pages and blocks, shown to a visitor.
//! * `postponed`: heaps whose empty pages wait until no thread of the program looks at them any more; `waiting_pages`: what
//!   that has to be told about pages.
//! * `resting`: guarded blocks that have been freed, and are inaccessible for a while; `laying`: how they get there.
//! * `orphans`: whether a fork has left pages behind that no thread has looked after yet.

mod color;
mod count;
mod free_stack;
mod guard;
#[expect(clippy::module_inception, reason = "the floor is named after the type it exists for")]
mod heap;
mod laying;
mod orphans;
mod page_alloc;
mod page_heap;
mod postponed;
mod registry;
mod resting;
mod sample_blocks;
mod samples;
#[cfg(test)]
pub(crate) mod tests;
mod visit;
mod waiting_pages;

pub use count::stats_bin;
pub use free_stack::FreeStack;
pub use guard::{check_page, forget_guard, guard_single, may_guard};
pub use heap::{Heap, HeapOffsets, PinnedHeap, Subproc, SubprocOffsets, TheapLinks};
pub use laying::retire_sample;
pub use orphans::{Adopt, adopt_orphans_first, do_orphans_wait, no_orphans_wait, orphans_wait, unlock};
pub use page_alloc::{
    Demand, Maker, SingleRequest, advise_filling, refuse_second_free, release_or_list, release_page, release_page_of,
    release_resting, slices_of_page,
};
pub use page_heap::{any_postpones, heap_locks, heap_of_page, hint_of, lock_heap, may_preserve, postpones, preserved};
pub use postponed::{Hooks as PostponeHooks, STATE_BYTES};
pub use registry::any_os_pages;
pub use sample_blocks::free_sample;
pub use visit::{Area, Depth, Visitor, visit_page, walk_of};
pub use waiting_pages::Postponing;
