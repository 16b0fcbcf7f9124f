//! Floor 5: a page, its blocks, and who may touch them.
//!
//! A page is a run of slices holding blocks of one size. Its description ([`Page`]) lives in the page map, far from
//! the blocks.
//!
//! * `ownership`: the words that tell who owns a page, and the protocol of changing that.
//! * `heap_word`: which heap a page belongs to when heaps end.
//! * `layout`: the description, as any thread may see it; `snapshot`: a look at any page that changes nothing.
//! * `owned`: the right to touch a page, as a value. With it go `lists` (the owner's work on the free lists, of which a
//!   `block` is an element) and `hardened` (the same for pages that keep a block table instead).
//! * `holes`: OS pages of a page that have been given back, and their blocks; `punch`: giving them back.
//! * `orphan`: what becomes of a page whose owner a fork has left behind.
//! * `cut`: where a list ends early for the profiler; `sampled`: pages that its samples share.

mod block;
mod cut;
mod early;
mod hardened;
pub mod heap_word;
mod holes;
mod layout;
mod lists;
mod looks;
mod orphan;
mod owned;
pub mod ownership;
mod punch;
mod sampled;
mod snapshot;
#[cfg(all(test, not(loom)))]
mod tests;

pub use block::Block;
pub use heap_word::{HeapGuard, HeapLocks, HeapWord, Lifetime};
pub use layout::{Flag, Origin, Page, PageOffsets, PageRef, Placement};
pub use lists::Source;
pub use owned::{EMPTY_PAGE, EmptyPage, Freed, Owned, OwnedPage, Pushed, SinglePage, Threshold};
pub use ownership::{Chain, Owner};
pub use sampled::layout_of_samples;
pub use snapshot::{Marks, Walk};
