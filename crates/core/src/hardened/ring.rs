//! The free blocks of a hardened page in the order in which they came back: the oldest are used again, in random order.
//!
//! ```text
//!          head            drawn                                    tail
//!   ...... | drawn at random | the older half, and the younger one  | ......
//!            taken next        rests                                  put here
//! ```
//! What is freed is put at the tail. When all that was drawn has been taken, the next few are *drawn*: each at random among the blocks
//! that rest, but for the youngest. So a block comes again after others of its page, nobody knows when exactly, and taking one is a
//! load and a store. Never-used blocks need no rest: they are mixed, and go before the others.
//!
//! The ring is small, so that it stays in a few cache lines. Blocks for which it has no room wait outside (see `block_table`). It
//! belongs to the page's owner alone. The random numbers are wyrand's (Wang Yi, 2019: a counter, and the folded product of two mixtures of
//! it), with a secret seed per page: fast, not cryptographic.

use core::cell::Cell;

/// How many places the ring has: its positions are bytes, which wrap by themselves. One stays empty.
const PLACES: usize = 256;
/// As many blocks are drawn at a time, at most.
const DRAWN: u8 = 32;
/// A random number is enough for so many draws.
const DRAWS: u8 = 4;
const DRAW_BITS: u32 = u64::BITS / DRAWS as u32;

/// wyrand's constants.
const STEP: u64 = 0xa076_1d64_78bd_642f;
const MIX: u64 = 0xe703_7ed1_a0b4_28db;

#[repr(C)]
pub struct Ring {
    head: Cell<u8>,
    drawn: Cell<u8>,
    tail: Cell<u8>,
    random: Cell<u64>,
    indices: [Cell<u16>; PLACES],
}

impl Ring {
    /// How many blocks it holds.
    pub const ROOM: usize = PLACES - 1;

    /// An empty one, whose order `seed` determines.
    pub fn new(seed: u64) -> Ring {
        Ring {
            head: Cell::new(0),
            drawn: Cell::new(0),
            tail: Cell::new(0),
            random: Cell::new(seed),
            indices: [const { Cell::new(0) }; PLACES],
        }
    }

    #[inline(always)]
    fn at(&self, position: u8) -> &Cell<u16> {
        &self.indices[usize::from(position)]
    }

    /// How many blocks it holds now.
    #[inline]
    pub fn count(&self) -> usize {
        usize::from(self.tail.get().wrapping_sub(self.head.get()))
    }

    /// Whether blocks have been drawn and not taken.
    #[inline(always)]
    pub fn is_ready(&self) -> bool {
        self.head.get() != self.drawn.get()
    }

    /// Takes a block that was drawn; `None` if there is none.
    #[inline(always)]
    pub fn take(&self) -> Option<usize> {
        let head = self.head.get();
        if head == self.drawn.get() {
            return None;
        }
        self.head.set(head.wrapping_add(1));
        Some(usize::from(self.at(head).get()))
    }

    /// Puts a block to rest; false if there is no room.
    #[inline(always)]
    pub fn put(&self, index: usize) -> bool {
        let tail = self.tail.get();
        // The empty place.
        self.at(tail).set(index as u16);
        let next = tail.wrapping_add(1);
        if next == self.head.get() {
            return false;
        }
        self.tail.set(next);
        true
    }

    /// Makes blocks ready that need no rest, as many as there is room for, in random order: those from `first` on. How many.
    pub fn put_first(&self, first: usize, count: usize) -> usize {
        let count = count.min(Self::ROOM - self.count());
        for many in 0..count {
            let head = self.head.get().wrapping_sub(1);
            let share = (self.next_random() as u32 as u64 * (many as u64 + 1)) >> u32::BITS;
            let place = head.wrapping_add(share as u8);
            self.at(head).set(self.at(place).get());
            self.at(place).set((first + many) as u16);
            self.head.set(head);
        }
        count
    }

    /// Draws some blocks, when all that were drawn have been taken: none of the `rest` youngest ones, nor of the younger half if that is
    /// less. False if there is none to draw.
    pub fn draw(&self, rest: usize) -> bool {
        if self.is_ready() {
            return true;
        }
        let (count, head) = (self.count(), self.head.get());
        // Below 256.
        let from = (count - rest.min(count / 2)) as u8;
        let wanted = from.min(DRAWN);
        let whole = wanted / DRAWS * DRAWS;
        for done in (0..whole).step_by(usize::from(DRAWS)) {
            self.draw_few(head.wrapping_add(done), from - done, DRAWS);
        }
        if whole < wanted {
            self.draw_few(head.wrapping_add(whole), from - whole, wanted - whole);
        }
        self.drawn.set(head.wrapping_add(wanted));
        wanted > 0
    }

    /// Draws for the `wanted` places from `head` on, at most [`DRAWS`], among `from`.
    #[inline(always)]
    fn draw_few(&self, head: u8, from: u8, wanted: u8) {
        let random = self.next_random();
        for done in 0..wanted {
            let bits = (random >> (DRAW_BITS * u32::from(done))) as u16;
            let share = (u32::from(bits) * u32::from(from - done)) >> DRAW_BITS;
            self.exchange(head.wrapping_add(done), share as u8);
        }
    }

    #[inline(always)]
    fn next_random(&self) -> u64 {
        let state = self.random.get().wrapping_add(STEP);
        self.random.set(state);
        let product = u128::from(state) * u128::from(state ^ MIX);
        product as u64 ^ (product >> 64) as u64
    }

    /// Exchanges what is at a place and at the one `distance` behind.
    #[inline(always)]
    fn exchange(&self, place: u8, distance: u8) {
        let (one, other) = (self.at(place), self.at(place.wrapping_add(distance)));
        let index = one.get();
        one.set(other.get());
        other.set(index);
    }

    /// Forgets all blocks.
    pub fn clear(&self) {
        self.head.set(0);
        self.drawn.set(0);
        self.tail.set(0);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::vec::Vec;

    fn drain(ring: &Ring) -> Vec<usize> {
        core::iter::from_fn(|| ring.take()).collect()
    }

    #[test]
    fn fresh_blocks_are_ready_each_once_in_an_order_of_the_seed() {
        let orders: HashSet<Vec<usize>> = (1..50)
            .map(|seed| {
                let ring = Ring::new(seed);
                assert_eq!(ring.put_first(100, 64), 64);
                let order = drain(&ring);
                assert_eq!(order.iter().copied().collect::<HashSet<_>>(), (100..164).collect());
                assert_eq!(order.len(), 64);
                order
            })
            .collect();
        assert_eq!(orders.len(), 49);
        let first: HashSet<usize> = orders.iter().map(|order| order[0]).collect();
        assert!(first.len() > 20, "{first:?}");
    }

    #[test]
    fn what_is_put_rests_until_it_is_drawn_the_oldest_first() {
        let ring = Ring::new(1);
        (0..100).for_each(|index| assert!(ring.put(index)));
        assert_eq!(ring.take(), None);
        assert!(ring.draw(64));
        let first = drain(&ring);
        assert_eq!(first.len(), DRAWN as usize);
        assert!(first.iter().all(|&index| index < 50), "{first:?}");
        assert!(ring.draw(10));
        assert!(drain(&ring).iter().all(|&index| index < 90));
        let mut all: Vec<usize> = first;
        all.clear();
        while ring.draw(0) {
            all.extend(drain(&ring));
        }
        assert_eq!(all.len(), 100 - 2 * DRAWN as usize);
        assert_eq!(ring.count(), 0);
    }

    #[test]
    fn every_place_is_drawn_about_as_often() {
        let mut times = [0; 50];
        for seed in 0..3200 {
            let ring = Ring::new(seed);
            (0..100).for_each(|index| assert!(ring.put(index)));
            ring.draw(50);
            times[ring.take().unwrap()] += 1;
        }
        assert!(times.iter().all(|times| (30..110).contains(times)), "{times:?}");
    }

    #[test]
    fn it_is_full_with_one_place_empty_wherever_it_begins() {
        for start in [0, 1, 200, 255] {
            let ring = Ring::new(1);
            for index in 0..start {
                assert!(ring.put(index) && ring.draw(0));
                assert_eq!(ring.take(), Some(index));
            }
            assert_eq!((0..1000).take_while(|&index| ring.put(index)).count(), Ring::ROOM);
            assert_eq!((ring.count(), ring.put_first(7, 1)), (Ring::ROOM, 0));
            let mut all = HashSet::new();
            while ring.draw(100) {
                all.extend(drain(&ring));
            }
            assert_eq!(all, (0..Ring::ROOM).collect());
        }
    }
}
