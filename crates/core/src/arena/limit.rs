//! A limit on memory: how many slices are charged, and how many may be at most.
//!
//! ```text
//!  63              32 31               0
//! +------------------+------------------+
//! |  what most lacks |     charged      |      0: nothing is charged, and there is no limit
//! |  of the greatest |                  |
//! +------------------+------------------+
//! ```
//!
//! One word, so that a charge is compared with the limit that holds at that moment. Whoever wants slices charges them
//! first, and gives the charge back with the slices.
//!
//! Invariants:
//! 1. No charge that was asked for takes `charged` above `most`. (Lowering the limit refuses, but takes nothing back.)
//! 2. `charged` is what was charged and not given back, whatever the threads do at the same time.
//! 3. Neither half ever changes the other. (In the child of a fork more may be given back than is charged.)
//!
//! It is a count and nothing else: no memory is published by it, so nothing needs an order.

use crate::sync::{AtomicU64, Ordering, const_unless_loom};

const HALF: u32 = u32::BITS;
/// Of either half. As a limit: none.
const GREATEST: u64 = u32::MAX as u64;

/// See the module's head. Valid when zeroed: no limit.
pub struct Limit(AtomicU64);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    charged: u64,
    most: u64,
}

impl State {
    fn of(word: u64) -> State {
        State { charged: word & GREATEST, most: GREATEST - (word >> HALF) }
    }

    fn word(self) -> u64 {
        (GREATEST - self.most) << HALF | self.charged
    }

    fn charge(self, slices: u64) -> Option<State> {
        let charged = self.charged.checked_add(slices)?;
        (charged <= self.most).then_some(State { charged, ..self })
    }

    fn charge_anyway(self, slices: u64) -> State {
        State { charged: self.charged.saturating_add(slices).min(GREATEST), ..self }
    }

    fn give_back(self, slices: u64) -> State {
        State { charged: self.charged.saturating_sub(slices), ..self }
    }
}

impl Limit {
    const_unless_loom! {
        /// Nothing is charged, and there is no limit.
        pub const fn new() -> Self {
            Limit(AtomicU64::new(0))
        }
    }

    fn state(&self) -> State {
        State::of(self.0.load(Ordering::Relaxed))
    }

    fn change(&self, change: impl Fn(State) -> Option<State>) -> bool {
        let changed = |word| change(State::of(word)).map(State::word);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed).is_ok()
    }

    /// Charges so many slices, if that many may be. One compare-and-swap; none to charge nothing.
    #[must_use]
    pub fn try_charge(&self, slices: usize) -> bool {
        if slices == 0 {
            return self.shortage(0) == 0;
        }
        self.change(|state| state.charge(slices as u64))
    }

    /// What is made of so many slices, if they can be charged; they are given back if nothing is made.
    pub fn charge_for<T>(&self, slices: usize, make: impl FnOnce() -> Option<T>) -> Option<T> {
        if !self.try_charge(slices) {
            return None;
        }
        let made = make();
        if made.is_none() {
            self.give_back(slices);
        }
        made
    }

    /// Charges so many slices, whatever the limit.
    pub fn charge_anyway(&self, slices: usize) {
        self.change(|state| Some(state.charge_anyway(slices as u64)));
    }

    /// So many of the charged slices have gone.
    pub fn give_back(&self, slices: usize) {
        if slices > 0 {
            self.change(|state| Some(state.give_back(slices as u64)));
        }
    }

    /// From now on no charge goes above so many slices; `None`: any number may be charged.
    pub fn set(&self, most: Option<usize>) {
        let most = most.map_or(GREATEST, |slices| (slices as u64).min(GREATEST));
        self.change(|state| Some(State { most, ..state }));
    }

    /// How many slices may be charged; `None`: any number.
    pub fn most(&self) -> Option<usize> {
        let most = self.state().most;
        (most < GREATEST).then_some(most as usize)
    }

    /// How many slices are charged.
    pub fn charged(&self) -> usize {
        self.state().charged as usize
    }

    /// How many slices would have to go so that `slices` more could be charged; 0 without a limit.
    pub fn shortage(&self, slices: usize) -> usize {
        let State { charged, most } = self.state();
        if most == GREATEST { 0 } else { charged.saturating_add(slices as u64).saturating_sub(most) as usize }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_charged_is_charged_to_the_last_slice() {
        let limit = Limit::new();
        limit.set(Some(10));
        assert!(limit.try_charge(7) && !limit.try_charge(4) && limit.try_charge(3) && !limit.try_charge(1));
        assert!(limit.try_charge(0), "nothing is always there");
        assert_eq!((limit.charged(), limit.shortage(0), limit.shortage(5)), (10, 0, 5));
        limit.give_back(4);
        assert!(limit.try_charge(4));
    }

    #[test]
    fn a_lower_limit_takes_nothing_back() {
        let limit = Limit::new();
        assert!(limit.try_charge(100));
        limit.set(Some(60));
        assert!(!limit.try_charge(1) && !limit.try_charge(0));
        assert_eq!((limit.charged(), limit.most(), limit.shortage(1)), (100, Some(60), 41));
        limit.give_back(41);
        assert!(limit.try_charge(1));
        limit.set(None);
        assert!(limit.try_charge(1000) && limit.most().is_none());
    }

    #[test]
    fn no_half_reaches_into_the_other() {
        let limit = Limit::new();
        limit.set(Some(5));
        limit.give_back(3);
        assert_eq!((limit.charged(), limit.most()), (0, Some(5)));
        limit.charge_anyway(usize::MAX);
        assert_eq!((limit.charged(), limit.most()), (u32::MAX as usize, Some(5)));
        limit.set(None);
        assert!(!limit.try_charge(usize::MAX) && !limit.try_charge(1));
        assert_eq!((limit.charged(), limit.most(), limit.shortage(1)), (u32::MAX as usize, None, 0));
        limit.set(Some(usize::MAX));
        assert_eq!(limit.most(), None, "more than can be counted");
    }
}
