//! What valgrind and AddressSanitizer are told of blocks, in builds with the features `valgrind` and `asan`. In others nothing
//! here leaves a trace.
//!
//! Such a build checks all pages at level 3 or higher (`options::hardening`): no list in free memory, a canary behind each
//! block, every allocation and every free by the slow path. That is all that these tools need: what is not in a block is
//! closed to everybody.
//!
//! The allocator itself looks at canaries, and fills free blocks at debug levels. Valgrind lets a thread do so unreported:
//! [`quiet`]. AddressSanitizer knows no such thing; `memset` is its own, and in a program built with it for Rust so is all of
//! our code. So the allocator [`reached`]s for the memory first, which opens it, and closes it again by [`allocated`],
//! [`resized`] or [`put_away`].
//!
//! Invariants:
//! 1. Memory claimed from an arena is open, whatever was there before; memory that is free there is closed. (Memory that was
//!    never used is closed for valgrind alone: the sanitizer's shadow of an arena would be 128 MiB.)
//! 2. Blocks that a hardened page may lend are closed, but for those in use, each to its size to the byte.
//! 3. A block is put away before it can be lent again.
//! 4. What goes back to the system or to the program is open.

use core::marker::PhantomData;

use ferrimalloc_prim::asan;
use ferrimalloc_prim::valgrind::{self, Contents};

use crate::base::{BUILD, Zero};

/// While this lives, what this thread accesses is not reported by valgrind.
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

/// The allocator is about to access this memory, of a block that it has or that its caller has.
#[inline(always)]
pub fn reached(start: *const u8, bytes: usize) {
    if BUILD.asan {
        asan::memory_open(start, bytes);
    }
}

/// The end of that, for memory that nobody else may access.
#[inline(always)]
pub fn put_away(start: *const u8, bytes: usize) {
    if BUILD.asan {
        asan::memory_closed(start, bytes);
    }
}

/// A block of `bytes` bytes is handed out, with `room` bytes that were reached for.
#[inline(always)]
pub fn allocated(p: *mut u8, bytes: usize, room: usize, zero: Zero) {
    if BUILD.valgrind {
        let contents = if zero == Zero::Zeroed { Contents::Zeros } else { Contents::Undefined };
        valgrind::block_allocated(p, bytes, contents);
    }
    put_away(p.wrapping_add(bytes), room - bytes);
}

/// `p` is freed, as the program says: if that is wrong, valgrind reports it.
#[inline(always)]
pub fn freed(p: *const u8) {
    if BUILD.valgrind {
        valgrind::block_freed(p);
    }
}

/// A block, with `room` bytes that were reached for, has another size where it is. What it gained is undefined, or zero.
#[inline(always)]
pub fn resized(p: *mut u8, old_bytes: usize, new_bytes: usize, room: usize, zero: Zero) {
    if BUILD.valgrind {
        valgrind::block_resized(p, old_bytes, new_bytes);
        if zero == Zero::Zeroed && new_bytes > old_bytes {
            valgrind::memory_open(p.wrapping_add(old_bytes), new_bytes - old_bytes);
        }
    }
    put_away(p.wrapping_add(new_bytes), room - new_bytes);
}

/// Memory for the allocator to use, or to give away.
#[inline(always)]
pub fn opened(start: *const u8, bytes: usize) {
    if BUILD.valgrind {
        valgrind::memory_open(start, bytes);
    }
    reached(start, bytes);
}

/// Memory that nobody may access until it is allocated.
#[inline(always)]
pub fn closed(start: *const u8, bytes: usize) {
    never_used(start, bytes);
    put_away(start, bytes);
}

/// The same for memory that no pointer of the program can lead to.
#[inline(always)]
pub fn never_used(start: *const u8, bytes: usize) {
    if BUILD.valgrind {
        valgrind::memory_closed(start, bytes);
    }
}
