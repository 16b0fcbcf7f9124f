//! Words that one thread at a time writes and that any thread may look at.

use super::{AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Relaxed access by the names that a `Cell` has. A load and a store cost what plain ones do; what one thread sees of
/// another's words is a snapshot, and nothing is ordered by it.
pub trait Relaxed {
    /// What the word holds.
    type Value;

    /// What the word holds now, by a relaxed load.
    fn get(&self) -> Self::Value;

    /// Replaces it, by a relaxed store.
    fn set(&self, value: Self::Value);
}

macro_rules! relaxed {
    ($($atomic:ty => $value:ty),* $(,)?) => {
        $(impl Relaxed for $atomic {
            type Value = $value;

            #[inline(always)]
            fn get(&self) -> $value {
                self.load(Ordering::Relaxed)
            }

            #[inline(always)]
            fn set(&self, value: $value) {
                self.store(value, Ordering::Relaxed);
            }
        })*
    };
}

relaxed! {
    AtomicBool => bool, AtomicU8 => u8, AtomicU16 => u16, AtomicU32 => u32, AtomicU64 => u64, AtomicUsize => usize,
}

impl<T> Relaxed for AtomicPtr<T> {
    type Value = *mut T;

    #[inline(always)]
    fn get(&self) -> *mut T {
        self.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn set(&self, value: *mut T) {
        self.store(value, Ordering::Relaxed);
    }
}
