//! Floor 5: what makes a page hardened, and a block in it.
//!
//! A page is ordinary or hardened. The ordinary allocator can be read without this folder: it is entered where the fast path
//! fails anyway. It stands below the pages, since a hardened page keeps a [`BlockTable`] where an ordinary one has lists
//! (`page::hardened`); what is done around a block, at `malloc` and at `free`, is `alloc::hardened`.
//!
//! * `ring`: in what order free blocks are used again.
//! * `block_table`: which blocks of a page are free, far from the blocks.
//! * `canary`: what stands behind a block; `fill`: what stands in one while it is fresh or free.

mod ring;

mod block_table;
mod canary;
mod fill;

pub use block_table::{AlreadyFree, BlockTable, Doubles, OwnedBlockTable, Rest, Secrets, Style, VERIFIED_BYTES, Work};
pub use canary::{CANARY_BYTES, Canary, FILLED_BYTES, fill_slack, verify_filler};
pub use fill::Filled;
