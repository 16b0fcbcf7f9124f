//! What is known of blocks when they are laid to rest, or their page goes: guarded blocks that have been freed rest, and samples are taken
//! from the profiler. A file of its own, between the ring of those that rest, which knows no heap, and the release of pages.

use core::ptr::NonNull;

use super::guard::close_single;
use super::page_heap::{heap_of_page, postpones};
use super::resting::Resting;
use crate::page::{Owned, OwnedPage, Page};
use crate::profile;

/// Has a guarded block's page rest, whose block has been freed; it comes back if it can't, or has rested.
pub(super) fn rest(page: OwnedPage, resting: &Resting) -> Option<OwnedPage> {
    if page.is_resting() {
        resting.forget(&page);
        return Some(page);
    }
    if !Resting::admits(page.slices()) || !begin_rest(&page) {
        return Some(page);
    }
    // Another thread may have freed the block at the same time.
    page.settle_frees(0);
    resting.keep(page).err()
}

/// Makes the page one at rest: nobody may touch its memory, and nothing counts its block any more. Not where threads may look at
/// memory that has been freed, or the system refuses.
fn begin_rest(page: &Owned) -> bool {
    if postpones(page) {
        return false;
    }
    page.note_single_freed();
    if !close_single(page) {
        return false;
    }
    if let Some(record) = page.take_sample() {
        // SAFETY: the page has just given it away.
        unsafe { retire_sample(record, page.start()) };
    }
    heap_of_page(page).count_block_freed(page);
    page.begin_rest();
    true
}

/// A block was a sample of the profiler.
///
/// # Safety
/// `record` is what the block's page had of it and has given away: the profiler's record, or null if there was no memory for one.
#[cold]
pub unsafe fn retire_sample(record: *const (), block: *mut u8) {
    if let Some(sample) = NonNull::new(record.cast_mut().cast()) {
        // SAFETY: the precondition.
        unsafe { profile::retire(sample, block) };
    }
}

/// Of the page's blocks, which are all free now, some may be samples of the profiler still.
pub(super) fn retire_samples(page: &Page) {
    // SAFETY: the page is going, and what it has are records of its blocks.
    unsafe {
        if let Some(record) = page.sample() {
            retire_sample(record, page.start());
        }
        if page.is_sampled() {
            page.drain_records(|record, block| retire_sample(record, block));
        }
    }
}
