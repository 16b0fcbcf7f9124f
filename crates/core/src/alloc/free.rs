//! `free`: whose page is it?
//!
//! One compare of the page's owner word with the thread's id tells "mine and ordinary". The rest is `free_slow`: a
//! slice inside a page, blocks known by inner addresses, pages of others or of nobody, and addresses that are no
//! block of ours.

use ferrimalloc_prim::thread::id as thread_id;

use super::checked::{self, Verdict};
use crate::base::WORD_BYTES;
use crate::diag::{self, Detail, ErrorKind};
use crate::heap::{release_page, settle};
use crate::options;
use crate::os::told;
use crate::page::remote::Push;
use crate::page::{Freed, Owner, Page};
use crate::runtime::current_theap;
use crate::theap::{Theap, push_remote};

/// Frees a block; null is fine. An address that is no block of ours is ignored, and reported if the options ask for
/// it. Any thread may free any block. Leaves `errno` alone.
///
/// # Safety
/// `p` is null or a block of this allocator that nobody uses any more.
#[inline(always)]
pub unsafe fn free(p: *mut u8) {
    let Some(page) = Page::near_entry(p) else { return free_far(p) };
    if !page.is_ordinary_of(thread_id()) {
        return free_slow(p, page);
    }
    // SAFETY: the page is this thread's, the block the caller's.
    if unsafe { page.push_local(p) } == Freed::Empty {
        free_emptied(page);
    }
}

/// The last lent block came back: the page is empty.
#[cold]
#[inline(never)]
extern "C" fn free_emptied(page: &'static Page) {
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
extern "C" fn free_slow(p: *mut u8, entry: &'static Page) {
    let mut page = entry;
    if page.owner() == Owner::STUB {
        page = page.head();
        if page.owner() == Owner::thread(thread_id()) {
            // SAFETY: the page is this thread's, the block the caller's.
            if unsafe { page.push_local(p) } == Freed::Empty {
                free_emptied(page);
            }
            return;
        }
    }
    if page.owner().is_checked() {
        return free_checked(p, page);
    }
    free_not_ordinary(p, page);
}

#[cold]
#[inline(never)]
extern "C" fn free_checked(p: *mut u8, page: &'static Page) {
    if checked::free(p, page) == Verdict::Release {
        free_single(page, p);
    }
}

#[inline(never)]
extern "C" fn free_not_ordinary(p: *mut u8, page: &'static Page) {
    let owner = page.owner();
    let is_misaligned = !(p as usize).is_multiple_of(WORD_BYTES) && !page.is_singleton();
    if owner == Owner::NONE || is_misaligned || !page.reaches(p) {
        return free_invalid(p);
    }
    if page.is_singleton() {
        return free_single(page, p);
    }
    let block = if owner.has_interior() { page.block_of(p) } else { p };
    if owner.tid() != thread_id() {
        return free_other(page, block);
    }
    if owner.is_unowned() {
        return free_given_up(page, block);
    }
    // SAFETY: the page is this thread's.
    if unsafe { page.push_local(block) } == Freed::Empty {
        free_emptied(page);
    }
}

/// A page of another thread, or of nobody.
fn free_other(page: &'static Page, block: *mut u8) {
    let theap = current_theap();
    // SAFETY: the block is the caller's.
    unsafe {
        if theap.is_empty_theap() || !gathers(theap, page) {
            push_remote(page, block, block, 1);
        } else if !page.owner().is_unowned() || !theap.free_abandoned(page, block) {
            theap.free_remote(page, block);
        }
    }
}

/// Whether frees into a page may wait: not those of a heap that could be destroyed while they do, and its page with
/// it.
#[inline]
fn gathers(theap: &Theap, page: &Page) -> bool {
    theap.heap().has(page)
}

/// A page that this thread owned last: takes it back, if it may.
fn free_given_up(page: &'static Page, block: *mut u8) {
    let theap = Theap::of_page(page);
    // SAFETY: the block is the caller's.
    unsafe {
        if theap.serves(thread_id(), page.heap()) {
            theap.free_given_up(page, block);
        } else {
            push_remote(page, block, block, 1);
        }
    }
}

fn free_single(page: &'static Page, block: *mut u8) {
    if block != page.start() {
        return free_invalid(block);
    }
    match page.remote.claim() {
        Some(_) => release_page(page),
        // A thread in search of a page has claimed it by mistake and lets go of it at once, or releases it. The only block
        // of a page needs no link.
        None => {
            if page.remote.push(page.offset_of(block), 1, |_| ()) == Push::Claimed {
                settle(page);
            }
        }
    }
}

#[cold]
fn free_invalid(p: *mut u8) {
    if !p.is_null() {
        // This may be the first that the process hears of us.
        options::hardening();
        told::freed(p);
        diag::error(ErrorKind::InvalidFree, p, Detail::Nothing);
    }
}
