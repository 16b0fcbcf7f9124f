//! Whether a fork has left pages behind that nobody has looked after yet, and having that done before it matters.
//!
//! The child of a fork has the pages of threads that it doesn't have. It looks after them (`runtime::orphans`) only when it
//! is about to do more than allocate from its own pages and free into them; many children never do. A file of its own, since
//! every file of this floor and the next asks it.
//!
//! # Invariant
//! While orphans wait, *no page changes hands and no theap is made*: whoever is about to give a page up, claim, release or
//! search for one, or start a theap, calls [`adopt_orphans_first`], with no lock held. So a page whose remote word says
//! that it is owned, and that is not one of the forking thread's, is an orphan, whatever its owner word says.

use crate::sync::{AtomicPtr, Lock, Ordering};
use core::ptr;

/// What adopts them, while there may be some; null if not.
static WAITING: AtomicPtr<Adopt> = AtomicPtr::new(ptr::null_mut());

/// A function that adopts all orphans, and says so by [`no_orphans_wait`]. Others may be at it.
pub struct Adopt(pub fn());

/// In the child of a fork, before anything else: `adopt` is to be called before pages change hands.
pub fn orphans_wait(adopt: &'static Adopt) {
    WAITING.store(ptr::from_ref(adopt).cast_mut(), Ordering::Relaxed);
}

/// They have been adopted.
pub fn no_orphans_wait() {
    // ORDERING: release: who sees this sees the pages as they are now; pairs with `adopt_orphans_first`.
    WAITING.store(ptr::null_mut(), Ordering::Release);
}

/// Whether some may wait.
#[inline]
pub fn do_orphans_wait() -> bool {
    // ORDERING: acquire pairs with `no_orphans_wait`.
    !WAITING.load(Ordering::Acquire).is_null()
}

/// Before pages change hands: has orphans adopted, if any wait. May take locks and wait.
#[inline]
pub fn adopt_orphans_first() {
    if do_orphans_wait() {
        adopt();
    }
}

#[cold]
#[inline(never)]
fn adopt() {
    // SAFETY: null, or a static that `orphans_wait` was given.
    if let Some(adopt) = unsafe { WAITING.load(Ordering::Relaxed).as_ref() } {
        (adopt.0)();
    }
}

/// Releases a lock that was taken before a fork: in the parent by unlocking it, in the child by making it new.
///
/// # Safety
/// The caller (in the parent: this thread; in the child: the thread that forked) holds the lock by `lock_raw`.
pub unsafe fn unlock<T>(lock: &Lock<T>, child: bool) {
    // SAFETY: the precondition.
    unsafe {
        if child {
            lock.reinit();
        } else {
            lock.unlock_raw();
        }
    }
}
