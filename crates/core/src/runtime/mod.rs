//! Floor 8: the process, its threads, and which theap serves whom.
//!
//! * `process`: initialisation, once.
//! * `ends`: a heap's end, and who must not meet it; `late`: threads that allocate after their end.
//! * `thread`: a thread's theaps, and its end; `lone`: threads that only free.
//! * `callbacks`: what the program is asked: to free what it has put off, and for room when a limit is reached.
//! * `gather`: statistics when somebody asks; `slices`: what each slice of an arena is used for.
//! * `subprocs`: making and ending sub-processes. `inner_slices`: whose a slice deep inside of a large block is.
//! * `fork`: locks over a fork; `orphans`: what the child does with the pages and theaps of threads that it doesn't have.
//! * `scavenger`: a thread of our own that purges; `unowned`: collecting pages that no thread owns.
//! * `descriptor`: where our metadata lie, told to readers in other processes.
//! * `hooks`: what the C library is told about us, and the process's end.
//! * `start`: a thread's first allocation; `heaps`: making, deleting and destroying heaps.

mod callbacks;
mod descriptor;
mod ends;
mod fork;
mod gather;
mod heaps;
mod hooks;
mod inner_slices;
mod late;
mod lone;
mod orphans;
mod process;
mod scavenger;
mod slices;
mod start;
mod subprocs;
#[cfg(test)]
pub(crate) mod tests;
mod thread;
mod unowned;

pub use callbacks::{
    DeferredFreeFn, LimitFn, asks_for_room, has_deferred_free, register_deferred_free, register_limit_hook,
    run_deferred_free,
};
pub use descriptor::{Descriptor, MAGIC as DESCRIPTOR_MAGIC, VERSION as DESCRIPTOR_VERSION};
pub use gather::{
    hand_over_counts, heap_stats, merge_heap_stats, reset_stats, subproc_stats, subproc_stats_exclusive, theap_stats,
};
pub use heaps::{heap_delete, heap_destroy, heap_main, heap_new, heap_new_in_arena, heap_new_postponing};
pub use hooks::{Reports, process_done, register_reports, thread_done};
pub use inner_slices::{is_foreign, page_around, page_around_inner};
pub use lone::theap_to_free_by;
pub use process::{ensure_process, interleave_huge, main_subproc, reserve_huge_on};
pub use scavenger::{consider_scavenger, scavenger_runs, scavenger_step, scavenger_stop};
pub use slices::{PageShape, PageStanding, SliceKind, slice_kind};
pub use start::{join_subproc, live_theap, scavenger_start, theap_for};
pub use subprocs::{
    Undestroyed, current_subproc, find_heap, find_in_subprocs, find_subproc, for_each_subproc, subproc_destroy,
    subproc_new, visit_heaps, with_heap,
};
#[cfg(test)]
pub(crate) use thread::ENDS;
pub use thread::{Thread, current_theap, is_own, profile_at, set_default_theap, theap_abandon, theap_delete};
pub use unowned::collect_unowned;

ferrimalloc_prim::tls_word!(pub(crate) mod theap_word, init = crate::theap::EMPTY_THEAP);
