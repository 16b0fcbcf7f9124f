//! Atomics, waiting, a lock, a once, and ways to publish: everything in the core that knows how threads meet.
//!
//! This floor is the only source of atomics in the core. Built with `--cfg loom` it hands out loom's instead of the
//! processor's, so that every protocol above runs under the model checker without a `cfg` of its own. Two things differ
//! in such a build, and both are hidden here:
//!
//! - loom's atomics have no `const` constructor: `const_unless_loom!` makes a constructor `const` elsewhere;
//! - loom's atomics are not valid when zeroed: [`adopt_zeroed`] turns zeroed memory into atomics in either build.
//!
//! Models stay small if sizes shrink under the checker; protocols choose theirs by [`UNDER_LOOM`].

mod wait;

mod bell;
mod growing;
mod lock;
mod once;
mod pin;
mod presence;
mod published;
mod range_table;
mod references;
mod relaxed;
mod try_once;

pub use bell::{Bell, Heard};
pub use growing::{GrowingList, Node};
pub use lock::{Lock, LockGuard};
pub use once::{Once, Progress};
pub use pin::pin;
#[cfg(all(test, not(loom)))]
pub(crate) use pin::steps;
pub use presence::{Left, Presence};
pub use published::Published;
pub use range_table::RangeTable;
pub use references::References;
pub use relaxed::Relaxed;
pub use try_once::TryOnce;
pub use wait::{thread_id, yield_now};

#[cfg(not(loom))]
pub use core::hint::spin_loop;
#[cfg(not(loom))]
pub use core::sync::atomic::{
    AtomicBool, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
    Ordering, fence,
};
#[cfg(loom)]
pub use loom::hint::spin_loop;
#[cfg(loom)]
pub use loom::sync::atomic::{
    AtomicBool, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
    Ordering, fence,
};

/// Whether this build runs under the loom model checker.
pub const UNDER_LOOM: bool = cfg!(loom);

/// Defines a function that is `const` except under loom, whose atomics cannot be made in constants.
macro_rules! const_unless_loom {
    ($(#[$meta:meta])* $visibility:vis const fn $($rest:tt)*) => {
        #[cfg(not(loom))]
        $(#[$meta])*
        $visibility const fn $($rest)*
        #[cfg(loom)]
        $(#[$meta])*
        $visibility fn $($rest)*
    };
}
pub(crate) use const_unless_loom;

/// An array of equal values that are made one by one: in a constant, except under loom.
macro_rules! array_of {
    ($value:expr; $count:expr) => {{
        #[cfg(not(loom))]
        let array = [const { $value }; $count];
        #[cfg(loom)]
        let array = core::array::from_fn(|_| $value);
        array
    }};
}
pub(crate) use array_of;

/// Makes `count` atomics of value 0 out of zeroed memory. Touches no memory, except under loom.
///
/// # Safety
/// `place` must be aligned, valid for reads and writes of `count` atomics, and zeroed; nobody else uses the memory yet. `zero` makes
/// an atomic of value 0.
pub unsafe fn adopt_zeroed<A>(place: *mut A, count: usize, zero: impl Fn() -> A) {
    if UNDER_LOOM {
        for index in 0..count {
            // SAFETY: in bounds and exclusively ours by the caller's promise.
            unsafe { place.add(index).write(zero()) };
        }
    }
}
