//! Runs an initialisation exactly once; others wait for it, the running thread itself does not.
//!
//! That last point is why the core has its own: initialising an allocator may call back into it (the C library allocates
//! in `pthread_key_create`, a dynamic linker in the first TLS access), and such a nested call must get through.
//!
//! | word | meaning                                   |
//! |------|-------------------------------------------|
//! | 0    | new                                       |
//! | 1    | running, nobody sleeps                    |
//! | 2    | running, somebody may sleep and must be woken |
//! | 3    | done                                      |
//!
//! The word only grows, but for the child of a `fork`. Invariants:
//! 1. The thread that changed the word from 0 to 1 runs the function, and alone stores 3, after it.
//! 2. `runner` is written by that thread only. A thread that reads its own id there wrote it itself: it is inside the
//!    function. Other values, old or new, are never its id.
//! 3. A thread sleeps only while the word is 2; the one that stores 3 over a 2 wakes them all.

use super::{AtomicU32, AtomicUsize, Ordering, const_unless_loom, wait};

const NEW: u32 = 0;
const RUNNING: u32 = 1;
const AWAITED: u32 = 2;
const DONE: u32 = 3;

const NOBODY: usize = 0;

/// What a caller of [`Once::call`] may rely on when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The function has run; all it wrote is visible.
    Done,
    /// This very thread is inside the function, and called again.
    InProgress,
}

/// A function's licence to run once. Zeroed memory is a new one.
#[repr(C)]
pub struct Once {
    word: AtomicU32,
    runner: AtomicUsize,
}

impl Once {
    const_unless_loom! {
        /// One that has not run. `const` except under loom.
        pub const fn new() -> Self {
            Once { word: AtomicU32::new(NEW), runner: AtomicUsize::new(NOBODY) }
        }
    }

    /// Whether the function has run, and all it wrote is visible. One load.
    #[inline]
    pub fn is_done(&self) -> bool {
        // ORDERING: acquire pairs with the release in `finish`: what the function wrote is visible.
        self.word.load(Ordering::Acquire) == DONE
    }

    /// Runs `init` if no call has yet; otherwise waits until it has run, except inside `init` itself.
    ///
    /// `init` must not unwind: the others would wait for ever.
    #[inline]
    pub fn call(&self, init: impl FnOnce()) -> Progress {
        if self.is_done() { Progress::Done } else { self.call_slow(init) }
    }

    #[cold]
    #[inline(never)]
    fn call_slow(&self, init: impl FnOnce()) -> Progress {
        if self.begin() {
            init();
            self.finish();
        } else if self.runner.load(Ordering::Relaxed) == wait::thread_id() {
            return Progress::InProgress;
        } else {
            self.wait_for_done();
        }
        Progress::Done
    }

    /// Lets a function run anew that was being run by another thread, which is gone: in the child of a `fork`. What that
    /// thread had done so far stays done.
    ///
    /// # Safety
    /// There is no other thread.
    pub unsafe fn after_fork(&self) {
        if !self.is_done() && self.runner.load(Ordering::Relaxed) != wait::thread_id() {
            self.word.store(NEW, Ordering::Relaxed);
        }
    }

    fn begin(&self) -> bool {
        let won = self.word.compare_exchange(NEW, RUNNING, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if won {
            self.runner.store(wait::thread_id(), Ordering::Relaxed);
        }
        won
    }

    fn finish(&self) {
        self.runner.store(NOBODY, Ordering::Relaxed);
        // ORDERING: release publishes what the function wrote to every acquire load that sees DONE.
        if self.word.swap(DONE, Ordering::Release) == AWAITED {
            wait::wake_all(&self.word);
        }
    }

    fn wait_for_done(&self) {
        while !self.is_done() {
            self.announce_waiting();
            wait::wait(&self.word, AWAITED);
        }
    }

    /// Asks the runner to wake us, unless it has finished meanwhile: then the wait returns at once.
    fn announce_waiting(&self) {
        let _ = self.word.compare_exchange(RUNNING, AWAITED, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn the_child_of_a_fork_begins_anew_what_another_thread_had_begun() {
        let once = Once::new();
        once.word.store(AWAITED, Ordering::Relaxed);
        once.runner.store(!wait::thread_id(), Ordering::Relaxed);
        // SAFETY: nobody else knows it.
        unsafe { once.after_fork() };
        let mut runs = 0;
        assert_eq!(once.call(|| runs += 1), Progress::Done);
        // SAFETY: as above.
        unsafe { once.after_fork() };
        once.call(|| runs += 1);
        assert_eq!(runs, 1);
    }

    #[test]
    fn a_fork_from_inside_leaves_the_thread_inside() {
        let once = Once::new();
        let inside = || {
            // SAFETY: nobody else knows it.
            unsafe { once.after_fork() };
            assert_eq!(once.call(|| unreachable!()), Progress::InProgress);
        };
        assert_eq!(once.call(inside), Progress::Done);
    }

    #[test]
    fn runs_once_and_others_wait() {
        static ONCE: Once = Once::new();
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let enter = || {
            let progress = ONCE.call(|| {
                thread::sleep(core::time::Duration::from_millis(20));
                RUNS.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(progress, Progress::Done);
            assert_eq!(RUNS.load(Ordering::Relaxed), 1);
        };
        thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(enter))));
        assert!(ONCE.is_done());
    }

    #[test]
    fn a_nested_call_gets_through() {
        let once = Once::new();
        let mut nested = None;
        assert_eq!(once.call(|| nested = Some(once.call(|| unreachable!()))), Progress::Done);
        assert_eq!(nested, Some(Progress::InProgress));
        assert_eq!(once.call(|| unreachable!()), Progress::Done);
    }
}
