//! What the program is asked from inside of an allocation: to free what it has put off, and to make room when a limit on memory is
//! reached. A thread that is inside of such a function does not enter one again. A file of its own, since other hooks are called
//! from elsewhere.

use core::ffi::{c_ulonglong, c_void};
use core::ptr;

use super::thread::Thread;
use crate::arena::process_limit;
use crate::base::*;
use crate::diag::Hook;
use crate::heap::Heap;
use crate::sync::{AtomicBool, Ordering};

/// Frees what the program has deferred: `force` asks for all of it; `heartbeat` grows with every call of a thread.
pub type DeferredFreeFn = unsafe extern "C" fn(force: bool, heartbeat: c_ulonglong, arg: *mut c_void);

static DEFERRED: Hook<DeferredFreeFn> = Hook::new();
static IS_DEFERRING: AtomicBool = AtomicBool::new(false);

/// Calls `hook(force, heartbeat, arg)` in slow paths from now on; `None` ends that. It may allocate and free; it is not
/// entered again by the same thread while it runs.
pub fn register_deferred_free(hook: Option<DeferredFreeFn>, arg: *mut c_void) {
    DEFERRED.set(hook, arg);
    IS_DEFERRING.store(hook.is_some(), Ordering::Relaxed);
}

/// Whether there may be a hook to call.
#[inline]
pub fn has_deferred_free() -> bool {
    IS_DEFERRING.load(Ordering::Relaxed)
}

/// Calls the hook, unless this thread is inside of it.
#[cold]
pub fn run_deferred_free(thread: &Thread, heartbeat: u64, force: Force) {
    thread.without_reentry(|| {
        if let Some((hook, arg)) = DEFERRED.get() {
            // SAFETY: the contract of `register_deferred_free`.
            unsafe { hook(force == Force::All, heartbeat, arg) };
        }
    });
}

/// Memory for `bytes` bytes is wanted that a limit does not allow: that of `heap`, or if it is null, of the process. True if it
/// is worth another attempt.
pub type LimitFn = unsafe extern "C" fn(heap: *mut Heap, bytes: usize, arg: *mut c_void) -> bool;

static LIMIT: Hook<LimitFn> = Hook::new();

/// Calls `hook(heap, bytes, arg)` from now on when a limit refuses memory and nothing can be given back; `None` ends that. It
/// may allocate and free; a thread that is inside of it does not enter it again.
pub fn register_limit_hook(hook: Option<LimitFn>, arg: *mut c_void) {
    LIMIT.set(hook, arg);
}

/// Whose limit is in the way of so many slices more in `heap`: `Some(None)` for the process's.
fn reached(heap: &'static Heap, slices: usize) -> Option<Option<&'static Heap>> {
    let is_over = heap.limit().shortage(slices) > 0;
    if is_over { Some(Some(heap)) } else { (process_limit().shortage(slices) > 0).then_some(None) }
}

/// Asks the hook for room for so many slices in `heap`, which could not be had. False if no limit is in their way, if there is no hook, or
/// it has none to give.
#[cold]
pub fn asks_for_room(thread: &Thread, heap: &'static Heap, slices: usize, bytes: usize) -> bool {
    let (Some((hook, arg)), Some(limited)) = (LIMIT.get(), reached(heap, slices)) else { return false };
    let limited = limited.map_or(ptr::null_mut(), |heap| ptr::from_ref(heap).cast_mut());
    let mut is_worth_it = false;
    // SAFETY: the contract of `register_limit_hook`.
    thread.without_reentry(|| is_worth_it = unsafe { hook(limited, bytes, arg) });
    is_worth_it
}

/// In the child of a fork: another thread may have been registering a hook.
pub(super) fn after_fork() {
    DEFERRED.repair();
    LIMIT.repair();
}
