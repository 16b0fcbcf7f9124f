//! Floor 7: a thread's part of a heap: its pages, by size class.
//!
//! * `theap`: the structure, with the table that `malloc`'s fast path reads.
//! * `queue`: the pages of a class, and keeping the table true to them.
//! * `find`: a page to allocate from: owned, listed by others, or fresh.
//! * `retire`: empty pages kept for a while.
//! * `ownership`: giving full pages up, taking them back, abandoning all at a thread's end.
//! * `reclaim`: what the options say about taking pages back, and giving pages up on request.
//! * `batch`: frees into other threads' pages, gathered (`gather`).
//! * `identity`: whose theap it is, for those who find it in a page.
//! * `watch`: what a theap does besides: checked pages, guarded blocks; `checked`: those pages.
//! * `collect`: upkeep; `counts`: what is counted on the way.

mod batch;
mod checked;
mod collect;
mod counts;
mod find;
mod gather;
mod identity;
mod ownership;
mod queue;
mod reclaim;
mod retire;
#[cfg(test)]
mod tests;
#[expect(clippy::module_inception, reason = "the floor is named after the type it exists for")]
mod theap;
mod watch;

pub use batch::push_remote;
pub use collect::Tick;
pub use theap::{EMPTY_THEAP, Theap};
