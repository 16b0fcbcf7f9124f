//! What a theap does besides allocating: hardened pages, guarded blocks.
//!
//! Every `malloc` of an *instrumented* theap misses and comes to a slow path, which asks here: its whole direct table is kept at
//! the empty page. If its pages are hardened and nothing else is to be asked, the table has them: their list is always empty,
//! and the slow path takes a block from the page at hand. An ordinary theap pays nothing.
//!
//! A theap's levels are those that hold when it starts, the heap's own or the process's. A process whose first allocations come before its environment can
//! be read starts with an *undecided* theap: ordinary pages, and every slow path asks again. If it then turns out that
//! pages are to be checked, those that it has are abandoned.

use core::cell::Cell;

use crate::hardened::{Rest, Secrets, Style};
use crate::heap::Heap;
use crate::options::{self, Hardening, OptionId};
use crate::random::{Fast, Keyed};

const UNDECIDED: u8 = 1;
const HARDENED: u8 = 2;
const SAMPLED: u8 = 4;
const PROFILED: u8 = 8;

/// What hardened pages of the heap do at these levels. Where threads may look at blocks that have been freed, these stay as they
/// are.
fn style_at(levels: Hardening, heap: &Heap) -> Style {
    let clears = match options::get(OptionId::ZeroOnFree) {
        0 => false,
        1 => true,
        _ => levels.clears(),
    };
    let hunts = levels.guards_pages();
    Style {
        pads: levels.pads(),
        fills: levels.fills(),
        verifies: levels.verifies(),
        clears: clears && !levels.fills() && heap.postponing().is_none(),
        verifies_all: hunts,
        rest: if hunts { Rest::Long } else { Rest::Short },
    }
}

/// One guarded block in so many lies at the start of its OS pages. (Most errors are overflows.)
const START_SHARE: u64 = 4;

/// In a page's key: a canary's upper half is not that of a free block.
const NOT_ZERO: u64 = 1 << (u64::BITS - 1);

/// The state behind that.
pub struct Instrumentation {
    bits: Cell<u8>,
    levels: Cell<Hardening>,
    style: Cell<Style>,
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
    pub(super) const fn new() -> Self {
        Self {
            bits: Cell::new(UNDECIDED),
            levels: Cell::new(Hardening::NONE),
            style: Cell::new(Style::BARE),
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
        let mut keys = self.keys.take().unwrap_or_else(Keyed::new);
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

    /// Draws whether the guarded block that is being made is to lie behind the guard in front of it rather than before the one
    /// behind it.
    pub fn draw_start(&self) -> bool {
        let state = self.random.get().wrapping_add(1);
        self.random.set(state);
        Fast::new(state.rotate_left(32)).below(START_SHARE) == 0
    }

    /// Whether allocations have to ask before they take an ordinary block.
    #[inline]
    pub fn is_instrumented(&self) -> bool {
        self.bits.get() & !PROFILED != 0
    }

    /// Whether its pages are hardened.
    #[inline]
    pub fn is_hardened(&self) -> bool {
        self.is(HARDENED)
    }

    /// Whether its pages are hardened, and nothing else is to be asked.
    #[inline]
    pub fn is_only_hardened(&self) -> bool {
        self.bits.get() == HARDENED
    }

    /// Whether some of its blocks are guarded.
    #[inline]
    pub fn is_sampled(&self) -> bool {
        self.is(SAMPLED)
    }

    /// Whether the profiler takes samples of its blocks, which alone is nothing to ask for.
    pub(super) fn set_profiled(&self, is_profiled: bool) {
        self.set(PROFILED, is_profiled);
    }

    #[inline]
    pub(super) fn is_undecided(&self) -> bool {
        self.is(UNDECIDED)
    }

    /// The levels of checking that hold in it; none until they are known.
    #[inline]
    pub fn levels(&self) -> Hardening {
        self.levels.get()
    }

    /// What its hardened pages do.
    #[inline]
    pub fn style(&self) -> Style {
        self.style.get()
    }

    /// The secrets of a hardened page.
    pub(super) fn draw_secrets(&self) -> Secrets {
        self.keyed(|keys| Secrets { key: keys.next_u64() | NOT_ZERO, order: keys.next_u64() })
    }

    /// In the child of a fork: keys from now on are others than the parent's.
    pub fn reseed(&self) {
        if let Some(mut keys) = self.keys.take() {
            keys.reseed();
            self.keys.set(Some(keys));
        }
    }

    /// Takes the levels and options that hold now, if they are known.
    pub(super) fn start(&self, heap: &Heap) {
        self.bits.set(0);
        self.keys.set(None);
        match heap.levels().or_else(options::hardening) {
            Some(levels) => self.instrument_at(levels, heap),
            None => self.set(UNDECIDED, true),
        }
    }

    /// What holds is `levels`, and the options of now.
    pub(super) fn instrument_at(&self, levels: Hardening, heap: &Heap) {
        self.set(UNDECIDED, false);
        self.levels.set(levels);
        self.style.set(style_at(levels, heap));
        self.set(HARDENED, levels.checks());
        self.bound_guarded(options::get_size(OptionId::GuardedMin), options::get_size(OptionId::GuardedMax));
        let seed = options::get_size(OptionId::GuardedSampleSeed);
        self.sample_guarded(options::get_size(OptionId::GuardedSampleRate), seed);
    }

    /// Guards one of `rate` eligible allocations from now on (0: none); `seed` determines which, 0 leaves that to chance.
    pub fn sample_guarded(&self, rate: usize, seed: usize) {
        self.rate.set(rate);
        self.set(SAMPLED, rate > 0);
        if rate > 0 {
            let start = if seed == 0 { self.keyed(|keys| keys.next_u64()) } else { seed as u64 };
            self.random.set(start);
            self.draw_gap();
        }
    }

    /// Only sizes from `min_bytes` to `max_bytes` are eligible.
    pub fn bound_guarded(&self, min_bytes: usize, max_bytes: usize) {
        self.min_bytes.set(min_bytes.min(max_bytes));
        self.max_bytes.set(max_bytes);
    }

    /// Counts an allocation of `bytes`, and says whether it is to be guarded.
    pub fn is_due_for_guard(&self, bytes: usize) -> bool {
        if bytes < self.min_bytes.get() || bytes > self.max_bytes.get() {
            return false;
        }
        let gap = self.gap.get().saturating_sub(1);
        self.gap.set(gap);
        if gap == 0 {
            self.draw_gap();
        }
        gap == 0
    }
}
