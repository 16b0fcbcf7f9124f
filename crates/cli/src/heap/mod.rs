//! A heap as it is seen from outside.

pub mod analysis;
pub mod blocks;
pub mod decode;
pub mod find;
pub mod owners;
pub mod reader;
pub mod snapshot;

pub use analysis::Analysis;
pub use snapshot::{Arena, Certainty, Heap, Owner, Page, Snapshot, Thread};
