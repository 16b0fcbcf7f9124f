//! The program's say when a limit on memory is reached: a function that may free something, or raise the limit. A file of its own,
//! since it is called from inside of an allocation, like `deferred`.

use core::ffi::c_void;
use core::ptr;

use super::thread::Thread;
use crate::arena::process_limit;
use crate::diag::Hook;
use crate::heap::Heap;

/// Memory for `bytes` bytes is wanted that a limit does not allow: that of `heap`, or if it is null, of the process. True if it
/// is worth another attempt.
pub type LimitFn = unsafe extern "C" fn(heap: *mut Heap, bytes: usize, arg: *mut c_void) -> bool;

static HOOK: Hook<LimitFn> = Hook::new();

/// Calls `hook(heap, bytes, arg)` from now on when a limit refuses memory and nothing can be given back; `None` ends that. It
/// may allocate and free; a thread that is inside of it does not enter it again.
pub fn register_limit_hook(hook: Option<LimitFn>, arg: *mut c_void) {
    HOOK.set(hook, arg);
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
    let (Some((hook, arg)), Some(limited)) = (HOOK.get(), reached(heap, slices)) else { return false };
    let limited = limited.map_or(ptr::null_mut(), |heap| ptr::from_ref(heap).cast_mut());
    let mut is_worth_it = false;
    // SAFETY: the contract of `register_limit_hook`.
    thread.without_reentry(|| is_worth_it = unsafe { hook(limited, bytes, arg) });
    is_worth_it
}

/// In the child of a fork: another thread may have been registering a hook.
pub(super) fn after_fork() {
    HOOK.repair();
}
