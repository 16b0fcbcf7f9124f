//! How far a block reaches from an address inside of it: what checked copies ask (`libferrimalloc-checks.so`), and
//! what is reported of one that leaves its block.
//!
//! Any address is judged, by any thread, also in signal handlers: the page map answers, and what else is read is
//! constant while the block is in use. A block of an ordinary page ends where its size class does; one with a canary
//! ends where its user asked for it. An address in memory of ours that is in no block, or in a block that is known to
//! be free, has nothing left. The idea of a copy that asks the allocator is snmalloc's (its guarded `memcpy`).

use core::ffi::{CStr, c_char, c_int};

use super::hardened;
use crate::arena::page_map;
use crate::diag::{self, About, Detail, ErrorKind};
use crate::heap::any_postpones;
use crate::page::{Owner, Page, PageRef};
use crate::runtime::{is_foreign, page_around_inner};

/// What [`remaining`] answers for addresses that are nobody's here.
pub const UNLIMITED: usize = usize::MAX;

/// Bytes from `p` to the end of the block around it; 0 if a block could be there and none is; [`UNLIMITED`] if `p`
/// isn't in memory of ours.
///
/// Exact for every block. (Addresses more than 64 KiB inside of a block that has a mapping of its own, or belongs to
/// another sub-process, are given as not ours while another thread makes or releases such a block, or asks about one.)
/// Waits for nothing. Where blocks have canaries, it reads the block's, and reports one that is broken.
pub fn remaining(p: *const u8) -> usize {
    page_at(p).map_or(UNLIMITED, |page| remaining_in(page, p))
}

fn page_at(p: *const u8) -> Option<PageRef> {
    let entry = Page::entry_if_any(p)?;
    match entry.owner() {
        Owner::NONE => page_around_inner(p),
        Owner::STUB => Some(entry.head()),
        _ => Some(entry),
    }
}

fn remaining_in(page: PageRef, p: *const u8) -> usize {
    let (distance, bytes) = (p.addr().wrapping_sub(page.start().addr()), page.block_bytes());
    if page.is_singleton() {
        return hardened::single_size(page).map_or(0, |bytes| bytes.saturating_sub(distance));
    }
    // Of an address before the first block, too.
    if distance >= page.reserved() * bytes {
        return 0;
    }
    let inside = distance % bytes;
    let whole = if page.owner().is_hardened() { hardened_size(page, p.wrapping_sub(inside)) } else { bytes };
    whole.saturating_sub(inside)
}

/// The size of the block at `block` as its user knows it; 0 if it is free, unless somebody may read free blocks. (Whose page it is
/// can't be asked: a heap that ends is waited for.)
fn hardened_size(page: PageRef, block: *const u8) -> usize {
    let size = hardened::usable_size(block.cast_mut(), page);
    size.unwrap_or_else(|| if any_postpones() { page.block_bytes() } else { 0 })
}

/// Whether it is quickly told that `bytes` bytes from `p` on are all of one block, or no memory of ours. Some 30
/// instructions and no call; what it doesn't tell [`remaining`] does.
#[inline(always)]
pub(super) fn surely_has(p: *const u8, bytes: usize) -> bool {
    let Some(entry) = Page::near_entry(p) else { return !page_map::has_far() };
    let page = match entry.owner() {
        Owner::NONE => return is_foreign(p),
        Owner::STUB => entry.head(),
        _ => entry,
    };
    // Pages of many blocks are smaller than 4 GiB, and a short division is faster. (Blocks have no size only in pages
    // that are being released.)
    let (distance, each) = (p.addr().wrapping_sub(page.start().addr()) as u32, page.block_bytes() as u32);
    let Some(index) = distance.checked_div(each) else { return false };
    let room = each - distance % each;
    bytes <= room as usize && (index as usize) < page.capacity() && !page.owner().is_hardened() && !page.is_singleton()
}

/// A function of the C library that copies bytes or sets them, `F`, and its name.
#[repr(C)]
pub struct Copier<F> {
    /// The function behind the checks.
    pub function: F,
    /// For reports; a string that stays.
    pub name: *const c_char,
}

/// C's `memcpy` and its kin.
pub type CopyFn = unsafe extern "C" fn(*mut u8, *const u8, usize) -> *mut u8;
/// C's `memset`.
pub type FillFn = unsafe extern "C" fn(*mut u8, c_int, usize) -> *mut u8;

/// Copies by the function, if both blocks have the bytes. Else that is reported; if the process goes on, the copy is
/// cut: it ends where the first of the two blocks does.
///
/// # Safety
/// The function's contract, but for the ends of blocks; the copier is as its fields say.
#[inline]
pub unsafe fn copy_checked(to: *mut u8, from: *const u8, bytes: usize, by: &Copier<CopyFn>) -> *mut u8 {
    let is_sure = surely_has(to, bytes) && surely_has(from, bytes);
    // SAFETY: the precondition.
    unsafe { if is_sure { (by.function)(to, from, bytes) } else { copy_slow(to, from, bytes, by) } }
}

#[cold]
#[inline(never)]
unsafe fn copy_slow(to: *mut u8, from: *const u8, bytes: usize, by: &Copier<CopyFn>) -> *mut u8 {
    // SAFETY: the caller's.
    unsafe {
        let bytes = allowed(by.name, from, allowed(by.name, to, bytes, Access::Write), Access::Read);
        (by.function)(to, from, bytes)
    }
}

/// The same for a function that sets bytes.
///
/// # Safety
/// As for [`copy_checked`].
#[inline]
pub unsafe fn fill_checked(to: *mut u8, byte: c_int, bytes: usize, by: &Copier<FillFn>) -> *mut u8 {
    // SAFETY: the precondition.
    unsafe { if surely_has(to, bytes) { (by.function)(to, byte, bytes) } else { fill_slow(to, byte, bytes, by) } }
}

#[cold]
#[inline(never)]
unsafe fn fill_slow(to: *mut u8, byte: c_int, bytes: usize, by: &Copier<FillFn>) -> *mut u8 {
    // SAFETY: the caller's.
    unsafe { (by.function)(to, byte, allowed(by.name, to, bytes, Access::Write)) }
}

/// How many of `bytes` bytes from `p` on may be accessed; reports it if that isn't all of them. Where there are none,
/// nothing is asked.
///
/// # Safety
/// `function` is a string that stays.
pub unsafe fn allowed(function: *const c_char, p: *const u8, bytes: usize, access: Access) -> usize {
    if bytes == 0 {
        return 0;
    }
    let room = remaining(p);
    if bytes > room {
        // SAFETY: the precondition.
        report_copy(unsafe { CStr::from_ptr(function) }.to_str().unwrap_or(""), p, bytes, access);
    }
    bytes.min(room)
}

/// What a copy does with memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reads its source.
    Read,
    /// Writes its destination.
    Write,
}

/// Reports that `function` was to access `bytes` bytes from `p` on, more than there are. Ends the process, unless
/// there is an error hook or the policy is to go on.
#[cold]
#[inline(never)]
fn report_copy(function: &'static str, p: *const u8, bytes: usize, access: Access) {
    let Some(page) = page_at(p) else { return };
    let about = page.about(p, p);
    let size = match page.has_block_table() || page.is_resting() {
        true => hardened::usable_size(about.block.cast_mut(), page),
        false => Some(about.bytes),
    };
    let kind = match (access, size) {
        (Access::Read, None) => ErrorKind::CopyReadsFreed,
        (Access::Write, None) => ErrorKind::CopyWritesFreed,
        (Access::Read, Some(_)) => ErrorKind::CopyReadsBeyond,
        (Access::Write, Some(_)) => ErrorKind::CopyWritesBeyond,
    };
    let about = About { bytes: size.unwrap_or(about.bytes), ..about };
    let detail = Detail::Copy { about, bytes, function };
    diag::error_with(kind, p, detail, &|| page.tell_origins(about.block));
}
