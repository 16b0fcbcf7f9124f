//! The interface, on the process's own main heap: sizes and alignments at every boundary, contents over resizing, zeros,
//! what is no block, and what slow paths do besides.

use core::ptr;
use core::slice;
use std::vec::Vec;

use super::*;
use crate::base::{Bin, Force, LARGE_BLOCK_MAX, MAX_REQUEST, SLICE_BYTES, Zero};
use crate::os::os_page_bytes;
use crate::page::Page;
use crate::runtime::tests::ground;
use crate::runtime::{current_theap, heap_main, heap_new, live_theap, theap_for};
use ferrimalloc_prim::{Errno, errno};

mod aligned;
mod bounds;
#[cfg(unix)]
mod fork;
mod free;
mod holes;
mod realloc;
mod sizes;
mod upkeep;
mod zero;

const MIB: usize = 1 << 20;

/// Sizes around the end of each class and beyond the last one.
fn edges() -> impl Iterator<Item = usize> {
    let classes = (0..Bin::COUNT).filter_map(Bin::from_index).map(Bin::block_bytes);
    let large = [LARGE_BLOCK_MAX + os_page_bytes(), MIB, 4 * MIB, 9 * MIB + 5];
    classes.chain(large).flat_map(|bytes| [bytes - 1, bytes, bytes + 1])
}

/// Writes all that may be used of a block, depending on `seed`.
fn fill(p: *mut u8, seed: usize) {
    // SAFETY: a block of the test's.
    unsafe { p.write_bytes(seed as u8, usable_size(p)) };
}

/// Whether the first bytes are all those of `seed`; at the speed of `memcmp`.
fn holds(p: *const u8, bytes: usize, seed: usize) -> bool {
    // SAFETY: a block of the test's that has that many bytes.
    let held = unsafe { slice::from_raw_parts(p, bytes) };
    held.is_empty() || held[0] == seed as u8 && held[1..] == held[..bytes - 1]
}

fn release(p: *mut u8) {
    // SAFETY: a block of the test's, used no more.
    unsafe { free(p) };
}

fn resize(p: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: null or a block of the test's, which goes on with the answer.
    unsafe { super::realloc(p, size) }
}

/// Null, and for want of memory.
fn is_refused(request: impl FnOnce() -> *mut u8) -> bool {
    errno::set(Errno(0));
    request().is_null() && errno::get() == Errno::ENOMEM
}

fn page_of(p: *const u8) -> &'static Page {
    match Page::lookup(p) {
        Some(page) => page,
        None => panic!("no page at {p:p}"),
    }
}

/// Makes the next block of a class one that holds something.
fn soil(size: usize) {
    let blocks: Vec<_> = (0..3).map(|_| malloc(size)).collect();
    for p in blocks {
        fill(p, 0xD1);
        release(p);
    }
}
