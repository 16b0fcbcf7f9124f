//! A table of entries for a range of addresses that grows downwards while others look things up.
//!
//! ```text
//!  addresses   |<-------- range --------|  top            an address's distance from `top` is negative
//!  table       |<-- entries, readable --|  end            its entry lies as many entries before `end` as granules
//!                 grows this way
//! ```
//!
//! `top` and `end` are written once. What changes afterwards is one word, the range's length, so that no reader can
//! meet a new length with an old place. It is kept as the distance that an address must be above: before the table
//! begins there is no such distance.
//!
//! Invariants:
//! 1. Every address in the range has its entry in readable memory, from before the range has it, and for ever.
//! 2. Whoever sees a length sees `top` and `end`.

use core::mem::offset_of;
use core::ptr::NonNull;

use super::{AtomicPtr, AtomicUsize, Ordering, const_unless_loom};

/// A table with one `T` per `1 << SHIFT` bytes. `repr(C)`: assembly reads the words.
#[repr(C)]
pub struct RangeTable<T, const SHIFT: u32> {
    top: AtomicUsize,
    end: AtomicPtr<T>,
    /// Distances in the range are above this: the complement of its bytes.
    outside: AtomicUsize,
}

impl<T, const SHIFT: u32> RangeTable<T, SHIFT> {
    /// Where the top, the table's end and the complement of the length lie.
    pub const WORDS_AT: [u32; 3] =
        [offset_of!(Self, top) as u32, offset_of!(Self, end) as u32, offset_of!(Self, outside) as u32];

    const_unless_loom! {
        /// Of no addresses. `const` except under loom.
        pub const fn new() -> Self {
            let end = AtomicPtr::new(core::ptr::null_mut());
            RangeTable { top: AtomicUsize::new(0), end, outside: AtomicUsize::new(!0) }
        }
    }

    /// Begins with the `bytes` bytes below `top`, whose entries are the last before `end`. Once, by one thread.
    pub fn begin(&self, top: usize, end: *mut T, bytes: usize) {
        self.top.store(top, Ordering::Relaxed);
        self.end.store(end, Ordering::Relaxed);
        self.grow(bytes);
    }

    /// The range has `bytes` from now on, more than before; by one thread at a time.
    pub fn grow(&self, bytes: usize) {
        // ORDERING: release, so that who sees the length sees the words written by `begin` (invariant 2).
        self.outside.store(!bytes, Ordering::Release);
    }

    /// The entry of an address; `None` outside of the range.
    #[inline(always)]
    pub fn entry(&self, address: usize) -> Option<NonNull<T>> {
        // ORDERING: acquire pairs with `grow`: the words read next are those of `begin` (invariant 2).
        let outside = self.outside.load(Ordering::Acquire);
        let distance = address.wrapping_sub(self.top.load(Ordering::Relaxed));
        if distance <= outside {
            return None;
        }
        NonNull::new(self.end.load(Ordering::Relaxed).wrapping_byte_offset(Self::offset(distance)))
    }

    /// Where the entry of an address at that distance lies, in bytes from `end`.
    #[inline(always)]
    pub const fn offset(distance: usize) -> isize {
        let entries = distance as isize >> SHIFT;
        // Where a range may have more than half of all addresses, a distance may have any sign: it is below the top all the same.
        let entries = if usize::BITS < 64 { entries | !(usize::MAX >> SHIFT) as isize } else { entries };
        entries * size_of::<T>() as isize
    }

    /// The first address behind the range.
    #[inline]
    pub fn top(&self) -> usize {
        self.top.load(Ordering::Relaxed)
    }

    /// Where the table ends.
    #[inline]
    pub fn end(&self) -> *mut T {
        self.end.load(Ordering::Relaxed)
    }

    /// How many bytes of addresses it has.
    #[inline]
    pub fn bytes(&self) -> usize {
        // ORDERING: acquire pairs with `grow`, for what the caller reads next.
        !self.outside.load(Ordering::Acquire)
    }
}
