//! `free`: whose page is it?
//!
//! One compare of the page's owner word with the thread's id tells "mine and ordinary". The rest is `free_slow`: a
//! slice inside a page, blocks known by inner addresses, pages of others or of nobody, and addresses that are no
//! block of ours.

use super::hardened::{self, Stated, Verdict};
use super::single::SingleBlock;
use crate::base::WORD_BYTES;
use crate::diag::{self, Detail, ErrorKind};
use crate::heap::adopt_orphans_first;
use crate::options;
use crate::os::tool_hooks;
use crate::page::{Freed, Owned, Owner, Page, PageRef};
use crate::runtime::theap_to_free_by;
use crate::theap::Theap;

/// Frees a block; null is fine. An address that is no block of ours is ignored, and reported if the options ask for
/// it. Any thread may free any block. Leaves `errno` alone.
///
/// # Safety
/// `p` is null or a block of this allocator that nobody uses any more.
#[inline(always)]
pub unsafe fn free(p: *mut u8) {
    let Some(page) = Page::near_entry(p) else { return free_far(p) };
    let Some(mine) = page.if_mine() else { return free_slow(p, page) };
    // SAFETY: the block is the caller's.
    unsafe { free_own(mine, p) }
}

/// [`free`] by a caller who knows how large the block is. It costs what [`free`] costs. In a hardened page a size that is not
/// the block's is reported, and the block is not freed; elsewhere the size is not looked at.
///
/// # Safety
/// As for [`free`].
#[inline(always)]
pub unsafe fn free_sized(p: *mut u8, stated: Stated) {
    let Some(page) = Page::near_entry(p) else { return free_far_sized(p, stated) };
    let Some(mine) = page.if_mine() else { return free_slow_sized(p, stated, page) };
    // SAFETY: the block is the caller's.
    unsafe { free_own(mine, p) }
}

#[cold]
#[inline(never)]
extern "C" fn free_far_sized(p: *mut u8, stated: Stated) {
    if !p.is_null() {
        free_slow_sized(p, stated, Page::entry(p));
    }
}

#[inline(never)]
extern "C" fn free_slow_sized(p: *mut u8, stated: Stated, entry: PageRef) {
    let page = if entry.owner() == Owner::STUB { entry.head() } else { entry };
    if page.owner().is_hardened() && !hardened::accepts(p, page, stated) {
        return;
    }
    free_slow(p, entry);
}

/// Frees a block of a page that this thread owns.
///
/// # Safety
/// `p` is a block of the page that nobody uses any more.
#[inline(always)]
unsafe fn free_own(page: &'static Owned, p: *mut u8) {
    // SAFETY: the precondition.
    if unsafe { page.push_local(p) } == Freed::Empty {
        free_emptied(page);
    }
}

/// The last lent block came back: the page is empty.
#[cold]
#[inline(never)]
extern "C" fn free_emptied(page: &'static Owned) {
    Theap::of_page(page).page_emptied(page);
}

/// Null, or where few of our pages are, or none.
#[cold]
#[inline(never)]
extern "C" fn free_far(p: *mut u8) {
    if !p.is_null() {
        free_slow(p, Page::entry(p));
    }
}

/// The first test is the way through an interior slice: freeing medium blocks is common.
#[inline(never)]
extern "C" fn free_slow(p: *mut u8, entry: PageRef) {
    let mut page = entry;
    if page.owner() == Owner::STUB {
        page = page.head();
        if let Some(mine) = page.if_mine() {
            // SAFETY: the block is the caller's.
            return unsafe { free_own(mine, p) };
        }
    }
    if page.owner().is_hardened() {
        return free_hardened(p, page);
    }
    free_not_ordinary(p, page);
}

#[cold]
#[inline(never)]
extern "C" fn free_hardened(p: *mut u8, page: PageRef) {
    adopt_orphans_first();
    if hardened::free(p, page) == Verdict::Release {
        free_single(page, p);
    }
}

#[inline(never)]
extern "C" fn free_not_ordinary(p: *mut u8, page: PageRef) {
    adopt_orphans_first();
    let owner = page.owner();
    let is_misaligned = !(p as usize).is_multiple_of(WORD_BYTES) && !page.is_singleton();
    if owner == Owner::NONE || is_misaligned || !page.reaches(p) {
        return free_invalid(p);
    }
    if page.is_singleton() {
        return free_single(page, p);
    }
    let block = if owner.has_interior() { page.block_of(p) } else { p };
    // SAFETY: the block is the caller's.
    unsafe {
        match page.if_mine_of_any_kind() {
            Some(mine) => free_own(mine, block),
            None => theap_to_free_by().free_foreign(page, block),
        }
    }
}

fn free_single(page: PageRef, block: *mut u8) {
    // SAFETY: the block is the caller's, if it is one.
    match unsafe { SingleBlock::held(block, page) } {
        Some(block) => block.release(),
        None => free_invalid(block),
    }
}

#[cold]
fn free_invalid(p: *mut u8) {
    if !p.is_null() {
        // This may be the first that the process hears of us.
        options::hardening();
        tool_hooks::freed(p);
        diag::error(ErrorKind::InvalidFree, p, Detail::Nothing);
    }
}
