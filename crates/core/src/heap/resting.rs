//! Guarded blocks that have been freed, at rest: their memory is inaccessible, so that who still uses it faults at once, until
//! enough others have been freed after them.
//!
//! A block at rest is none: its page has no block in use, its address is refused by `free` and `realloc`. The page stays one of its
//! heap's, and is nobody's, so that a heap that ends finds it like any other. The ring names those that rest, oldest first.
//!
//! # Invariants
//! 1. A page enters and leaves the ring under the lock. It is let go of when it enters, and claimed when it leaves: who takes a page
//!    out of the ring has the right to it.
//! 2. A page that somebody else has claimed stays in the ring: a thread that meant another page puts it back at once, and who releases
//!    the page (the end of its heap, or the child of a fork) takes it out first ([`Resting::forget`]).
//!
//! The idea is GWP-ASan's.

use core::ptr;

use crate::base::*;
use crate::options::{self, OptionId};
use crate::page::{OwnedPage, Page, PageRef};
use crate::sync::Lock;
use ferrimalloc_prim::mem;

/// So many rest at most, whatever the option says.
const MOST: usize = 1024;

/// So many bytes of addresses at most, and a share of them where addresses are limited.
const MOST_BYTES: usize = if usize::BITS == 64 { 64 << 20 } else { 4 << 20 };
const LIMIT_SHARE: usize = 64;

/// A block of a larger share of that does not rest: it would drive all others out.
const LARGEST_SHARE: usize = 4;

/// Nobody's page has as many blocks to come back: no free claims it.
const NEVER: usize = u16::MAX as usize;

/// The pages that rest, from the oldest on.
pub struct Ring {
    pages: [*const Page; MOST],
    first: usize,
    count: usize,
    slices: usize,
}

// SAFETY: pages are named, and followed only as any thread may.
unsafe impl Send for Ring {}

/// Those of a sub-process. Valid when zeroed.
pub struct Resting(Lock<Ring>);

impl Ring {
    fn place(&self, index: usize) -> usize {
        (self.first + index) % MOST
    }

    fn push(&mut self, page: PageRef) {
        let place = self.place(self.count);
        self.pages[place] = page;
        self.count += 1;
        self.slices += page.slices();
    }

    fn pop(&mut self) -> Option<PageRef> {
        if self.count == 0 {
            return None;
        }
        // SAFETY: entries of the page map are never unmapped.
        let page = unsafe { &*self.pages[self.first] };
        self.first = self.place(1);
        self.count -= 1;
        self.slices -= page.slices();
        Some(page)
    }

    /// Takes the oldest out that nobody has claimed.
    fn take(&mut self) -> Option<OwnedPage> {
        for _ in 0..self.count {
            let page = self.pop()?;
            match page.claim_in_place() {
                Some((owned, _)) => return Some(owned),
                None => self.push(page),
            }
        }
        None
    }

    fn remove(&mut self, page: &Page) {
        let is_it = |ring: &Ring, index| ptr::eq(ring.pages[ring.place(index)], page);
        let Some(at) = (0..self.count).find(|&index| is_it(self, index)) else { return };
        for index in at + 1..self.count {
            let (to, from) = (self.place(index - 1), self.place(index));
            self.pages[to] = self.pages[from];
        }
        self.count -= 1;
        self.slices -= page.slices();
    }
}

impl Resting {
    /// None.
    pub const fn new() -> Self {
        Self(Lock::new(Ring { pages: [ptr::null(); MOST], first: 0, count: 0, slices: 0 }))
    }

    /// Held over `fork`, behind all others.
    pub fn lock(&self) -> &Lock<Ring> {
        &self.0
    }

    /// Whether a block with a page of so many slices may rest.
    pub fn admits(slices: usize) -> bool {
        most_pages() > 0 && slices <= most_slices() / LARGEST_SHARE
    }

    /// Has a page rest; it comes back if there is no room. Its memory is inaccessible, and it says so.
    pub fn keep(&self, page: OwnedPage) -> Result<(), OwnedPage> {
        let mut ring = self.0.lock();
        if ring.count == MOST {
            return Err(page);
        }
        let here = page.page();
        ring.push(here);
        Self::let_rest(page).inspect_err(|_| ring.remove(here))
    }

    /// Lets go of a page of the ring, or of one that is just entering it.
    pub fn let_rest(page: OwnedPage) -> Result<(), OwnedPage> {
        let hint = page.owner().tid();
        page.let_go(hint, 0, NEVER)
    }

    /// The oldest that has rested long enough, if there is one.
    pub fn take_due(&self) -> Option<OwnedPage> {
        let mut ring = self.0.lock();
        if ring.count > most_pages() || ring.slices > most_slices() { ring.take() } else { None }
    }

    /// The oldest.
    pub fn take(&self) -> Option<OwnedPage> {
        self.0.lock().take()
    }

    /// A page is about to be released by somebody who has claimed it elsewhere.
    #[cold]
    pub fn forget(&self, page: &Page) {
        self.0.lock().remove(page);
    }

    /// All are gone, with all that the sub-process had.
    pub fn clear(&self) {
        let mut ring = self.0.lock();
        (ring.first, ring.count, ring.slices) = (0, 0, 0);
    }

    /// How many rest.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.lock().count
    }
}

fn most_pages() -> usize {
    options::get_size(OptionId::GuardedRest).min(MOST)
}

fn most_slices() -> usize {
    MOST_BYTES.min(mem::config().address_limit_bytes / LIMIT_SHARE) / SLICE_BYTES
}
