//! Floor 5: a page, its blocks, and who may touch them.
//!
//! A page is a run of slices holding blocks of one size. Its description ([`Page`]) lives in the page map, far from
//! the blocks. `block` is a free block's link, `remote` the one lock-free word of a page (the protocol of
//! ownership), `tenure` whose page it is when heaps end, `layout` the description itself, `lists` the owner's work on the free lists, `peek` a look
//! at any page that changes nothing. A *checked* page keeps a `ledger` instead of lists; `checks` is the owner's work on
//! that. `orphan` is what becomes of a page whose owner vanished in a fork.

mod block;
mod checks;
mod layout;
mod ledger;
mod lists;
mod orphan;
mod peek;
pub mod remote;
mod tenure;
#[cfg(all(test, not(loom)))]
mod tests;

pub use block::Block;
pub use checks::owned_and_checked;
pub use layout::{EMPTY_PAGE, Flag, Lookup, Origin, Owner, Page, Placement};
pub use ledger::{AlreadyFree, Ledger, Style};
pub use lists::Freed;
pub use peek::{Marks, Walk};
pub use tenure::{Gates, Held, Tenure, Term};
