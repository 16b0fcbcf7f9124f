//! A thread's first allocation, and the process's. A file of its own, since `hooks`, which it arms, needs `thread`.

use super::hooks::{ensure_hooks, thread_done};
use super::process::{ensure_process, main_subproc};
use super::scavenger;
use super::thread::{Thread, current_theap};
use crate::heap::{Heap, Subproc};
use crate::theap::Theap;

/// The default theap of this thread, made if it has none; `None` without memory.
#[inline]
pub fn live_theap() -> Option<&'static Theap> {
    let theap = current_theap();
    if theap.is_empty_theap() { start_thread() } else { Some(theap) }
}

#[cold]
#[inline(never)]
fn start_thread() -> Option<&'static Theap> {
    if !ensure_process() {
        return None;
    }
    Thread::start(main_subproc(), ensure_hooks)
}

/// Starts the scavenger, whatever the option says. True if there is one now. It leaves with the last thread that has started
/// and not ended; so this one starts first.
pub fn scavenger_start() -> bool {
    live_theap().is_some() && scavenger::start_asked()
}

/// Lets this thread go on in another sub-process: what it has allocated stays where it is, as at a thread's end. False
/// without memory; the thread then starts anew in the main sub-process when it allocates.
pub fn join_subproc(subproc: &'static Subproc) -> bool {
    thread_done();
    ensure_process() && Thread::start(subproc, ensure_hooks).is_some()
}

/// This thread's theap in `heap`, made if there is none; `None` without memory.
#[inline]
pub fn theap_for(heap: &'static Heap) -> Option<&'static Theap> {
    Thread::of(live_theap()?).theap_for(heap)
}
