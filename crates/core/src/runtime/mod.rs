//! Floor 8: the process, its threads, and which theap serves whom.
//!
//! * `process`: initialisation, once, and what the C library is told about us.
//! * `thread`: a thread's theaps; its first allocation and its end.
//! * `heaps`: making, deleting and destroying heaps.
//! * `fork`: locks over a fork, and what the child does with the theaps of threads that it doesn't have.

mod fork;
mod heaps;
mod process;
mod thread;

pub use heaps::{heap_delete, heap_destroy, heap_main, heap_new, heap_new_in_arena};
pub use process::{ensure_process, main_subproc};
pub use thread::{Thread, current_theap, live_theap, set_default_theap, theap_for, thread_done};

ferrimalloc_prim::tls_word!(pub(crate) mod theap_word, init = crate::theap::EMPTY_THEAP);
