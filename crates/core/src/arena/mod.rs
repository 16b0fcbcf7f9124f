//! Floor 4: slices of address space and the memory behind them.
//!
//! * `page_map`: from an address to the metadata of its slice.
//! * `mapping`: memory from the system for an arena, and how it becomes accessible.
//! * `slice_states`: who holds a slice, and what is known of the memory behind it: free, committed, dirty, to be purged.
//! * `limit`: how much may be charged; `process_limit`: what the process has committed, against option `limit`.
//! * `usage`: what the arenas of a set count together; `purging`: what purging knows of them, by time (`watermarks`) and by amount
//!   (`purge_policy`).
//! * `arena`: a stretch of slices, and what they are used for; `commit`: making them accessible in steps; `thp`: advice about
//!   transparent huge pages, and `fill`: whether big blocks need any.
//! * `claim`: claiming slices, and giving them back; `search_hint`: where an arena need not be searched.
//! * `arenas`: those of a sub-process: claiming from any of them, reserving another; `slots`: where they are registered.
//! * `purge`: giving physical memory of free slices back, after a delay or when there is too much of it.
//! * `limited`: claiming where the process's limit leaves no room.
//! * `allowance`: how much of what costs something may be done in a while.
//! * `looks`: when to look for what is empty inside of pages.
//! * `meta`: memory for the allocator's own structures; `pool`: slices that hold small pieces of it.
//! * `manage`: arenas that are asked for: in advance, of huge OS pages, over memory that somebody else provides.

mod allowance;
#[expect(clippy::module_inception, reason = "the floor is named after the type it exists for")]
mod arena;
mod arenas;
mod claim;
mod commit;
mod fill;
mod limit;
mod limited;
mod looks;
mod manage;
mod mapping;
mod meta;
pub mod page_map;
mod pool;
mod process_limit;
mod purge;
mod purge_policy;
mod purging;
mod search_hint;
mod slice_states;
mod slots;
#[cfg(test)]
pub(crate) mod tests;
mod thp;
mod usage;
mod watermarks;

pub use allowance::Allowance;
pub use arena::{Arena, ArenaOffsets, Kind, Setup, Sharing};
pub use arenas::{ArenaSet, MAX_ARENAS, Reserve, Want};
pub use claim::{Claim, Extent};
pub use fill::has_been_filled;
pub use limit::Limit;
pub use looks::Looks;
pub use manage::{Refusal, UserMemory};
pub use mapping::{Backing, Commit, CommitFn, LargePages};
pub use pool::Meta;
pub use process_limit::{process_limit, set_process_limit, slices_of as limit_slices};
pub use purge::scavenger_bell;

pub use purging::Regret;
pub use usage::{Tally, Usage};
