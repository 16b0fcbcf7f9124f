//! The bitmap itself: storage, changes of ranges, and the two lock-free protocols.
//!
//! **Claiming.** A claim turns an all-set range into a clear one, or changes nothing in the end. Inside one field it is
//! one compare-and-swap. A longer one goes through its fields upwards; at the first that is not all set it gives back
//! (sets) those it has taken.
//!
//! 1. A bit goes from set to clear in exactly one compare-and-swap or fetch-and, so at most one claimer wins it.
//! 2. A claimer gives back exactly the bits that it won, and nobody else can set them meanwhile (setting belongs to those
//!    who own a bit, see 3). So no bit gets lost and none is doubled.
//! 3. Users set only bits that they own: whoever claimed or cleared a bit is the one who sets it.
//! 4. While a claim that will fail is under way, its bits look clear. Others may miss them, but only if the failing claim
//!    met a change by a third party: all claims go upwards, so among those that overlap somebody gets through.
//!
//! **The chunk map.** A chunk's map bit may be set without need, but must not stay clear while the chunk holds a set bit.
//!
//! 5. Whoever changes a field from zero to non-zero marks the chunk *afterwards*.
//! 6. Whoever unmarks a chunk looks at its fields *afterwards*, and marks it again unless all are zero.
//!
//! Why this is enough: let a field be non-zero since the change S, which was from zero. S's thread then marks (M). If an
//! unmarking U comes before M in the order of the map's word, M undoes it. If it comes after, U has acquired from M, its
//! second look sees S or a later value of that field, hence not zero, and marks again. So once all calls have
//! returned, every set bit is under a set map bit; until then somebody is about to see to it. Only a change from
//! zero must mark: an ordinary set costs one atomic operation.

use super::field::{self, FIELD_BITS, SetBits};
use super::range::{BitRange, Piece};
use crate::sync::{self, AtomicU64, Ordering, UNDER_LOOM};
use core::mem::size_of;
use core::slice;

/// Fields in a chunk: a cache line's worth; two are enough for the model checker.
pub const CHUNK_FIELDS: usize = if UNDER_LOOM { 2 } else { 8 };

/// Bits in a chunk, the longest run that [`Bitmap::find_claim`] finds.
pub const CHUNK_BITS: usize = CHUNK_FIELDS * FIELD_BITS;

/// The largest bitmap: 256 GiB of slices.
pub const MAX_BITS: usize = 1 << 22;

/// Memory for bitmaps comes in units of this, so that none shares a cache line with another.
const ALIGN_BYTES: usize = 64;

/// A cache line of bits.
#[repr(C, align(64))]
struct Chunk {
    fields: [AtomicU64; CHUNK_FIELDS],
}

const _: () = assert!(UNDER_LOOM || size_of::<Chunk>() == ALIGN_BYTES);

/// A slice is its address, then its length: [`Bitmap::FIELDS_AT`] relies on it.
const _: () = {
    #[repr(C)]
    struct Words {
        _address: *const Chunk,
        len: usize,
    }
    // SAFETY: a slice is two words; which of them is the length is what is looked at.
    let words: Words = unsafe { core::mem::transmute::<&'static [Chunk], Words>(&[]) };
    assert!(words.len == 0);
};

/// A bitmap in somebody's memory: a handle of a few words, to be kept with what it describes.
///
/// All operations may be called by any thread at any time. Ranges must lie within the bitmap; one that does not fit the
/// memory is a bug of the caller and panics.
pub struct Bitmap {
    chunks: &'static [Chunk],
    map: ChunkMap,
    bits: usize,
}

impl Bitmap {
    /// Where the address of the first field lies. It is the first word of the slice of chunks.
    pub const FIELDS_AT: usize = core::mem::offset_of!(Bitmap, chunks);

    /// Bytes of memory for `bits` bits, a multiple of 64; about 1/8 byte per bit.
    pub const fn layout_bytes(bits: usize) -> usize {
        let bytes = chunks_for(bits) * size_of::<Chunk>() + map_words_for(bits) * size_of::<AtomicU64>();
        bytes.next_multiple_of(ALIGN_BYTES)
    }

    /// A bitmap with all `bits` bits clear, in zeroed memory. Touches none of it.
    ///
    /// # Safety
    /// `mem` must be aligned to 64 bytes, zeroed, and valid for [`layout_bytes(bits)`](Self::layout_bytes) bytes, which
    /// belong to the bitmap as long as anybody uses it.
    pub unsafe fn init_at(mem: *mut u8, bits: usize) -> Self {
        debug_assert!(bits <= MAX_BITS && mem.addr().is_multiple_of(ALIGN_BYTES));
        let (chunks, words) = (chunks_for(bits), map_words_for(bits));
        let first_chunk = mem.cast::<Chunk>();
        let first_word = first_chunk.wrapping_add(chunks).cast::<AtomicU64>();
        for chunk in 0..chunks {
            // SAFETY: the chunks lie at the memory's beginning, aligned, zeroed and ours.
            unsafe { sync::adopt_zeroed(first_chunk.add(chunk).cast(), CHUNK_FIELDS, || AtomicU64::new(0)) };
        }
        // SAFETY: the map's words lie right behind the chunks.
        unsafe { sync::adopt_zeroed(first_word, words, || AtomicU64::new(0)) };
        // SAFETY: both slices are now atomics, inside memory that stays ours by the caller's promise.
        let (chunks, words) =
            unsafe { (slice::from_raw_parts(first_chunk, chunks), slice::from_raw_parts(first_word, words)) };
        Bitmap { chunks, map: ChunkMap { words }, bits }
    }

    /// How many bits it has.
    #[inline]
    pub const fn bits(&self) -> usize {
        self.bits
    }

    /// How many chunks it has; the last may be partial.
    #[inline]
    pub const fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    /// The bits of a chunk.
    #[inline]
    pub fn chunk_range(&self, chunk: usize) -> BitRange {
        BitRange::new(chunk * CHUNK_BITS, CHUNK_BITS).intersect(self.all())
    }

    /// All bits.
    #[inline]
    pub const fn all(&self) -> BitRange {
        BitRange::new(0, self.bits)
    }

    /// Sets all bits of the range and returns how many were clear. A release: claimers see what was written before.
    pub fn set(&self, range: BitRange) -> usize {
        self.pieces(range).map(|piece| self.set_piece(piece)).sum()
    }

    /// Sets all bits of the range in a bitmap that nobody else knows yet: plain stores, which whoever tells others of the
    /// bitmap publishes.
    pub fn set_unshared(&self, range: BitRange) {
        for piece in self.pieces(range) {
            let field = self.field(piece.field);
            field.store(field.load(Ordering::Relaxed) | piece.mask, Ordering::Relaxed);
        }
        self.map.mark_unshared(BitRange::between(range.start / CHUNK_BITS, range.end().div_ceil(CHUNK_BITS)));
    }

    /// Clears all bits of the range and returns how many were set. An acquire.
    pub fn clear(&self, range: BitRange) -> usize {
        self.pieces(range).map(|piece| self.clear_piece(piece)).sum()
    }

    /// Takes the whole range if all of it is set, else changes nothing in the end. An acquire. One compare-and-swap per
    /// field.
    pub fn try_claim(&self, range: BitRange) -> bool {
        for piece in self.pieces(range) {
            if !self.claim_piece(piece) {
                self.set(BitRange::between(range.start, piece.start()));
                return false;
            }
        }
        true
    }

    /// Whether every bit of the range is set. An acquire.
    pub fn is_all_set(&self, range: BitRange) -> bool {
        self.pieces(range).all(|piece| self.load(piece.field) & piece.mask == piece.mask)
    }

    /// Whether every bit of the range is clear. An acquire.
    pub fn is_all_clear(&self, range: BitRange) -> bool {
        self.pieces(range).all(|piece| self.load(piece.field) & piece.mask == 0)
    }

    /// How many bits of the range are set. A snapshot per field.
    pub fn count_set(&self, range: BitRange) -> usize {
        self.pieces(range).map(|piece| (self.load(piece.field) & piece.mask).count_ones() as usize).sum()
    }

    /// Sets one bit; true if it was clear.
    #[inline]
    pub fn set_one(&self, index: usize) -> bool {
        self.set(BitRange::one(index)) == 1
    }

    /// Clears one bit; true if it was set.
    #[inline]
    pub fn clear_one(&self, index: usize) -> bool {
        self.clear(BitRange::one(index)) == 1
    }

    /// Whether one bit is set.
    #[inline]
    pub fn is_set(&self, index: usize) -> bool {
        self.is_all_set(BitRange::one(index))
    }

    /// Unmarks a chunk in which no set bit is to be seen, so that searches pass it by.
    pub(super) fn retire_if_empty(&self, chunk: usize) {
        if self.seems_empty(chunk) {
            self.map.unmark(chunk);
            // Invariant 6: a set that did not see the bit cleared must be seen here.
            if !self.seems_empty(chunk) {
                self.map.mark(chunk);
            }
        }
    }

    /// The chunks among `chunks` that may hold set bits.
    pub(super) fn marked(&self, chunks: BitRange) -> impl DoubleEndedIterator<Item = usize> {
        self.map.marked(chunks)
    }

    /// The lowest set bit of the range.
    pub(super) fn first_set(&self, range: BitRange) -> Option<usize> {
        self.pieces(range).find_map(|piece| in_piece(field::lowest(self.load(piece.field) & piece.mask), piece))
    }

    /// The lowest clear bit of the range.
    pub(super) fn first_clear(&self, range: BitRange) -> Option<usize> {
        self.pieces(range).find_map(|piece| in_piece(field::lowest(!self.load(piece.field) & piece.mask), piece))
    }

    /// The highest set bit of the range.
    pub(super) fn last_set(&self, range: BitRange) -> Option<usize> {
        self.pieces(range).rev().find_map(|piece| in_piece(field::highest(self.load(piece.field) & piece.mask), piece))
    }

    /// The highest clear bit of the range.
    pub(super) fn last_clear(&self, range: BitRange) -> Option<usize> {
        self.pieces(range).rev().find_map(|piece| in_piece(field::highest(!self.load(piece.field) & piece.mask), piece))
    }

    /// A field's present value.
    #[inline]
    pub(super) fn load(&self, field: usize) -> u64 {
        // ORDERING: acquire pairs with the release of a set, for those who ask whether a bit is set and then rely on it.
        self.field(field).load(Ordering::Acquire)
    }

    fn set_piece(&self, piece: Piece) -> usize {
        // ORDERING: release publishes what the caller did to the slice; pairs with the acquire of the next claim.
        let old = self.field(piece.field).fetch_or(piece.mask, Ordering::Release);
        if old == 0 {
            self.map.mark(piece.field / CHUNK_FIELDS);
        }
        (piece.mask & !old).count_ones() as usize
    }

    fn clear_piece(&self, piece: Piece) -> usize {
        // ORDERING: acquire pairs with the release of the sets, whose bits are taken over here.
        let old = self.field(piece.field).fetch_and(!piece.mask, Ordering::Acquire);
        (piece.mask & old).count_ones() as usize
    }

    fn claim_piece(&self, piece: Piece) -> bool {
        let taken = |now: u64| (now & piece.mask == piece.mask).then_some(now & !piece.mask);
        // ORDERING: acquire pairs with the release of the sets, whose bits are taken over here; a failure takes nothing.
        self.field(piece.field).fetch_update(Ordering::Acquire, Ordering::Relaxed, taken).is_ok()
    }

    fn seems_empty(&self, chunk: usize) -> bool {
        self.chunks[chunk].fields.iter().all(|field| field.load(Ordering::Relaxed) == 0)
    }

    #[inline]
    fn field(&self, index: usize) -> &AtomicU64 {
        &self.chunks[index / CHUNK_FIELDS].fields[index % CHUNK_FIELDS]
    }

    #[inline]
    fn pieces(&self, range: BitRange) -> impl DoubleEndedIterator<Item = Piece> + use<> {
        debug_assert!(range.end() <= self.bits);
        range.pieces()
    }
}

/// The index of a bit found in a piece's field.
#[inline]
fn in_piece(bit: Option<usize>, piece: Piece) -> Option<usize> {
    bit.map(|bit| piece.base() + bit)
}

const fn chunks_for(bits: usize) -> usize {
    bits.div_ceil(CHUNK_BITS)
}

const fn map_words_for(bits: usize) -> usize {
    chunks_for(bits).div_ceil(FIELD_BITS)
}

/// The chunk map: one bit per chunk, set if the chunk may hold a set bit. Its words are borrowed from the bitmap's memory.
#[derive(Clone, Copy)]
pub struct ChunkMap {
    words: &'static [AtomicU64],
}

impl ChunkMap {
    /// Says that `chunk` may hold a set bit.
    fn mark(&self, chunk: usize) {
        // ORDERING: release publishes the bit that was set in the chunk; pairs with the acquire in `unmark`.
        self.words[chunk / FIELD_BITS].fetch_or(bit(chunk), Ordering::Release);
    }

    /// Marks chunks in a map that nobody else knows yet.
    fn mark_unshared(&self, chunks: BitRange) {
        for piece in chunks.pieces() {
            let word = &self.words[piece.field];
            word.store(word.load(Ordering::Relaxed) | piece.mask, Ordering::Relaxed);
        }
    }

    /// Says that `chunk` holds none. The caller looks again afterwards.
    fn unmark(&self, chunk: usize) {
        // ORDERING: acquire pairs with the release of every `mark` before this in the word's order (all changes of the
        // word are read-modify-writes, so the release sequence is unbroken): the second look sees what they published.
        self.words[chunk / FIELD_BITS].fetch_and(!bit(chunk), Ordering::Acquire);
    }

    /// The marked ones among `chunks`, in either direction. Each word is read once, when it is reached.
    fn marked(self, chunks: BitRange) -> impl DoubleEndedIterator<Item = usize> {
        chunks.pieces().flat_map(move |piece| {
            let word = self.words[piece.field].load(Ordering::Relaxed);
            SetBits(word & piece.mask).map(move |bit| piece.base() + bit)
        })
    }
}

/// A chunk's place in its word of the map.
const fn bit(chunk: usize) -> u64 {
    1 << (chunk % FIELD_BITS)
}
