//! Memory for the allocator's own structures: theaps, heaps, bitmaps.
//!
//! Small pieces are runs of 128-byte units in *meta slices*, each with a bitmap of its free units in its first
//! units. Larger pieces are slices. All memory handed out reads as zero and lives until it is given back; it never
//! comes from a heap, so that no heap is needed to make one.

use core::ptr;

use super::set::{ArenaSet, Want};
use super::space::{Arena, Kind};
use crate::base::*;
use crate::bitmap::{BitRange, Bitmap, Fit, Hint};
use crate::sync::{AtomicPtr, GrowingList, Node};

const UNIT_BYTES: usize = 128;
const UNITS: usize = SLICE_BYTES / UNIT_BYTES;
/// Units taken by a meta slice's own description.
const HEAD_UNITS: usize = (size_of::<MetaSlice>() + Bitmap::layout_bytes(UNITS)).div_ceil(UNIT_BYTES);
/// Larger pieces get slices of their own.
const MAX_UNITS: usize = UNITS / 4;

/// A piece of metadata memory: what is needed to give it back.
#[derive(Clone, Copy)]
pub struct Meta {
    pub start: *mut u8,
    pub bytes: usize,
}

/// The head of a meta slice.
#[repr(C, align(64))]
pub(super) struct MetaSlice {
    link: AtomicPtr<MetaSlice>,
    free: Bitmap,
}

impl Node for MetaSlice {
    fn link(&self) -> &AtomicPtr<MetaSlice> {
        &self.link
    }
}

/// The meta slices of a set of arenas, which live as long as the set.
pub(super) type MetaPool = GrowingList<MetaSlice>;

impl MetaSlice {
    /// # Safety
    /// `memory` is a whole zeroed slice of ours.
    unsafe fn create(memory: *mut u8) -> &'static MetaSlice {
        let bits = memory.wrapping_add(size_of::<MetaSlice>());
        // SAFETY: the head units are zeroed and large enough by `HEAD_UNITS`.
        unsafe {
            let free = Bitmap::init_at(bits, UNITS);
            free.set(BitRange::between(HEAD_UNITS, UNITS));
            let slice = memory.cast::<MetaSlice>();
            slice.write(MetaSlice { link: AtomicPtr::new(ptr::null_mut()), free });
            &*slice
        }
    }

    fn take(&self, units: usize) -> Option<*mut u8> {
        let fit = Fit::new(units).aligned(2, 0);
        let unit = self.free.find_claim(fit, Hint::default(), |_| true)?;
        Some(self.memory().wrapping_add(unit * UNIT_BYTES))
    }

    fn memory(&self) -> *mut u8 {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn contains(&self, p: *const u8) -> bool {
        (p as usize).wrapping_sub(self.memory() as usize) < SLICE_BYTES
    }

    fn put(&self, meta: Meta) {
        let unit = (meta.start as usize - self.memory() as usize) / UNIT_BYTES;
        self.free.set(BitRange::new(unit, meta.bytes.div_ceil(UNIT_BYTES)));
    }
}

impl ArenaSet {
    /// Zeroed memory for `bytes` bytes of metadata, aligned to 256 bytes; `None` if there is none.
    pub fn meta_alloc(&self, bytes: usize) -> Option<Meta> {
        let units = bytes.div_ceil(UNIT_BYTES);
        let start = if units > MAX_UNITS { self.meta_slices(bytes)? } else { self.meta_units(units)? };
        Some(Meta { start, bytes })
    }

    fn meta_units(&self, units: usize) -> Option<*mut u8> {
        self.meta.iter().find_map(|slice| slice.take(units)).or_else(|| {
            let memory = self.meta_slices(SLICE_BYTES)?;
            // SAFETY: a fresh, zeroed slice.
            let slice = unsafe { MetaSlice::create(memory) };
            let taken = slice.take(units);
            self.meta.push(slice);
            taken
        })
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
        if let Some(slice) = self.meta.iter().find(|slice| slice.contains(meta.start)) {
            // SAFETY: the memory is the caller's to give; it must read as zero when it is handed out again.
            unsafe { ptr::write_bytes(meta.start, 0, meta.bytes) };
            return slice.put(meta);
        }
        if let Some(arena) = self.find(meta.start) {
            let first = Arena::slice_of(arena, meta.start);
            arena.release(BitRange::new(first, meta.bytes.div_ceil(SLICE_BYTES)));
        }
    }
}
