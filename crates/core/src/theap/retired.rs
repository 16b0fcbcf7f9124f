//! The empty pages that a theap keeps for a while: how many, and how much of them has been touched, is bounded. A file
//! of its own, since `theap` has it and `upkeep` decides about it.

use core::cell::Cell;
use core::ptr;

use crate::page::{Flag, Owned};

/// How many empty pages a theap keeps.
const MAX_PAGES: usize = 64;
/// How much of them may have been touched, together. Bytes.
const MAX_TOUCHED_BYTES: usize = 4 << 20;
/// The empty pages that a theap keeps. Valid when zeroed.
pub struct Retired {
    pages: [Cell<*const Owned>; MAX_PAGES],
    /// What of each had been touched when it came. Bytes.
    touched: [Cell<u32>; MAX_PAGES],
    count: Cell<usize>,
    touched_bytes: Cell<usize>,
}

impl Retired {
    pub const fn new() -> Self {
        Self {
            pages: [const { Cell::new(ptr::null()) }; MAX_PAGES],
            touched: [const { Cell::new(0) }; MAX_PAGES],
            count: Cell::new(0),
            touched_bytes: Cell::new(0),
        }
    }

    /// Forgets everything kept.
    pub fn clear(&self) {
        self.count.set(0);
        self.touched_bytes.set(0);
    }

    pub fn has_room_for(&self, page: &Owned) -> bool {
        self.count.get() < MAX_PAGES && self.touched_bytes.get() + page.touched_bytes() <= MAX_TOUCHED_BYTES
    }

    pub fn add(&self, page: &'static Owned) {
        let (index, touched) = (self.count.get(), page.touched_bytes());
        self.pages[index].set(page);
        self.touched[index].set(touched as u32);
        self.count.set(index + 1);
        self.touched_bytes.set(self.touched_bytes.get() + touched);
    }

    pub fn get(&self, index: usize) -> &'static Owned {
        // SAFETY: the first `count` are pages of the theap.
        unsafe { &*self.pages[index].get() }
    }

    pub fn remove(&self, index: usize) {
        let page = self.get(index);
        page.drop_flag(Flag::Retired);
        let last = self.count.get() - 1;
        self.touched_bytes.set(self.touched_bytes.get() - self.touched[index].get() as usize);
        self.pages[index].set(self.pages[last].get());
        self.touched[index].set(self.touched[last].get());
        self.count.set(last);
    }

    pub fn index_of(&self, page: &Owned) -> Option<usize> {
        (0..self.count.get()).find(|&index| self.get(index) == page)
    }

    pub fn count(&self) -> usize {
        self.count.get()
    }
}
