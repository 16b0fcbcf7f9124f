//! How much memory has been free for a whole delay, and how much has been in use in between: low and high water of the
//! last few parts of it.
//!
//! Memory that goes into use and becomes free again does not wait for a delay. What was free throughout, at least the
//! low water, is not needed; what is between low and high water is.
//!
//! The marks steer and decide nothing: threads that change them at the same time may lose a mark.

use crate::sync::{AtomicU64, AtomicUsize, Ordering};

/// The parts of a delay. So memory waits for the delay and at most a quarter of it longer.
const PARTS: usize = 4;

struct Marks {
    low: AtomicUsize,
    high: AtomicUsize,
}

impl Marks {
    const fn new() -> Self {
        Self { low: AtomicUsize::new(0), high: AtomicUsize::new(0) }
    }

    fn set(&self, low: usize, high: usize) {
        self.low.store(low, Ordering::Relaxed);
        self.high.store(high, Ordering::Relaxed);
    }

    fn low(&self) -> usize {
        self.low.load(Ordering::Relaxed)
    }

    fn high(&self) -> usize {
        self.high.load(Ordering::Relaxed)
    }
}

/// The marks of an amount that rises and falls. Valid when zeroed.
pub struct Watermarks {
    /// When the present part ends, in milliseconds; 0: nothing has been noted yet.
    ends: AtomicU64,
    present: Marks,
    past: [Marks; PARTS],
}

impl Watermarks {
    pub const fn new() -> Self {
        Self { ends: AtomicU64::new(0), present: Marks::new(), past: [const { Marks::new() }; PARTS] }
    }

    /// The amount has changed.
    #[inline]
    pub fn note(&self, amount: usize) {
        if amount < self.present.low() {
            self.present.low.store(amount, Ordering::Relaxed);
        }
        if amount > self.present.high() {
            self.present.high.store(amount, Ordering::Relaxed);
        }
    }

    /// Ends the parts of `delay` that have passed, in which the amount last became `amount`; answers how many, to one of
    /// the threads that ask.
    pub fn end_parts(&self, now: u64, delay: u64, amount: usize) -> usize {
        let (ends, part) = (self.ends.load(Ordering::Relaxed), (delay / PARTS as u64).max(1));
        let is_due = now >= ends && ends != now + part;
        if !is_due || self.ends.compare_exchange(ends, now + part, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return 0;
        }
        let parts = if ends == 0 { PARTS } else { 1 + ((now - ends) / part) as usize };
        self.keep(self.present.low().min(amount), self.present.high().max(amount));
        (1..parts.min(PARTS + 1)).for_each(|_| self.keep(amount, amount));
        self.present.set(amount, amount);
        parts
    }

    /// Remembers the marks of a part, and forgets those of the oldest.
    fn keep(&self, low: usize, high: usize) {
        for index in (1..PARTS).rev() {
            self.past[index].set(self.past[index - 1].low(), self.past[index - 1].high());
        }
        self.past[0].set(low, high);
    }

    /// The least of the last delay.
    pub fn low(&self) -> usize {
        self.past.iter().map(Marks::low).fold(usize::MAX, usize::min)
    }

    /// The least of the present part of the delay and the one before.
    pub fn recent_low(&self) -> usize {
        self.present.low().min(self.past[0].low())
    }

    /// How far the amount has risen and fallen in the last delay.
    pub fn range(&self) -> usize {
        let high = self.past.iter().map(Marks::high).fold(0, usize::max);
        high.saturating_sub(self.low())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: u64 = 400;

    /// Marks that have begun at 1,000 ms with nothing.
    fn begun() -> Watermarks {
        let watermarks = Watermarks::new();
        assert_eq!(watermarks.end_parts(1000, DELAY, 0), PARTS);
        watermarks
    }

    #[test]
    fn what_stays_for_a_delay_is_the_low_water() {
        let watermarks = begun();
        watermarks.note(70);
        for (now, low) in [(1100, 0), (1200, 0), (1300, 0), (1400, 0), (1500, 70)] {
            assert_eq!(watermarks.end_parts(now, DELAY, 70), 1);
            assert_eq!(watermarks.low(), low, "at {now}");
        }
        assert_eq!(watermarks.range(), 0);
    }

    #[test]
    fn the_recent_low_water_looks_back_one_part_at_least() {
        let watermarks = begun();
        watermarks.note(70);
        assert_eq!(watermarks.recent_low(), 0);
        watermarks.end_parts(1100, DELAY, 70);
        assert_eq!(watermarks.recent_low(), 0, "less than a part");
        watermarks.end_parts(1200, DELAY, 70);
        assert_eq!(watermarks.recent_low(), 70);
        watermarks.note(30);
        assert_eq!(watermarks.recent_low(), 30);
    }

    #[test]
    fn parts_in_which_nothing_happened_count() {
        let watermarks = begun();
        watermarks.note(70);
        assert_eq!(watermarks.end_parts(1550, DELAY, 70), 5);
        assert_eq!(watermarks.low(), 70);
        assert_eq!(watermarks.end_parts(1551, DELAY, 70), 0, "the next part has just begun");
    }

    #[test]
    fn what_rises_and_falls_is_the_range() {
        let watermarks = begun();
        for step in 0..8 {
            watermarks.note(100);
            watermarks.note(20);
            watermarks.end_parts(1100 + step * 100, DELAY, 20);
        }
        assert_eq!((watermarks.low(), watermarks.range()), (20, 80));
    }

    #[test]
    fn zero_delays_have_parts_too() {
        let watermarks = begun();
        assert_eq!(watermarks.end_parts(1000, 0, 5), 0);
        assert!(watermarks.end_parts(1001 + DELAY, 0, 5) > 0);
    }
}
