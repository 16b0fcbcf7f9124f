//! Making a heap's pages, releasing them, and what becomes of a page that a free has claimed.

use ferrimalloc_prim::mem::{self, Access};
use ferrimalloc_prim::trace;

use super::color::color;
use super::guard;
use super::heap::{Heap, Subproc};
use super::laying::{rest, retire_samples};
use super::page_heap::{heap_of_page, hint_of};
use super::resting::Resting;
use crate::arena::{ArenaSet, Claim, Extent, Kind, Reserve, Want, page_map, process_limit};
use crate::base::*;
use crate::bitmap::BitRange;
use crate::diag::ErrorKind;
use crate::options::{self, OptionId};
use crate::os::{self, tool_hooks};
use crate::page::{Flag, Origin, Owned, OwnedPage, Placement, Threshold, layout_of_samples};
use crate::sync::pin;

/// A block that gets a page of its own.
#[derive(Clone, Copy)]
pub struct SingleRequest {
    /// Size of the block, a multiple of the OS page size.
    pub bytes: usize,
    /// `(block + offset)` is a multiple of this power of two.
    pub align: usize,
    /// Bytes; 0 unless the alignment is at an offset.
    pub offset: usize,
    /// Address space wanted in front of the block: a multiple of the alignment. Bytes.
    pub front_bytes: usize,
    /// Address space wanted behind the block, to grow into. Bytes.
    pub spare_bytes: usize,
    /// Whether zeros are wanted. Large used memory is then dropped, which is cheaper than clearing it;
    /// [`Flag::FreshIsZero`] tells whether the page reads as zero.
    pub zero: Zero,
}

impl SingleRequest {
    /// How far behind a multiple of the alignment the block must start.
    fn shift(&self) -> usize {
        self.front_bytes + (self.align - self.offset % self.align) % self.align
    }

    fn slices(&self) -> Option<usize> {
        let bytes = self.bytes.checked_add(self.shift())?.checked_add(self.spare_bytes)?;
        Some(bytes.checked_add(SLICE_BYTES - 1)? / SLICE_BYTES)
    }

    /// Those that the block needs.
    fn used_slices(&self) -> usize {
        (self.bytes + self.shift()).div_ceil(SLICE_BYTES)
    }

    fn align_slices(&self) -> usize {
        (self.align / SLICE_BYTES).max(1)
    }
}

/// Memory for a page, wherever from.
struct Memory {
    origin: Origin,
    start: *mut u8,
    zero: Zero,
}

impl From<Claim> for Memory {
    fn from(claim: Claim) -> Memory {
        Memory { origin: Origin::Arena(claim.arena), start: claim.memory(), zero: claim.zero }
    }
}

/// Who makes a page.
#[derive(Clone, Copy)]
pub struct Maker {
    /// The thread.
    pub tid: usize,
    /// The handle of its theap.
    pub theap: *const (),
    /// Where its searches of arenas begin.
    pub seed: usize,
}

/// How many blocks of a page's class its thread is known to want.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Demand {
    /// A few: it has no page of the class.
    Few,
    /// Many: it has a page of the class, or they are to rest before they are used again.
    Many,
}

impl Heap {
    /// A new page for blocks of class `bin`, owned by thread `tid`; `None` without memory.
    pub fn fresh_page(
        &'static self,
        (bin, demand): (Bin, Demand),
        tid: usize,
        theap: *const (),
        seed: usize,
        reserve: Reserve,
    ) -> Option<OwnedPage> {
        let maker = Maker { tid, theap, seed };
        let page = |slices| {
            let ordinary = |memory| self.ordinary_layout(memory, slices, bin);
            self.limit().charge_for(slices, || self.page_of_slices((bin, slices), maker, reserve, ordinary))
        };
        let (wanted, fewer) = (slices_of_page(bin, demand), least_slices(bin));
        page(wanted).or_else(|| if fewer < wanted { page(fewer) } else { None })
    }

    /// A page for the profiler's samples of class `bin`; `None` without memory.
    pub(super) fn fresh_samples(&'static self, (bin, slices): (Bin, usize), maker: Maker) -> Option<OwnedPage> {
        let layout = |_| layout_of_samples(bin, slices);
        self.limit().charge_for(slices, || self.page_of_slices((bin, slices), maker, Reserve::IfFull, layout))
    }

    /// `layout` says how many blocks there are in the memory, and where the first one starts.
    fn page_of_slices(
        &'static self,
        (bin, slices): (Bin, usize),
        Maker { tid, theap, seed }: Maker,
        reserve: Reserve,
        layout: impl FnOnce(*mut u8) -> (usize, usize),
    ) -> Option<OwnedPage> {
        let arenas = self.subproc().arenas();
        let extent = page_extent(slices, arenas);
        let want = Want { seed, extent, reserve, ..self.want(slices, Kind::of_slices(slices)) };
        let memory = Memory::from(arenas.claim(&want)?);
        let (blocks, offset_bytes) = layout(memory.start);
        let placement = Placement {
            origin: memory.origin,
            memory: memory.start,
            slices,
            offset_bytes,
            bin,
            block_bytes: bin.block_bytes(),
            reserved: blocks as u16,
            zero: memory.zero,
        };
        let page = self.enter(&placement, tid, theap)?;
        if let Extent::First(first) = extent {
            page.note_committed(first);
        }
        Some(page)
    }

    /// Slices where this heap's pages may lie.
    fn want(&self, slices: usize, kind: Kind) -> Want {
        Want { arena: self.arena(), numa: self.near_node(), ..Want::new(slices, kind) }
    }

    /// As many blocks as fit, and a start that differs. A page for fewer blocks than usual has no room to choose.
    fn ordinary_layout(&self, memory: *mut u8, slices: usize, bin: Bin) -> (usize, usize) {
        let (bytes, block_bytes) = (slices * SLICE_BYTES, bin.block_bytes());
        let has_room = bytes >= MIN_BLOCKS_PER_PAGE * block_bytes;
        let start = if has_room { color(memory, bytes, block_bytes, self.starts()) } else { 0 };
        ((bytes - start) / block_bytes, start)
    }

    /// A page for one block, owned by thread `tid`, its block not yet lent; `None` without memory.
    pub fn fresh_single(
        &'static self,
        request: &SingleRequest,
        tid: usize,
        theap: *const (),
        seed: usize,
    ) -> Option<OwnedPage> {
        let slices = request.slices()?;
        self.limit().charge_for(slices, || self.single_of_slices(request, slices, tid, theap, seed))
    }

    fn single_of_slices(
        &'static self,
        request: &SingleRequest,
        slices: usize,
        tid: usize,
        theap: *const (),
        seed: usize,
    ) -> Option<OwnedPage> {
        let want = Want {
            seed,
            align_slices: request.align_slices(),
            extent: Extent::First(request.used_slices()),
            ..self.want(slices, Kind::Other)
        };
        let memory = self.page_memory(&want)?;
        if request.zero == Zero::Any
            && request.spare_bytes == 0
            && let Origin::Arena(arena) = memory.origin
        {
            arena.advise_expected(BitRange::new(arena.slice_of(memory.start), slices));
        }
        let placement = Placement {
            origin: memory.origin,
            memory: memory.start,
            slices,
            offset_bytes: request.shift(),
            bin: Bin::SINGLETON,
            block_bytes: request.bytes,
            reserved: 1,
            zero: zeroed_if_asked(request, &memory, slices),
        };
        self.enter(&placement, tid, theap)
    }

    fn enter(&'static self, placement: &Placement, tid: usize, theap: *const ()) -> Option<OwnedPage> {
        // SAFETY: the memory was claimed for this page; the handles are this heap and the caller's theap.
        let page = unsafe { OwnedPage::create(placement, tid, theap, (self.handle(), self.lifetime())) };
        if self.registry().register(&page) {
            self.count_entered(&page);
            trace::page_made(placement.memory as usize, placement.slices * SLICE_BYTES, placement.block_bytes);
            return Some(page);
        }
        give_back(page, self.subproc().arenas());
        None
    }

    /// Memory for one block: of an arena, or mapped for itself. (Pages of many blocks are always of an arena: they are
    /// in queues, whose links are those of the list of pages with a mapping of their own.)
    fn page_memory(&self, want: &Want) -> Option<Memory> {
        if want.arena.is_none() && is_direct(want.slices) {
            return self.direct(want);
        }
        self.subproc().arenas().claim(want).map(Memory::from)
    }

    fn near_node(&self) -> Option<usize> {
        self.numa().or_else(|| (os::numa_nodes() > 1).then(os::current_numa_node))
    }

    /// Memory that is mapped for itself.
    fn direct(&self, want: &Want) -> Option<Memory> {
        if options::is_enabled(OptionId::DisallowOsAlloc) {
            return None;
        }
        let arenas = self.subproc().arenas();
        if !arenas.charge_mapping(want.slices) {
            return None;
        }
        let mapped = self.map(want);
        if mapped.is_none() {
            process_limit().give_back(want.slices);
        }
        mapped
    }

    fn map(&self, want: &Want) -> Option<Memory> {
        let bytes = want.slices.checked_mul(SLICE_BYTES)?;
        let align = want.align_slices * SLICE_BYTES;
        let admits = |start| page_map::admits(start, bytes);
        let memory = os::reserve(bytes, align, Access::ReadWrite, admits, page_map::hints(bytes))?;
        let start = memory.region().start;
        if !page_map::cover(start, bytes) {
            // SAFETY: mapped just now.
            unsafe { os::release(memory.region()) };
            return None;
        }
        self.subproc().arenas().usage().note_mapped(bytes);
        Some(Memory { origin: Origin::Os(memory), start, zero: Zero::Zeroed })
    }
}

/// Advises the system that a page that was just made will fill, where huge OS pages are worth while.
pub fn advise_filling(page: &Owned) {
    if let Origin::Arena(arena) = page.origin() {
        arena.advise_filling(BitRange::new(arena.slice_of(page.memory()), page.slices()));
    }
}

/// How many slices a page of this class is to have: fewer than usual where addresses are limited so narrowly that a page of
/// each class would be a large part of them.
pub fn slices_of_page(bin: Bin, demand: Demand) -> usize {
    let slices = if demand == Demand::Few { first_slices(bin) } else { bin.page_slices() };
    let limit = mem::config().address_limit_bytes / SLICE_BYTES / LIMIT_SHARE;
    slices.min(limit.max(least_slices(bin)))
}

/// A thread's first page of a class of large blocks holds few of them: it may never want more, and what its other pages have
/// free is of no use to this class.
fn first_slices(bin: Bin) -> usize {
    let few = (MIN_BLOCKS_PER_PAGE * bin.block_bytes()).div_ceil(SLICE_BYTES).next_power_of_two();
    few.max(MEDIUM_PAGE_SLICES).min(bin.page_slices())
}

/// As few slices as hold a block.
fn least_slices(bin: Bin) -> usize {
    bin.block_bytes().div_ceil(SLICE_BYTES)
}

/// The share of a limit that a page may take.
const LIMIT_SHARE: usize = 512;

/// Whether pages are committed as they fill (option `page_commit_on_demand`): unless that is chosen, before huge OS pages
/// are worth while. A process may have a page of each class, with few blocks in each.
fn page_extent(slices: usize, arenas: &ArenaSet) -> Extent {
    let is_chosen = options::is_chosen(OptionId::PageCommitOnDemand);
    let on_demand = match options::get(OptionId::PageCommitOnDemand) {
        0 if is_chosen => false,
        0 => os::overcommits() && !arenas.advises_pages(),
        2 => !os::overcommits() || !arenas.advises_pages(),
        _ => true,
    };
    let first = if is_chosen || arenas.is_small() { 1 } else { AMPLE_SLICES };
    if on_demand && slices > first { Extent::First(first) } else { Extent::Whole }
}

/// So much of a page is committed at first, once a process is not small: 512 KiB. Each call of the system costs as much as filling
/// a few OS pages.
const AMPLE_SLICES: usize = 8;

/// Whether a run of slices is mapped for itself rather than taken from an arena.
fn is_direct(slices: usize) -> bool {
    slices * SLICE_BYTES > options::get_size(OptionId::ArenaMaxObjectSize)
        || options::is_enabled(OptionId::DisallowArenaAlloc)
}

/// From this size on, having the system drop used memory beats clearing it, unless all of it gets used: touching
/// dropped memory costs about twice what clearing it does.
const DISCARD_BYTES: usize = 4 << 20;

/// Makes large memory zero without touching it where zeros are wanted; tells whether it is zero.
fn zeroed_if_asked(request: &SingleRequest, memory: &Memory, slices: usize) -> Zero {
    if memory.zero == Zero::Any
        && request.zero == Zero::Zeroed
        && request.bytes >= DISCARD_BYTES
        && let Origin::Arena(arena) = memory.origin
        && arena.zero_by_discarding(BitRange::new(arena.slice_of(memory.start), slices))
    {
        return Zero::Zeroed;
    }
    memory.zero
}

/// Releases a page whose blocks are all free, or has it wait until the program lets it go. That of a guarded block rests first.
pub fn release_page(page: OwnedPage) {
    if !page.owner().is_guarded() || !page.is_singleton() {
        return release_now(page);
    }
    // Its heap may end while others are released, but not the sub-process.
    let subproc = heap_of_page(&page).subproc();
    if let Some(page) = rest(page, subproc.resting()) {
        release_now(page);
    }
    while let Some(page) = subproc.resting().take_due() {
        release_rested(page);
    }
}

/// Refuses a free of a block that has just begun to rest: the thread has claimed the page before it could know.
#[cold]
pub fn refuse_second_free(page: OwnedPage) {
    page.report(ErrorKind::DoubleFree, page.start(), page.start());
    Resting::let_rest(page).unwrap_or_else(release_page);
}

fn release_rested(page: OwnedPage) {
    page.settle_frees(0);
    release_now(page);
}

/// Releases what rests, all of it.
pub fn release_resting(subproc: &Subproc) {
    while let Some(page) = subproc.resting().take() {
        release_rested(page);
    }
}

fn release_now(mut page: OwnedPage) {
    let arenas = {
        let heap = heap_of_page(&page);
        if let Some(postponing) = heap.postponing() {
            let list = |page: &OwnedPage| {
                if !page.is_listed() {
                    heap.registry().list(page);
                }
            };
            let Some(released) = postponing.keep(page, heap.subproc().arenas(), list) else { return };
            page = released;
        }
        heap.strike_out(&page);
        heap.subproc().arenas()
    };
    give_back(page, arenas);
}

impl Heap {
    /// Releases those of the pages that wait for the program which need not any more.
    pub fn ask_again(&'static self) {
        if let Some(postponing) = self.postponing() {
            postponing.ask_each(|page| release_page_of(self, page));
        }
    }
}

/// The same for a page of a heap that is ending, by the thread that ends it: at once.
pub fn release_page_of(heap: &'static Heap, page: OwnedPage) {
    if page.is_resting() {
        heap.subproc().resting().forget(&page);
    }
    heap.strike_out(&page);
    give_back(page, heap.subproc().arenas());
}

/// Decides about a page that a free has claimed, its remote list still in the word. All blocks free: releases it.
/// Otherwise lists it, so that a thread in need of blocks of this size takes it, and lets go of it until the last block is
/// freed.
#[cold]
pub fn release_or_list(mut page: OwnedPage) {
    if page.has_block_table() {
        return release_or_list_hardened(page);
    }
    loop {
        let used = page.used_when_let_go();
        if page.arrived() >= used {
            if page.is_singleton() && !page.is_resting() {
                page.settle_frees(1);
            }
            return release_page(page);
        }
        list_again(&page);
        match page.put_back(Threshold(used)) {
            Ok(()) => return,
            Err(refused) => page = refused,
        }
    }
}

fn list_again(page: &OwnedPage) {
    if !page.is_listed() {
        let heap = heap_of_page(page);
        heap.registry().list(page);
        heap.stats().pages_reabandon_full.increment();
    }
}

/// The same for a page with a table, which alone tells how many blocks have come back: one that its last owner and another thread
/// have freed at once was counted twice.
fn release_or_list_hardened(mut page: OwnedPage) {
    loop {
        let used = page.collect();
        if used == 0 {
            return release_page(page);
        }
        list_again(&page);
        let hint = hint_of(&page, 0);
        match page.let_go(hint, used, used) {
            Ok(()) => return,
            Err(refused) => page = refused,
        }
    }
}

impl Heap {
    /// The page is about to go.
    fn strike_out(&self, page: &Owned) {
        self.registry().unregister(page);
        self.count_left(page);
        self.limit().give_back(page.slices());
    }
}

fn give_back(page: OwnedPage, arenas: &ArenaSet) {
    pin();
    retire_samples(&page);
    guard::drop_block_table(&page, arenas);
    if !guard::unguard(&page) {
        // A mapping whose guard the system would not remove is never used again.
        return page.erase();
    }
    let (origin, start, slices) = (page.origin(), page.memory(), page.slices());
    page.note_unfilled();
    let clean = clean_slices(&page);
    // Behind it: they tell where the frontier is.
    page.forget_holes();
    let is_fresh_single = page.is_singleton() && page.is(Flag::FreshIsZero);
    page.erase();
    match origin {
        Origin::Arena(arena) => {
            let range = BitRange::new(arena.slice_of(start), slices);
            if is_fresh_single {
                arena.note_single_released(range);
            }
            arenas.release(arena, range, clean);
        }
        Origin::Os(memory) => {
            let region = memory.region();
            arenas.usage().note_unmapped(region.bytes);
            tool_hooks::opened(region.start, region.bytes);
            // SAFETY: the mapping was made for this page, which is gone.
            unsafe { os::release(region) }
        }
    }
}

/// How many slices at a page's end have never been used and read as zero.
fn clean_slices(page: &Owned) -> usize {
    if page.is_singleton() || !page.is(Flag::FreshIsZero) {
        return 0;
    }
    let end = page.start() as usize + page.touched_bytes();
    page.slices() - (end - page.memory() as usize).div_ceil(SLICE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_starts_where_its_offset_wants() {
        let request =
            SingleRequest { bytes: 4096, align: 1 << 20, offset: 24, front_bytes: 0, spare_bytes: 0, zero: Zero::Any };
        assert_eq!((request.shift() + 24) % (1 << 20), 0);
        assert_eq!(request.align_slices(), 16);
        let absurd = SingleRequest { bytes: usize::MAX, ..request };
        assert_eq!(absurd.slices(), None);
    }
}
