//! Memory for the allocator's own structures: theaps, heaps, bitmaps.
//!
//! Small pieces are runs of units in *meta slices* (`pool`), larger ones are slices. All memory handed out reads as zero and
//! lives until it is given back; it never comes from a heap, so that no heap is needed to make one.

use core::ptr;

use super::arena::{Arena, Kind};
use super::arenas::{ArenaSet, Want};
use super::pool::{self, MAX_PIECE_BYTES, Meta, MetaSlice};
use crate::base::*;
use crate::bitmap::BitRange;
use crate::options::{self, Hardening};
use crate::os;

impl ArenaSet {
    /// Zeroed memory for `bytes` bytes of metadata, aligned to 256 bytes; `None` if there is none.
    pub fn meta_alloc(&self, bytes: usize) -> Option<Meta> {
        if bytes > MAX_PIECE_BYTES {
            return Some(Meta { start: self.meta_slices(bytes)?, bytes });
        }
        let present = || pool::take(&self.meta, bytes);
        // The first arena has room for some behind its own structures.
        present().or_else(|| self.begin().then(present)?).or_else(|| {
            let claim = self.meta_slices(SLICE_BYTES)?;
            let guard_bytes = self.guard_both_ends(claim);
            let memory = claim.wrapping_add(guard_bytes);
            // SAFETY: a fresh, zeroed slice, but for the guards.
            self.meta.push(unsafe { MetaSlice::create(memory, SLICE_BYTES - 2 * guard_bytes) });
            present()
        })
    }

    /// Makes the first and the last OS page of a fresh meta slice inaccessible, if metadata is to be guarded; answers the
    /// bytes lost at each end.
    fn guard_both_ends(&self, memory: *mut u8) -> usize {
        let bytes = os::os_page_bytes();
        let is_wanted = options::hardening().is_some_and(Hardening::guards_metadata);
        if !is_wanted || 4 * bytes > SLICE_BYTES {
            return 0;
        }
        let slice = self.find(memory).and_then(|arena| arena.private_at(memory, SLICE_BYTES));
        let Some(slice) = slice else { return 0 };
        for end in [slice.part(0, bytes), slice.part(SLICE_BYTES - bytes, bytes)] {
            // SAFETY: the slice is unused, and nothing is placed in these parts. That the system refuses costs the guard.
            let _ = unsafe { end.close() };
        }
        bytes
    }

    fn meta_slices(&self, bytes: usize) -> Option<*mut u8> {
        let claim = self.claim(&Want::new(bytes.div_ceil(SLICE_BYTES), Kind::Other))?;
        let memory = claim.memory();
        if claim.zero == Zero::Any && !claim.arena.zero_by_discarding(claim.range) {
            // SAFETY: just claimed and committed.
            unsafe { ptr::write_bytes(memory, 0, claim.range.len * SLICE_BYTES) };
        }
        Some(memory)
    }

    /// Gives metadata memory back.
    ///
    /// # Safety
    /// `meta` came from this set's [`ArenaSet::meta_alloc`], and nobody uses it any more.
    pub unsafe fn meta_free(&self, meta: Meta) {
        // SAFETY: the precondition.
        if unsafe { pool::put(&self.meta, meta) } {
            return;
        }
        if let Some(arena) = self.find(meta.start) {
            let first = Arena::slice_of(arena, meta.start);
            self.release(arena, BitRange::new(first, meta.bytes.div_ceil(SLICE_BYTES)), 0);
        }
    }
}
