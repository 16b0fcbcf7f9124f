//! Floor 5: a page, its blocks, and who may touch them.
//!
//! A page is a run of slices holding blocks of one size. Its description ([`Page`]) lives in the page map, far from
//! the blocks. `block` is a free block's link, `remote` the one lock-free word of a page (the protocol of
//! ownership), `layout` the description itself, `lists` the owner's work on the free lists, `peek` a look
//! at any page that changes nothing.

#[cfg(not(loom))]
mod block;
#[cfg(not(loom))]
mod layout;
#[cfg(not(loom))]
mod lists;
#[cfg(not(loom))]
mod peek;
pub mod remote;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(not(loom))]
pub use block::Block;
#[cfg(not(loom))]
pub use layout::{EMPTY_PAGE, Flag, Lookup, Origin, Owner, Page, Placement};
#[cfg(not(loom))]
pub use lists::Freed;
#[cfg(not(loom))]
pub use peek::{Marks, Walk};
