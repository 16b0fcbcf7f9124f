//! Blocks as samples of the profiler, whose records their pages have; here those with a page of their own. A file of its own, as both
//! `single` and `sampled` use it.

use crate::heap::retire_sample;
use crate::page::SinglePage;
use crate::profile;
use crate::runtime::current_theap;
use crate::theap::Theap;

/// The profiler's record of a block, just allocated, that stands for blocks of `bytes`; `None` without memory.
#[cold]
#[inline(never)]
pub(super) fn record(theap: &Theap, block: *mut u8, bytes: usize) -> Option<*const ()> {
    let heap = theap.heap().id() as u64;
    let record = profile::record(block, bytes, theap.profile_rate(), heap, theap.known_stack())?;
    Some(record.as_ptr().cast_const().cast())
}

/// Makes a block, just allocated, a sample, which stands for blocks of `bytes`.
#[cold]
pub(super) fn mark(theap: &Theap, page: &mut SinglePage, bytes: usize) {
    if let Some(record) = record(theap, page.start(), bytes) {
        page.set_sample(record);
    }
}

/// A block has got another size: it is as if it had been freed, and allocated anew.
pub(super) fn resized(page: &mut SinglePage) {
    if let Some(record) = page.take_sample() {
        // SAFETY: the page has just given it away.
        unsafe { retire_sample(record, page.start()) };
    }
    let (theap, bytes) = (current_theap(), page.block_bytes());
    if theap.is_sample(bytes) {
        mark(theap, page, bytes);
    }
}
