//! Sleeping, waking, yielding and thread names, from the platform or from the model checker.

#[cfg(loom)]
pub use self::model::{thread_id, yield_now};
#[cfg(loom)]
pub(super) use self::model::{wait, wait_for, wake_all, wake_one};
#[cfg(not(loom))]
pub(super) use ferrimalloc_prim::futex::{wait, wait_for, wake_all, wake_one};
#[cfg(not(loom))]
pub use ferrimalloc_prim::thread::{id as thread_id, yield_now};

/// The same functions for the checker, whose futex really sleeps: a lost wake-up is a deadlock, which loom reports.
///
/// One room for all words will do: whoever is woken looks at its word again, and a model waits for one word at a time.
#[cfg(loom)]
mod model {
    extern crate std;
    use crate::sync::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};
    use std::hash::{DefaultHasher, Hash, Hasher};

    loom::lazy_static! {
        static ref ROOM: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    }

    pub fn wait(word: &AtomicU32, expected: u32) {
        let guard = ROOM.0.lock().expect("no panic");
        if word.load(Ordering::Relaxed) == expected {
            drop(ROOM.1.wait(guard).expect("no panic"));
        }
    }

    /// Patience may end at once.
    pub fn wait_for(_word: &AtomicU32, _expected: u32, _millis: u32) {
        loom::thread::yield_now();
    }

    pub fn wake_one(_word: &AtomicU32) {
        let _guard = ROOM.0.lock().expect("no panic");
        ROOM.1.notify_one();
    }

    pub fn wake_all(_word: &AtomicU32) {
        let _guard = ROOM.0.lock().expect("no panic");
        ROOM.1.notify_all();
    }

    /// Lets another thread of the model run.
    pub fn yield_now() {
        loom::thread::yield_now();
    }

    /// Non-zero, unique among the model's threads.
    pub fn thread_id() -> usize {
        let mut hasher = DefaultHasher::new();
        loom::thread::current().id().hash(&mut hasher);
        hasher.finish() as usize | 1
    }
}
