//! What a theap does besides allocating: checked pages, guarded blocks.
//!
//! A *watched* theap keeps its whole direct table at the empty page, so that every `malloc` misses and comes to the slow
//! path, which asks here. An ordinary theap pays nothing.
//!
//! A theap's levels are those that hold when it starts. A process whose first allocations come before its environment can
//! be read starts with an *undecided* theap: ordinary pages, and every slow path asks again. If it then turns out that
//! pages are to be checked, those that it has are abandoned.

use core::cell::Cell;

use super::theap::Theap;
use crate::heap::adopt_orphans_first;
use crate::options::{self, Hardening, OptionId};
use crate::page::Style;
use crate::random::{Fast, Keyed};

const UNDECIDED: u8 = 1;
const CHECKED: u8 = 2;
const SAMPLED: u8 = 4;

/// The state behind that.
pub(super) struct Watch {
    bits: Cell<u8>,
    levels: Cell<Hardening>,
    /// Guard one of so many eligible allocations; 0: none.
    rate: Cell<usize>,
    /// Eligible allocations until the next guarded one.
    gap: Cell<usize>,
    min_bytes: Cell<usize>,
    max_bytes: Cell<usize>,
    random: Cell<u64>,
    /// Where the keys of checked pages come from; made when the first is needed.
    keys: Cell<Option<Keyed>>,
}

impl Watch {
    /// Of a theap that has not started, and of the empty one.
    pub const fn new() -> Self {
        Self {
            bits: Cell::new(UNDECIDED),
            levels: Cell::new(Hardening::NONE),
            rate: Cell::new(0),
            gap: Cell::new(0),
            min_bytes: Cell::new(0),
            max_bytes: Cell::new(usize::MAX),
            random: Cell::new(0),
            keys: Cell::new(None),
        }
    }

    fn set(&self, bit: u8, on: bool) {
        let rest = self.bits.get() & !bit;
        self.bits.set(if on { rest | bit } else { rest });
    }

    fn is(&self, bit: u8) -> bool {
        self.bits.get() & bit != 0
    }

    fn keyed<T>(&self, draw: impl FnOnce(&mut Keyed) -> T) -> T {
        let mut keys = self.keys.take().unwrap_or_default();
        let drawn = draw(&mut keys);
        self.keys.set(Some(keys));
        drawn
    }

    /// Draws the number of eligible allocations up to the next guarded one: from 1 to twice the rate less one, so that
    /// the rate is met on average and the next cannot be told from the last.
    fn draw_gap(&self) {
        let state = self.random.get().wrapping_add(1);
        self.random.set(state);
        let span = self.rate.get().saturating_mul(2).saturating_sub(1);
        self.gap.set(1 + Fast::new(state.rotate_left(32)).below(span as u64) as usize);
    }
}

impl Theap {
    /// Whether allocations have to ask before they take an ordinary block.
    #[inline]
    pub fn is_watched(&self) -> bool {
        self.watch.bits.get() != 0
    }

    /// Whether its pages are checked.
    #[inline]
    pub fn is_checked(&self) -> bool {
        self.watch.is(CHECKED)
    }

    /// Whether its pages are checked, and nothing else is to be asked.
    #[inline]
    pub fn is_only_checked(&self) -> bool {
        self.watch.bits.get() == CHECKED
    }

    /// Whether some of its blocks are guarded.
    #[inline]
    pub fn is_sampled(&self) -> bool {
        self.watch.is(SAMPLED)
    }

    #[inline]
    pub fn levels(&self) -> Hardening {
        self.watch.levels.get()
    }

    /// What its checked pages do.
    #[inline]
    pub fn style(&self) -> Style {
        let levels = self.levels();
        Style { pads: levels.pads(), fills: levels.fills(), verifies: levels.verifies() }
    }

    /// A key for a checked page.
    pub(super) fn draw_key(&self) -> u64 {
        self.watch.keyed(|keys| keys.next_key() as u64)
    }

    /// In the child of a fork: keys from now on are others than the parent's.
    pub fn reseed(&self) {
        if let Some(mut keys) = self.watch.keys.take() {
            keys.reseed();
            self.watch.keys.set(Some(keys));
        }
    }

    /// Takes the levels and options that hold now; the theap has no pages.
    pub(super) fn start_watch(&self) {
        self.watch.bits.set(0);
        self.watch.keys.set(None);
        match options::hardening() {
            Some(levels) => self.watch_at(levels),
            None => self.watch.set(UNDECIDED, true),
        }
    }

    /// Asks once more what holds, if that was not known.
    #[inline]
    pub fn decide_watch(&'static self) {
        if self.watch.is(UNDECIDED)
            && let Some(levels) = options::hardening()
        {
            self.decided(levels);
        }
    }

    #[cold]
    fn decided(&'static self, levels: Hardening) {
        self.watch.set(UNDECIDED, false);
        if levels.checks() {
            adopt_orphans_first();
            self.abandon_all();
        }
        self.watch_at(levels);
        self.update_all_direct();
    }

    fn watch_at(&self, levels: Hardening) {
        self.watch.levels.set(levels);
        self.watch.set(CHECKED, levels.checks());
        self.bound_guarded(options::get_size(OptionId::GuardedMin), options::get_size(OptionId::GuardedMax));
        let seed = options::get_size(OptionId::GuardedSampleSeed);
        self.sample_guarded(options::get_size(OptionId::GuardedSampleRate), seed);
    }

    /// Guards one of `rate` eligible allocations from now on (0: none); `seed` determines which, 0 leaves that to chance.
    pub fn sample_guarded(&self, rate: usize, seed: usize) {
        self.watch.rate.set(rate);
        self.watch.set(SAMPLED, rate > 0);
        if rate > 0 {
            let start = if seed == 0 { self.watch.keyed(|keys| keys.next_u64()) } else { seed as u64 };
            self.watch.random.set(start);
            self.watch.draw_gap();
        }
        self.update_all_direct();
    }

    /// Only sizes from `min_bytes` to `max_bytes` are eligible.
    pub fn bound_guarded(&self, min_bytes: usize, max_bytes: usize) {
        self.watch.min_bytes.set(min_bytes.min(max_bytes));
        self.watch.max_bytes.set(max_bytes);
    }

    /// Counts an allocation of `bytes`, and says whether it is to be guarded.
    pub fn is_due_for_guard(&self, bytes: usize) -> bool {
        let watch = &self.watch;
        if bytes < watch.min_bytes.get() || bytes > watch.max_bytes.get() {
            return false;
        }
        let gap = watch.gap.get().saturating_sub(1);
        watch.gap.set(gap);
        if gap == 0 {
            watch.draw_gap();
        }
        gap == 0
    }
}
