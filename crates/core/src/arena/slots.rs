//! Numbered places that are filled one after another while others walk over them.
//!
//! Invariants:
//! 1. A place is filled once, by the one who drew its number.
//! 2. Who sees an item sees its number in it, and everything else that was written before it was added.
//! 3. An item that was added before a walk begins is met by it. One that is just being added may be missed.

use crate::sync::{AtomicUsize, Ordering, Published, array_of, const_unless_loom};

/// Room for `N` items. Zeroed memory is an empty one.
pub struct Slots<T, const N: usize> {
    places: [Published<T>; N],
    /// How many numbers were drawn.
    count: AtomicUsize,
}

impl<T: 'static, const N: usize> Slots<T, N> {
    /// Where the places lie.
    pub const PLACES_AT: usize = core::mem::offset_of!(Self, places);
    /// Where their count lies.
    pub const COUNT_AT: usize = core::mem::offset_of!(Self, count);

    const_unless_loom! {
        /// With nothing in it. `const` except under loom.
        pub const fn new() -> Self {
            Slots { places: array_of!(Published::new(); N), count: AtomicUsize::new(0) }
        }
    }

    /// How many items there are, or are just being added.
    #[inline]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether no more can be added.
    pub fn is_full(&self) -> bool {
        self.count() >= N
    }

    /// Adds an item, which is told its number first. False, and nothing happens, when all places are taken.
    pub fn add(&self, item: &'static T, tell_number: impl FnOnce(usize)) -> bool {
        let Some(number) = self.draw() else { return false };
        tell_number(number);
        self.places[number].publish(item);
        true
    }

    fn draw(&self) -> Option<usize> {
        let next = |count: usize| (count < N).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()
    }

    /// All items, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'static T> {
        // SAFETY: items are 'static, and visible when their address is.
        self.places[..self.count()].iter().filter_map(|place| unsafe { place.get().as_ref() })
    }

    /// Empties all places and hands out what was in them, newest first; by the last user.
    pub fn drain(&self, mut each: impl FnMut(&'static T)) {
        let count = self.count.swap(0, Ordering::Relaxed);
        for place in self.places[..count].iter().rev() {
            // SAFETY: items are 'static; the caller has seen all of them added.
            if let Some(item) = unsafe { place.take().as_ref() } {
                each(item);
            }
        }
    }
}
