//! Meta slices: slices that hold small pieces of metadata.
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
/// Larger pieces get slices of their own.
pub(super) const MAX_UNITS: usize = UNITS / 4;

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

impl MetaSlice {
    /// # Safety
    /// `memory` is a whole zeroed slice of ours, of which `guard_bytes` at each end can't be touched.
    pub unsafe fn create(memory: *mut u8, guard_bytes: usize) -> &'static MetaSlice {
        let units = UNITS - 2 * guard_bytes / UNIT_BYTES;
        let memory = memory.wrapping_add(guard_bytes);
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

    pub fn take(&self, units: usize) -> Option<*mut u8> {
        let fit = Fit::new(units).aligned(2, 0);
        let unit = self.free.find_claim(fit, Hint::default(), |_| true)?;
        Some(self.memory().wrapping_add(unit * UNIT_BYTES))
    }

    fn memory(&self) -> *mut u8 {
        ptr::from_ref(self).cast_mut().cast()
    }

    pub fn contains(&self, p: *const u8) -> bool {
        (p as usize).wrapping_sub(self.memory() as usize) < self.units * UNIT_BYTES
    }

    pub fn put(&self, meta: Meta) {
        let unit = (meta.start as usize - self.memory() as usize) / UNIT_BYTES;
        self.free.set(BitRange::new(unit, meta.bytes.div_ceil(UNIT_BYTES)));
    }
}
