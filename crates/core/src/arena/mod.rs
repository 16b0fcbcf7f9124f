//! Floor 4: slices of address space and the memory behind them.
//!
//! * `page_map`: from an address to the metadata of its slice.
//! * `holding`: who holds a slice, and what is known of the memory behind it: free, committed, dirty, to be purged.
//! * `space`: one arena, i.e. a stretch of slices, what they are used for, and committing them.
//! * `set`: the arenas of a sub-process: claiming slices from any of them, reserving another; `slots`: where they are
//!   registered. `search_hint`: where an arena need not be searched.
//! * `purge`: giving physical memory of free slices back, after a delay (`tide`) or when there is too much of it (`purge_policy`).
//! * `mapping`: memory from the system for an arena; `thp`: advice about transparent huge pages, and `fill`: whether big
//!   blocks need any.
//! * `meta`: memory for the allocator's own structures; `pool`: slices that hold small pieces of it.
//! * `manage`: arenas that are asked for: in advance, of huge OS pages, over memory that somebody else provides.

mod commit;
mod fill;
mod holding;
mod manage;
mod mapping;
mod meta;
pub mod page_map;
mod pool;
mod purge;
mod purge_policy;
mod search_hint;
mod set;
mod slots;
mod space;
#[cfg(test)]
pub(crate) mod tests;
mod thp;
mod tide;

pub use manage::{Refusal, UserMemory};
pub use mapping::{Backing, Commit, LargePages};
pub use pool::Meta;
pub use purge::scavenger_bell;
pub use set::{ArenaSet, MAX_ARENAS, Share, Want};
pub use space::{Arena, Claim, CommitFn, Extent, Kind, Setup, Sharing};
pub use thp::Outlook;
