//! Where there is no futex: give up the processor, and let the caller look again.

use core::sync::atomic::{AtomicU32, Ordering};

pub(crate) fn wait(word: &AtomicU32, expected: u32) {
    if word.load(Ordering::Relaxed) == expected {
        crate::thread::yield_now();
    }
}

/// A millisecond at a time.
pub(crate) fn wait_for(word: &AtomicU32, expected: u32, millis: u32) {
    let mut left = millis;
    while left > 0 && word.load(Ordering::Relaxed) == expected {
        // SAFETY: takes a number.
        crate::errno::quiet(|| unsafe { libc::usleep(1000) });
        left -= 1;
    }
}

pub(crate) fn wake(_word: &AtomicU32, _most: u32) {}
