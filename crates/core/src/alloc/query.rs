//! Questions about blocks and sizes.

use crate::base;
use crate::heap::Heap;
use crate::os;
use crate::page::{Lookup, Page};

/// Bytes that may be used of the block at `p`, at least what was asked for; 0 for null and for addresses that are not
/// ours.
pub fn usable_size(p: *const u8) -> usize {
    match Page::lookup(p) {
        Lookup::Page(page) if page.owner().has_interior() => {
            let block = page.block_of(p.cast_mut());
            page.block_bytes() - (p as usize - block as usize)
        }
        Lookup::Page(page) => page.block_bytes(),
        Lookup::None => 0,
    }
}

/// The usable size that a request of `size` bytes would get.
pub fn good_size(size: usize) -> usize {
    base::good_size(size, os::os_page_bytes())
}

/// Whether `p` lies in a page of ours.
pub fn is_ours(p: *const u8) -> bool {
    matches!(Page::lookup(p), Lookup::Page(_))
}

/// The heap of the block at `p`.
pub fn heap_of(p: *const u8) -> Option<&'static Heap> {
    match Page::lookup(p) {
        Lookup::Page(page) => Some(Heap::of_page(page)),
        Lookup::None => None,
    }
}
