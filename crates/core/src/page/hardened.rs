//! The owner's work on a hardened page, which keeps a table instead of lists.
//!
//! `free` and `local_free` of such a page are always null, so no fast path ever finds a block there, and `outstanding` counts
//! the blocks in use; those in the remote word still count. A block that another thread has freed may be found free
//! before it is counted (Invariant 1 of the table), and be lent again: `outstanding` may exceed what is in use for a moment,
//! and never falls short of it.

use core::ptr;

use ferrimalloc_prim::cpu;
use ferrimalloc_prim::thread::id as thread_id;

use super::layout::{Flag, OUTSTANDING, Page};
use super::owned::{Freed, Owned};
use super::ownership::Owner;

use super::ownership::Chain;
use crate::base::*;
use crate::diag::{self, About, Detail, ErrorKind};
use crate::hardened::{AlreadyFree, BlockTable, CANARY_BYTES, Canary, Doubles, Filled, OwnedBlockTable};
use crate::os::tool_hooks;
use crate::profile;
use crate::sync::{Relaxed, pin};

/// In the side word of a hardened page with a single block, besides the padding: the block is cleared when it is freed.
pub(super) const CLEARS: u64 = 1 << (u64::BITS - 1);

/// Never-used blocks are opened so many at a time, unless they have more bytes than that: each is as likely to be taken next. More
/// would spread a few live blocks over more memory than caches hold, of which each block's end is touched, if not all of it.
const OPEN_BLOCKS: usize = 64;
const OPEN_BYTES: usize = 32 << 10;
/// At least so many, however large they are.
const OPEN_LEAST: usize = 4;

/// Never-used blocks are preferred until one block in so many rests.
const REST_SHARE: usize = 4;

/// As many never-used blocks of so many bytes are opened together.
const fn opened_at_once(block_bytes: usize) -> usize {
    match OPEN_BYTES / block_bytes {
        ..OPEN_LEAST => OPEN_LEAST,
        OPEN_BLOCKS.. => (EXTEND_BYTES / block_bytes).next_multiple_of(OPEN_BLOCKS),
        count => count,
    }
}

impl Page {
    /// Whether the page keeps a table. (A hardened page of a single block keeps none.)
    #[inline]
    pub fn has_block_table(&self) -> bool {
        self.owner().is_hardened() && !self.is_singleton()
    }

    /// Of a page that has one.
    #[inline]
    pub fn block_table(&self) -> &'static BlockTable {
        debug_assert!(self.has_block_table());
        // SAFETY: set by `check`; it lives as long as the page.
        unsafe { &*ptr::with_exposed_provenance(self.side_word.get() as usize) }
    }

    /// The number of the block that starts at `p`, if one has been lent there at some time.
    #[inline]
    pub fn index_of_start(&self, p: *const u8) -> Option<usize> {
        self.index_in(self.block_table(), p)
    }

    /// The same, where the page's table is at hand.
    #[inline(always)]
    pub fn index_in(&self, table: &BlockTable, p: *const u8) -> Option<usize> {
        table.index_at((p as usize).wrapping_sub(self.start() as usize), self.capacity())
    }

    /// As its owner, of a hardened page of many blocks that this thread owns, whose owner word was `owner`.
    #[inline(always)]
    pub fn if_mine_and_hardened(&'static self, owner: Owner) -> Option<&'static Owned> {
        let is_it = owner.is_hardened_of(thread_id());
        // SAFETY: as for `if_mine`; the pages of single blocks are nobody's while their block is in use.
        is_it.then(|| unsafe { self.owned() })
    }

    /// Bytes at the end of every block that the allocator keeps for itself.
    pub fn canary_bytes(&self) -> usize {
        if self.has_block_table() { self.block_table().style().canary_bytes() } else { 0 }
    }

    /// Reports what was done to `p`, an address in the page, and where that was noticed: with the block there.
    #[cold]
    #[inline(never)]
    pub fn report(&self, kind: ErrorKind, p: *const u8, at: *const u8) {
        let about = self.about(p, at);
        diag::error_with(kind, p, Detail::Block(about), &|| self.tell_origins(about.block));
    }

    /// Says, below a report, who has allocated and freed a block of the page, where that is noted of all of its blocks. (Of others the
    /// address may be known from an earlier life.)
    pub fn tell_origins(&self, block: *const u8) {
        let owner = self.owner();
        let notes = if self.has_block_table() { self.block_table().style().verifies } else { owner.is_hardened() };
        if notes || owner.is_guarded() && self.is_singleton() {
            profile::tell_origins(block);
        }
    }

    /// What is said of the block at or around `p`, an address in the page, when something is noticed at `at`.
    pub fn about(&self, p: *const u8, at: *const u8) -> About {
        // Others may be releasing the page of a wrong address: nothing is relied on.
        let each = self.block_bytes().max(1);
        let padding = match self.owner().is_hardened() {
            true if self.is_singleton() => self.padding_bytes(),
            _ => 0,
        };
        let distance = (p as usize).wrapping_sub(self.start() as usize);
        let block = self.start().wrapping_add(if self.is_singleton() { 0 } else { distance - distance % each });
        About { block, bytes: each.saturating_sub(padding), at, heap: self.heap(), owner: self.owner().tid() }
    }

    /// The canary of a block of a page that has such.
    #[inline]
    pub fn canary_of(&self, block: *mut u8) -> Canary {
        Canary { block, room: self.block_bytes() - CANARY_BYTES, key: self.block_table().key() }
    }

    /// A block, to be filled or verified but for its first `preserve` bytes.
    pub fn filled(&self, block: *mut u8, preserve: usize) -> Filled {
        Filled { block, block_bytes: self.block_bytes(), key: self.block_table().key(), preserve }
    }

    /// Of a hardened page with a single block.
    pub fn padding_bytes(&self) -> usize {
        (self.side_word.get() & !CLEARS) as usize
    }

    /// Of a hardened page with a single block: whether the block is cleared when it is freed.
    pub fn clears_single(&self) -> bool {
        self.side_word.get() & CLEARS != 0
    }
}

impl Owned {
    /// Of a hardened page of many blocks, with what only its owner does.
    #[inline]
    pub fn block_table(&self) -> &'static OwnedBlockTable {
        // SAFETY: the caller owns the page.
        unsafe { self.page().block_table().owned() }
    }

    /// Makes a new page a checked one; by its owner, before any block of it is linked.
    ///
    /// # Safety
    /// The table is for this page and lives until it is erased.
    pub unsafe fn check(&self, table: &'static BlockTable) {
        self.side_word.set(ptr::from_ref(table).expose_provenance() as u64);
        // Who sees that the page is hardened looks for the table; also the child of a fork at this moment.
        pin();
        self.set_hardened();
        pin();
    }

    /// Takes a free block; null if `refill` has to be called first.
    #[inline]
    pub fn take_hardened(&self) -> *mut u8 {
        let table = self.block_table();
        let is_ready = table.is_ready() || table.make_ready(self.enough());
        is_ready.then(|| self.take_ready_of(table)).flatten().unwrap_or(ptr::null_mut())
    }

    /// Takes a free block that is ready, where the page's table is at hand; `None` if none is.
    #[inline(always)]
    pub fn take_ready_of(&self, table: &OwnedBlockTable) -> Option<*mut u8> {
        let index = table.take()?;
        pin();
        self.outstanding.set(self.outstanding.get() + 1);
        self.hand(1);
        Some(self.start().wrapping_add(index * table.block_bytes()))
    }

    /// As many blocks are free before some are used again. A page that has been used little gets longer rests by using more of it.
    fn enough(&self) -> usize {
        let least = self.block_table().least_rest();
        if self.is(Flag::Extensible) { least.max(self.capacity().div_ceil(REST_SHARE)) } else { least }
    }

    /// Frees a block; by the owner.
    #[inline]
    pub fn put_hardened(&self, index: usize) -> Result<Freed, AlreadyFree> {
        self.put_of(self.block_table(), index)
    }

    /// The same, where the page's table is at hand.
    #[inline(always)]
    pub fn put_of(&self, table: &OwnedBlockTable, index: usize) -> Result<Freed, AlreadyFree> {
        table.put(index)?;
        Ok(self.count_put())
    }

    /// The same for a block that is in use.
    #[inline(always)]
    pub fn put_used_of(&self, table: &OwnedBlockTable, index: usize) -> Freed {
        table.put_used(index);
        self.count_put()
    }

    #[inline(always)]
    fn count_put(&self) -> Freed {
        pin();
        // SAFETY: the owner's own word, at that place in a page.
        let is_empty = unsafe { cpu::decrement::<OUTSTANDING>(ptr::from_ref(self).cast()) };
        if is_empty { Freed::Empty } else { Freed::InUse }
    }

    pub(super) fn has_available_hardened(&self) -> bool {
        self.has_rested(self.remote_count()) || self.is(Flag::Extensible)
    }

    /// Whether enough blocks are free for some to be used again, with `more` that have not been counted.
    fn has_rested(&self, more: usize) -> bool {
        let free = self.capacity().saturating_sub(self.outstanding());
        free + more >= self.block_table().least_rest()
    }

    pub(super) fn refill_hardened(&self) -> bool {
        if self.remote_count() > 0 {
            let Chain { count, .. } = self.take_remote();
            pin();
            self.accept_freed(count);
        }
        let table = self.block_table();
        if table.make_ready(self.enough()) {
            return true;
        }
        let is_opened = self.is(Flag::Extensible) && self.open_more();
        (is_opened && table.is_ready()) || table.make_ready(table.least_rest())
    }

    /// `count` blocks, marked in the table, have come back; by the owner.
    pub fn accept_freed(&self, count: usize) {
        let doubles = self.block_table().drain();
        pin();
        if doubles.count > 0 {
            self.report_doubles(doubles);
        }
        self.outstanding.set((self.outstanding.get() + doubles.count as u32).saturating_sub(count as u32));
    }

    #[cold]
    fn report_doubles(&self, doubles: Doubles) {
        let block = self.block_start(doubles.index);
        self.report(ErrorKind::DoubleFree, block, block);
    }

    /// Lets the next few never-used blocks be taken.
    #[inline(never)]
    fn open_more(&self) -> bool {
        let (capacity, bytes) = (self.capacity(), self.block_bytes());
        let left = self.reserved() - capacity;
        let count = opened_at_once(bytes).min(left);
        if !self.commit_up_to(self.block_start(capacity + count)) {
            return false;
        }
        if count == left {
            self.note_filled();
        }
        if !self.is(Flag::FreshIsZero) {
            self.clear_never_used(capacity, count);
        }
        tool_hooks::closed(self.block_start(capacity), count * bytes);
        self.block_table().open(capacity, count);
        pin();
        self.capacity.set((capacity + count) as u16);
        // The first of the blocks is handed out behind this: none is in use beyond `capacity`.
        pin();
        true
    }

    /// Makes never-used blocks look like free ones where their memory has been something else before: zero, or without a
    /// canary.
    fn clear_never_used(&self, from: usize, count: usize) {
        let (table, bytes) = (self.block_table(), self.block_bytes());
        let (style, first) = (table.style(), self.start().wrapping_add(from * bytes));
        if table.is_void() {
            return;
        }
        tool_hooks::reached(first, count * bytes);
        // SAFETY: nobody uses these blocks, and their memory is committed.
        unsafe {
            if style.clears {
                ptr::write_bytes(first, 0, count * bytes);
            } else if style.pads {
                (0..count).for_each(|index| self.canary_of(first.wrapping_add(index * bytes)).open());
            }
        }
    }

    /// Calls `visit` with the blocks that are free as far as the owner knows; by the owner.
    pub fn for_each_free_hardened(&self, visit: impl FnMut(*mut u8)) {
        let table = self.block_table();
        let free = (0..self.capacity()).filter(|&index| table.is_free(index));
        free.map(|index| self.block_start(index)).for_each(visit);
    }

    /// Tells valgrind that the blocks in use have gone with their page; by the owner.
    #[cold]
    pub(super) fn tell_dropped(&self) {
        if !self.has_block_table() {
            return tool_hooks::freed(self.start());
        }
        let used = (0..self.capacity()).filter(|&index| self.block_table().is_used(index));
        used.for_each(|index| tool_hooks::freed(self.block_start(index)));
    }
}
