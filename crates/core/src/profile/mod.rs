//! Floor 4: the sampling heap profiler: which allocations are samples is decided above; here they are recorded.
//!
//! * `interval`: how far it is to the next sample, and what one stands for.
//! * `unwind`: the calling thread's stack, by `cfi` (unwind tables) and `rule` (what is known of them).
//! * `origins`: for reports of misuse, who has allocated and freed a block.
//! * `samples`: what has been found, in `memory` of its own; `engine`: whether the profiler runs.
//!
//! Nothing here allocates from a heap. What is done with a profile (formats, files) is left to others.

mod cfi;
mod engine;
mod interval;
mod memory;
mod origins;
mod rule;
mod samples;
mod unwind;

pub use engine::{
    Choice, DEFAULT_RATE_BYTES, Watcher, after_fork, at_end, catch_up, choose_all, finish, for_each_stack, in_child,
    last_rate, lock_for_fork, lost_samples, places, rate, record, retire, set_rate, soon, totals, version, watch,
};
pub use interval::{draw, draw_blocks, probability};
pub use origins::{forget_origins, note_allocated, note_freed, notes_origins, tell_fault_origins, tell_origins};
pub use rule::{Base, Rule, RuleTable};
pub use samples::{Amount, Amounts, Counts, LIFETIMES, MAX_FRAMES, Sample, Samples, SamplesOffsets, Who};
pub use unwind::Known;
