//! Any Unix: threads are numbered as they ask, and carry their number in a pthread slot.
//!
//! Not the address of the C library's thread object: it need not be aligned to 16. The slot has no destructor, so that the
//! number stays readable while other destructors run.

use crate::platform::key::Key;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

const STEP: usize = 16;

static SLOT: Key = Key::new();
static LAST: AtomicUsize = AtomicUsize::new(0);

/// See [`IDS_COME_AGAIN`](crate::thread::IDS_COME_AGAIN).
#[allow(dead_code, reason = "where another way is chosen")]
pub const IDS_COME_AGAIN: bool = false;

/// One call into the C library, but for the first time in a thread.
#[inline(always)]
pub fn id() -> usize {
    match SLOT.read().addr() {
        0 => number_this_thread(),
        number => number,
    }
}

/// The C library empties all slots when a thread ends, one after another, and calls destructors in between: these must find
/// the thread under the name that it had.
unsafe extern "C" fn keep(number: *mut c_void) {
    SLOT.write(number);
}

#[cold]
#[inline(never)]
fn number_this_thread() -> usize {
    let number = LAST.fetch_add(STEP, Ordering::Relaxed) + STEP;
    // Without a slot two threads could not be told apart, and would corrupt each other's memory.
    let kept = SLOT.create(Some(keep)).is_ok() && SLOT.write(ptr::without_provenance_mut(number));
    if kept { number } else { crate::process::abort() }
}
