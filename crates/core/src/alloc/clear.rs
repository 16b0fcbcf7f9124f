//! Clearing blocks that may be large, and mostly untouched. A file of its own: blocks with pages of their own and those of shared pages
//! need it, by fast paths and by others.

use core::ptr;

use crate::arena::has_been_filled;
use crate::os;
use crate::page::PageRef;

/// From this size on it pays to ask the system what of a block has been touched.
pub(super) const LARGE_BYTES: usize = 1 << 20;

/// Clears `bytes` bytes of a block of the page. If little of a large block has been touched, its memory is given back to the system
/// instead: what was never touched would be made only to be cleared. (Memory that is touched again costs five times as much as clearing
/// it.) Leaves `errno` alone.
///
/// # Safety
/// The block is the caller's, who doesn't need these bytes any more. They were zero when it was allocated, or less is gained.
pub(super) unsafe fn clear_large(page: PageRef, start: *mut u8, bytes: usize) {
    // SAFETY: the precondition.
    unsafe {
        if bytes < LARGE_BYTES || has_been_filled(start, bytes) || !drop_and_clear(page, start, bytes) {
            ptr::write_bytes(start, 0, bytes);
        }
    }
}

/// Drops the whole OS pages, and clears the ends; false, and nothing has happened, if the system refuses or the memory is not ours.
///
/// # Safety
/// As for [`clear_large`].
unsafe fn drop_and_clear(page: PageRef, start: *mut u8, bytes: usize) -> bool {
    let os_page = os::os_page_bytes();
    let before = start.align_offset(os_page).min(bytes);
    let inside = (bytes - before) / os_page * os_page;
    let Some(memory) = page.private_at(start.wrapping_add(before), inside) else { return false };
    let behind = before + inside;
    // SAFETY: the precondition.
    unsafe {
        if !memory.discard() {
            return false;
        }
        ptr::write_bytes(start, 0, before);
        ptr::write_bytes(start.wrapping_add(behind), 0, bytes - behind);
    }
    true
}
