//! `free`: whose page is it?
//!
//! One compare of the page's owner word with the thread's id tells "mine and ordinary". The rest is `free_slow`: a
//! slice inside a page, blocks known by inner addresses, pages of others or of nobody, and addresses that are no
//! block of ours.

use super::hardened::{self, Verdict};
use super::hardened_fast::{self, Way};
use super::origins;
use super::sampled;
use super::single::SingleBlock;
use super::stated::{Stated, check_free};
use crate::base::WORD_BYTES;
use crate::diag::{Detail, ErrorKind};
use crate::heap::adopt_orphans_first;
use crate::options;
use crate::os::tool_hooks;
use crate::page::{Flag, Freed, Owned, Owner, Page, PageRef};
use crate::runtime::{current_theap, theap_to_free_by};
use crate::sync::Relaxed;
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

/// Like [`free`], of a block that the caller takes for one of a stated size at a multiple of `align`. Where blocks have canaries,
/// one of another size or without that alignment is reported and not freed; in other hardened pages one whose class can't have that
/// size. In ordinary ones it costs what [`free`] costs.
///
/// # Safety
/// As for [`free`].
#[inline(always)]
pub unsafe fn free_as(p: *mut u8, stated: Stated, align: usize) {
    let Some(page) = Page::near_entry(p) else { return free_far_as(p, stated, align) };
    let Some(mine) = page.if_mine() else { return free_slow_as(p, stated, align, page) };
    // SAFETY: the block is the caller's.
    unsafe { free_own(mine, p) }
}

#[cold]
#[inline(never)]
extern "C" fn free_far_as(p: *mut u8, stated: Stated, align: usize) {
    if !p.is_null() {
        free_slow_as(p, stated, align, Page::entry(p));
    }
}

/// The caller's arguments come first: they are in their registers.
#[inline(never)]
extern "C" fn free_slow_as(p: *mut u8, stated: Stated, align: usize, entry: PageRef) {
    if options::CHECKS_FREES.get() {
        return free_checked(p, stated, align, entry);
    }
    free_slow(p, entry);
}

/// Apart from others, since it needs a stack.
#[cold]
#[inline(never)]
extern "C" fn free_checked(p: *mut u8, stated: Stated, align: usize, entry: PageRef) {
    if check_free(p, Some(stated), align) {
        free_slow(p, entry);
    }
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

/// The last lent block came back: the page is empty, unless a block came back twice. A thread that has no theap owns no page: it is
/// called like one that a fork has left behind, whose page this is (`runtime::orphans`). Its lists and its theap may be half done.
#[cold]
#[inline(never)]
extern "C" fn free_emptied(page: &'static Owned) {
    if current_theap().is_empty_theap() {
        return adopt_orphans_first();
    }
    if !page.mend_doubles() {
        Theap::of_page(page).page_emptied(page);
    }
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
    let owner = entry.owner();
    if owner == Owner::STUB {
        let page = entry.head();
        if let Some(mine) = page.if_mine() {
            if p.cast_const() == mine.freed_last() {
                return free_twice(page, p);
            }
            if entry.is_far_inside() {
                return free_large(p, mine);
            }
            // SAFETY: the block is the caller's.
            return unsafe { free_own(mine, p) };
        }
        return free_inner(p, page);
    }
    if owner.is_hardened() { free_hardened(p, entry, owner) } else { free_others(p, entry) }
}

/// Blocks of which few in a page are in use are worth a look now and then.
#[inline(never)]
extern "C" fn free_large(p: *mut u8, mine: &'static Owned) {
    // SAFETY: the block is the caller's.
    match unsafe { mine.push_local(p) } {
        Freed::Empty => free_emptied(mine),
        Freed::InUse if mine.is_look_due() => look_at(mine),
        Freed::InUse => {}
    }
}

/// A thread that has no theap leaves the page as it is: see `free_emptied`.
#[cold]
#[inline(never)]
extern "C" fn look_at(page: &'static Owned) {
    if !current_theap().is_empty_theap() {
        Theap::of_page(page).see_to_sparse(page);
    }
}

/// All that it ends with is apart, so that it needs no stack.
#[inline(always)]
fn free_hardened(p: *mut u8, page: PageRef, owner: Owner) {
    let Some(mine) = page.if_mine_and_hardened(owner) else { return free_hardened_slow(p, page) };
    match hardened_fast::way_of(mine) {
        Way::Cleared => free_cleared(p, mine),
        Way::Padded => free_padded(p, mine),
        Way::Bare => free_bare(p, mine),
        Way::Long => free_hardened_long(p, mine),
    }
}

#[inline(never)]
extern "C" fn free_cleared(p: *mut u8, mine: &'static Owned) {
    end_free(p, mine, hardened_fast::free_short::<true>(p, mine));
}

#[inline(never)]
extern "C" fn free_padded(p: *mut u8, mine: &'static Owned) {
    end_free(p, mine, hardened_fast::free_short::<false>(p, mine));
}

#[inline(never)]
extern "C" fn free_bare(p: *mut u8, mine: &'static Owned) {
    end_free(p, mine, hardened_fast::free_bare(p, mine));
}

#[inline(always)]
fn end_free(p: *mut u8, mine: &'static Owned, freed: Option<Freed>) {
    match freed {
        Some(Freed::InUse) => (),
        Some(Freed::Empty) => hardened_emptied(mine),
        None => free_hardened_long(p, mine),
    }
}

/// What lies in an inner slice, and is no ordinary block of this thread's.
#[inline(never)]
extern "C" fn free_inner(p: *mut u8, page: PageRef) {
    let owner = page.owner();
    if !owner.is_hardened() {
        return free_others(p, page);
    }
    match page.if_mine_and_hardened(owner) {
        Some(mine) => free_hardened_long(p, mine),
        None => free_hardened_slow(p, page),
    }
}

/// What is mostly a block of another thread's page. Apart from others, so that neither needs a stack.
#[inline(never)]
extern "C" fn free_others(p: *mut u8, page: PageRef) {
    // SAFETY: the block is the caller's.
    if !unsafe { current_theap().gathers(page, p) } {
        free_not_ordinary(p, page);
    }
}

/// Apart from others, since what calls `memset` needs a stack.
#[inline(never)]
extern "C" fn free_hardened_long(p: *mut u8, mine: &'static Owned) {
    match hardened_fast::free_long(p, mine) {
        Some(Freed::InUse) => (),
        Some(Freed::Empty) => hardened_emptied(mine),
        None => free_hardened_slow(p, mine.page()),
    }
}

/// As [`free_emptied`]; mostly it is empty and kept again, and nothing else changes.
#[inline(never)]
extern "C" fn hardened_emptied(page: &'static Owned) {
    if page.is(Flag::Retired) { page.note_retired() } else { free_emptied(page) }
}

#[inline(never)]
extern "C" fn free_hardened_slow(p: *mut u8, page: PageRef) {
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
    if owner.is_samples() {
        return free_sample(page, p);
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
        Some(_) if page.is_resting() => free_twice(page, block),
        Some(single) => {
            origins::freed(block);
            single.release();
        }
        None => free_invalid(block),
    }
}

fn free_sample(page: PageRef, p: *mut u8) {
    if !sampled::free(page, p) {
        free_twice(page, p);
    }
}

/// The block that was freed before is freed again.
#[cold]
#[inline(never)]
fn free_twice(page: PageRef, p: *mut u8) {
    page.report(ErrorKind::DoubleFree, p, p);
}

#[cold]
fn free_invalid(p: *mut u8) {
    if !p.is_null() {
        // This may be the first that the process hears of us.
        options::hardening();
        tool_hooks::freed(p);
        origins::error(ErrorKind::InvalidFree, p, Detail::Nothing);
    }
}
