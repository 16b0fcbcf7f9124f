//! Meta slices: slices, or what is left of one, that hold small pieces of metadata.
//!
//! A meta slice is made of 128-byte units, and has a bitmap of its free units in its first ones.

use core::ptr;

use crate::base::*;
use crate::bitmap::{BitRange, Bitmap, Fit, Hint};
use crate::sync::{AtomicPtr, GrowingList, Node};

/// What small pieces are measured in. Bytes.
pub(super) const UNIT_BYTES: usize = 128;
const UNITS: usize = SLICE_BYTES / UNIT_BYTES;
/// Units taken by a meta slice's own description.
const HEAD_UNITS: usize = (size_of::<MetaSlice>() + Bitmap::layout_bytes(UNITS)).div_ceil(UNIT_BYTES);
/// What a meta slice starts at a multiple of. Bytes.
pub(super) const META_ALIGN: usize = 256;
/// Larger pieces get slices of their own.
pub(super) const MAX_PIECE_BYTES: usize = SLICE_BYTES / 4;

/// A piece of metadata memory: what is needed to give it back.
#[derive(Clone, Copy)]
pub struct Meta {
    /// Its first byte; a multiple of 256, or of a slice if the piece has slices of its own.
    pub start: *mut u8,
    /// As many bytes as were asked for.
    pub bytes: usize,
}

/// The head of a meta slice.
#[repr(C, align(64))]
pub(super) struct MetaSlice {
    link: AtomicPtr<MetaSlice>,
    free: Bitmap,
    /// How many units there are, those of the head included.
    units: usize,
}

impl Node for MetaSlice {
    fn link(&self) -> &AtomicPtr<MetaSlice> {
        &self.link
    }
}

/// The meta slices of a set of arenas, which live as long as the set.
pub(super) type MetaPool = GrowingList<MetaSlice>;

/// A small piece, from a meta slice that there is.
pub(super) fn take(pool: &MetaPool, bytes: usize) -> Option<Meta> {
    let take = |slice: &MetaSlice| slice.take(bytes.div_ceil(UNIT_BYTES));
    let start = (bytes <= MAX_PIECE_BYTES).then(|| pool.iter().find_map(take))??;
    Some(Meta { start, bytes })
}

/// Gives a small piece back, all zeros again; false if it is none of this pool's.
///
/// # Safety
/// Nobody uses the piece any more.
pub(super) unsafe fn put(pool: &MetaPool, meta: Meta) -> bool {
    let Some(slice) = pool.iter().find(|slice| slice.contains(meta.start)) else { return false };
    // SAFETY: the memory is the caller's to give; it must read as zero when it is handed out again.
    unsafe { ptr::write_bytes(meta.start, 0, meta.bytes) };
    slice.put(meta);
    true
}

impl MetaSlice {
    /// # Safety
    /// `memory` is zeroed, nobody else's, aligned to `META_ALIGN`, and has `bytes`: more than the head, at most a slice.
    pub unsafe fn create(memory: *mut u8, bytes: usize) -> &'static MetaSlice {
        let units = bytes / UNIT_BYTES;
        let bits = memory.wrapping_add(size_of::<MetaSlice>());
        // SAFETY: the head units are zeroed and large enough by `HEAD_UNITS`.
        unsafe {
            let free = Bitmap::init_at(bits, units);
            free.set(BitRange::between(HEAD_UNITS, units));
            let slice = memory.cast::<MetaSlice>();
            slice.write(MetaSlice { link: AtomicPtr::new(ptr::null_mut()), free, units });
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
        (p as usize).wrapping_sub(self.memory() as usize) < self.units * UNIT_BYTES
    }

    fn put(&self, meta: Meta) {
        let unit = (meta.start as usize - self.memory() as usize) / UNIT_BYTES;
        self.free.set(BitRange::new(unit, meta.bytes.div_ceil(UNIT_BYTES)));
    }
}
