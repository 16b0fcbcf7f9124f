//! What valgrind is told of blocks, in builds with the feature `valgrind`. In others nothing here leaves a trace.
//!
//! Such a build checks all pages at level 3 or higher (`options::hardening`): no list in free memory, a seal behind each
//! block, every allocation and every free by the slow path. That is all that valgrind needs: what is not in a block is closed
//! to everybody. The allocator itself looks at seals, and fills free blocks at debug levels: [`quiet`]ly.
//!
//! Invariants:
//! 1. Memory claimed from an arena is open, whatever was there before; memory that is free there is closed.
//! 2. Blocks that a checked page may lend are closed, but for those in use, each to its size to the byte.

use core::marker::PhantomData;

use ferrimalloc_prim::valgrind::{self, Contents};

use crate::base::{BUILD, Zero};

/// While this lives, what this thread accesses is not reported.
pub struct Quiet(PhantomData<*const ()>);

/// Begins an access of the allocator to what is closed.
#[inline(always)]
pub fn quiet() -> Quiet {
    if BUILD.valgrind {
        valgrind::quiet();
    }
    Quiet(PhantomData)
}

impl Drop for Quiet {
    #[inline(always)]
    fn drop(&mut self) {
        if BUILD.valgrind {
            valgrind::loud();
        }
    }
}

/// A block of `bytes` bytes is handed out.
#[inline(always)]
pub fn lent(p: *mut u8, bytes: usize, zero: Zero) {
    if BUILD.valgrind {
        let contents = if zero == Zero::Zeroed { Contents::Zeros } else { Contents::Undefined };
        valgrind::block_allocated(p, bytes, contents);
    }
}

/// `p` is freed, as the program says: if that is wrong, valgrind reports it.
#[inline(always)]
pub fn freed(p: *const u8) {
    if BUILD.valgrind {
        valgrind::block_freed(p);
    }
}

/// A block has another size where it is. What it gained is undefined, or zero.
#[inline(always)]
pub fn resized(p: *mut u8, old_bytes: usize, new_bytes: usize, zero: Zero) {
    if BUILD.valgrind {
        valgrind::block_resized(p, old_bytes, new_bytes);
        if zero == Zero::Zeroed && new_bytes > old_bytes {
            valgrind::memory_open(p.wrapping_add(old_bytes), new_bytes - old_bytes);
        }
    }
}

/// Memory for the allocator to use.
#[inline(always)]
pub fn opened(start: *const u8, bytes: usize) {
    if BUILD.valgrind {
        valgrind::memory_open(start, bytes);
    }
}

/// Memory that nobody may access until it is lent.
#[inline(always)]
pub fn closed(start: *const u8, bytes: usize) {
    if BUILD.valgrind {
        valgrind::memory_closed(start, bytes);
    }
}
