//! What a theap does besides allocating: hardened pages, guarded blocks.
//!
//! A *instrumented* theap keeps its whole direct table at the empty page, so that every `malloc` misses and comes to the slow
//! path, which asks here. An ordinary theap pays nothing.
//!
//! A theap's levels are those that hold when it starts. A process whose first allocations come before its environment can
//! be read starts with an *undecided* theap: ordinary pages, and every slow path asks again. If it then turns out that
//! pages are to be checked, those that it has are abandoned.

use core::cell::Cell;

use super::theap::Theap;
use crate::hardened::Style;
use crate::options::{self, Hardening, OptionId};
use crate::random::{Fast, Keyed};

const UNDECIDED: u8 = 1;
const CHECKED: u8 = 2;
const SAMPLED: u8 = 4;

/// The state behind that.
pub(super) struct Instrumentation {
    bits: Cell<u8>,
    levels: Cell<Hardening>,
    /// Guard one of so many eligible allocations; 0: none.
    rate: Cell<usize>,
    /// Eligible allocations until the next guarded one.
    gap: Cell<usize>,
    min_bytes: Cell<usize>,
    max_bytes: Cell<usize>,
    random: Cell<u64>,
    /// Where the keys of hardened pages come from; made when the first is needed.
    keys: Cell<Option<Keyed>>,
}

impl Instrumentation {
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
    pub fn is_instrumented(&self) -> bool {
        self.instrumentation.bits.get() != 0
    }

    /// Whether its pages are checked.
    #[inline]
    pub fn is_hardened(&self) -> bool {
        self.instrumentation.is(CHECKED)
    }

    /// Whether its pages are checked, and nothing else is to be asked.
    #[inline]
    pub fn is_only_hardened(&self) -> bool {
        self.instrumentation.bits.get() == CHECKED
    }

    /// Whether some of its blocks are guarded.
    #[inline]
    pub fn is_sampled(&self) -> bool {
        self.instrumentation.is(SAMPLED)
    }

    #[inline]
    pub fn levels(&self) -> Hardening {
        self.instrumentation.levels.get()
    }

    /// What its hardened pages do.
    #[inline]
    pub fn style(&self) -> Style {
        let levels = self.levels();
        Style { pads: levels.pads(), fills: levels.fills(), verifies: levels.verifies() }
    }

    /// A key for a hardened page.
    pub(super) fn draw_key(&self) -> u64 {
        self.instrumentation.keyed(|keys| keys.next_key() as u64)
    }

    /// In the child of a fork: keys from now on are others than the parent's.
    pub fn reseed(&self) {
        if let Some(mut keys) = self.instrumentation.keys.take() {
            keys.reseed();
            self.instrumentation.keys.set(Some(keys));
        }
    }

    /// Takes the levels and options that hold now; the theap has no pages.
    pub(super) fn start_instrumentation(&self) {
        self.instrumentation.bits.set(0);
        self.instrumentation.keys.set(None);
        match options::hardening() {
            Some(levels) => self.instrument_at(levels),
            None => self.instrumentation.set(UNDECIDED, true),
        }
    }

    /// Asks once more what holds, if that was not known.
    #[inline]
    pub fn decide_levels(&'static self) {
        if self.instrumentation.is(UNDECIDED)
            && let Some(levels) = options::hardening()
        {
            self.decided(levels);
        }
    }

    #[cold]
    fn decided(&'static self, levels: Hardening) {
        self.instrumentation.set(UNDECIDED, false);
        if levels.checks() {
            self.abandon_all();
        }
        self.instrument_at(levels);
        self.update_all_direct();
    }

    fn instrument_at(&self, levels: Hardening) {
        self.instrumentation.levels.set(levels);
        self.instrumentation.set(CHECKED, levels.checks());
        self.bound_guarded(options::get_size(OptionId::GuardedMin), options::get_size(OptionId::GuardedMax));
        let seed = options::get_size(OptionId::GuardedSampleSeed);
        self.sample_guarded(options::get_size(OptionId::GuardedSampleRate), seed);
    }

    /// As if the levels, not known before, wanted hardened pages.
    #[cfg(test)]
    pub fn instrument_for_test(&self) {
        self.instrumentation.set(CHECKED, true);
    }

    /// Guards one of `rate` eligible allocations from now on (0: none); `seed` determines which, 0 leaves that to chance.
    pub fn sample_guarded(&self, rate: usize, seed: usize) {
        self.instrumentation.rate.set(rate);
        self.instrumentation.set(SAMPLED, rate > 0);
        if rate > 0 {
            let start = if seed == 0 { self.instrumentation.keyed(|keys| keys.next_u64()) } else { seed as u64 };
            self.instrumentation.random.set(start);
            self.instrumentation.draw_gap();
        }
        self.update_all_direct();
    }

    /// Only sizes from `min_bytes` to `max_bytes` are eligible.
    pub fn bound_guarded(&self, min_bytes: usize, max_bytes: usize) {
        self.instrumentation.min_bytes.set(min_bytes.min(max_bytes));
        self.instrumentation.max_bytes.set(max_bytes);
    }

    /// Counts an allocation of `bytes`, and says whether it is to be guarded.
    pub fn is_due_for_guard(&self, bytes: usize) -> bool {
        let state = &self.instrumentation;
        if bytes < state.min_bytes.get() || bytes > state.max_bytes.get() {
            return false;
        }
        let gap = state.gap.get().saturating_sub(1);
        state.gap.set(gap);
        if gap == 0 {
            state.draw_gap();
        }
        gap == 0
    }
}
