//! Atomic bitmaps: which slices of an arena are free, committed, dirty, to be purged; which pages a heap owns.
//!
//! A bitmap holds up to 2^22 bits. Everything is done by one atomic operation per 64-bit field, without locks:
//!
//! ```text
//! map     one bit per chunk: "may hold a set bit"        searches skip the others
//!          |
//! chunk   512 bits = 8 fields = one cache line           a search for at most 512 bits stays inside one
//!          |
//! field   64 bits = one atomic word                      the unit of change
//! ```
//!
//! A set bit means "available": *setting* gives a bit away, *claiming* takes it. What the giver wrote before is visible to
//! the claimer (set is a release, claiming and clearing an acquire).
//!
//! The files, bottom-up: `field` has pure bit arithmetic, `range` names bits and requests, `bitmap` the storage,
//! the chunk map and the protocols with their invariants, `search` finding and claiming runs, `visit`
//! walking over all of them.

mod field;
mod range;

#[expect(clippy::module_inception, reason = "the floor is named after the type it exists for")]
mod bitmap;

mod search;
mod visit;

#[cfg(all(test, not(loom)))]
mod owned;
#[cfg(all(test, not(loom)))]
mod tests;

pub use bitmap::{Bitmap, CHUNK_BITS, CHUNK_FIELDS, MAX_BITS};
pub use field::FIELD_BITS;
#[cfg(all(test, not(loom)))]
pub(crate) use owned::OwnedBitmap;
pub use range::{BitRange, Fit};
pub use search::Hint;
