//! What purging knows of a set of arenas: how much is unused, since when, and how much may be.

use ferrimalloc_prim::{clock, process};

use super::allowance::Allowance;
use super::purge_policy::{FLOOR_SLICES, Held, PurgePolicy};
use super::watermarks::Watermarks;
use crate::base::*;
use crate::sync::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};

/// The share of what the kernel grants the process that may be unused: an eighth.
const LIMIT_SHARE: usize = 8;

/// When so much of it is committed, little is left.
const NEAR: (usize, usize) = (7, 8);
/// The share that is added to that before anything is done about it again.
const SHORTAGE_SHARE: usize = 64;

/// How much is purged because threads idle: 256 MiB in a second, which cost about 60 ms to touch again.
const IDLE_SLICES_PER_MILLI: u64 = 4;
/// And at once: 1 GiB.
const IDLE_MILLIS_AT_ONCE: u64 = 4096;

/// How much goes early, of pages in use: 16 MiB in a second, which cost about 4 ms to touch again.
const EARLY_BYTES_PER_MILLI: usize = 16 << 10;
/// And at once: 64 MiB.
const EARLY_MILLIS_AT_ONCE: u64 = 4096;

/// How sure it is that memory that went early should have stayed. It costs so many times as much besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Regret {
    /// All of its page is free now: whoever gets that next would have used the memory without a fault.
    Likely = 3,
    /// It is wanted again.
    Certain = 7,
}

/// The purging state of a set of arenas.
pub struct Purging {
    /// Free slices that have memory behind them.
    unused: AtomicIsize,
    /// The low and high water of that.
    pub(super) watermarks: Watermarks,
    /// Whether a part of a delay has ended, and nobody has purged since.
    is_due: AtomicBool,
    /// Whether a release has had to purge.
    pub(super) wants_scavenger: AtomicBool,
    pub(super) policy: PurgePolicy,
    /// For what is purged because a thread idles, beyond what the policy would.
    idle: Allowance,
    /// For the memory of free blocks in pages that are in use.
    early: Allowance,
    /// What the kernel grants the process, in slices; 0 until somebody needs to know.
    granted: AtomicUsize,
    /// How often little was left of it.
    shortages: AtomicUsize,
    /// How many slices were committed the last time, or the fewest since.
    short_at: AtomicUsize,
}

impl Purging {
    pub const fn new() -> Self {
        Self {
            unused: AtomicIsize::new(0),
            watermarks: Watermarks::new(),
            is_due: AtomicBool::new(false),
            wants_scavenger: AtomicBool::new(false),
            policy: PurgePolicy::new(),
            idle: Allowance::new(),
            early: Allowance::new(),
            granted: AtomicUsize::new(0),
            shortages: AtomicUsize::new(0),
            short_at: AtomicUsize::new(0),
        }
    }

    /// The arenas have gone.
    pub fn forget(&self) {
        self.unused.store(0, Ordering::Relaxed);
        self.watermarks.note(0);
        self.policy.forget();
    }

    pub fn unused_slices(&self) -> usize {
        // A claim may be counted before the release that it follows.
        self.unused.load(Ordering::Relaxed).max(0) as usize
    }

    /// `fresh` slices without memory and `purgeable` ones with memory have been claimed.
    pub fn note_claimed(&self, fresh: usize, purgeable: usize) {
        self.change_unused(-(purgeable as isize));
        self.policy.note_fresh(fresh);
    }

    pub(super) fn change_unused(&self, slices: isize) {
        if slices != 0 {
            let unused = self.unused.fetch_add(slices, Ordering::Relaxed) + slices;
            self.watermarks.note(unused.max(0) as usize);
        }
    }

    /// How much of it may stay, if there is more than the bound.
    #[inline]
    pub(super) fn excess_target(&self, held: Held) -> Option<usize> {
        if held.unused <= FLOOR_SLICES { None } else { self.policy.target(held, self.most(held.in_use)) }
    }

    /// What may be unused at most beside so much in use, as far as the kernel limits memory: an eighth of that, and half of
    /// what is left.
    pub(super) fn most(&self, in_use: usize) -> usize {
        match self.granted() {
            usize::MAX => usize::MAX,
            granted => (granted / LIMIT_SHARE).min(granted.saturating_sub(in_use) / 2).max(FLOOR_SLICES),
        }
    }

    /// Whether more is unused than the kernel's limit leaves room for.
    pub(super) fn exceeds_granted(&self, held: Held) -> bool {
        held.unused > FLOOR_SLICES && held.unused > self.most(held.in_use)
    }

    /// Whether `slices` are more than a share of what the kernel grants the process.
    pub(super) fn exceeds_share(&self, slices: usize, (many, of): (usize, usize)) -> bool {
        let granted = self.granted();
        granted < usize::MAX && slices > granted / of * many
    }

    /// How often there was so little left of what the kernel grants the process, with so many slices committed, that each thread should
    /// give back what it can: once, and again whenever a sixty-fourth of that has been added.
    pub(super) fn shortages(&self, committed: impl FnOnce() -> usize) -> usize {
        if self.granted.load(Ordering::Relaxed) == usize::MAX {
            return 0;
        }
        let committed = committed();
        // A small process need not know its limit.
        if committed > FLOOR_SLICES && self.exceeds_share(committed, NEAR) {
            let before = self.short_at.load(Ordering::Relaxed);
            let is_due = before == 0 || committed > before + self.granted() / SHORTAGE_SHARE;
            if is_due || committed < before {
                self.short_at.store(committed, Ordering::Relaxed);
            }
            if is_due {
                self.shortages.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.shortages.load(Ordering::Relaxed)
    }

    fn granted(&self) -> usize {
        match self.granted.load(Ordering::Relaxed) {
            0 => self.find_granted(),
            granted => granted,
        }
    }

    #[cold]
    fn find_granted(&self) -> usize {
        let granted = process::memory_limit().map_or(usize::MAX, |bytes| bytes / SLICE_BYTES);
        self.granted.store(granted.max(1), Ordering::Relaxed);
        granted
    }

    /// The kernel's limit has changed.
    pub(super) fn forget_granted(&self) {
        self.granted.store(0, Ordering::Relaxed);
    }

    /// Whether so many slices may be purged because a thread idles. Others may need them soon: it is bounded what that can cost.
    pub(super) fn may_purge_idle(&self, slices: usize) -> bool {
        self.idle.take(clock::now_millis(), slices as u64 / IDLE_SLICES_PER_MILLI, IDLE_MILLIS_AT_ONCE)
    }

    /// Whether so many bytes of free blocks may go before anybody knows that they stay free. It is bounded what that can cost.
    pub(super) fn may_purge_early(&self, bytes: usize) -> bool {
        self.early.take(clock::now_millis(), early_millis(bytes), EARLY_MILLIS_AT_ONCE)
    }

    /// So many bytes that went early should have stayed.
    pub(super) fn note_regret(&self, bytes: usize, regret: Regret) {
        self.early.charge(regret as u64 * early_millis(bytes));
    }

    /// Sees to the parts of a delay that have passed. True if nobody has purged since the one before.
    pub(super) fn end_parts(&self, delay: u64, held: Held) -> bool {
        let parts = self.watermarks.end_parts(clock::now_millis(), delay, held.unused);
        if parts == 0 {
            return false;
        }
        self.policy.end_parts(parts, held, self.watermarks.range());
        self.is_due.swap(true, Ordering::Relaxed)
    }

    /// Whether it is time for rule 1; true for one caller.
    pub(super) fn take_due(&self) -> bool {
        self.is_due.load(Ordering::Relaxed) && self.is_due.swap(false, Ordering::Relaxed)
    }
}

fn early_millis(bytes: usize) -> u64 {
    bytes.div_ceil(EARLY_BYTES_PER_MILLI) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_with_little_memory_bounds_what_is_unused() {
        let purging = Purging::new();
        let held = |unused| Held { unused, in_use: 100 * FLOOR_SLICES };
        purging.granted.store(usize::MAX, Ordering::Relaxed);
        assert_eq!(purging.excess_target(held(2 * FLOOR_SLICES + 1)), None);
        purging.granted.store(160 * FLOOR_SLICES, Ordering::Relaxed);
        assert_eq!(purging.excess_target(held(20 * FLOOR_SLICES)), None, "an eighth");
        assert!(purging.excess_target(held(20 * FLOOR_SLICES + 1)).is_some());
        purging.granted.store(104 * FLOOR_SLICES, Ordering::Relaxed);
        assert_eq!(purging.excess_target(held(2 * FLOOR_SLICES)), None, "half of what is left");
        assert!(purging.excess_target(held(2 * FLOOR_SLICES + 1)).is_some());
        purging.granted.store(50 * FLOOR_SLICES, Ordering::Relaxed);
        assert!(purging.excess_target(held(FLOOR_SLICES + 1)).is_some(), "nothing is left");
        assert_eq!(purging.excess_target(Held { unused: FLOOR_SLICES, in_use: 0 }), None);
    }

    #[test]
    fn near_the_limit_huge_pages_and_unused_memory_are_too_much() {
        let purging = Purging::new();
        let held = |unused, in_use| Held { unused: unused * FLOOR_SLICES, in_use: in_use * FLOOR_SLICES };
        purging.granted.store(usize::MAX, Ordering::Relaxed);
        assert!(!purging.exceeds_share(usize::MAX - 1, (1, 2)) && !purging.exceeds_granted(held(1000, 1000)));
        purging.granted.store(64 * FLOOR_SLICES, Ordering::Relaxed);
        assert!(!purging.exceeds_share(32 * FLOOR_SLICES, (1, 2)) && purging.exceeds_share(33 * FLOOR_SLICES, (1, 2)));
        assert!(
            !purging.exceeds_share(60 * FLOOR_SLICES, (15, 16)) && purging.exceeds_share(61 * FLOOR_SLICES, (15, 16))
        );
        assert!(!purging.exceeds_granted(held(2, 60)), "half of what is left");
        assert!(purging.exceeds_granted(held(2, 61)), "a claim has left less");
        assert!(!purging.exceeds_granted(held(1, 64)), "the floor stays");
    }

    #[test]
    fn near_the_limit_each_step_up_is_a_shortage() {
        let purging = Purging::new();
        purging.granted.store(64 * FLOOR_SLICES, Ordering::Relaxed);
        let shortages = |floors: usize, more: usize| purging.shortages(|| floors * FLOOR_SLICES + more);
        assert_eq!(shortages(56, 0), 0, "an eighth is left");
        assert_eq!([shortages(56, 1), shortages(56, 1), shortages(57, 1)], [1; 3], "once");
        assert_eq!(shortages(57, 2), 2, "a step up");
        assert_eq!([shortages(56, 5), shortages(57, 5), shortages(57, 6)], [2, 2, 3], "from where it fell to");
        assert_eq!(shortages(0, 0), 3, "it has been");
    }

    #[test]
    fn the_limit_is_asked_for_once_it_matters() {
        let purging = Purging::new();
        let asked = |unused| {
            let is_excess = purging.excess_target(Held { unused, in_use: 0 }).is_some();
            (is_excess, purging.granted.load(Ordering::Relaxed) > 0)
        };
        assert_eq!(asked(FLOOR_SLICES), (false, false));
        assert_eq!(asked(usize::MAX >> 1), (true, true));
        assert!(purging.most(0) >= FLOOR_SLICES);
        purging.forget_granted();
        assert_eq!(asked(usize::MAX >> 1), (true, true), "and again when it has changed");
    }
}
