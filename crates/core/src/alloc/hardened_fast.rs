//! What is done to most blocks of hardened pages: taken when they are ready, and freed by the page's owner when all is as it should
//! be. Nothing here calls anything but `memset`, and whatever is not so simple is left to the caller (`hardened`).

use core::ptr;

use ferrimalloc_prim::cpu;

use crate::hardened::{BlockTable, CANARY_BYTES, Canary, OwnedBlockTable, Work};
use crate::heap::may_preserve;
use crate::page::{Freed, Owned};
use crate::sync::pin;

/// Takes a block that is ready for `size` bytes from a hardened page. What remains to be done is the caller's, as its last call, so that
/// most requests need no stack.
#[inline(always)]
pub(super) fn take(page: &'static Owned, size: usize) -> Taken {
    let table = page.block_table();
    let Some(block) = page.take_ready_of(table) else { return Taken::None };
    let canary = Canary { block, room: table.block_bytes() - CANARY_BYTES, key: table.key() };
    // SAFETY: the block was just taken, and has that much room; blocks with a canary are multiples of 16.
    let is_done = unsafe {
        match table.work() {
            // (What is in front of the padding may be somebody's to read.)
            Work::ClearedShort | Work::PaddedShort if may_preserve() => false,
            Work::ClearedShort => cpu::is_clear_looping(block, table.block_bytes()) && canary.close_short(size),
            Work::PaddedShort => canary.close_short(size),
            work => work == Work::Bare,
        }
    };
    if is_done { Taken::Done(block) } else { Taken::Raw(block) }
}

/// A block that was taken.
pub(super) enum Taken {
    /// None is ready.
    None,
    /// It is the user's.
    Done(*mut u8),
    /// It has to be handed out.
    Raw(*mut u8),
}

/// How the block of a page that this thread owns is freed: see [`free_short`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Bare,
    Padded,
    Cleared,
    /// By [`free_long`].
    Long,
}

#[inline(always)]
pub(super) fn way_of(page: &'static Owned) -> Way {
    match page.block_table().work() {
        Work::ClearedShort if !may_preserve() => Way::Cleared,
        Work::PaddedShort => Way::Padded,
        Work::Bare => Way::Bare,
        _ => Way::Long,
    }
}

/// Frees block `p` of a page that this thread owns, if all is as it should be; `None`, and nothing has happened, if it has to be
/// looked at more closely. Calls nothing.
#[inline(always)]
pub(super) fn free_bare(p: *mut u8, page: &'static Owned) -> Option<Freed> {
    let table = page.block_table();
    page.put_of(table, page.index_in(table, p)?).ok()
}

/// The same for a short block with a canary, which is cleared or not.
#[inline(always)]
pub(super) fn free_short<const CLEARS: bool>(p: *mut u8, page: &'static Owned) -> Option<Freed> {
    let table = page.block_table();
    let index = page.index_in(table, p)?;
    // SAFETY: a block of the page that is or was in use.
    if !unsafe { canary_in(table, p).is_whole_short() && is_tagged_before(table, p, index) } {
        return None;
    }
    let clear = || {
        if CLEARS {
            // SAFETY: called for a block that is the caller's. (The canary's word, which is zero by now, is left alone: who frees the block
            // behind may be looking at it.)
            unsafe { cpu::clear_but_last_word(p, table.block_bytes()) }
        }
    };
    // SAFETY: the block is the caller's, if it is in use.
    unsafe { put_away(p, page, table, index, clear) }
}

/// The same for blocks of any length.
#[inline(always)]
pub(super) fn free_long(p: *mut u8, page: &'static Owned) -> Option<Freed> {
    let table = page.block_table();
    let clears = match table.work() {
        Work::Cleared | Work::ClearedShort | Work::ClearedLong if !may_preserve() => true,
        Work::Padded | Work::PaddedShort => false,
        _ => return None,
    };
    let (index, bytes) = (page.index_in(table, p)?, table.block_bytes());
    // SAFETY: as above.
    if !unsafe { canary_in(table, p).is_whole() && is_tagged_before(table, p, index) } {
        return None;
    }
    let clear = || {
        if clears {
            // SAFETY: as above. Not the canary's word, which is zero by now: who frees the block behind may be looking at it.
            unsafe { ptr::write_bytes(p, 0, bytes - CANARY_BYTES) }
        }
    };
    // SAFETY: as above.
    unsafe { put_away(p, page, table, index, clear) }
}

/// Makes a block with a canary what free blocks are, by `clear` if they are to be zero, and puts it back; `None`, and nothing has
/// happened, if it is free.
///
/// # Safety
/// The block is the one of that index, and the caller's if it is in use.
#[inline(always)]
unsafe fn put_away(
    p: *mut u8,
    page: &'static Owned,
    table: &OwnedBlockTable,
    index: usize,
    clear: impl FnOnce(),
) -> Option<Freed> {
    // (What another thread has freed has no canary.)
    if table.is_free(index) {
        return None;
    }
    // SAFETY: the precondition. Opened first: who frees the block behind it looks at that word meanwhile.
    unsafe { canary_in(table, p).open() };
    pin();
    clear();
    // A block that is free looks like one, also to the child of a fork at this moment.
    pin();
    Some(page.put_used_of(table, index))
}

#[inline(always)]
fn canary_in(table: &BlockTable, block: *mut u8) -> Canary {
    Canary { block, room: table.block_bytes() - CANARY_BYTES, key: table.key() }
}

/// Whether nobody has written over what stands before a block.
///
/// # Safety
/// The block is the one of that index, whose page has canaries.
#[inline(always)]
unsafe fn is_tagged_before(table: &BlockTable, block: *mut u8, index: usize) -> bool {
    // SAFETY: the precondition: the block before was opened first.
    index == 0 || unsafe { canary_in(table, block.wrapping_sub(table.block_bytes())).is_free_or_tagged() }
}
