//! What stands behind a block of a hardened page: filler bytes, and in the block's last word a canary.
//!
//! ```text
//! block                     size                     room            room + 8
//! | what was asked for ... | 0xDE 0xDE ... (slack)   | canary           |
//! ```
//! The canary is a keyed mixture of the block's address and its slack in the lower half, and the slack in the upper half, so
//! that it says how large the block is to its user and can't be copied from one block to another. Whoever writes behind
//! the block changes filler or canary first. Of a long slack only the first bytes are filled and looked at.
//!
//! A page of a single block has its size in its description, and filler alone behind the block.

use core::ptr;

/// Bytes that a canary takes.
pub const CANARY_BYTES: usize = 8;
/// As much of the slack is filled.
pub const FILLED_BYTES: usize = 64;
/// mimalloc's padding byte.
const FILLER: u8 = 0xDE;
const FILLER_WORD: u64 = u64::from_ne_bytes([FILLER; 8]);
/// Fibonacci hashing's multiplier: odd, its bits as good as random.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A block and the room that it has, canary excluded.
#[derive(Clone, Copy)]
pub struct Canary {
    pub block: *mut u8,
    pub room: usize,
    /// The page's secret.
    pub key: u64,
}

impl Canary {
    fn word(self, slack: usize) -> u64 {
        let mixed = (self.block.addr() as u64 ^ self.key).wrapping_add(slack as u64).wrapping_mul(SPREAD);
        mixed >> 32 | u64::from(slack as u32 ^ (self.key >> 32) as u32) << 32
    }

    fn word_at(self) -> *mut u64 {
        self.block.wrapping_add(self.room).cast()
    }

    /// Seals the block as one of `size` bytes. May change contents beyond `size`, and those before it as long as the
    /// caller has not written them.
    ///
    /// # Safety
    /// The block is the caller's, and `size <= room`.
    #[inline]
    pub unsafe fn close(self, size: usize) {
        let slack = self.room - size;
        // SAFETY: the precondition; the canary is a word behind the room.
        unsafe {
            fill_slack(self.block.wrapping_add(size), slack);
            self.word_at().write(self.word(slack));
        }
    }

    /// The size that the block was closed with; `None` if the canary is broken.
    ///
    /// # Safety
    /// The block is in use.
    #[inline]
    pub unsafe fn size(self) -> Option<usize> {
        // SAFETY: the precondition.
        let found = unsafe { self.word_at().read() };
        let slack = ((found >> 32) as u32 ^ (self.key >> 32) as u32) as usize;
        (slack <= self.room && found == self.word(slack)).then(|| self.room - slack)
    }

    /// The size, if the canary and the filler are whole; else the first place that is not.
    ///
    /// # Safety
    /// The block is in use.
    #[inline]
    pub unsafe fn verify(self) -> Result<usize, *mut u8> {
        // SAFETY: the precondition.
        match unsafe { self.size() } {
            // SAFETY: the slack lies inside the block.
            Some(size) => unsafe { verify_filler(self.block.wrapping_add(size), self.room - size) }.map(|()| size),
            None => Err(self.word_at().cast()),
        }
    }
}

/// Fills the first bytes of a slack.
///
/// # Safety
/// The caller has `slack` bytes there.
#[inline]
pub unsafe fn fill_slack(start: *mut u8, slack: usize) {
    // SAFETY: the precondition.
    unsafe {
        if slack <= 16 {
            return fill_few(start, slack);
        }
        ptr::write_bytes(start, FILLER, slack.min(FILLED_BYTES));
    }
}

/// # Safety
/// The caller has `slack` bytes there, at most 16.
#[inline]
unsafe fn fill_few(start: *mut u8, slack: usize) {
    let last = start.wrapping_add(slack);
    // SAFETY: all stores are inside the slack; they overlap.
    unsafe {
        if slack >= 8 {
            start.cast::<u64>().write_unaligned(FILLER_WORD);
            last.wrapping_sub(8).cast::<u64>().write_unaligned(FILLER_WORD);
        } else if slack >= 4 {
            start.cast::<u32>().write_unaligned(FILLER_WORD as u32);
            last.wrapping_sub(4).cast::<u32>().write_unaligned(FILLER_WORD as u32);
        } else if slack > 0 {
            start.write(FILLER);
            start.wrapping_add(slack / 2).write(FILLER);
            last.wrapping_sub(1).write(FILLER);
        }
    }
}

/// The first byte that is no filler, if there is one.
///
/// # Safety
/// There are `slack` readable bytes.
#[inline]
pub unsafe fn verify_filler(start: *mut u8, slack: usize) -> Result<(), *mut u8> {
    let filled = slack.min(FILLED_BYTES);
    // SAFETY: the precondition.
    let is_whole = unsafe { if slack <= 16 { is_filled_few(start, slack) } else { is_filled(start, filled) } };
    if is_whole {
        return Ok(());
    }
    // SAFETY: as above.
    let damaged = (0..filled).map(|at| start.wrapping_add(at)).find(|&byte| unsafe { byte.read() } != FILLER);
    damaged.map_or(Ok(()), Err)
}

/// # Safety
/// There are `bytes` readable bytes, more than 8.
unsafe fn is_filled(start: *mut u8, bytes: usize) -> bool {
    let last = bytes - 8;
    let word = |at: usize| {
        // SAFETY: a word that ends inside.
        unsafe { start.wrapping_add(at).cast::<u64>().read_unaligned() }
    };
    (0..last).step_by(8).all(|at| word(at) == FILLER_WORD) && word(last) == FILLER_WORD
}

/// # Safety
/// There are `slack` readable bytes, at most 16.
#[inline]
unsafe fn is_filled_few(start: *mut u8, slack: usize) -> bool {
    let last = start.wrapping_add(slack);
    // SAFETY: all loads are inside the slack; they overlap.
    unsafe {
        if slack >= 8 {
            let both = start.cast::<u64>().read_unaligned() ^ FILLER_WORD
                | last.wrapping_sub(8).cast::<u64>().read_unaligned() ^ FILLER_WORD;
            both == 0
        } else if slack >= 4 {
            let both = start.cast::<u32>().read_unaligned() ^ FILLER_WORD as u32
                | last.wrapping_sub(4).cast::<u32>().read_unaligned() ^ FILLER_WORD as u32;
            both == 0
        } else {
            slack == 0
                || start.read() == FILLER
                    && start.wrapping_add(slack / 2).read() == FILLER
                    && last.wrapping_sub(1).read() == FILLER
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 200;

    fn with_block(test: impl Fn(Canary, &mut dyn FnMut(usize))) {
        let mut memory = [0u64; ROOM / 8 + 1];
        let block: *mut u8 = memory.as_mut_ptr().cast();
        // SAFETY: inside `memory`.
        let mut flip = |at: usize| unsafe { *block.add(at) ^= 0x10 };
        test(Canary { block, room: ROOM, key: 0x1234_5678_9abc_def1 }, &mut flip);
    }

    #[test]
    fn a_sealed_block_knows_its_size() {
        with_block(|canary, _| {
            for size in 0..=ROOM {
                // SAFETY: the test's own memory.
                unsafe {
                    canary.close(size);
                    assert_eq!(canary.size(), Some(size));
                    assert_eq!(canary.verify(), Ok(size));
                }
            }
        });
    }

    #[test]
    fn every_changed_byte_behind_a_block_is_found() {
        with_block(|canary, flip| {
            for size in 0..=ROOM {
                let filled = size..ROOM.min(size + FILLED_BYTES);
                for at in filled.chain(ROOM..ROOM + CANARY_BYTES) {
                    // SAFETY: the test's own memory.
                    unsafe {
                        canary.close(size);
                        flip(at);
                        assert!(canary.verify().is_err(), "{size} {at}");
                        flip(at);
                        assert_eq!(canary.verify(), Ok(size));
                    }
                }
            }
        });
    }

    #[test]
    fn what_is_in_the_block_does_not_matter() {
        with_block(|canary, flip| {
            // SAFETY: the test's own memory.
            unsafe {
                canary.close(100);
                (0..100).for_each(flip);
                assert_eq!(canary.verify(), Ok(100));
            }
        });
    }

    #[test]
    fn a_seal_fits_one_block_and_one_page_only() {
        with_block(|canary, _| {
            // SAFETY: the test's own memory.
            unsafe {
                canary.close(100);
                assert_eq!(Canary { key: canary.key ^ 1 << 40, ..canary }.size(), None);
                assert_eq!(Canary { key: canary.key ^ 2, ..canary }.size(), None);
                let elsewhere = Canary { block: canary.block.wrapping_add(8), room: ROOM - 8, key: canary.key };
                assert_eq!(elsewhere.size(), None);
            }
        });
    }
}
