//! How much unused memory is tolerated: the bound, and what it learns from regret.
//!
//! Slices that are free and have memory behind them are *unused*. They are bounded by a floor, a share of what is in
//! use, and a *credit*. A purge that the bound asks for goes below it, by a quarter of the first two, so that there are few of them,
//! each paid for by many released bytes.
//!
//! # What it costs and keeps
//! 1. *A process that falls once and idles* has no credit: it keeps the floor and the share of what is left.
//! 2. *A process that goes up and down*: memory that is wanted again after the bound had it purged is regretted. Twice as
//!    much is added to the credit, so the purges that were in vain come to about half of what the process goes up and down
//!    by, once; from then on nothing is purged that comes back. The credit is at most the high water of what has been in
//!    use.
//! 3. *Forgetting*: credit and high water go by a sixteenth with each part of a delay (a half in 2.7 s by default), but
//!    not what is in use in turns. So whoever falls once in ten seconds purges each time, and at that rate can afford it.
//!
//! All of it steers and decides nothing: threads that change it at the same time may lose a change. No clock is read
//! here.

use crate::base::*;
use crate::sync::{AtomicUsize, Ordering};

/// Unused memory that is always tolerated: 4 MiB.
pub(super) const FLOOR_SLICES: usize = (4 << 20) / SLICE_BYTES;
/// The tolerated share of what is in use: a third.
const SHARE: usize = 3;
/// The tolerated share when a thread is about to wait: a sixteenth.
const IDLE_SHARE: usize = 16;
/// How much a purge goes below the bound: a quarter of it, the credit left out.
const STEP: usize = 4;
/// A regretted slice counts so many times.
const REGRET: usize = 2;
/// What goes of the credit with each part of a delay: a sixteenth.
const DECAY: usize = 16;
/// From so many parts on nothing is left of it.
const FORGOTTEN_PARTS: usize = 256;

/// An amount of slices, by what they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// Free, with memory behind them.
    pub unused: usize,
    pub in_use: usize,
}

/// What the bound has learned. Valid when zeroed.
pub struct PurgePolicy {
    /// Slices that the bound had purged and nobody has claimed since.
    regrettable: AtomicUsize,
    /// How far the bound has been raised.
    credit: AtomicUsize,
    /// The high water of what has been in use.
    peak: AtomicUsize,
}

impl PurgePolicy {
    pub const fn new() -> Self {
        Self { regrettable: AtomicUsize::new(0), credit: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    /// The arenas have gone.
    pub fn forget(&self) {
        [&self.regrettable, &self.credit, &self.peak].into_iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    fn credit(&self) -> usize {
        self.credit.load(Ordering::Relaxed)
    }

    /// So many slices were in use before some were released.
    pub fn note_in_use(&self, in_use: usize) {
        if in_use > self.peak.load(Ordering::Relaxed) {
            self.peak.store(in_use, Ordering::Relaxed);
        }
    }

    /// Slices without memory behind them have been claimed: a regret, as far as the bound had taken it from them.
    pub fn note_fresh(&self, fresh: usize) {
        let regrettable = self.regrettable.load(Ordering::Relaxed);
        let regretted = fresh.min(regrettable);
        if regretted > 0 {
            self.regrettable.store(regrettable - regretted, Ordering::Relaxed);
            let credit = self.credit() + REGRET * regretted;
            self.credit.store(credit.min(self.peak.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
    }

    /// The bound had so many slices purged.
    pub fn note_purged(&self, slices: usize) {
        self.regrettable.fetch_add(slices, Ordering::Relaxed);
    }

    /// Parts of a delay have passed, in which what is unused rose and fell by `range`.
    pub fn end_parts(&self, parts: usize, held: Held, range: usize) {
        let credit = self.credit();
        self.credit.store(decayed(credit, parts).max(range.min(credit)), Ordering::Relaxed);
        let peak = self.peak.load(Ordering::Relaxed);
        self.peak.store(decayed(peak, parts).max(held.in_use), Ordering::Relaxed);
    }

    /// What may be unused beside so much in use, whatever was learned.
    fn plain_bound(in_use: usize) -> usize {
        FLOOR_SLICES + in_use / SHARE
    }

    /// How much may stay, if there is more than the bound. (The floor is always within it.) The credit counts whole: what the
    /// process has shown to need again would be missed.
    pub fn target(&self, held: Held, most: usize) -> Option<usize> {
        let plain = Self::plain_bound(held.in_use);
        below((plain + self.credit()).min(most), plain.min(most), held)
    }

    /// The same when a thread is about to wait: whatever memory the program has shown to need again, it does not now.
    pub fn idle_target(held: Held, most: usize) -> Option<usize> {
        let bound = (FLOOR_SLICES + held.in_use / IDLE_SHARE).min(most);
        below(bound, bound, held)
    }
}

/// The bound less a share of a part of it.
fn below(bound: usize, part: usize, held: Held) -> Option<usize> {
    (held.unused > bound).then(|| bound - (part / STEP).max(FLOOR_SLICES / 2))
}

fn decayed(amount: usize, parts: usize) -> usize {
    if parts >= FORGOTTEN_PARTS {
        return 0;
    }
    (0..parts).fold(amount, |amount, _| amount - amount.div_ceil(DECAY))
}

#[cfg(test)]
mod tests {
    use super::super::watermarks::Watermarks;
    use super::*;
    use crate::random::Fast;

    const MIB: usize = (1 << 20) / SLICE_BYTES;
    const DELAY: u64 = 1000;

    /// A process whose memory is given back by this policy, on a clock of its own.
    struct Process {
        policy: PurgePolicy,
        watermarks: Watermarks,
        now: u64,
        held: Held,
        purges: usize,
        purged: usize,
        released: usize,
        /// Slices that had memory behind them at some time.
        touched: usize,
    }

    impl Process {
        fn new() -> Process {
            let held = Held { unused: 0, in_use: 0 };
            let (policy, watermarks) = (PurgePolicy::new(), Watermarks::new());
            Process { policy, watermarks, now: 1, held, purges: 0, purged: 0, released: 0, touched: 0 }
        }

        fn claim(&mut self, slices: usize) {
            let reused = slices.min(self.held.unused);
            self.held = Held { unused: self.held.unused - reused, in_use: self.held.in_use + slices };
            self.watermarks.note(self.held.unused);
            self.policy.note_fresh(slices - reused);
            self.touched += slices - reused;
        }

        fn release(&mut self, slices: usize) {
            self.policy.note_in_use(self.held.in_use);
            let parts = self.watermarks.end_parts(self.now, DELAY, self.held.unused);
            if parts > 0 {
                self.policy.end_parts(parts, self.held, self.watermarks.range());
            }
            self.held = Held { unused: self.held.unused + slices, in_use: self.held.in_use - slices };
            self.watermarks.note(self.held.unused);
            self.released += slices;
            if let Some(target) = self.policy.target(self.held, usize::MAX) {
                self.purges += 1;
                self.purged += self.held.unused - target;
                self.policy.note_purged(self.held.unused - target);
                self.held.unused = target;
            }
        }

        /// Up to so much in use, and down to nothing, by MiB.
        fn burst(&mut self, slices: usize) {
            (0..slices / MIB).for_each(|_| self.claim(MIB));
            (0..slices / MIB).for_each(|_| self.release(MIB));
        }
    }

    #[test]
    fn a_process_that_falls_once_keeps_little_and_purges_rarely() {
        let mut process = Process::new();
        process.burst(250 * MIB);
        assert!(process.held.unused <= 4 * MIB, "{:?}", process.held);
        assert!(process.purges <= 40, "{}", process.purges);
        assert!(process.purged >= 246 * MIB && process.purged <= process.released);
    }

    #[test]
    fn who_goes_up_and_down_quickly_pays_once() {
        let mut process = Process::new();
        (0..100).for_each(|_| {
            process.burst(250 * MIB);
            process.now += 100;
        });
        assert!(process.purged <= 2 * 250 * MIB, "{}", process.purged / MIB);
        assert!(process.touched <= 3 * 250 * MIB, "{}", process.touched / MIB);
    }

    #[test]
    fn little_goes_of_what_is_known_to_be_needed_again() {
        let mut process = Process::new();
        (0..3).for_each(|_| process.burst(250 * MIB));
        let (purged, unused) = (process.purged, process.held.unused);
        assert!(unused > 200 * MIB, "{:?}", process.held);
        process.held.unused += 8 * MIB;
        process.release(0);
        assert!(process.purged > purged && process.purged - purged <= 12 * MIB, "{}", (process.purged - purged) / MIB);
    }

    #[test]
    fn who_goes_up_and_down_slowly_keeps_little_in_between() {
        let mut process = Process::new();
        for _ in 0..10 {
            process.burst(250 * MIB);
            assert!(process.held.unused <= 4 * MIB, "{:?}", process.held);
            process.now += 30_000;
        }
    }

    #[test]
    fn what_is_replaced_at_random_is_not_purged_for_long() {
        let mut random = Fast::new(7);
        let mut process = Process::new();
        let mut blocks = [0; 48];
        for round in 0..20_000 {
            let block = &mut blocks[random.next_u64() as usize % 48];
            process.release(core::mem::take(block));
            *block = 1 << (random.next_u64() % 9);
            process.claim(*block);
            process.now += u64::from(round % 10 == 0);
        }
        assert!(process.purged * 200 <= process.released, "{} of {}", process.purged, process.released);
    }

    #[test]
    fn credit_is_no_more_than_what_was_in_use() {
        let mut process = Process::new();
        (0..10).for_each(|_| process.burst(64 * MIB));
        assert!(process.held.unused <= (64 + 4) * MIB, "{:?}", process.held);
        // The large burst before it is forgotten.
        process.burst(1024 * MIB);
        process.now += 60_000;
        process.burst(64 * MIB);
        process.burst(8 * MIB);
        assert!(process.held.unused <= 12 * MIB, "{:?}", process.held);
    }

    #[test]
    fn who_idles_keeps_little_whatever_was_learned() {
        let mut process = Process::new();
        (0..10).for_each(|_| process.burst(64 * MIB));
        assert!(process.held.unused > 32 * MIB);
        assert!(PurgePolicy::idle_target(process.held, usize::MAX).unwrap() <= 4 * MIB);
        assert_eq!(PurgePolicy::idle_target(Held { unused: FLOOR_SLICES, in_use: 0 }, usize::MAX), None);
    }

    #[test]
    fn the_bound_is_kept_by_a_limit() {
        let policy = PurgePolicy::new();
        let held = Held { unused: 2 * FLOOR_SLICES + 1, in_use: 100 * FLOOR_SLICES };
        assert_eq!(policy.target(held, usize::MAX), None);
        assert_eq!(policy.target(held, 2 * FLOOR_SLICES), Some(2 * FLOOR_SLICES * 3 / 4));
        policy.note_in_use(100 * FLOOR_SLICES);
        policy.note_purged(100 * FLOOR_SLICES);
        policy.note_fresh(100 * FLOOR_SLICES);
        assert_eq!(policy.target(held, 2 * FLOOR_SLICES), Some(2 * FLOOR_SLICES * 3 / 4), "whatever was learned");
        let held = Held { unused: FLOOR_SLICES, in_use: 0 };
        assert_eq!(policy.target(held, FLOOR_SLICES), None, "the floor stays");
    }
}
