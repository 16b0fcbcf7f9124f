//! The allocator: a tower of floors, each a folder, each using only the floors below it.
#![no_std]
#![warn(missing_docs)]
#![allow(clippy::new_without_default, reason = "what is made here is made in statics and in zeroed memory")]
#[cfg(test)]
extern crate std;

pub mod base;
pub mod bitmap;
pub mod sync;

#[cfg(not(loom))]
pub use floors::*;
#[cfg(loom)]
pub use protocols::*;

/// The floors that the model checker does without, but for their protocols.
#[cfg(not(loom))]
#[path = ""]
mod floors {
    pub mod alloc;
    pub mod arena;
    pub mod diag;
    pub mod hardened;
    pub mod heap;
    pub mod options;
    pub mod os;
    pub mod page;
    pub mod profile;
    pub mod random;
    pub mod runtime;
    pub mod stats;
    pub mod theap;
}

/// Of the other floors, the files that the model checker looks at: one protocol each.
#[cfg(loom)]
#[path = ""]
#[allow(missing_docs, reason = "a floor's documentation is at the head of its `mod.rs`, which is not compiled here")]
mod protocols {
    pub mod arena {
        pub mod limit;
        pub mod slice_states;
        pub mod slots;
    }
    pub mod diag {
        pub mod pair;
        pub mod reentrancy_guard;
    }
    pub mod hardened {
        pub mod block_table;
        mod ring;
    }
    pub mod heap {
        pub mod postponed;
    }
    pub mod page {
        pub mod heap_word;
        pub mod ownership;
    }
    pub mod profile {
        pub mod rule;
    }
    pub mod random {
        mod fast;
        pub use fast::Fast;
    }
    pub mod runtime {
        pub mod ends;
    }
    pub mod stats {
        pub mod count;
    }
    pub mod theap {
        pub mod identity;
        pub mod remote_batch;
    }
}
