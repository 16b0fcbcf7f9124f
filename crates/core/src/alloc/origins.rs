//! Who allocates and frees blocks, noted for reports where the levels or a guard want it. A file of its own, as every way of allocating
//! and freeing such blocks uses it.

use crate::diag::{self, Detail, ErrorKind};
use crate::page::Page;
use crate::profile::{self, Known};
use crate::runtime::current_theap;

/// Does `work` with what this thread knows about its stack.
fn knowing(work: impl FnOnce(&Known)) {
    let theap = current_theap();
    // (The empty theap is every thread's.)
    if theap.is_empty_theap() { work(&Known::new()) } else { work(theap.known_stack()) }
}

/// This thread has just allocated a block.
#[cold]
#[inline(never)]
pub(super) fn allocated(block: *const u8) {
    knowing(|known| profile::note_allocated(block, known));
}

/// The same of a block that is not noted.
#[inline]
pub(super) fn allocated_unnoted(block: *const u8) {
    if profile::notes_origins() {
        profile::forget_origins(block);
    }
}

/// This thread is about to free a block, of which it may be that nothing is noted.
#[inline]
pub(super) fn freed(block: *const u8) {
    if profile::notes_origins() {
        note_freed(block);
    }
}

#[cold]
#[inline(never)]
fn note_freed(block: *const u8) {
    knowing(|known| profile::note_freed(block, known));
}

/// Reports an error with `p`, which may have been a block.
#[cold]
pub(super) fn error(kind: ErrorKind, p: *const u8, detail: Detail) {
    diag::error_with(kind, p, detail, &|| match Page::lookup(p) {
        Some(page) => page.tell_origins(p),
        None => profile::tell_origins(p),
    });
}
