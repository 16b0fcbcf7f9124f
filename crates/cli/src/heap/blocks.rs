//! Which blocks of a page are free: its lists, followed in a copy.

use super::decode::Words;
use crate::process::Piece;

/// Pages whose blocks span no more are read as a whole; of others the first word of each block.
const WHOLE_BYTES: u64 = 64 << 10;

/// What to read of a page to follow its lists.
pub fn pieces(words: &Words) -> Vec<Piece> {
    let bytes = words.capacity() * words.block_bytes;
    if bytes <= WHOLE_BYTES {
        return vec![Piece::new(words.start, bytes as usize)];
    }
    (0..words.capacity()).map(|index| Piece::new(words.start + index * words.block_bytes, 8)).collect()
}

/// The links of a page's blocks.
pub struct Links<'a> {
    words: &'a Words,
    bytes: &'a [u8],
    /// From one block's link to the next one's, in `bytes`.
    step: usize,
}

impl<'a> Links<'a> {
    /// Of what [`pieces`] asked for.
    pub fn new(words: &'a Words, bytes: &'a [u8]) -> Links<'a> {
        let is_whole = words.capacity() * words.block_bytes <= WHOLE_BYTES;
        Links { words, bytes, step: if is_whole { words.block_bytes as usize } else { 8 } }
    }

    fn index_of(&self, block: u64) -> Option<u64> {
        let distance = block.wrapping_sub(self.words.start);
        let index = distance / self.words.block_bytes;
        (distance.is_multiple_of(self.words.block_bytes) && index < self.words.capacity()).then_some(index)
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
    pub fn in_use(&self) -> Option<Vec<u64>> {
        let capacity = self.words.capacity();
        let mut bits = vec![0_u64; capacity.div_ceil(64) as usize];
        (0..capacity).for_each(|index| bits[index as usize / 64] |= 1 << (index % 64));
        let mut free = |index: u64| bits[index as usize / 64] &= !(1 << (index % 64));
        self.walk(self.words.free, capacity, &mut free)?;
        self.walk(self.words.local_free, capacity, &mut free)?;
        if self.words.remote_count() > 0 {
            self.walk(self.words.remote_first(), capacity, &mut free)?;
        }
        Some(bits)
    }

    /// Bytes of whole OS pages that blocks have been made of, and that none in use touches.
    pub fn holes(&self, bits: &[u64], os_page: u64) -> u64 {
        let (start, bytes) = (self.words.start, self.words.block_bytes);
        let end = start + self.words.capacity() * bytes;
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
        holes
    }
}

/// How many bits are set.
pub fn count(bits: &[u64]) -> u64 {
    bits.iter().map(|word| u64::from(word.count_ones())).sum()
}
