//! Sleep until a word changes.
//!
//! [`wait`] may return for no reason (a signal, a stray wake-up, a platform that can only yield): callers loop on their own
//! condition. A wake-up is never lost: the comparison with `expected` and going to sleep are one step for the wakers.

use crate::platform;
use core::sync::atomic::AtomicU32;

/// What a look at a word in memory that may have gone has found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// What was expected.
    Same,
    /// Something else.
    Other,
    /// No memory.
    Gone,
    /// The system doesn't tell.
    Unknown,
}

/// Sleeps while `word` is `expected` until somebody wakes it; returns at once if it is not.
pub fn wait(word: &AtomicU32, expected: u32) {
    platform::futex::wait(word, expected);
}

/// The same, for at most `millis` milliseconds.
pub fn wait_for(word: &AtomicU32, expected: u32, millis: u32) {
    platform::futex::wait_for(word, expected, millis);
}

/// Wakes one thread that sleeps on `word`, if there is one.
pub fn wake_one(word: &AtomicU32) {
    platform::futex::wake(word, 1);
}

/// Wakes all threads that sleep on `word`.
pub fn wake_all(word: &AtomicU32) {
    platform::futex::wake(word, i32::MAX as u32);
}

#[doc(hidden)]
#[cfg(target_os = "linux")]
pub use crate::linux::futex::look;

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering;
    use std::sync::Arc;
    use std::vec::Vec;

    #[test]
    fn a_changed_word_does_not_sleep() {
        wait(&AtomicU32::new(1), 0);
    }

    #[test]
    fn patience_ends() {
        let start = std::time::Instant::now();
        wait_for(&AtomicU32::new(1), 0, 60_000);
        wait_for(&AtomicU32::new(1), 1, 30);
        assert!((20..20_000).contains(&start.elapsed().as_millis()));
    }

    #[test]
    fn sleepers_are_woken() {
        let word = Arc::new(AtomicU32::new(0));
        let sleep = |word: Arc<AtomicU32>| {
            while word.load(Ordering::Acquire) == 0 {
                wait(&word, 0);
            }
        };
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let w = word.clone();
                std::thread::spawn(move || sleep(w))
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(20));
        word.store(1, Ordering::Release);
        wake_one(&word);
        wake_all(&word);
        threads.into_iter().for_each(|t| t.join().unwrap());
    }

    #[test]
    fn a_turn_passes_to_and_fro() {
        let word = Arc::new(AtomicU32::new(0));
        let player = |mine: u32, word: Arc<AtomicU32>| {
            for _ in 0..2_000 {
                while word.load(Ordering::Acquire) != mine {
                    wait(&word, 1 - mine);
                }
                word.store(1 - mine, Ordering::Release);
                wake_one(&word);
            }
        };
        let other = {
            let w = word.clone();
            std::thread::spawn(move || player(1, w))
        };
        player(0, word);
        other.join().unwrap();
    }
}
