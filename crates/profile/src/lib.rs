//! What the heap profiler of the core has found, for others to read: as pprof's protobuf, in the text formats that jemalloc,
//! gperftools and flame graphs know, and in files that the environment or the program asks for.
//!
//! * `pprof`, `heap_v2`, `collapsed`: a format each. They write to an [`Output`] piece by piece, and need no memory but a few tables,
//!   which come from the system.
//! * `symbols`: names of functions, from the symbol tables of the program and its libraries. `stacks`: stacks without our own frames.
//! * `session`: the built-in profiler: when files are written, and what they are called; `leaks`: what is in use at the end.
//!
//! Nothing here allocates from a heap: it may run inside of an allocation that happens to be a sample.
#![no_std]
#![warn(missing_docs)]

#[cfg(test)]
extern crate std;

mod collapsed;
mod heap_v2;
mod leaks;
mod output;
mod pprof;
mod session;
mod stacks;
mod symbols;
mod table;

pub use collapsed::collapsed;
pub use heap_v2::heap_v2;
pub use output::{Buffered, Output};
pub use pprof::pprof;
pub use session::{Format, Intervals, Settings, is_running, set_up, snapshot, start, stop};
pub use stacks::Measure;

/// The formats' version, for those who keep files: it changes when a reader would have to.
pub const FORMAT_VERSION: u32 = 1;
