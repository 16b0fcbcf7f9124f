//! A bell for one servant: rung when there is work; the servant sleeps without a timer while there is none.
//!
//! | word | meaning |
//! |---|---|
//! | `NOBODY` | there is no servant: whoever has work does it himself |
//! | `ASLEEP` | the servant sleeps until the word changes |
//! | `AWAKE` | the servant is up, and will look for work before it sleeps |
//! | `LEAVING` | the servant is to go |
//!
//! Invariants:
//! 1. The servant alone changes `NOBODY` to `AWAKE`, `AWAKE` to `ASLEEP`, and anything to `NOBODY`; others change `ASLEEP`
//!    to `AWAKE` and wake it, and anything but `NOBODY` to `LEAVING`.
//! 2. *No work is overlooked.* Who makes work does so before it looks at the word; the servant says `ASLEEP` before it
//!    looks for work the last time. A fence stands between on both sides, so one of the two sees the other.

use super::{AtomicU32, Ordering, const_unless_loom, fence, wait};

const NOBODY: u32 = 0;
const ASLEEP: u32 = 1;
const AWAKE: u32 = 2;
const LEAVING: u32 = 3;

/// Who heard it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// There is no servant, or it is to go: the caller does the work.
    Nobody,
    /// The servant slept until now.
    Woken,
    /// The servant was up already.
    Awake,
}

/// See the module's head.
pub struct Bell {
    word: AtomicU32,
}

impl Bell {
    const_unless_loom! {
        /// A bell without a servant.
        pub const fn new() -> Self {
            Bell { word: AtomicU32::new(NOBODY) }
        }
    }

    /// Whether there is a servant.
    pub fn is_attended(&self) -> bool {
        self.word.load(Ordering::Relaxed) != NOBODY
    }

    /// Tells the servant about work that has been made before.
    pub fn ring(&self) -> Heard {
        // ORDERING: invariant 2: the work, before the look at the word.
        fence(Ordering::SeqCst);
        match self.word.load(Ordering::Relaxed) {
            ASLEEP if self.change(ASLEEP, AWAKE) => {
                wait::wake_one(&self.word);
                Heard::Woken
            }
            NOBODY | LEAVING => Heard::Nobody,
            _ => Heard::Awake,
        }
    }

    /// Asks the servant to leave.
    pub fn dismiss(&self) {
        while let word @ (ASLEEP | AWAKE) = self.word.load(Ordering::Relaxed) {
            if self.change(word, LEAVING) {
                return wait::wake_one(&self.word);
            }
        }
    }

    /// The caller is the servant from now on; false if there is one.
    pub fn attend(&self) -> bool {
        self.change(NOBODY, AWAKE)
    }

    /// The servant goes; or, in the child of a fork, is not there.
    pub fn leave(&self) {
        self.word.store(NOBODY, Ordering::Relaxed);
    }

    /// The servant is to go.
    pub fn is_dismissed(&self) -> bool {
        self.word.load(Ordering::Relaxed) == LEAVING
    }

    /// The servant sleeps until the bell is rung or it is to leave, unless it still sees work.
    pub fn sleep_unless(&self, has_work: impl FnOnce() -> bool) {
        if !self.change(AWAKE, ASLEEP) {
            return;
        }
        // ORDERING: invariant 2: the word, before the look for work.
        fence(Ordering::SeqCst);
        if has_work() {
            self.change(ASLEEP, AWAKE);
            return;
        }
        while self.word.load(Ordering::Relaxed) == ASLEEP {
            wait::wait(&self.word, ASLEEP);
        }
    }

    /// The servant waits, for at most `millis` milliseconds, but not longer than until it is to leave.
    pub fn doze(&self, millis: u32) {
        wait::wait_for(&self.word, AWAKE, millis);
    }

    fn change(&self, from: u32, to: u32) -> bool {
        self.word.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
