//! Blocks with a page of their own as samples of the profiler: their pages carry its records. A file of its own, as both
//! `single` and `sampled` use it.

use core::ptr::NonNull;

use crate::page::SinglePage;
use crate::profile::{self, Sample};
use crate::runtime::current_theap;
use crate::theap::Theap;

/// Makes a block, just allocated, a sample, which stands for blocks of `bytes`.
#[cold]
pub(super) fn mark(theap: &Theap, page: &mut SinglePage, bytes: usize) {
    let heap = theap.heap().id() as u64;
    if let Some(record) = profile::record(page.start(), bytes, theap.profile_rate(), heap, theap.known_stack()) {
        page.set_sample(record.as_ptr().cast_const().cast());
    }
}

/// A block has got another size: it is as if it had been freed, and allocated anew.
pub(super) fn resized(page: &mut SinglePage) {
    if let Some(record) = page.take_sample() {
        retire(record, page.start());
    }
    let (theap, bytes) = (current_theap(), page.block_bytes());
    if theap.is_sample(bytes) {
        mark(theap, page, bytes);
    }
}

fn retire(record: *const (), block: *mut u8) {
    if let Some(sample) = NonNull::new(record.cast_mut().cast::<Sample>()) {
        // SAFETY: a page has the record that `mark` got, and gives it away once; the block is the page's.
        unsafe { profile::retire(sample, block) };
    }
}
