//! Which of the looks at a page of large blocks are left out (`early` looks).
//!
//! The page has no room for that; its first stub has. A file of its own, since the lists use it, too: who adopts what others have freed
//! doesn't know how little is in use, and leaves no look out.

use super::owned::Owned;
use crate::sync::{AtomicU16, Relaxed};

/// What is known of the next looks at a page.
#[derive(Clone, Copy)]
pub(super) struct Looks {
    /// So many are left out, at most 255.
    pub left_out: u16,
    /// How often in a row the memory was kept that could have gone, at most 255.
    pub kept: u16,
}

impl Looks {
    pub const ALL: Looks = Looks { left_out: 0, kept: 0 };

    fn of_word(word: u16) -> Looks {
        Looks { left_out: word & 0xFF, kept: word >> 8 }
    }

    fn word(self) -> u16 {
        self.left_out.min(0xFF) | self.kept << 8
    }
}

impl Owned {
    /// No look is left out: blocks have been freed by others than the owner.
    #[inline]
    pub(super) fn look_soon(&self) {
        if let Some(word) = self.looks_word() {
            word.set(Looks { left_out: 0, ..Looks::of_word(word.get()) }.word());
        }
    }

    /// No look is left out, and nothing is known.
    pub(super) fn begin_looks(&self) {
        self.set_looks(Looks::ALL);
    }

    pub(super) fn looks(&self) -> Looks {
        self.looks_word().map_or(Looks::ALL, |word| Looks::of_word(word.get()))
    }

    pub(super) fn set_looks(&self, looks: Looks) {
        if let Some(word) = self.looks_word() {
            word.set(looks.word());
        }
    }

    fn looks_word(&self) -> Option<&AtomicU16> {
        let has_looks = self.has_large_blocks() && self.slices() > 1 && !self.is_singleton();
        has_looks.then(|| &self.slice_entry(1).reserved)
    }
}
