//! When to look for pages whose blocks neither come nor go any more, to punch those that are sparse.
//!
//! A look costs two cache lines per page, and there are a few per purge delay, whenever a tick comes by then; none if
//! nothing is to be purged. What one look may punch is bounded.

use ferrimalloc_prim::clock;

use crate::sync::{AtomicU64, Ordering};

/// How often per purge delay.
const PER_DELAY: u64 = 8;
/// The least time between two, in milliseconds.
const LEAST_MILLIS: u64 = 10;
/// How many pages are punched in a look.
const MOST_PAGES: usize = 64;

/// When the next look is due. Valid when zeroed.
pub struct Looks(AtomicU64);

impl Looks {
    /// A look is due at once.
    pub const fn new() -> Looks {
        Looks(AtomicU64::new(0))
    }

    /// Begins a look if one is due, for one of the threads that ask; answers how many pages may be punched. `delay` is
    /// [`ArenaSet::purge_delay`](super::ArenaSet::purge_delay).
    pub fn begin(&self, delay: Option<u64>) -> Option<usize> {
        let between = (delay? / PER_DELAY).max(LEAST_MILLIS);
        let (now, due) = (clock::now_millis(), self.0.load(Ordering::Relaxed));
        // A clock may jump back.
        let is_due = now >= due || due > now + between;
        let is_begun = || self.0.compare_exchange(due, now + between, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        (is_due && is_begun()).then_some(MOST_PAGES)
    }
}
