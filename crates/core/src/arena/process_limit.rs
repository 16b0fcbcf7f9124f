//! The process's limit on committed memory: option `limit`, and what counts against it.
//!
//! Charged are slices in use, as a whole; free ones that have memory behind them; the arenas' own structures; and mappings
//! outside of arenas: what the statistics call committed, but that pages with holes are charged as a whole, so that opening
//! a hole never fails. All arenas of the process are charged together. Nothing else of this process is: not the
//! program's own mappings, stacks, or libraries, nor the tables of the page map.
//!
//! A claim is charged before its memory is committed (`claim`), so the limit is never exceeded, not for a moment. What a claim
//! would exceed the limit by is purged first (`arenas`); what higher floors do then, see `alloc::upkeep`.

use super::limit::Limit;
use crate::base::*;
use crate::options::{self, OptionId};
use crate::sync::{AtomicI64, Ordering};

static LIMIT: Limit = Limit::new();
/// The option's value that `LIMIT` goes by.
static FOLLOWED: AtomicI64 = AtomicI64::new(0);

/// The process's limit, as the option has it. Three loads.
pub fn process_limit() -> &'static Limit {
    if options::get(OptionId::Limit) != FOLLOWED.load(Ordering::Relaxed) {
        follow();
    }
    &LIMIT
}

/// Until the option is what was followed: others may be changing it.
#[cold]
fn follow() {
    loop {
        let bytes = options::get(OptionId::Limit);
        LIMIT.set(slices_of(usize::try_from(bytes).unwrap_or(0)));
        FOLLOWED.store(bytes, Ordering::Relaxed);
        if options::get(OptionId::Limit) == bytes {
            return;
        }
    }
}

/// A limit in bytes, 0 for none, in whole slices.
pub fn slices_of(bytes: usize) -> Option<usize> {
    (bytes > 0).then_some(bytes / SLICE_BYTES)
}

/// Limits the process's committed memory to so many bytes, rounded down to slices; 0: no limit.
pub fn set_process_limit(bytes: usize) {
    options::set(OptionId::Limit, i64::try_from(bytes).unwrap_or(i64::MAX));
    process_limit();
}

/// So many slices have no memory any more.
pub(super) fn give_back(slices: usize) {
    LIMIT.give_back(slices);
}
