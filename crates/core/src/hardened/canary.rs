//! What stands behind a block of a hardened page: filler bytes, and in the block's last word a canary.
//!
//! ```text
//! block                     size                     room            room + 8
//! | what was asked for ... | 0xDE 0xDE ... (slack)   | canary           |
//! ```
//! The canary's upper half is a secret of the page. The lower one is another, mixed with the block's address, and with the slack, spread
//! over the whole half. So it says how large the block is to its user, it can't be copied from one block to another, and no change
//! of one byte makes another canary of it. It holds against whoever can write and not read: a canary that is read gives the page's
//! secrets away.
//! Whoever writes behind the block changes filler or canary first; whoever writes before the next block changes the upper half.
//! Of a long slack only the first bytes are filled and looked at.
//!
//! While a block is free the word is 0 (or, where blocks are filled, another mark: see `fill`). So a canary also tells that
//! its block is in use, and a block's neighbour can be looked at by anybody: the word goes from 0 to a canary, to another
//! one and to 0 by single stores.
//!
//! A page of a single block has its size in its description, and filler alone behind the block.

use core::ptr;

use crate::sync::{AtomicU64, Ordering};

/// Bytes that a canary takes.
pub const CANARY_BYTES: usize = 8;
/// As much of the slack is filled.
pub const FILLED_BYTES: usize = 64;
/// mimalloc's padding byte.
const FILLER: u8 = 0xDE;
const FILLER_WORD: u64 = u64::from_le_bytes([FILLER; 8]);
/// By which a slack is spread (xxHash's first prime, which is near the golden ratio), and its inverse.
const SLACK_SPREAD: u32 = 0x9e37_79b1;
const SLACK_GATHER: u32 = inverse(SLACK_SPREAD);
/// As much slack is written and looked at without a branch, which would often go another way than the last time.
const SHORT_SLACK: usize = 16;

/// What stands before a canary, seen through a window of 16 bytes that moves by the slack: zeros, then filler.
#[repr(align(64))]
struct Windows {
    filler: [u8; 2 * SHORT_SLACK],
    /// Which bytes are filler.
    mask: [u8; 2 * SHORT_SLACK],
}

static WINDOWS: Windows = Windows { filler: behind_zeros(FILLER), mask: behind_zeros(0xFF) };

const fn behind_zeros(byte: u8) -> [u8; 2 * SHORT_SLACK] {
    let (mut bytes, mut at) = ([0; 2 * SHORT_SLACK], SHORT_SLACK);
    while at < bytes.len() {
        bytes[at] = byte;
        at += 1;
    }
    bytes
}

/// # Safety
/// `slack` is at most [`SHORT_SLACK`].
#[inline(always)]
unsafe fn window(bytes: &[u8; 2 * SHORT_SLACK], slack: usize) -> [u64; 2] {
    // SAFETY: the precondition.
    unsafe { bytes.as_ptr().add(slack).cast::<[u64; 2]>().read_unaligned() }
}

/// What stands in place of a canary while the block is free.
const FREE: u64 = 0;

/// The number by which an odd number gives 1, by Newton's method: each step doubles the bits that are right, three to begin with.
const fn inverse(odd: u32) -> u32 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 4 {
        inverse = inverse.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

/// A block and the room that it has, canary excluded.
#[derive(Clone, Copy)]
pub struct Canary {
    /// Its first byte; a multiple of 8.
    pub block: *mut u8,
    /// Bytes from there to the canary; a multiple of 8.
    pub room: usize,
    /// The page's secret.
    pub key: u64,
}

impl Canary {
    /// What the block's canaries have in common.
    #[inline(always)]
    fn mixture(self) -> u64 {
        self.key ^ u64::from(self.block.addr() as u32)
    }

    #[inline(always)]
    fn word(self, slack: usize) -> u64 {
        self.mixture() ^ u64::from((slack as u32).wrapping_mul(SLACK_SPREAD))
    }

    #[inline(always)]
    fn word_at(self) -> *mut u64 {
        self.block.wrapping_add(self.room).cast()
    }

    /// The word behind the room, which others may look at.
    ///
    /// # Safety
    /// The block is one of a page that has canaries.
    #[inline(always)]
    unsafe fn place<'a>(self) -> &'a AtomicU64 {
        // SAFETY: the precondition: blocks and rooms are multiples of 8.
        unsafe { &*self.word_at().cast::<AtomicU64>() }
    }

    /// The slack that a word says; more than the room if it is no canary.
    #[inline(always)]
    fn slack_in(self, word: u64) -> usize {
        let rest = word ^ self.mixture();
        if rest >> u32::BITS != 0 { usize::MAX } else { (rest as u32).wrapping_mul(SLACK_GATHER) as usize }
    }

    /// Seals the block as one of `size` bytes. Changes nothing before that.
    ///
    /// # Safety
    /// The block is the caller's, and `size <= room`.
    #[inline]
    pub unsafe fn close(self, size: usize) {
        let slack = self.room - size;
        // SAFETY: the precondition.
        unsafe {
            fill_slack(self.block.wrapping_add(size), slack);
            self.place().store(self.word(slack), Ordering::Relaxed);
        }
    }

    /// The same for a block that was just taken: may set bytes before `size` to 0.
    ///
    /// # Safety
    /// As for [`Canary::close`], and there is some room.
    #[inline(always)]
    pub unsafe fn close_fresh(self, size: usize) {
        let slack = self.room - size;
        // SAFETY: the precondition; all stores are inside the room, which is a multiple of a word.
        unsafe {
            match slack {
                0 => (),
                1..=8 => self.word_at().sub(1).write(FILLER_WORD << (u64::BITS as usize - 8 * slack)),
                _ => fill_slack(self.block.wrapping_add(size), slack),
            }
            self.place().store(self.word(slack), Ordering::Relaxed);
        }
    }

    /// The same, without a call; false, and nothing has happened, if the slack has more than two words.
    ///
    /// # Safety
    /// As for [`Canary::close_fresh`], and there is room for two words.
    #[inline(always)]
    pub unsafe fn close_short(self, size: usize) -> bool {
        let slack = self.room - size;
        // SAFETY: the precondition; all stores are inside the room.
        unsafe {
            if slack == 0 {
                self.place().store(self.mixture(), Ordering::Relaxed);
                return true;
            }
            if slack > SHORT_SLACK {
                return false;
            }
            self.word_at().sub(2).cast::<[u64; 2]>().write(window(&WINDOWS.filler, slack));
            self.place().store(self.word(slack), Ordering::Relaxed);
        }
        true
    }

    /// Marks the block as free; by the one who frees it.
    ///
    /// # Safety
    /// The block is the caller's.
    #[inline(always)]
    pub unsafe fn open(self) {
        // SAFETY: the precondition.
        unsafe { self.place().store(FREE, Ordering::Relaxed) };
    }

    /// Whether the word is what a free block has, or may be a canary of this page: so a neighbour may look, whose underflow changes the
    /// upper half first.
    ///
    /// # Safety
    /// The block is one that its page has opened.
    #[inline(always)]
    pub unsafe fn is_free_or_tagged(self) -> bool {
        // SAFETY: the precondition.
        let found = unsafe { self.place().load(Ordering::Relaxed) };
        (found ^ self.key) >> u32::BITS == 0 || found == FREE
    }

    /// Whether the block is free, if it was not damaged.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    pub unsafe fn is_free(self) -> bool {
        // SAFETY: the precondition.
        unsafe { self.place().load(Ordering::Relaxed) == FREE }
    }

    /// Whether the word is a canary of this block, or what a free block has: that, or `free`, if it has been used. The word changes by
    /// one store and is read by one load: it is right at every moment.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    pub unsafe fn is_free_as_or_whole(self, free: u64) -> bool {
        // SAFETY: the precondition.
        let found = unsafe { self.place().load(Ordering::Relaxed) };
        found == FREE || found == free || self.slack_in(found) <= self.room
    }

    /// The size that the block was closed with; `None` if the canary is broken.
    ///
    /// # Safety
    /// The block is in use.
    #[inline(always)]
    pub unsafe fn size(self) -> Option<usize> {
        // SAFETY: the precondition.
        let slack = self.slack_in(unsafe { self.place().load(Ordering::Relaxed) });
        (slack <= self.room).then(|| self.room - slack)
    }

    /// What [`Canary::is_whole`] tells, without a call; slacks of more than two words are told to be damaged.
    ///
    /// # Safety
    /// As there, and there is room for two words.
    #[inline(always)]
    pub unsafe fn is_whole_short(self) -> bool {
        // SAFETY: the precondition; what is read lies inside the room.
        unsafe {
            let rest = self.place().load(Ordering::Relaxed) ^ self.mixture();
            if rest == 0 {
                return true;
            }
            if rest >> u32::BITS != 0 {
                return false;
            }
            let slack = (rest as u32).wrapping_mul(SLACK_GATHER) as usize;
            if slack > SHORT_SLACK {
                return false;
            }
            let (filler, mask) = (window(&WINDOWS.filler, slack), window(&WINDOWS.mask, slack));
            let found = self.word_at().sub(2).cast::<[u64; 2]>().read();
            found[0] & mask[0] == filler[0] && found[1] & mask[1] == filler[1]
        }
    }

    /// Whether canary and filler are whole; what [`Canary::verify`] tells, without the place.
    ///
    /// # Safety
    /// The block is in use, and there is some room.
    #[inline(always)]
    pub unsafe fn is_whole(self) -> bool {
        // SAFETY: the precondition; what is read lies inside the room.
        unsafe {
            let slack = self.slack_in(self.place().load(Ordering::Relaxed));
            match slack {
                0 => true,
                1..=8 => (self.word_at().sub(1).read() ^ FILLER_WORD) >> (u64::BITS as usize - 8 * slack) == 0,
                _ => slack <= self.room && verify_filler(self.block.wrapping_add(self.room - slack), slack).is_ok(),
            }
        }
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
    fn a_fresh_seal_is_the_same_and_leaves_zeros() {
        with_block(|canary, _| {
            for size in 0..=ROOM {
                // SAFETY: the test's own memory.
                unsafe {
                    ptr::write_bytes(canary.block, 0, ROOM + CANARY_BYTES);
                    canary.close_fresh(size);
                    assert_eq!(canary.verify(), Ok(size));
                    assert!(canary.is_whole() && canary.is_free_or_tagged());
                    assert!((0..size).all(|at| canary.block.add(at).read() == 0), "{size}");
                    let is_short = canary.close_short(size);
                    assert_eq!(is_short, ROOM - size <= SHORT_SLACK);
                    assert!(canary.is_whole() && canary.is_whole_short() == is_short);
                    assert!((0..size).all(|at| canary.block.add(at).read() == 0), "{size}");
                    canary.open();
                    assert!(!canary.is_whole() && !canary.is_whole_short() && canary.is_free_or_tagged());
                    assert_eq!(canary.size(), None);
                }
            }
        });
    }

    #[test]
    fn no_change_of_one_byte_gives_another_canary() {
        let most = 512 << 10;
        for (at, change) in (0..4).flat_map(|at| (1..=255u32).map(move |change| (at, change))) {
            let moved = (change << (8 * at)).wrapping_mul(SLACK_GATHER);
            assert!(moved > most && moved.wrapping_neg() > most, "{at} {change}");
        }
        assert_eq!(SLACK_SPREAD.wrapping_mul(SLACK_GATHER), 1);
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
                        assert!(canary.verify().is_err() && !canary.is_whole(), "{size} {at}");
                        assert!(!canary.is_whole_short(), "{size} {at}");
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
