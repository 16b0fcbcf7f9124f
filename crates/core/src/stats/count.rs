//! The two kinds of statistic: something that comes and goes, and something that only happens.

use crate::sync::{AtomicI64, Ordering::Relaxed, const_unless_loom};

/// How much of something there was, is, and was at most. Any thread may change it.
#[repr(C)]
#[derive(Debug)]
pub struct StatCount {
    total: AtomicI64,
    peak: AtomicI64,
    current: AtomicI64,
}

/// How often something happened, or how much of it. Any thread may add to it.
#[repr(C)]
#[derive(Debug)]
pub struct StatCounter {
    total: AtomicI64,
}

/// A [`StatCount`] as plain numbers: `mi_stat_count_t`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RawCount {
    /// All that there ever was.
    pub total: i64,
    /// The most that there was at once.
    pub peak: i64,
    /// What there is now.
    pub current: i64,
}

/// A [`StatCounter`] as a plain number: `mi_stat_counter_t`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RawCounter {
    /// All that ever happened.
    pub total: i64,
}

impl StatCount {
    const_unless_loom! {
        /// Zeros. `const` except under loom.
        pub const fn new() -> Self {
            StatCount { total: AtomicI64::new(0), peak: AtomicI64::new(0), current: AtomicI64::new(0) }
        }
    }

    /// `amount` more of it: two atomic additions, and a third operation at a new peak.
    #[inline]
    pub fn increase(&self, amount: usize) {
        let amount = amount as i64;
        self.total.fetch_add(amount, Relaxed);
        let current = self.current.fetch_add(amount, Relaxed).wrapping_add(amount);
        self.raise_peak(current);
    }

    /// `amount` less of it.
    #[inline]
    pub fn decrease(&self, amount: usize) {
        self.current.fetch_sub(amount as i64, Relaxed);
    }

    /// `amount` more that has come and gone before anybody counted it.
    pub fn pass(&self, amount: u64) {
        self.total.fetch_add(amount as i64, Relaxed);
    }

    /// Makes the total what it is with `found` added from elsewhere, but as if only what is present had ever been there.
    pub fn rebase(&self, found: &RawCount) {
        self.total.fetch_add(found.current.wrapping_sub(found.total), Relaxed);
    }

    /// Adds `other`, as something that went on beside this one. True peaks are not known then: this one becomes what
    /// is here plus the peak there, if that is more. Touches nothing if there is nothing to add.
    pub fn merge(&self, other: &RawCount) {
        if other.is_empty() {
            return;
        }
        self.total.fetch_add(other.total, Relaxed);
        let before = self.current.fetch_add(other.current, Relaxed);
        self.raise_peak(before.wrapping_add(other.peak));
    }

    /// The numbers of now: three loads, which may be of slightly different moments.
    pub fn snapshot(&self) -> RawCount {
        RawCount { total: self.total.load(Relaxed), peak: self.peak.load(Relaxed), current: self.current.load(Relaxed) }
    }

    /// How much of it there is.
    pub fn current(&self) -> i64 {
        self.current.load(Relaxed)
    }

    /// Takes everything out, leaving zeros; what is counted meanwhile is in the result or stays.
    pub fn take(&self) -> RawCount {
        RawCount {
            total: self.total.swap(0, Relaxed),
            peak: self.peak.swap(0, Relaxed),
            current: self.current.swap(0, Relaxed),
        }
    }

    /// Starts over from what there is now.
    pub(super) fn restart(&self) {
        let current = self.current();
        self.total.store(current, Relaxed);
        self.peak.store(current, Relaxed);
    }

    #[inline]
    fn raise_peak(&self, candidate: i64) {
        if candidate > self.peak.load(Relaxed) {
            self.peak.fetch_max(candidate, Relaxed);
        }
    }
}

impl StatCounter {
    const_unless_loom! {
        /// Zero. `const` except under loom.
        pub const fn new() -> Self {
            StatCounter { total: AtomicI64::new(0) }
        }
    }

    /// Once more.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// `amount` more: one atomic addition.
    #[inline]
    pub fn add(&self, amount: usize) {
        self.total.fetch_add(amount as i64, Relaxed);
    }

    /// How much there has been.
    pub fn get(&self) -> i64 {
        self.total.load(Relaxed)
    }

    /// Adds `other`, which was counted elsewhere. Touches nothing if there is nothing to add.
    pub fn merge(&self, other: &RawCounter) {
        if other.total != 0 {
            self.total.fetch_add(other.total, Relaxed);
        }
    }

    /// The number of now.
    pub fn snapshot(&self) -> RawCounter {
        RawCounter { total: self.get() }
    }

    /// Makes the total 0 with `found` added from elsewhere.
    pub fn rebase(&self, found: &RawCounter) {
        self.total.fetch_sub(found.total, Relaxed);
    }

    /// Takes everything out, leaving zero; what is counted meanwhile is in the result or stays.
    pub fn take(&self) -> RawCounter {
        RawCounter { total: self.total.swap(0, Relaxed) }
    }

    /// Starts over from zero. What is counted meanwhile may be lost.
    pub fn restart(&self) {
        self.total.store(0, Relaxed);
    }
}

impl RawCount {
    /// Both together, as [`StatCount::merge`] has it.
    pub fn merged(&self, other: &RawCount) -> RawCount {
        RawCount {
            total: self.total.wrapping_add(other.total),
            peak: self.peak.max(self.current.wrapping_add(other.peak)),
            current: self.current.wrapping_add(other.current),
        }
    }

    /// Together with what was found elsewhere of the same: the peak is this one's.
    pub fn with(&self, found: &RawCount) -> RawCount {
        RawCount {
            total: self.total.wrapping_add(found.total),
            peak: self.peak,
            current: self.current.wrapping_add(found.current),
        }
    }

    /// Without what is present of `found`, as if that had never been.
    pub fn without_present(&self, found: &RawCount) -> RawCount {
        let total = self.total.wrapping_sub(found.current);
        let current = self.current.wrapping_sub(found.current);
        RawCount { total, peak: self.peak.wrapping_sub(found.current).max(current), current }
    }

    /// With a peak that is known to be no more than `bound`.
    pub fn with_peak_below(&self, bound: i64) -> RawCount {
        RawCount { peak: self.peak.max(bound.min(self.total)).max(self.current), ..*self }
    }

    /// Whether anything was ever counted.
    pub fn is_empty(&self) -> bool {
        *self == RawCount::default()
    }
}

impl RawCounter {
    /// Both together.
    pub fn merged(&self, other: &RawCounter) -> RawCounter {
        RawCounter { total: self.total + other.total }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    fn raw(total: i64, peak: i64, current: i64) -> RawCount {
        RawCount { total, peak, current }
    }

    #[test]
    fn a_count_knows_total_peak_and_present() {
        let count = StatCount::new();
        count.increase(10);
        count.decrease(4);
        count.increase(1);
        assert_eq!(count.snapshot(), raw(11, 10, 7));
        count.increase(6);
        assert_eq!(count.snapshot(), raw(17, 13, 13));
    }

    #[test]
    fn merging_agrees_on_both_fillings() {
        let count = StatCount::new();
        count.increase(5);
        let other = raw(100, 40, 20);
        let plain = count.snapshot().merged(&other);
        count.merge(&other);
        assert_eq!(count.snapshot(), plain);
        assert_eq!(plain, raw(105, 45, 25));
    }

    #[test]
    fn counters_add() {
        let counter = StatCounter::new();
        counter.increment();
        counter.add(5);
        counter.merge(&RawCounter { total: 4 });
        assert_eq!(counter.get(), 10);
        assert_eq!(counter.take(), RawCounter { total: 10 });
        assert_eq!(counter.get(), 0);
    }

    #[test]
    fn no_thread_s_work_is_lost_and_the_peak_is_seen() {
        let count = StatCount::new();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| count.increase(3)));
            }
        });
        assert_eq!(count.snapshot(), raw(120_000, 120_000, 120_000));
    }

    #[test]
    fn a_bound_of_the_peak_stays_between_present_and_total() {
        let count = raw(100, 0, 30);
        assert_eq!(count.with_peak_below(50).peak, 50);
        assert_eq!(count.with_peak_below(500).peak, 100);
        assert_eq!(count.with_peak_below(5).peak, 30);
        assert_eq!(raw(100, 40, 30).with_peak_below(35).peak, 40);
    }

    #[test]
    fn starting_over_keeps_what_is_there() {
        let count = StatCount::new();
        count.increase(10);
        count.decrease(7);
        count.restart();
        assert_eq!(count.snapshot(), raw(3, 3, 3));
    }
}
