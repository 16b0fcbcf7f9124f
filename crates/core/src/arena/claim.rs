//! Claiming an arena's slices, and giving them back.

use super::arena::{Arena, KIND_NONE, Kind};
use super::process_limit;
use super::slice_states::Taken;
use crate::base::*;
use crate::bitmap::{BitRange, CHUNK_BITS, Fit, Hint};
use crate::os::tool_hooks;
use crate::sync::Ordering;

/// How much of a claim is committed at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// All of it.
    Whole,
    /// So many slices; the claimer sees to the rest ([`Arena::commit`]).
    First(usize),
}

/// Slices claimed from an arena.
pub struct Claim {
    /// The arena that has the slices.
    pub arena: &'static Arena,
    /// The slices, by their numbers in the arena. They are the claimer's alone until they are released.
    pub range: BitRange,
    /// Whether the memory is known to be zero.
    pub zero: Zero,
}

/// Why a claim came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Miss {
    /// No run of free slices is long enough: another arena may have one.
    Full,
    /// There was one, but the system has no memory for it, or the process's limit no room.
    Refused,
}

impl Miss {
    /// Of two arenas.
    pub fn or(self, other: Miss) -> Miss {
        if self == Miss::Refused { self } else { other }
    }
}

impl Claim {
    /// The first slice.
    pub fn memory(&self) -> *mut u8 {
        self.arena.slice_memory(self.range.start)
    }
}

impl Arena {
    /// Claims `slices` slices whose first address is a multiple of `align_slices` slices; committed.
    pub(super) fn claim(
        &'static self,
        slices: usize,
        align_slices: usize,
        kind: Kind,
        seed: usize,
        extent: Extent,
    ) -> Result<Claim, Miss> {
        if self.hint.is_full_for(slices) {
            return Err(Miss::Full);
        }
        let start = self.find(slices, align_slices, kind, seed).ok_or(Miss::Full)?;
        let now = if let Extent::First(first) = extent { first.min(slices) } else { slices };
        self.make_usable_from(BitRange { start, len: slices }, now)
    }

    /// What it means that memory could not be committed. A program that commits its arena itself speaks for that arena only.
    fn refusal(&self) -> Miss {
        if self.commit_fn().is_some() { Miss::Full } else { Miss::Refused }
    }

    /// Claims exactly these slices, if all of them are free.
    pub fn claim_at(&'static self, range: BitRange) -> Option<Claim> {
        if range.start + range.len > self.slices() || !self.slice_states.free().try_claim(range) {
            return None;
        }
        self.make_usable(range).ok()
    }

    fn find(&self, slices: usize, align: usize, kind: Kind, seed: usize) -> Option<usize> {
        let phase = self.start() as usize / SLICE_BYTES % align;
        let fit = Fit::new(slices).aligned(align, phase);
        if slices > CHUNK_BITS || align > CHUNK_BITS {
            return self.slice_states.free().find_claim_spanning(fit);
        }
        let hint = Hint { chunk: 0, field: seed };
        let first = if kind == Kind::Other { self.hint.first_chunk(slices) } else { 0 };
        let own = |chunk| chunk >= first && self.chunk_kind(chunk) == kind as u8;
        let unused = |chunk| self.chunk_kind(chunk) == KIND_NONE && self.take_chunk(chunk, kind);
        let free = self.slice_states.free();
        let near = free.find_claim(fit, hint, own).or_else(|| free.find_claim(fit, hint, unused));
        if kind == Kind::Other
            && let Some(start) = near
        {
            self.hint.note_found(slices, start / CHUNK_BITS);
        }
        let found = near
            .or_else(|| free.find_claim(fit, hint, |_| true))
            .or_else(|| free.find_claim_spanning(Fit::anywhere(slices).aligned(align, phase)));
        if found.is_none() && align == 1 {
            self.hint.note_full(slices);
        }
        found
    }

    fn chunk_kind(&self, chunk: usize) -> u8 {
        self.chunk_kinds[chunk].load(Ordering::Relaxed)
    }

    fn take_chunk(&self, chunk: usize, kind: Kind) -> bool {
        let slot = &self.chunk_kinds[chunk];
        let taken = slot.compare_exchange(KIND_NONE, kind as u8, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if taken {
            self.usage().stats().chunk_bins[kind.chunk_bin() as usize].increase(1);
        }
        taken
    }

    /// A chunk without any claimed slice may serve any kind again.
    fn give_chunk(&self, chunk: usize) {
        let start = chunk * CHUNK_BITS;
        let len = CHUNK_BITS.min(self.slices() - start);
        if self.slice_states.free().is_all_set(BitRange { start, len }) {
            self.untake_chunk(chunk);
        }
    }

    /// The kind of pages that a chunk is used for; `None` while it is unused.
    #[cfg(test)]
    pub fn kind_of_chunk(&self, chunk: usize) -> Option<Kind> {
        Kind::from_word(self.chunk_kind(chunk))
    }

    fn untake_chunk(&self, chunk: usize) {
        let before = self.chunk_kinds[chunk].swap(KIND_NONE, Ordering::Relaxed);
        if let Some(kind) = Kind::from_word(before) {
            self.usage().stats().chunk_bins[kind.chunk_bin() as usize].decrease(1);
        }
    }

    /// Commits claimed slices and settles their other bits; gives them back if that fails.
    fn make_usable(&'static self, range: BitRange) -> Result<Claim, Miss> {
        self.make_usable_from(range, range.len)
    }

    /// The same, but commits the first `now` slices only. All of them are charged.
    fn make_usable_from(&'static self, range: BitRange, now: usize) -> Result<Claim, Miss> {
        // Those with memory behind them are charged already.
        let uncharged = range.len - self.slice_states.count_purgeable(range);
        if !process_limit::process_limit().try_charge(uncharged) {
            self.untake(range);
            return Err(Miss::Refused);
        }
        let Some(fresh) = self.ensure_committed(BitRange::new(range.start, now)) else {
            process_limit::give_back(uncharged);
            self.untake(range);
            self.usage().stats().arena_rollback_count.increment();
            return Err(self.refusal());
        };
        let Taken { purgeable, clean } = self.slice_states.note_taken(range);
        let committed_zero = fresh == Zero::Zeroed && now == range.len;
        let zero = if clean == range.len || committed_zero { Zero::Zeroed } else { Zero::Any };
        self.usage().note_claimed(range.len, purgeable, clean);
        let claim = Claim { arena: self, range, zero };
        tool_hooks::opened(claim.memory(), range.len * SLICE_BYTES);
        Ok(claim)
    }

    fn untake(&self, range: BitRange) {
        self.slice_states.untake(range);
        self.hint.note_released(range.start / CHUNK_BITS);
    }

    /// Commits slices that the caller has claimed; false if refused.
    pub fn commit(&self, range: BitRange) -> bool {
        self.ensure_committed(range).is_some()
    }

    /// Gives claimed slices back, of which the last `clean` have never been used since they were claimed as zero. Answers how
    /// many of them have memory that may be purged.
    pub(super) fn give_back(&self, range: BitRange, clean: usize) -> usize {
        let purgeable = self.slice_states.give_back(range, clean, self.can_purge());
        for chunk in range.start / CHUNK_BITS..(range.start + range.len).div_ceil(CHUNK_BITS) {
            self.give_chunk(chunk);
        }
        self.hint.note_released(range.start / CHUNK_BITS);
        purgeable
    }
}
