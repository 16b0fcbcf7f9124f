//! Floor 2: counting what the allocator does.
//!
//! The table of statistics is fixed by mimalloc's interface (`mi_stats_t`, version 6) and has one layout in two
//! fillings: [`Stats`], shared counters that any thread adds to, and [`RawStats`], plain numbers that a caller gets.
//! Nothing here is on the fast path of `malloc` or `free`: floors above count events of pages.
//!
//! Invariants
//! 1. Zeroed memory is an empty table of either filling.
//! 2. Numbers are independent of each other and order nothing: all operations are relaxed, and a snapshot taken
//!    while others count may be of slightly different moments.

mod bins;
mod count;
mod layouts;
mod table;

pub use bins::{HUGE_BIN, STATS_BINS, page_bytes_of, stats_bin_of, stats_bin_size};
pub use count::{RawCount, RawCounter, StatCount, StatCounter};
pub use table::{CHUNK_BINS, ChunkBin, FieldVisitor, RawStats, STAT_VERSION, StatTable, Stats};
