//! Which blocks of a page are free: its lists, followed in a copy.

use super::decode::{Layout, Words};
use crate::process::Piece;

/// Bytes of a slice.
const SLICE_BYTES: u64 = 64 << 10;
/// Pages whose blocks span no more are read as a whole; of others the first word of each block.
const WHOLE_BYTES: u64 = 64 << 10;

/// What to read of a page to follow its lists: the words that tell its holes, and its blocks' links.
pub fn pieces(words: &Words, layout: &Layout, entry: u64) -> Vec<Piece> {
    let mut pieces = words.hole_words(layout, entry);
    let bytes = words.linked() * words.block_bytes;
    if bytes <= WHOLE_BYTES {
        pieces.push(Piece::new(words.start, bytes as usize));
    } else {
        pieces.extend((0..words.linked()).map(|index| Piece::new(words.start + index * words.block_bytes, 8)));
    }
    pieces
}

/// The links of a page's blocks.
pub struct Links<'a> {
    words: &'a Words,
    /// A bit for each OS page that has been given back, by slices.
    given_back: Vec<u16>,
    bytes: &'a [u8],
    /// From one block's link to the next one's, in `bytes`.
    step: usize,
}

impl<'a> Links<'a> {
    /// Of what [`pieces`] asked for.
    pub fn new(words: &'a Words, bytes: &'a [u8]) -> Links<'a> {
        let is_whole = words.linked() * words.block_bytes <= WHOLE_BYTES;
        let slices = if words.has_holes { words.slices as usize } else { 0 };
        let (holes, bytes) = bytes.split_at_checked(slices * 8).unwrap_or((&[], bytes));
        let given_back = holes.chunks_exact(8).map(|word| u16::from_ne_bytes([word[0], word[1]])).collect();
        Links { words, given_back, bytes, step: if is_whole { words.block_bytes as usize } else { 8 } }
    }

    /// Whether a part of the block has been given back.
    fn is_withdrawn(&self, index: u64, os_page: u64) -> bool {
        let start = self.words.start % SLICE_BYTES + index * self.words.block_bytes;
        let pages = start / os_page..(start + self.words.block_bytes).div_ceil(os_page);
        let per_slice = SLICE_BYTES / os_page;
        let is_hole = |page: u64| {
            let word = self.given_back.get((page / per_slice) as usize).copied().unwrap_or(0);
            word >> (page % per_slice) & 1 != 0
        };
        !self.given_back.is_empty() && pages.into_iter().any(is_hole)
    }

    fn index_of(&self, block: u64) -> Option<u64> {
        let distance = block.wrapping_sub(self.words.start);
        let index = distance / self.words.block_bytes;
        (distance.is_multiple_of(self.words.block_bytes) && index < self.words.linked()).then_some(index)
    }

    fn next(&self, index: u64) -> u64 {
        let at = index as usize * self.step;
        self.bytes.get(at..at + 8).map_or(0, |link| u64::from_ne_bytes(link.try_into().unwrap_or_default()))
    }

    fn walk(&self, first: u64, most: u64, mut visit: impl FnMut(u64)) -> Option<u64> {
        let (mut block, mut count) = (first, 0);
        while block != 0 {
            let index = self.index_of(block)?;
            if count == most {
                return None;
            }
            visit(index);
            count += 1;
            block = self.next(index);
        }
        Some(count)
    }

    /// A bit for each block in use; `None` if the lists make no sense, as those that change may seem to.
    pub fn in_use(&self, os_page: u64) -> Option<Vec<u64>> {
        let capacity = self.words.linked();
        let mut bits = vec![0_u64; capacity.div_ceil(64) as usize];
        (0..capacity).for_each(|index| bits[index as usize / 64] |= 1 << (index % 64));
        let mut free = |index: u64| bits[index as usize / 64] &= !(1 << (index % 64));
        self.walk(self.words.free, capacity, &mut free)?;
        self.walk(self.words.rest(), capacity, &mut free)?;
        self.walk(self.words.local_free, capacity, &mut free)?;
        if self.words.remote_count() > 0 {
            self.walk(self.words.remote_first(), capacity, &mut free)?;
        }
        (0..capacity).filter(|&index| self.is_withdrawn(index, os_page)).for_each(&mut free);
        Some(bits)
    }

    /// Bytes of whole OS pages that blocks have been made of, that none in use touches, and that are still there.
    pub fn holes(&self, bits: &[u64], os_page: u64) -> u64 {
        let (start, bytes) = (self.words.start, self.words.block_bytes);
        let end = start + self.words.linked() * bytes;
        // Of OS pages, the first that has not been looked at.
        let (mut next, mut holes) = (start.next_multiple_of(os_page), 0);
        let mut gap_to = |until: u64, resume: u64| {
            if until > next {
                holes += (until - next) / os_page * os_page;
            }
            next = next.max(resume.next_multiple_of(os_page));
        };
        for (word, bits) in bits.iter().enumerate() {
            let mut rest = *bits;
            while rest != 0 {
                let block = start + (word as u64 * 64 + u64::from(rest.trailing_zeros())) * bytes;
                gap_to(block, block + bytes);
                rest &= rest - 1;
            }
        }
        gap_to(end, end);
        let gone: u64 = self.given_back.iter().map(|word| u64::from(word.count_ones())).sum();
        holes.saturating_sub(gone * os_page)
    }
}

/// How many bits are set.
pub fn count(bits: &[u64]) -> u64 {
    bits.iter().map(|word| u64::from(word.count_ones())).sum()
}
