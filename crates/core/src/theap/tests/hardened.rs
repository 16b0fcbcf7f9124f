//! Pages that are hardened, as theaps see them.

use super::*;
use crate::options::{self, Hardening};

/// How pages are checked until the end of a scope.
pub(super) struct Hardened;

impl Hardened {
    pub(super) fn begin(hardening: Hardening) -> Hardened {
        options::set_hardening(hardening);
        Hardened
    }
}

impl Drop for Hardened {
    fn drop(&mut self) {
        options::set_hardening(Hardening::NONE);
    }
}

/// What `malloc` does, of pages of either kind.
pub(super) fn take_any(theap: &'static Theap, bytes: usize) -> *mut u8 {
    let bin = Bin::of(bytes);
    let pop = |page: &'static Owned| if page.has_block_table() { page.take_hardened() } else { page.pop() };
    let first = theap.queue(bin).first().map_or(ptr::null_mut(), pop);
    if first.is_null() { pop(theap.find_page(bin).expect("there is memory")) } else { first }
}

pub(super) fn put_any(theap: &'static Theap, p: *mut u8) {
    let page = page_of(p);
    if !page.has_block_table() {
        return put_unchecked(theap, p);
    }
    let index = page.index_of_start(p).expect("a block");
    if page.owner().tid() == theap.tid() && !page.owner().is_unowned() {
        if page.put_hardened(index) == Ok(Freed::Empty) {
            theap.page_emptied(page);
        }
    } else if page.page().block_table().put_remote(index).is_ok() {
        // SAFETY: the block is marked.
        unsafe { theap.free_foreign(page.page(), p) };
    }
}

#[test]
fn a_block_freed_by_its_owner_and_a_stranger_at_once_counts_once() {
    let mut bed = Bed::new();
    // Of so small blocks more than two rest before any is used again.
    const BYTES: usize = 256;
    let hardening = Hardening { secure: 2, debug: 0 };
    let _ordinary_again = Hardened::begin(hardening);
    [bed.theap, bed.other].into_iter().for_each(|theap| theap.instrumentation.instrument_at(hardening, theap.heap()));
    [OptionId::Abort, OptionId::ShowErrors].into_iter().for_each(|option| bed.set(option, 0));
    bed.set(OptionId::PageFullRetain, 1);
    let first = take_any(bed.theap, BYTES);
    let page = page_of(first);
    let mut blocks = std::vec![first];
    while blocks.len() < page.reserved() {
        blocks.push(take_any(bed.theap, BYTES));
    }
    assert!(blocks.iter().all(|block| page_of(*block) == page));
    // Full, it stays behind another.
    take_any(bed.theap, BYTES);
    assert!(!page.owner().is_unowned());
    let index = page.index_of_start(first).unwrap();
    // Both have seen that the block is in use.
    assert!(page.page().block_table().put_remote(index).is_ok());
    assert!(page.put_used_of(page.block_table(), index) == Freed::InUse);
    // SAFETY: the block is marked.
    unsafe { bed.other.free_foreign(page.page(), first) };
    bed.other.flush_remote();
    while !page.owner().is_unowned() {
        take_any(bed.theap, BYTES);
    }
    let last = blocks.pop().unwrap();
    blocks[1..].iter().for_each(|block| put_any(bed.other, *block));
    bed.other.flush_remote();
    assert!(page_of(last) == page, "a block of it is in use");
    assert!(page.page().block_table().is_used(page.index_of_start(last).unwrap()));
}
