//! Floor 8: the process, its threads, and which theap serves whom.
//!
//! * `process`: initialisation, once, and what the C library is told about us.
//! * `thread`: a thread's theaps; its first allocation and its end.
//! * `lone`: threads that only free.
//! * `ends`: a heap's end, and who must not meet it.
//! * `heaps`: making, deleting and destroying heaps; `subprocs`: the same for sub-processes.
//! * `deferred`: the hook for frees that the program has put off.
//! * `gather`: statistics when somebody asks; `draw`: the arenas as pictures.
//! * `fork`: locks over a fork, and what the child does with the theaps of threads that it doesn't have.

mod deferred;
mod draw;
mod ends;
mod fork;
mod gather;
mod heaps;
mod lone;
mod process;
mod subprocs;
#[cfg(test)]
pub(crate) mod tests;
mod thread;

pub use deferred::{DeferredFreeFn, has_deferred_free, register_deferred_free, run_deferred_free};
pub use draw::draw_arenas;
pub use gather::{heap_stats, merge_heap_stats, reset_stats, settle_thread, subproc_stats, subproc_stats_exclusive};
pub use heaps::{heap_delete, heap_destroy, heap_main, heap_new, heap_new_in_arena};
pub use lone::theap_to_free_by;
pub use process::{ensure_process, interleave_huge, main_subproc, process_done, reserve_huge_on};
pub use subprocs::{
    Undestroyed, current_subproc, find_heap, find_subproc, for_each_subproc, page_around, subproc_destroy, subproc_new,
    visit_heaps, with_heap,
};
pub use thread::{Thread, current_theap, join_subproc, live_theap, set_default_theap, theap_for, thread_done};

ferrimalloc_prim::tls_word!(pub(crate) mod theap_word, init = crate::theap::EMPTY_THEAP);
