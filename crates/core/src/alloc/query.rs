//! Questions about blocks and sizes. A file of its own, since no allocation asks them, but `realloc`.

use super::hardened;
use crate::base;
use crate::diag::ErrorKind;
use crate::heap::{self, Heap, walk_of};
use crate::options::{self, Hardening};
use crate::os;
use crate::page::{Page, PageRef};
use crate::runtime::page_around;
use crate::theap::Theap;

/// Bytes that may be used of the block at `p`, at least what was asked for; 0 for null and for addresses that are not
/// ours.
pub fn usable_size(p: *const u8) -> usize {
    Page::lookup(p).map_or(0, |page| size_of_block(p, page).unwrap_or_else(|| no_block(p, page)))
}

/// The same where the page is known; `None` if there is no block, as far as that can be told.
pub(super) fn size_of_block(p: *const u8, page: PageRef) -> Option<usize> {
    let owner = page.owner();
    if owner.is_hardened() || owner.is_guarded() && page.is_singleton() {
        hardened::usable_size(p.cast_mut(), page)
    } else if owner.has_interior() {
        let block = page.block_of(p.cast_mut());
        Some(page.block_bytes() - (p as usize - block as usize))
    } else {
        Some(page.block_bytes())
    }
}

#[cold]
fn no_block(p: *const u8, page: PageRef) -> usize {
    page.report(ErrorKind::InvalidPointer, p, p);
    0
}

/// The usable size that a request of `size` bytes would get. In hardened pages with padding that is `size` itself.
pub fn good_size(size: usize) -> usize {
    if options::hardening().is_some_and(Hardening::pads) {
        return size;
    }
    base::good_size(size, os::os_page_bytes())
}

/// Whether `p` lies in a page of ours, at whatever depth. May search an arena for large blocks.
pub fn is_ours(p: *const u8) -> bool {
    page_around(p).is_some()
}

/// Whether `free` would take `p` for a block of ours: what the page map says of any address, without a search.
#[inline]
pub fn is_block(p: *const u8) -> bool {
    Page::lookup(p).is_some()
}

/// The thread that the page around `p` belongs to, as `prim` numbers threads: the one that owns it, or that would take it back
/// (a full page belongs to nobody). Of a heap whose pages wait for the program, the last that did, even if it has ended. 0 if that thread has ended, and for addresses that are not ours.
pub fn thread_of(p: *const u8) -> usize {
    page_around(p).map_or(0, |page| {
        let tid = page.owner().tid();
        let lives =
            !page.owner().is_unowned() || Theap::of_page(page).serves(tid, page.heap()) || heap::postpones(page);
        if lives { tid } else { 0 }
    })
}

/// The heap of the block at `p`, or around it.
pub fn heap_of(p: *const u8) -> Option<&'static Heap> {
    page_around(p).map(Heap::of_page)
}

/// Whether less than `percent` of the page around `p` is in use: then its blocks are worth moving elsewhere. False
/// unless the page is `heap`'s. Walks the page's free list.
pub fn is_under_utilized(heap: &Heap, p: *const u8, percent: usize) -> bool {
    page_around(p).is_some_and(|page| {
        let used = page.in_use(walk_of(page));
        Heap::of_page(page) == heap && used.saturating_mul(100) < page.reserved().saturating_mul(percent)
    })
}
