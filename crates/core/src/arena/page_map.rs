//! From an address to the metadata of its slice: tables over ranges of addresses.
//!
//! A table has [`ENTRY_BYTES`] per slice of its range, all of it readable. Entries that were never written read as zero,
//! which is a valid entry of "no page here". An address outside of all ranges has no entry. So an address that was never
//! ours is judged by comparing and reading, never by following it, and none shares the entry of another.
//!
//! ```text
//!  addresses   ..........|== arena ==|== arena ==|..|= big block =|...| top ........|= program's memory =|...
//!              <- grows  |<----------- home range ----------------->|              |<---- far range ----->|
//! ```
//!
//! The *home range* is where the first arena lies. The system places mappings below each other, so the range grows
//! downwards, and its table with it: new parts of the table are mapped right below the old ones. `free` looks there with
//! one comparison. What lies elsewhere (above, far below, or where the table can't grow) gets a *far range*, of the same
//! kind, which slow paths look for one by one.
//!
//! A table can only be read until an arena comes to lie in its range, whose entries are then made writable. So the
//! gaps between our mappings cost addresses (a 512th of theirs), and no memory in any accounting.

use core::ptr::{self, NonNull};

use ferrimalloc_prim::mem::{self, Access};

use crate::base::*;
use crate::bitmap::CHUNK_BITS;
use crate::os::{self, PrivateMemory};
use crate::sync::{AtomicBool, AtomicUsize, Lock, Ordering, RangeTable};

/// An entry as this floor sees it: bytes. The page floor lays its `Page` over it.
#[repr(C, align(128))]
pub struct Entry([u8; ENTRY_BYTES]);

#[repr(transparent)]
struct ZeroEntry(core::cell::UnsafeCell<Entry>);
// SAFETY: only ever read through shared references whose types have atomics where that matters.
unsafe impl Sync for ZeroEntry {}

/// Stands in for addresses that have no entry.
static ZERO_ENTRY: ZeroEntry = ZeroEntry(core::cell::UnsafeCell::new(Entry([0; ENTRY_BYTES])));

type Range = RangeTable<Entry, SLICE_SHIFT>;

// The home range.
ferrimalloc_prim::range_table!(mod home: RangeTable<Entry, SLICE_SHIFT>);

/// How many far ranges there can be.
const MAX_FAR: usize = 63;

static FAR: [Range; MAX_FAR] = [const { Range::new() }; MAX_FAR];
/// How many have begun.
static FAR_COUNT: AtomicUsize = AtomicUsize::new(0);
/// How often a region was to be covered.
static REGIONS: AtomicUsize = AtomicUsize::new(0);
/// Held while a range begins or grows.
static GROWING: Lock<()> = Lock::new(());
/// Addresses have at most so many bits; 0: any number.
static MAX_BITS: AtomicUsize = AtomicUsize::new(0);

/// Address space per byte of table.
const RATIO: usize = SLICE_BYTES / ENTRY_BYTES;
/// The smallest limit to addresses that leaves room: 256 MiB.
const LEAST_MAX_BITS: usize = 28;
/// A range grows over a gap of this size, or of its own size, at most: 8 GiB.
const GAP_BYTES: usize = if usize::BITS < 64 { 1 << 30 } else { 8 << 30 };
/// No machine has addresses of programs behind this: 57 bits. Of 32 bits the last 64 MiB are nobody's, so that what a range
/// grows by, up to 32 MiB, never reaches the end of all addresses.
const ADDRESSES_END: usize = if usize::BITS < 64 { usize::MAX - (64 << 20) + 1 } else { 1 << (usize::BITS - 7) };
/// Bytes that a chunk of slices spans: 32 MiB. Large arenas are aligned to it.
pub(super) const CHUNK_BYTES: usize = CHUNK_BITS * SLICE_BYTES;
/// Where mappings go upwards, a range begins with room for so much, whose table takes 32 MiB of addresses; or for so many
/// regions like its first.
const ROOM_UPWARDS_BYTES: usize = if usize::BITS < 64 { 1 << 28 } else { 16 << 30 };
const ROOM_UPWARDS: usize = 64;

/// The entry of the slice that holds `p`, if that is in the home range.
#[inline(always)]
pub fn near_entry(p: *const u8) -> Option<NonNull<Entry>> {
    home::entry(p as usize)
}

/// The entry of the slice that holds `p`; `None` if there is none.
#[inline]
pub fn find(p: *const u8) -> Option<NonNull<Entry>> {
    near_entry(p).or_else(|| find_far(p))
}

/// An entry for `p` to be read: its own, or that of no page.
#[inline]
pub fn entry(p: *const u8) -> *mut Entry {
    find(p).map_or((&raw const ZERO_ENTRY).cast_mut().cast(), NonNull::as_ptr)
}

#[cold]
fn find_far(p: *const u8) -> Option<NonNull<Entry>> {
    far().find_map(|range| range.entry(p as usize))
}

/// Whether there is any range but the home range.
#[inline]
pub fn has_far() -> bool {
    FAR_COUNT.load(Ordering::Relaxed) != 0
}

fn far() -> impl Iterator<Item = &'static Range> {
    // ORDERING: acquire pairs with `begin`: the ranges that are counted have begun.
    FAR[..FAR_COUNT.load(Ordering::Acquire)].iter()
}

fn ranges() -> impl Iterator<Item = &'static Range> {
    core::iter::once(home::words()).chain(far())
}

/// The address of the slice that an entry describes.
#[inline]
pub fn slice_address(entry: *const Entry) -> usize {
    let address = |range: &Range| {
        let behind = (range.end() as usize).wrapping_sub(entry as usize);
        (behind.wrapping_sub(1) < range.bytes() / RATIO).then(|| range.top().wrapping_sub(behind * RATIO))
    };
    address(home::words()).or_else(|| far().find_map(address)).unwrap_or(0)
}

/// Sets how many bits addresses may have (0: any number), before anything is mapped.
pub fn limit_bits(bits: u32) {
    let bits = if bits == 0 { 0 } else { (bits as usize).max(LEAST_MAX_BITS) };
    MAX_BITS.store(bits, Ordering::Relaxed);
}

/// Addresses may be below this, by choice; 0: there is no choice.
fn address_limit() -> usize {
    match MAX_BITS.load(Ordering::Relaxed) as u32 {
        0 => 0,
        bits => 1usize.checked_shl(bits).unwrap_or(0),
    }
}

/// Whether a region of `bytes` from `start` lies where addresses may lie, and is not cut by the top of a range.
pub fn admits(start: usize, bytes: usize) -> bool {
    let Some(end) = start.checked_add(bytes) else { return false };
    let limit = match address_limit() {
        0 => ADDRESSES_END,
        limit => limit,
    };
    end <= limit && !ranges().any(|range| start < range.top() && range.top() < end)
}

/// Addresses to try for a region of `bytes` when the system's own choice is not admitted.
pub fn hints(bytes: usize) -> impl Iterator<Item = usize> {
    let limit = address_limit();
    let step = bytes.max(limit / 32).max(1);
    // Below the home range, unless that is too far down; with a limit, from the bottom up, but for the lowest addresses, which
    // are left to programs that are linked to them; above a range, aligned as arenas are.
    let below_home = lowest(home::words()).checked_sub(bytes).map(|start| align_down(start, SLICE_BYTES));
    let above = ranges().filter_map(|range| range.top().checked_next_multiple_of(CHUNK_BYTES));
    let limited = (1..limit / step).map(move |place| place * step);
    below_home.into_iter().filter(|&start| start > 0).chain(limited).chain(above)
}

/// Held over `fork`.
pub fn lock() -> &'static Lock<()> {
    &GROWING
}

/// How many regions have come so far, or were about to. Addresses become ours only with one more, which is counted
/// before anybody has a block there.
#[inline]
pub fn regions_so_far() -> usize {
    REGIONS.load(Ordering::Relaxed)
}

/// Gives every slice of a region a writable entry; false if the system refuses.
pub fn cover(start: *const u8, bytes: usize) -> bool {
    let _alone = GROWING.lock();
    REGIONS.fetch_add(1, Ordering::Relaxed);
    let region = Span { start: start as usize, end: (start as usize).saturating_add(bytes) };
    ranges()
        .find(|range| region.is_in(range))
        .or_else(|| ranges().find(|range| region.is_right_below(range) && grow(range, region)))
        .or_else(|| begin(region))
        .is_some_and(|range| open(range, region))
}

/// Where the table of the home range, the other ranges and their count lie, for a reader in another process.
pub fn places() -> [*const (); 3] {
    [ptr::from_ref(home::words()).cast(), (&raw const FAR).cast(), (&raw const FAR_COUNT).cast()]
}

/// Where a range's top, its table's end and the complement of its length lie.
pub const RANGE_WORDS_AT: [u32; 3] = Range::WORDS_AT;
/// From one range to the next.
pub const RANGE_BYTES: usize = size_of::<Range>();

/// Addresses of a region.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    fn bytes(self) -> usize {
        self.end - self.start
    }

    fn is_in(self, range: &Range) -> bool {
        range.bytes() > 0 && self.start >= lowest(range) && self.end <= range.top()
    }

    /// Whether the range may grow to have it.
    fn is_right_below(self, range: &Range) -> bool {
        let is_below = range.bytes() > 0 && self.start < lowest(range) && self.end <= range.top();
        is_below && lowest(range).saturating_sub(self.end) <= range.bytes().max(GAP_BYTES)
    }
}

fn lowest(range: &Range) -> usize {
    range.top() - range.bytes()
}

/// Whether no range has any of these addresses: an address must not have two entries.
fn is_unclaimed(span: Span) -> bool {
    ranges().all(|range| range.bytes() == 0 || span.end <= lowest(range) || range.top() <= span.start)
}

/// Ranges grow by multiples of this: what a table's smallest part that can be mapped describes.
fn granule() -> usize {
    os::map_unit_bytes() * RATIO
}

/// Lets a range grow until it has `region`, and some more if that can be had.
fn grow(range: &Range, region: Span) -> bool {
    let spare = region.bytes().max(range.bytes() / 8);
    [spare, 0].into_iter().any(|spare| {
        let start = align_down(region.start.saturating_sub(spare), granule()).max(granule());
        grow_to(range, start.min(align_down(region.start, granule())))
    })
}

fn grow_to(range: &Range, start: usize) -> bool {
    if !is_unclaimed(Span { start, end: lowest(range) }) {
        return false;
    }
    let bytes = (lowest(range) - start) / RATIO;
    let table = (range.end() as usize).wrapping_sub(range.bytes() / RATIO).wrapping_sub(bytes);
    let Some(part) = os::reserve_exactly(table, bytes, Access::Read) else { return false };
    advise(part);
    range.grow(range.top() - start);
    true
}

/// Begins a range with `region`: the home range, if there is none yet, else another.
fn begin(region: Span) -> Option<&'static Range> {
    let count = FAR_COUNT.load(Ordering::Relaxed);
    let is_first = home::words().bytes() == 0;
    let range = if is_first { home::words() } else { FAR.get(count)? };
    if !begin_with_room(range, region) {
        return None;
    }
    if !is_first {
        // ORDERING: release pairs with `far`: who sees the count sees the range.
        FAR_COUNT.store(count + 1, Ordering::Release);
    }
    Some(range)
}

/// With room above for what the system may place there, if so much can be had.
fn begin_with_room(range: &Range, region: Span) -> bool {
    let start = align_down(region.start, granule());
    let highest = align_down(usize::MAX, granule());
    let top = |room: usize| align_up(region.end.saturating_add(room), granule()).unwrap_or(highest).min(highest);
    rooms_above(region).any(|room| begin_at(range, start, top(room)))
}

/// How much room to try for above a first region. Where the system places downwards, there is none: what is above is mapped
/// already, and a region that the program hands over later must not be cut.
fn rooms_above(first: Span) -> impl Iterator<Item = usize> {
    let places_downwards = first.start >> (mem::config().va_bits - 1) != 0;
    let is_limited = mem::config().address_limit_bytes != usize::MAX;
    let much = (!places_downwards && !is_limited).then_some(ROOM_UPWARDS_BYTES);
    let some = (!places_downwards).then(|| first.bytes().saturating_mul(ROOM_UPWARDS));
    much.into_iter().chain(some).chain([0])
}

/// A table up to this size may be in core files.
const DUMPED_BYTES: usize = 1 << 20;
/// Whether a part of a table is kept out of them.
static IS_LEFT_OUT: AtomicBool = AtomicBool::new(false);

/// The table goes to half the address of what it describes: far from where the system places mappings, so that it can
/// grow, and as hard to guess.
fn begin_at(range: &Range, start: usize, top: usize) -> bool {
    if !is_unclaimed(Span { start, end: top }) {
        return false;
    }
    let bytes = (top - start) / RATIO;
    let hint = align_down(start / 2, os::map_unit_bytes());
    let Some(table) = os::reserve_near(hint, bytes, Access::Read) else { return false };
    advise(table);
    range.begin(top, table.region().start.wrapping_add(bytes).cast(), top - start);
    true
}

/// A core file must not hold a large table, and a touched entry must not cost a huge page.
fn advise(table: PrivateMemory) {
    if table.leave_out_above(DUMPED_BYTES).is_left_out() {
        IS_LEFT_OUT.store(true, Ordering::Relaxed);
    }
    table.refuse_huge_at_first();
}

/// Makes a region's entries writable.
fn open(range: &Range, region: Span) -> bool {
    let table = |address: usize| (range.end() as usize).wrapping_sub((range.top() - address) / RATIO);
    let os_page = mem::config().os_page_bytes;
    let from = align_down(table(region.start), os_page);
    let end = table(region.end.next_multiple_of(SLICE_BYTES)).next_multiple_of(os_page);
    let part = range.end().cast::<u8>().with_addr(from);
    // SAFETY: a part of the table, which is whole OS pages; its contents stay.
    let is_open = unsafe { mem::protect(part, end - from, Access::ReadWrite).is_ok() };
    if is_open && IS_LEFT_OUT.load(Ordering::Relaxed) {
        // SAFETY: the same. A core file can be read as a heap only with its pages' descriptions (`advise`).
        unsafe { mem::dump(part, end - from) };
    }
    is_open
}

/// Has the system back the entries of `bytes` from `start` on, which are ours, with memory now.
pub fn populate(start: *const u8, bytes: usize) {
    let (first, os_page) = (entry(start).cast::<u8>(), mem::config().os_page_bytes);
    let from = align_down(first.addr(), os_page);
    let end = (first.addr() + bytes / SLICE_BYTES * ENTRY_BYTES).next_multiple_of(os_page);
    // SAFETY: OS pages of a table, which `open` has opened with the entries, and keep what they hold.
    unsafe { mem::populate(first.with_addr(from), end - from) };
}
