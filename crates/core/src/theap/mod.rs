//! Floor 7: a thread's part of a heap: its pages, by size class.
//!
//! * `theap`: the structure; `queue`: its pages by class, with the table that `malloc`'s fast path reads.
//! * `find`: a page to allocate from: owned, listed by others, or fresh; `sparing`: the same where addresses are few.
//! * `ownership`: giving full pages up, taking them back, abandoning all at a thread's end.
//! * `remote_free`: frees into pages of other threads, gathered in a `remote_batch`.
//! * `retired`: empty pages kept for a while; `upkeep`: when they go, and collecting. `counts`: what is counted on the way.
//! * `idle`: what a thread gives back that is about to wait.
//! * `sparse`: what goes of pages of large blocks as soon as few of them are in use.
//! * `identity`: whose theap it is, for those who find it in a page.
//! * `sampling`: lists that end where the profiler's next sample is; `gaps`: when that is.
//! * `levels`: what a theap does besides allocating, hardened pages and guarded blocks; `instrumentation`: the state of that.

mod counts;
mod find;
mod gaps;
mod identity;
mod idle;
mod instrumentation;
mod levels;
mod ownership;
mod queue;
mod remote_batch;
mod remote_free;
mod retired;
mod sampling;
mod sparing;
mod sparse;
#[cfg(test)]
mod tests;
#[expect(clippy::module_inception, reason = "the floor is named after the type it exists for")]
mod theap;
mod upkeep;

pub use idle::Idled;
pub use ownership::punch_unowned;
pub use remote_free::count_freed;
pub use theap::{EMPTY_THEAP, Theap, TheapOffsets};
pub use upkeep::Tick;
