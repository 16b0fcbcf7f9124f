//! Pages of the profiler's samples, which share them.
//!
//! Such a page has blocks of one class on lists, as an ordinary one has. But no thread owns it: its heap has it, and whoever holds
//! the lock of the heap's samples (`heap::samples`) does with the lists what an owner would. Its owner word names a thread that
//! there is not, and says that addresses inside of blocks are known: so the fast path of `free` takes the page for another's, no
//! free is gathered, and the slow path knows it. To the remote word it is like the page of a single block: given up, and claimed by
//! whoever is about to release it. `used` is always right. A file of its own: nothing else knows the table.
//!
//! In front of the blocks is a table, a word for each: 0 while the block is free, else the profiler's record of it. A word is changed
//! by whoever has the block.
//!
//! | the page is | owner word | remote word |
//! |---|---|---|
//! | in use, or kept empty | [`Owner::SAMPLES`] | unowned, threshold 1 |
//! | claimed by mistake (see `ownership`) | the same | owned, until it is put back as it was |
//! | about to be released | the same | owned |

use core::ptr;

use super::layout::{Flag, Page, PageRef};
use super::owned::{Owned, OwnedPage, Threshold};
use super::ownership::Owner;
use crate::base::*;
use crate::sync::{AtomicUsize, Ordering, Relaxed, pin};

/// As many blocks a page has at most: so that the table and the blocks of the smallest classes are a few OS pages.
const MOST: usize = 256;

const FREE: usize = 0;
/// The profiler had no memory for a record.
const UNRECORDED: usize = 1;

/// How many blocks of class `bin` such a page of `slices` has, and where the first one starts, in bytes: aligned as its size is.
pub fn layout_of_samples(bin: Bin, slices: usize) -> (usize, usize) {
    let (bytes, room) = (bin.block_bytes(), slices * SLICE_BYTES);
    let granule = (bytes & bytes.wrapping_neg()).clamp(2 * WORD_BYTES, SLICE_BYTES);
    let blocks = (room / (bytes + WORD_BYTES)).min(MOST);
    let start = (blocks * size_of::<usize>()).next_multiple_of(granule);
    (blocks.min((room - start) / bytes), start)
}

impl Page {
    /// Whether it is for samples. Exact for who has a block of it.
    #[inline]
    pub fn is_sampled(&self) -> bool {
        self.owner().is_samples()
    }

    fn record_of(&self, index: usize) -> &AtomicUsize {
        debug_assert!(index < self.reserved());
        // SAFETY: the table is there, as long as the page is one for samples, and has a word for each block.
        unsafe { &*self.memory().cast::<AtomicUsize>().add(index) }
    }

    /// The profiler's record of a block that the caller has just allocated here.
    pub fn set_record(&self, block: *const u8, record: *const ()) {
        if let Some(index) = self.block_index(block, self.reserved()) {
            self.record_of(index).set(record.expose_provenance());
        }
    }

    /// The block at `block` is being freed: takes the record away, null if there is none. `None` if it is no block in use.
    pub fn take_record(&self, block: *const u8) -> Option<*const ()> {
        let index = self.block_index(block, self.capacity())?;
        match self.record_of(index).swap(FREE, Ordering::Relaxed) {
            FREE => None,
            UNRECORDED => Some(ptr::null()),
            record => Some(ptr::with_exposed_provenance(record)),
        }
    }

    /// Calls `visit` with each record that is left, and its block, and takes it away. By whoever releases the page.
    pub fn drain_records(&self, mut visit: impl FnMut(*const (), *mut u8)) {
        for index in 0..self.capacity() {
            let block = self.block_start(index);
            if let Some(record) = self.take_record(block) {
                visit(record, block);
            }
        }
    }

    /// As an owner sees it.
    ///
    /// # Safety
    /// The page is one for samples, and the caller has the lock of its heap's samples until it is done with the answer.
    pub unsafe fn of_samples(&'static self) -> &'static Owned {
        // SAFETY: the precondition; nobody owns such a page.
        unsafe { self.owned() }
    }

    /// Claims a page whose blocks are all free, and that is in no list, so that it can be released. A thread that has claimed
    /// it by mistake does that instead when it puts it back.
    pub fn claim_emptied(&'static self) -> Option<OwnedPage> {
        match self.claim() {
            Some((page, _)) => Some(page),
            None => self.push_unlinked(self.start()),
        }
    }
}

impl OwnedPage {
    /// Makes a fresh page, laid out as [`layout_of_samples`] says, one for samples, and gives it up.
    pub fn begin_samples(self) -> PageRef {
        for index in 0..self.reserved() {
            self.record_of(index).set(FREE);
        }
        let page = self.page();
        // Before the page is let go of: whoever claims it by mistake sees what it is.
        self.set_interior();
        let given_up = self.let_go(Owner::SAMPLES.tid(), 0, 1);
        debug_assert!(given_up.is_ok(), "no block of a new page has been freed");
        debug_assert!(page.is_sampled());
        page
    }

    /// Puts back what a thread had claimed by mistake that a fork has left behind; the page, if it was to be released meanwhile.
    pub fn resume_samples(self) -> Option<OwnedPage> {
        if self.ownership.used() == 0 && !self.is(Flag::Queued) {
            return Some(self);
        }
        self.put_back(Threshold(1)).err()
    }
}

/// Of a page for samples, by whoever has the lock.
impl Owned {
    /// Whether there is a block to take.
    pub fn has_sample_block(&self) -> bool {
        self.has_free() || self.is_recyclable() || self.is(Flag::Extensible)
    }

    /// Takes a block; null if there is none, or no memory for it.
    pub fn take_sample_block(&self) -> *mut u8 {
        if !(self.has_free() || self.refill_local() || self.is(Flag::Extensible) && self.extend()) {
            return ptr::null_mut();
        }
        let block = self.pop();
        if let Some(index) = self.block_index(block, self.reserved()) {
            self.record_of(index).set(UNRECORDED);
            self.ownership.set_used(self.ownership.used() + 1);
        }
        block
    }

    /// Puts a block back; answers how many blocks are in use.
    ///
    /// # Safety
    /// The block's record has been taken away, and nobody uses the block any more.
    pub unsafe fn put_sample_block(&self, block: *mut u8) -> usize {
        // SAFETY: the precondition.
        let _ = unsafe { self.push_local(block) };
        pin();
        let used = self.ownership.used().saturating_sub(1);
        self.ownership.set_used(used);
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_the_blocks_fit_and_blocks_are_aligned_as_their_size_is() {
        for bin in (0..Bin::COUNT).filter_map(Bin::from_index).filter(|bin| bin.block_bytes() <= SLICE_BYTES) {
            let slices = bin.page_slices().min(MEDIUM_PAGE_SLICES);
            let ((blocks, start), bytes) = (layout_of_samples(bin, slices), bin.block_bytes());
            assert!(
                blocks >= 7 && start >= blocks * size_of::<usize>() && start + blocks * bytes <= slices * SLICE_BYTES
            );
            assert!(start.is_multiple_of((bytes & bytes.wrapping_neg()).min(SLICE_BYTES)), "{bytes}");
        }
    }
}
