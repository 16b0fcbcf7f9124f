//! From an address to the metadata of its slice: one flat table over the address space.
//!
//! The table has [`ENTRY_BYTES`] per slice and is reserved whole, 256 GiB of addresses on a 47-bit machine; only
//! entries that were touched take memory. Untouched ones read as zero, which is a valid entry of "no page here", so
//! an address that was never ours is judged by reading, never by following it.
//!
//! Under strict accounting a writable table would be charged for whole. There it can only be read, but for the entries of
//! what is ours: they are made writable before anything is written there.
//!
//! Where so much address space can't be had (a limit, valgrind, 32 bits), the table covers a
//! smaller aligned *window* and all arenas are kept inside it: `mask` drops the address bits above it.
//!
//! Before initialisation the table is a single zero entry and the mask 0, so that a `free` before the first `malloc`
//! works.

use ferrimalloc_prim::mem::{self, Access, Thp};

use crate::base::*;
use crate::sync::{AtomicBool, AtomicUsize, MaskedTable, Ordering};

/// An entry as this floor sees it: bytes. The page floor lays its `Page` over it.
#[repr(C, align(128))]
pub struct Entry([u8; ENTRY_BYTES]);

struct PageMap {
    /// Where the window starts: 0 while it covers all addresses, or is not placed yet.
    window: AtomicUsize,
    /// Where to look next for address space inside a small window.
    hint: AtomicUsize,
    /// The window starts at address 0, because addresses were asked for to have so many bits.
    is_low: AtomicBool,
}

#[repr(transparent)]
struct ZeroEntry(core::cell::UnsafeCell<Entry>);
// SAFETY: only ever read through shared references whose types have atomics where that matters.
unsafe impl Sync for ZeroEntry {}

static ZERO_ENTRY: ZeroEntry = ZeroEntry(core::cell::UnsafeCell::new(Entry([0; ENTRY_BYTES])));

// The table. Its mask has the byte offsets that addresses can have: all bits of a multiple of the entry's size.
ferrimalloc_prim::masked_table!(mod page_map_table: MaskedTable<Entry>, init = ZERO_ENTRY);

static MAP: PageMap =
    PageMap { window: AtomicUsize::new(0), hint: AtomicUsize::new(0), is_low: AtomicBool::new(false) };

/// log2 of a slice's bytes per byte of its entry.
const SHIFT: u32 = SLICE_SHIFT - ENTRY_BYTES.ilog2();
/// The smallest window worth having: 256 MiB.
const MIN_WINDOW_BITS: u32 = 28;

/// The entry of the slice that holds `p`; readable for every `p`.
#[inline(always)]
pub fn entry(p: *const u8) -> *mut Entry {
    page_map_table::entry(p as usize >> SHIFT)
}

/// The address of the slice that an entry describes.
#[inline]
pub fn slice_address(entry: *const Entry) -> usize {
    let offset = entry as usize - page_map_table::words().table() as usize;
    (offset << SHIFT) + MAP.window.load(Ordering::Relaxed)
}

/// Bytes of address space that the table covers.
pub fn window_bytes() -> usize {
    match page_map_table::words().mask() {
        0 => 0,
        mask => (mask + ENTRY_BYTES) << SHIFT,
    }
}

fn covers_all() -> bool {
    window_bytes().checked_ilog2() >= Some(mem::config().va_bits)
}

/// Whether `p` has an entry of its own.
#[inline]
pub fn covers(p: *const u8) -> bool {
    (p as usize).wrapping_sub(MAP.window.load(Ordering::Relaxed)) < window_bytes()
}

/// Whether `bytes` from `start` have entries. The first region asked for places a small window.
pub fn admits(start: usize, bytes: usize) -> bool {
    if bytes > window_bytes() {
        return false;
    }
    if !covers_all() {
        place_window(start);
    }
    let window = MAP.window.load(Ordering::Relaxed);
    start >= window && start - window <= window_bytes() - bytes
}

fn place_window(start: usize) {
    if MAP.is_low.load(Ordering::Relaxed) {
        return;
    }
    let window = align_down(start, window_bytes());
    let placed = MAP.window.compare_exchange(0, window, Ordering::Relaxed, Ordering::Relaxed);
    if placed.is_ok() {
        MAP.hint.store(window, Ordering::Relaxed);
    }
}

/// Addresses to try for a region of `bytes` when the system's own choice was outside of the window.
pub fn hints(bytes: usize) -> impl Iterator<Item = usize> {
    let first = MAP.hint.load(Ordering::Relaxed);
    let step = bytes.max(window_bytes() / 32);
    let places = if first == 0 { 0 } else { window_bytes() / step.max(1) };
    // The lowest addresses are left to programs that are linked to them.
    let lowest = usize::from(MAP.is_low.load(Ordering::Relaxed));
    (lowest..places).map(move |place| {
        let hint = MAP.window.load(Ordering::Relaxed) + place * step;
        hint.max(SLICE_BYTES)
    })
}

/// Whether the table has been reserved.
pub fn is_ready() -> bool {
    window_bytes() > 0
}

/// Reserves the table. `max_bits` (0: none) limits the window to that many address bits, and addresses with it. False if not even a small
/// window can be had. Called until it succeeds, by one thread at a time, before any arena exists.
pub fn init(max_bits: u32) -> bool {
    let bits = first_window_bits(max_bits);
    if max_bits > 0 {
        MAP.is_low.store(true, Ordering::Relaxed);
        MAP.hint.store(SLICE_BYTES, Ordering::Relaxed);
    }
    (MIN_WINDOW_BITS.min(bits)..=bits).rev().any(try_init)
}

/// Makes the entries of `bytes` from `start` on writable, where the table is not from the start; false if refused.
pub fn open(start: *const u8, bytes: usize) -> bool {
    mem::config().overcommits || open_strictly(start, bytes)
}

#[cold]
fn open_strictly(start: *const u8, bytes: usize) -> bool {
    let os_page = mem::config().os_page_bytes;
    let first = entry(start).cast::<u8>();
    let from = align_down(first as usize, os_page);
    let end = (first as usize + bytes.div_ceil(SLICE_BYTES) * ENTRY_BYTES).next_multiple_of(os_page);
    // SAFETY: a part of the table; its contents stay.
    unsafe { mem::protect(first.with_addr(from), end - from, Access::ReadWrite).is_ok() }
}

/// Has the system back the entries of `bytes` from `start` on, which are ours, with memory now.
pub fn populate(start: *const u8, bytes: usize) {
    let entries = bytes / SLICE_BYTES * ENTRY_BYTES;
    // SAFETY: the entries are part of the table, and keep what they hold.
    unsafe { mem::populate(entry(start).cast(), entries) };
}

/// As many bits as addresses have, unless limits make the table's own size matter: then the window is several times
/// what the limit allows to be used.
fn first_window_bits(max_bits: u32) -> u32 {
    let config = mem::config();
    let limit = config.address_limit_bytes;
    let by_limit = if limit == usize::MAX { u32::MAX } else { limit.ilog2() + 3 };
    let by_build = BUILD.max_window_bits.unwrap_or(u32::MAX);
    let by_option = if max_bits == 0 { u32::MAX } else { max_bits };
    config.va_bits.min(by_build).min(by_limit).min(by_option).max(MIN_WINDOW_BITS)
}

fn try_init(bits: u32) -> bool {
    let bytes = 1usize << (bits - SHIFT);
    let access = if mem::config().overcommits { Access::ReadWrite } else { Access::Read };
    let Ok(table) = mem::map(0, bytes, access) else { return false };
    // SAFETY: the table was just mapped. Both are advice: a core file must not hold the table, and a touched entry
    // must not cost a huge page.
    unsafe {
        mem::dont_dump(table, bytes);
        let _ = mem::thp(table, bytes, Thp::Refuse);
    }
    page_map_table::words().replace(table.cast(), bytes - ENTRY_BYTES);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_option_and_stays_useful() {
        assert_eq!(first_window_bits(36), 36);
        assert_eq!(first_window_bits(1), MIN_WINDOW_BITS);
        assert!(first_window_bits(0) >= MIN_WINDOW_BITS);
    }
}
