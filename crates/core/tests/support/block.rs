//! A block in use, filled so that any change of its contents is seen.
//!
//! All its usable bytes are filled: with a byte that depends on the seed, and in each [`CHUNK`] first a word that
//! depends on the seed and the chunk, so that misplaced parts are found too. Filling and checking run at the speed of
//! `memset` and `memcmp` even in a debug build.

use super::numbers::mix;
use ferrimalloc_core::alloc;
use std::slice;

const CHUNK: usize = 4096;
const ZEROS: [u8; CHUNK] = [0; CHUNK];

/// A block in use and what it holds.
#[derive(Debug)]
pub struct Block {
    start: *mut u8,
    bytes: usize,
    seed: u64,
}

// SAFETY: any thread may use a block that it holds.
unsafe impl Send for Block {}

impl Block {
    /// Takes a fresh block of at least `asked` bytes and fills it.
    pub fn adopt(start: *mut u8, asked: usize, seed: u64) -> Block {
        assert!(alloc::is_ours(start), "{start:p}");
        let bytes = alloc::usable_size(start);
        assert!(bytes >= asked, "{bytes} usable bytes at {start:p} for {asked}");
        // SAFETY: the block has that many bytes.
        unsafe { fill(start, bytes, seed) };
        Block { start, bytes, seed }
    }

    pub fn start(&self) -> *mut u8 {
        self.start
    }

    /// Usable bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Panics if the contents have changed.
    pub fn check(&self) {
        self.check_at(self.start, self.bytes);
    }

    /// Panics unless the first `bytes` at `start` are this block's.
    pub fn check_at(&self, start: *const u8, bytes: usize) {
        // SAFETY: blocks in use hold that many bytes, all written.
        let held = unsafe { slice::from_raw_parts(start, bytes.min(self.bytes)) };
        for (index, chunk) in held.chunks(CHUNK).enumerate() {
            assert!(is_intact(chunk, self.seed, index), "{self:?}: chunk {index} at {start:p} is damaged");
        }
    }
}

/// Panics unless the bytes from `from` to `to` of the block at `start` are zero.
pub fn check_zero(start: *const u8, from: usize, to: usize) {
    // SAFETY: the block has `to` bytes, which its allocator promises to be zero.
    let bytes = unsafe { slice::from_raw_parts(start.add(from), to.saturating_sub(from)) };
    for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
        assert!(chunk == &ZEROS[..chunk.len()], "chunk {index} from {from} of {to} at {start:p} is not zero");
    }
}

fn filler(seed: u64) -> u8 {
    mix(seed) as u8 | 1
}

fn head(seed: u64, chunk: usize) -> [u8; 8] {
    mix(seed ^ mix(chunk as u64 + 1)).to_le_bytes()
}

/// # Safety
/// The caller has `bytes` writable bytes at `start`.
unsafe fn fill(start: *mut u8, bytes: usize, seed: u64) {
    // SAFETY: the precondition.
    let all = unsafe {
        start.write_bytes(filler(seed), bytes);
        slice::from_raw_parts_mut(start, bytes)
    };
    for (index, chunk) in all.chunks_mut(CHUNK).enumerate() {
        let length = chunk.len().min(8);
        chunk[..length].copy_from_slice(&head(seed, index)[..length]);
    }
}

fn is_intact(chunk: &[u8], seed: u64, index: usize) -> bool {
    let length = chunk.len().min(8);
    let rest = &chunk[length..];
    chunk[..length] == head(seed, index)[..length]
        && (rest.is_empty() || rest[0] == filler(seed) && rest[1..] == rest[..rest.len() - 1])
}
