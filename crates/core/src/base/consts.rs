//! The sizes everything else is built from, and the relations between them.

/// log2 of a slice.
pub const SLICE_SHIFT: u32 = 16;
/// A slice: the unit in which arenas hand out address space, and its alignment. Bytes.
pub const SLICE_BYTES: usize = 1 << SLICE_SHIFT;

/// A machine word, the smallest block. Bytes.
pub const WORD_BYTES: usize = 8;
/// Requests up to this size are looked up by word size in a table. Bytes.
pub const SMALL_SIZE_MAX: usize = 128 * WORD_BYTES;

/// Pages of small blocks: one slice.
pub const SMALL_PAGE_SLICES: usize = 1;
/// Pages of medium blocks: 512 KiB.
pub const MEDIUM_PAGE_SLICES: usize = 8;
/// Pages of large blocks: 4 MiB.
pub const LARGE_PAGE_SLICES: usize = 64;

/// Every page but a singleton holds at least this many blocks.
pub const MIN_BLOCKS_PER_PAGE: usize = 8;
/// Largest block of a small page. Bytes.
pub const SMALL_BLOCK_MAX: usize = SMALL_PAGE_SLICES * SLICE_BYTES / 16;
/// Largest block of a medium page. Bytes.
pub const MEDIUM_BLOCK_MAX: usize = MEDIUM_PAGE_SLICES * SLICE_BYTES / 32;
/// Largest block that shares a page; anything above is a singleton. Bytes.
pub const LARGE_BLOCK_MAX: usize = LARGE_PAGE_SLICES * SLICE_BYTES / MIN_BLOCKS_PER_PAGE;

/// The largest request that can succeed. Bytes.
pub const MAX_REQUEST: usize = isize::MAX as usize;
/// Largest alignment that a page of its own kind gives for free; above it a block becomes a singleton. Bytes.
pub const MAX_NATURAL_ALIGN: usize = SLICE_BYTES;

/// Metadata kept for a slice (an entry of the page map). Bytes.
pub const ENTRY_BYTES: usize = 128;

/// How much of a page is put on its free list at a time. Bytes.
pub const EXTEND_BYTES: usize = 4096;

const _: () = assert!(SMALL_BLOCK_MAX >= SMALL_SIZE_MAX);
const _: () = assert!(LARGE_PAGE_SLICES <= 64, "a large page is one field of a slice bitmap");
const _: () = assert!(SLICE_BYTES / WORD_BYTES <= u16::MAX as usize, "block counts fit 16 bits");
