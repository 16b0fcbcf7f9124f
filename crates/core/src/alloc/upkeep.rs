//! What a thread does besides when it is in a slow path anyway: hand over gathered remote frees, run the deferred-free
//! hook, let empty pages expire, purge what is due, collect.

use core::ffi::{c_ulonglong, c_void};

use crate::base::*;
use crate::diag::{Callback, Hook};
use crate::runtime::{Thread, current_theap};
use crate::sync::{AtomicBool, Ordering};
use crate::theap::{Theap, Tick};

/// Frees what the program has deferred: `force` asks for all of it; `heartbeat` grows with every call of a thread.
pub type DeferredFreeFn = unsafe extern "C" fn(force: bool, heartbeat: c_ulonglong, arg: *mut c_void);

impl Callback for DeferredFreeFn {
    fn erase(self) -> *mut c_void {
        self as *mut c_void
    }

    unsafe fn restore(word: *mut c_void) -> Self {
        // SAFETY: the caller's promise: the word is a `DeferredFreeFn`.
        unsafe { core::mem::transmute::<*mut c_void, DeferredFreeFn>(word) }
    }
}

static HOOK: Hook<DeferredFreeFn> = Hook::new();
static HAS_HOOK: AtomicBool = AtomicBool::new(false);

/// Calls `hook(force, heartbeat, arg)` in slow paths from now on; `None` ends that. It may allocate and free; it is not
/// entered again by the same thread while it runs.
pub fn register_deferred_free(hook: Option<DeferredFreeFn>, arg: *mut c_void) {
    HOOK.set(hook, arg);
    HAS_HOOK.store(hook.is_some(), Ordering::Relaxed);
}

/// Once per slow path of `malloc`.
#[inline]
pub(super) fn in_slow_path(theap: &'static Theap) {
    theap.flush_remote();
    let thread = Thread::of(theap);
    let heartbeat = thread.beat();
    if HAS_HOOK.load(Ordering::Relaxed) {
        run_hook(thread, heartbeat, Force::Routine);
    }
    match theap.tick() {
        Tick::NotYet => {}
        Tick::Due => tick(theap),
        Tick::Collect => collect(Force::Routine),
    }
}

#[cold]
fn tick(theap: &'static Theap) {
    theap.upkeep();
    theap.heap().subproc().arenas().purge_due(Force::Routine);
}

#[cold]
fn run_hook(thread: &Thread, heartbeat: u64, force: Force) {
    thread.without_reentry(|| {
        if let Some((hook, arg)) = HOOK.get() {
            // SAFETY: the contract of `register_deferred_free`.
            unsafe { hook(force == Force::All, heartbeat, arg) };
        }
    });
}

/// Memory has run out: gives back whatever this thread and the arenas keep.
#[cold]
pub(super) fn make_room(theap: &'static Theap) {
    Thread::of(theap).collect(Force::All);
    theap.heap().subproc().arenas().purge_due(Force::All);
}

/// Collects this thread's theaps and purges: what is due, or with `Force::All` everything that can be given back.
pub fn collect(force: Force) {
    let theap = current_theap();
    if theap.is_empty_theap() {
        return;
    }
    let thread = Thread::of(theap);
    run_hook(thread, thread.beat(), force);
    thread.collect(force);
    theap.heap().subproc().arenas().purge_due(force);
}

/// Collects, and gives pages of this thread up until it owns at most `target_bytes` of them; purges.
pub fn collect_reduce(target_bytes: usize) {
    let theap = current_theap();
    if theap.is_empty_theap() {
        return;
    }
    collect(Force::All);
    Thread::of(theap).theaps().fold(0, |owned, theap| owned + theap.reduce(target_bytes.saturating_sub(owned)));
    theap.heap().subproc().arenas().purge_due(Force::All);
}
