//! The allocator: a tower of floors, each a folder, each using only the floors below it.
#![no_std]
#[cfg(test)]
extern crate std;

pub mod base;
pub mod bitmap;
pub mod page;
pub mod sync;

#[cfg(not(loom))]
pub use floors::*;

/// The floors that the model checker does without: everything but the lock-free protocols.
#[cfg(not(loom))]
#[path = ""]
mod floors {
    pub mod alloc;
    pub mod arena;
    pub mod diag;
    pub mod heap;
    pub mod options;
    pub mod os;
    pub mod random;
    pub mod report;
    pub mod runtime;
    pub mod stats;
    pub mod theap;
}
