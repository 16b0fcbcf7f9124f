//! The deferred-free hook: a function of the program's that slow paths call, to free what it has put off. A file
//! of its own, since it is the one hook that is called from inside of an allocation.

use core::ffi::{c_ulonglong, c_void};

use super::thread::Thread;
use crate::base::*;
use crate::diag::Hook;
use crate::sync::{AtomicBool, Ordering};

/// Frees what the program has deferred: `force` asks for all of it; `heartbeat` grows with every call of a thread.
pub type DeferredFreeFn = unsafe extern "C" fn(force: bool, heartbeat: c_ulonglong, arg: *mut c_void);

static HOOK: Hook<DeferredFreeFn> = Hook::new();
static HAS_HOOK: AtomicBool = AtomicBool::new(false);

/// Calls `hook(force, heartbeat, arg)` in slow paths from now on; `None` ends that. It may allocate and free; it is not
/// entered again by the same thread while it runs.
pub fn register_deferred_free(hook: Option<DeferredFreeFn>, arg: *mut c_void) {
    HOOK.set(hook, arg);
    HAS_HOOK.store(hook.is_some(), Ordering::Relaxed);
}

/// Whether there may be a hook to call.
#[inline]
pub fn has_deferred_free() -> bool {
    HAS_HOOK.load(Ordering::Relaxed)
}

/// Calls the hook, unless this thread is inside of it.
#[cold]
pub fn run_deferred_free(thread: &Thread, heartbeat: u64, force: Force) {
    thread.without_reentry(|| {
        if let Some((hook, arg)) = HOOK.get() {
            // SAFETY: the contract of `register_deferred_free`.
            unsafe { hook(force == Force::All, heartbeat, arg) };
        }
    });
}

/// In the child of a fork: another thread may have been registering a hook.
pub(super) fn after_fork() {
    HOOK.repair();
}
