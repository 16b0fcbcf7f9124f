//! How much of what costs something may be done in a while: some at once, and from then on at a rate.

use crate::sync::{AtomicU64, Ordering};

/// See the module's head. What is done costs milliseconds of this clock, which goes on by itself. Threads that take at the same time may
/// get a little too much. Valid when zeroed.
pub struct Allowance {
    /// When all that was taken so far would have been granted, in milliseconds.
    granted: AtomicU64,
}

impl Allowance {
    /// Nothing has been taken.
    pub const fn new() -> Allowance {
        Allowance { granted: AtomicU64::new(0) }
    }

    /// Takes `cost` at the time `now`, unless more than `most` has been taken ahead of time already.
    pub fn take(&self, now: u64, cost: u64, most: u64) -> bool {
        // A clock may jump back.
        let granted = self.granted.load(Ordering::Relaxed);
        let granted = if granted > now + most + cost { now } else { granted.max(now) };
        let is_there = granted <= now + most;
        self.granted.store(if is_there { granted + cost } else { granted }, Ordering::Relaxed);
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_come_at_once_and_then_it_is_a_rate() {
        let allowance = Allowance::new();
        let taken = |now| (0..100).filter(|_| allowance.take(now, 10, 150)).count();
        assert_eq!(taken(1000), 16);
        assert_eq!(taken(1009), 0);
        assert_eq!(taken(1035), 3);
        assert_eq!(taken(1_000_000), 16, "what was not taken is not saved for ever");
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_end_it() {
        let allowance = Allowance::new();
        (0..100).for_each(|_| _ = allowance.take(1_000_000, 10, 150));
        assert!(allowance.take(5, 10, 150));
        assert!((0..100).filter(|_| allowance.take(5, 10, 150)).count() < 16);
    }
}
