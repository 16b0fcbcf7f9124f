//! How much of what costs something may be done in a while: some at once, and from then on at a rate.

use crate::sync::{AtomicU64, Ordering};

/// See the module's head. What is done costs milliseconds of this clock, which goes on by itself. Threads that take at the same time may
/// get a little too much. Valid when zeroed.
pub struct Allowance {
    /// When all that was taken so far would have been granted, in milliseconds.
    granted: AtomicU64,
    /// The time of the last call.
    seen: AtomicU64,
}

/// No charge takes more ahead of time. Milliseconds.
const MOST_AHEAD: u64 = 60_000;

impl Allowance {
    /// Nothing has been taken.
    pub const fn new() -> Allowance {
        Allowance { granted: AtomicU64::new(0), seen: AtomicU64::new(0) }
    }

    /// Takes `cost` at the time `now`, unless more than `most` has been taken ahead of time already.
    pub fn take(&self, now: u64, cost: u64, most: u64) -> bool {
        let back = self.jumped_back(now);
        let mut is_there = false;
        // Refusals, which can be many, write nothing.
        _ = self.granted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |granted| {
            let granted = granted.saturating_sub(back).max(now);
            is_there = granted <= now.saturating_add(most);
            (is_there || back > 0).then(|| granted.saturating_add(if is_there { cost } else { 0 }))
        });
        is_there
    }

    /// What was taken has cost more than was thought. At most a minute of debt counts.
    pub fn charge(&self, cost: u64) {
        let most = self.seen.load(Ordering::Relaxed).saturating_add(MOST_AHEAD);
        _ = self.granted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |granted| {
            (granted < most).then(|| granted.saturating_add(cost).min(most))
        });
    }

    /// By how much the clock has jumped back since the last call: what has been taken ahead of time stays so.
    fn jumped_back(&self, now: u64) -> u64 {
        if self.seen.load(Ordering::Relaxed) == now {
            return 0;
        }
        self.seen.swap(now, Ordering::Relaxed).saturating_sub(now)
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
    fn much_at_once_is_paid_for_before_little_is_had_again() {
        let allowance = Allowance::new();
        assert!(allowance.take(1000, 10_000, 150));
        assert!(!allowance.take(1001, 10, 150) && !allowance.take(10_849, 10, 150));
        assert!(allowance.take(10_850, 10, 150));
    }

    #[test]
    fn what_is_charged_is_taken_too() {
        let allowance = Allowance::new();
        assert!(allowance.take(1000, 10, 0));
        allowance.charge(70);
        assert!(!allowance.take(1079, 10, 0) && allowance.take(1080, 10, 0));
    }

    #[test]
    fn what_is_charged_ends_some_day() {
        let allowance = Allowance::new();
        assert!(allowance.take(1000, 10, 0));
        (0..10).for_each(|_| allowance.charge(MOST_AHEAD));
        assert!(!allowance.take(1000 + MOST_AHEAD - 1, 10, 0) && allowance.take(1000 + MOST_AHEAD, 10, 0));
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_end_it() {
        let allowance = Allowance::new();
        (0..100).for_each(|_| _ = allowance.take(1_000_000, 10, 150));
        assert!(!allowance.take(5, 10, 150), "the same is still to be granted");
        assert!(allowance.take(15, 10, 150) && !allowance.take(15, 10, 150));
    }
}
