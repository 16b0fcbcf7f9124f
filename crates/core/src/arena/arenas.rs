//! The arenas of a sub-process: claiming slices from any of them, and reserving another when they are full.

use super::arena::{Arena, Kind, Setup, Sharing, is_manageable};
use super::claim::{Claim, Extent, Miss};
use super::mapping::{Backing, Commit, LargePages, Mapped, map_arena};
use super::page_map;
use super::pool::{self, Meta, MetaPool, MetaSlice};
use super::process_limit::process_limit;
use super::slots::Slots;
use super::thp;
use super::usage::Usage;
use core::mem::offset_of;
use core::ptr;

use crate::base::*;
use crate::bitmap::MAX_BITS;
use crate::options::{self, OptionId};
use crate::os::{self, tool_hooks};
use crate::stats::Stats;
use crate::sync::{AtomicUsize, Lock, Ordering};
use ferrimalloc_prim::{mem, trace};

/// How many arenas a sub-process can have. The sizes of those it reserves grow, so this covers any address space.
pub const MAX_ARENAS: usize = 160;
/// After this many arenas the next ones are twice as large, and so on.
const GROW_EVERY: usize = 4;
/// The smallest arena that is reserved for more than what is asked for: 1 MiB.
const MIN_RESERVE: usize = 1 << 20;
/// The smallest where addresses are limited: 256 KiB.
const LEAST_RESERVE: usize = MIN_RESERVE / 4;
/// The size of the first arena where large blocks are not to use any: 16 MiB.
const SMALL_RESERVE: usize = 16 << 20;
/// The size of the first arena otherwise: 4 MiB. A small process is to have few addresses.
const FIRST_RESERVE: usize = 4 << 20;
/// The next are so many times as large as all before, until they are as large as the option says.
const FIRST_GROWTH: usize = 16;

/// Where addresses are memory the next has such a share of all before.
const SHARE_OF_MEMORY: usize = 8;

/// The share of a limit that an arena takes.
const LIMIT_SHARE: usize = 64;
/// A limit up to this leaves no room for a page of each class in each thread: 256 MiB.
const NARROW_BYTES: usize = 256 << 20;
/// That an arena of more than this was refused means the same: 8 MiB.
const NARROW_ARENA: usize = 8 << 20;
/// What an arena may take for its structures, at least.
pub(super) const LEAST_INFO_SLICES: usize = 1;
/// How many arenas a claim reserves, at most, if others take the slices of each before it does.
const RESERVE_TRIES: usize = 8;

/// Whether another arena may be reserved for a claim, where the present ones are full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reserve {
    /// The claim fails: the caller has something else to try.
    Never,
    /// An arena is reserved, which calls the OS.
    IfFull,
}

/// What is asked of the arenas.
#[derive(Clone, Copy)]
pub struct Want {
    /// How many slices, in one piece.
    pub slices: usize,
    /// The first address is a multiple of this many slices, a power of two.
    pub align_slices: usize,
    /// What they are for: this decides about the chunk that they are taken from.
    pub kind: Kind,
    /// Only from this arena.
    pub arena: Option<&'static Arena>,
    /// Preferably from this NUMA node.
    pub numa: Option<usize>,
    /// Spreads threads over an arena: each starts its search elsewhere.
    pub seed: usize,
    /// How many of them must be accessible when the claim is answered.
    pub extent: Extent,
    /// What to do if no present arena has room.
    pub reserve: Reserve,
}

impl Want {
    /// So many slices anywhere, all of them committed, out of another arena if the present ones are full.
    pub fn new(slices: usize, kind: Kind) -> Want {
        Want {
            slices,
            align_slices: 1,
            kind,
            arena: None,
            numa: None,
            seed: 0,
            extent: Extent::Whole,
            reserve: Reserve::IfFull,
        }
    }
}

/// The arenas of a sub-process. Valid when zeroed.
pub struct ArenaSet {
    arenas: Slots<Arena, MAX_ARENAS>,
    /// Held while an arena is reserved, so that threads that run out together reserve one.
    reserving: Lock<()>,
    /// How large an arena is worth asking for, in bytes, since larger ones were refused; 0: none was.
    ceiling: AtomicUsize,
    usage: Usage,
    pub(super) meta: MetaPool,
}

/// With less than 16 MiB accessible, a process is small.
const SMALL_SLICES: usize = (16 << 20) / SLICE_BYTES;

impl ArenaSet {
    /// Where the addresses of arenas lie.
    pub const PLACES_AT: usize = offset_of!(ArenaSet, arenas) + Slots::<Arena, MAX_ARENAS>::PLACES_AT;
    /// Where their count lies.
    pub const COUNT_AT: usize = offset_of!(ArenaSet, arenas) + Slots::<Arena, MAX_ARENAS>::COUNT_AT;
    /// Where the statistics lie.
    pub const STATS_AT: usize = offset_of!(ArenaSet, usage) + Usage::STATS_AT;

    /// No arena. The first is reserved when something is wanted.
    pub const fn new() -> Self {
        Self {
            arenas: Slots::new(),
            reserving: Lock::new(()),
            ceiling: AtomicUsize::new(0),
            usage: Usage::new(),
            meta: MetaPool::new(),
        }
    }

    /// The set's statistics: memory and arenas, and whatever higher floors count here.
    pub fn stats(&self) -> &Stats {
        self.usage.stats()
    }

    /// What the arenas count together.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The set that an arena is in.
    pub fn of(arena: &Arena) -> &'static ArenaSet {
        // SAFETY: arenas are only made by sets, which outlive them.
        unsafe { &*arena.set_handle().cast::<ArenaSet>() }
    }

    /// Slices claimed at the moment.
    pub fn in_use_slices(&self) -> usize {
        self.usage.in_use.get()
    }

    /// Free slices that have memory behind them at the moment.
    pub fn unused_slices(&self) -> usize {
        self.usage.purging.unused_slices()
    }

    /// Whether pages fill to such an extent that huge OS pages are advised: then pages are better accessible at once.
    pub fn advises_pages(&self) -> bool {
        thp::is_worth_advising(self.usage.filled.get()) && self.usage.has_room_to_round()
    }

    /// How often the process has come so near the kernel's limit on its memory that each thread should give back what it can.
    pub fn shortages(&self) -> usize {
        self.usage.shortages()
    }

    /// Whether so little is accessible that a few hundred KiB more are much.
    pub fn is_small(&self) -> bool {
        self.usage.committed.get() < SMALL_SLICES
    }

    /// Whether addresses are so few, by a limit from the start or since an arena was refused, that it is better to use
    /// what there is, also if that takes time or wastes some of it, than to reserve another arena.
    pub fn is_narrow(&self) -> bool {
        mem::config().address_limit_bytes <= NARROW_BYTES || self.ceiling_bytes() <= NARROW_ARENA
    }

    /// Held over `fork`.
    pub fn lock(&self) -> &Lock<()> {
        &self.reserving
    }

    /// All arenas, oldest first.
    pub fn arenas(&self) -> impl DoubleEndedIterator<Item = &'static Arena> {
        self.arenas.iter()
    }

    /// The arena that holds `p`.
    pub fn find(&self, p: *const u8) -> Option<&'static Arena> {
        self.arenas().find(|arena| arena.contains(p))
    }

    /// Claims slices, committed; reserves another arena if there is no room. `None`: out of memory, or the process's limit is in the
    /// way.
    pub(super) fn claim_at_once(&self, want: &Want) -> Option<Claim> {
        if let Some(arena) = want.arena {
            arena.hint.forget();
            return claim_in(arena, want).ok();
        }
        if want.reserve == Reserve::Never {
            self.shared().for_each(|arena| arena.hint.forget());
            return self.claim_present(want).ok();
        }
        match self.claim_present(want) {
            Err(Miss::Full) => self.claim_reserving(want).or_else(|| self.claim_far(want).ok()),
            Err(Miss::Refused) => self.claim_after_closing(want),
            claim => claim.ok(),
        }
    }

    /// The system refused to make slices accessible: once more without the free ones of all arenas, which a limit may count.
    #[cold]
    fn claim_after_closing(&self, want: &Want) -> Option<Claim> {
        let closed: usize = self.arenas().map(Arena::close_free).sum();
        (closed > 0).then(|| self.claim_present(want).ok())?
    }

    /// From an arena that there is.
    fn claim_present(&self, want: &Want) -> Result<Claim, Miss> {
        self.claim_near(want)
            .or_else(|near| if is_tied(want) { Err(near) } else { self.claim_far(want).map_err(|far| near.or(far)) })
    }

    /// From an arena of the wanted node, or of no node.
    fn claim_near(&self, want: &Want) -> Result<Claim, Miss> {
        claim_in_one(self.shared().filter(|arena| is_near(arena, want)), want)
    }

    /// From an arena of another node than the wanted one.
    fn claim_far(&self, want: &Want) -> Result<Claim, Miss> {
        let arenas = want.numa.into_iter().flat_map(|_| self.shared());
        claim_in_one(arenas.filter(|arena| !is_near(arena, want)), want)
    }

    fn shared(&self) -> impl Iterator<Item = &'static Arena> {
        self.arenas().filter(|arena| arena.sharing() == Sharing::Shared)
    }

    /// From an arena that another thread has made meanwhile, from one in which there is room all the same, or a new one.
    #[cold]
    fn claim_reserving(&self, want: &Want) -> Option<Claim> {
        let _guard = self.reserving.lock();
        self.shared().for_each(|arena| arena.hint.forget());
        let present = self.claim_near(want);
        (0..RESERVE_TRIES).fold(present, |claim, _| claim.or_else(|miss| self.claim_in_new(want, miss))).ok()
    }

    /// From a new arena, unless the system had no memory for the present ones, or a limit leaves no room. Others may come first and
    /// take all of it.
    fn claim_in_new(&self, want: &Want, miss: Miss) -> Result<Claim, Miss> {
        if miss == Miss::Refused || process_limit().shortage(want.slices.saturating_add(LEAST_INFO_SLICES)) > 0 {
            return Err(Miss::Refused);
        }
        let arena = self.reserve_for(want).ok_or(Miss::Refused)?;
        claim_in(arena, want).or_else(|new| self.claim_near(want).map_err(|near| new.or(near)))
    }

    /// Reserves an arena in which `want` fits: as large as the option and growth say, or as limits allow.
    fn reserve_for(&self, want: &Want) -> Option<&'static Arena> {
        if options::is_enabled(OptionId::DisallowOsAlloc) {
            return None;
        }
        let least = bytes_needed(want)?;
        let first = self.next_reserve_bytes().max(least);
        // Where there is room among the metadata, no slice of the arena goes to its structures.
        let Some(info) = pool::take(&self.meta, Arena::info_bytes(first / SLICE_BYTES)) else {
            let least = least.checked_add(info_slices_at_most(want) * SLICE_BYTES)?;
            return self.reserve_at_least(least, first.max(least), want.numa, None);
        };
        let arena = self.reserve_at_least(least, first, want.numa, Some(info));
        if arena.is_none() {
            // SAFETY: no arena has it.
            unsafe { pool::put(&self.meta, info) };
        }
        arena
    }

    /// Tries smaller ones than the first, as long as they are large enough.
    fn reserve_at_least(
        &self,
        least: usize,
        first: usize,
        numa: Option<usize>,
        info: Option<Meta>,
    ) -> Option<&'static Arena> {
        let mut bytes = first;
        loop {
            if let Some(arena) = self.reserve(bytes, numa, info) {
                self.raise_ceiling(bytes);
                return Some(arena);
            }
            if bytes == least {
                return None;
            }
            bytes = (bytes / 2).next_multiple_of(SLICE_BYTES).max(least);
            self.lower_ceiling(bytes);
        }
    }

    /// Reserves the first arena; false if there is one or it is refused.
    pub(super) fn begin(&self) -> bool {
        if self.arenas.count() > 0 {
            return false;
        }
        let _guard = self.reserving.lock();
        self.arenas.count() > 0 || self.reserve_for(&Want::new(1, Kind::Other)).is_some()
    }

    /// Arenas larger than this were refused.
    pub(crate) fn lower_ceiling(&self, bytes: usize) {
        self.ceiling.store(bytes, Ordering::Relaxed);
    }

    /// The size of the next arena: the option's, doubled every few arenas, within what limits make reasonable.
    fn next_reserve_bytes(&self) -> usize {
        let usual = match options::is_enabled(OptionId::DisallowArenaAlloc) {
            true => SMALL_RESERVE,
            false => options::get_size(OptionId::ArenaReserve).max(MIN_RESERVE),
        };
        let doublings = (self.arenas.count() / GROW_EVERY).min(8);
        let bytes = usual.saturating_mul(1 << doublings).min(self.beginners_reserve_bytes());
        let limit = align_down(share_of_limit().min(self.ceiling_bytes()), LEAST_RESERVE).max(LEAST_RESERVE);
        let most = bytes.min(MAX_BITS.saturating_mul(SLICE_BYTES));
        most.checked_next_multiple_of(MIN_RESERVE).unwrap_or(limit).min(limit)
    }

    fn ceiling_bytes(&self) -> usize {
        match self.ceiling.load(Ordering::Relaxed) {
            0 => usize::MAX,
            bytes => bytes,
        }
    }

    /// An arena of that size was had: next time twice as much may be.
    fn raise_ceiling(&self, bytes: usize) {
        let ceiling = self.ceiling.load(Ordering::Relaxed);
        if ceiling > 0 {
            self.ceiling.store(ceiling.max(bytes.saturating_mul(2)), Ordering::Relaxed);
        }
    }

    /// How large an arena may be at the beginning of a process whose user has not chosen a size.
    fn beginners_reserve_bytes(&self) -> usize {
        if options::is_chosen(OptionId::ArenaReserve) || options::is_enabled(OptionId::DisallowArenaAlloc) {
            return usize::MAX;
        }
        let reserved: usize = self.arenas().map(Arena::bytes).sum();
        if !mem::config().reserves_addresses {
            return reserved / SHARE_OF_MEMORY;
        }
        reserved.saturating_mul(FIRST_GROWTH).max(FIRST_RESERVE)
    }

    /// Reserves an arena of `bytes` and adds it. It is committed as it is used, unless the options want it at once.
    fn reserve(&self, bytes: usize, numa: Option<usize>, info: Option<Meta>) -> Option<&'static Arena> {
        let commit = match options::get(OptionId::ArenaEagerCommit) {
            1 => Commit::Now,
            _ => Commit::Later,
        };
        let large = if options::is_enabled(OptionId::AllowLargeOsPages) { LargePages::Try } else { LargePages::Never };
        let is_local = options::is_enabled(OptionId::ArenaIsNumaLocal);
        let numa = is_local.then(|| numa.unwrap_or_else(os::current_numa_node));
        let arena = self.add_mapped(&map_arena(bytes, commit, large)?, Sharing::Shared, numa, info)?;
        if let Some((memory, bytes)) = arena.rest_of_info() {
            // SAFETY: committed with the arena's structures, and never touched.
            self.meta.push(unsafe { MetaSlice::create(memory, bytes) });
        }
        // Where arenas are not allowed, those for metadata and small pages are no arenas to the user.
        if !options::is_enabled(OptionId::DisallowArenaAlloc) {
            self.stats().arena_count.increment();
        }
        Some(arena)
    }

    /// Makes an arena of memory and registers it; `None` if it is too small, the page map can't cover it, or
    /// there are too many arenas.
    ///
    /// # Safety
    /// The memory is aligned to slices, nobody else uses it, and it is as `setup` says; it lives until the arena is
    /// destroyed. The set outlives the arena.
    pub unsafe fn add(&self, setup: &Setup) -> Option<&'static Arena> {
        if !is_manageable(setup.start, setup.bytes) || self.arenas.is_full() {
            return None;
        }
        if !page_map::cover(setup.start, setup.bytes) {
            return None;
        }
        // SAFETY: the precondition.
        let arena = unsafe { Arena::create(ptr::from_ref(self).cast(), &self.usage, setup)? };
        if self.register(arena) {
            return Some(arena);
        }
        None
    }

    /// Makes an arena of memory that we mapped; gives it back if that fails.
    pub(super) fn add_mapped(
        &self,
        mapped: &Mapped,
        sharing: Sharing,
        numa: Option<usize>,
        info: Option<Meta>,
    ) -> Option<&'static Arena> {
        let setup = Setup {
            start: mapped.region.start,
            bytes: mapped.region.bytes,
            backing: mapped.backing,
            sharing,
            committed: mapped.commit == Commit::Now,
            zero: Zero::Zeroed,
            numa,
            commit: None,
            info,
        };
        self.stats().mmap_calls.increment();
        // SAFETY: the region is fresh, aligned and as described.
        let arena = unsafe { self.add(&setup) };
        if arena.is_none() {
            // SAFETY: nobody uses the region.
            unsafe { os::release(mapped.region) };
        }
        if let Some(arena) = arena {
            let accessible = if mapped.commit == Commit::Now { arena.bytes() } else { 0 };
            trace::arena_reserved(arena.start() as usize, arena.bytes(), accessible);
        }
        arena
    }

    fn register(&self, arena: &'static Arena) -> bool {
        let info_slices = arena.info_slices();
        let add = || self.arenas.add(arena, |number| arena.set_index(number)).then_some(());
        if process_limit().charge_for(info_slices, add).is_none() {
            return false;
        }
        self.stats().reserved.increase(arena.bytes());
        self.stats().committed.increase(info_slices * SLICE_BYTES);
        if options::is_enabled(OptionId::PagemapCommit) {
            page_map::populate(arena.start(), arena.bytes());
        }
        true
    }

    /// Unmaps all arenas that we have reserved. Nothing of them may be used any more.
    ///
    /// # Safety
    /// No thread uses any block, page or metadata of the set.
    pub unsafe fn destroy(&self) {
        let info_slices = self.arenas().map(Arena::info_slices).sum();
        // Newest first: an arena's structures may lie in an older one.
        self.arenas.drain(|arena| {
            tool_hooks::opened(arena.start(), arena.bytes());
            if matches!(arena.backing(), Backing::Os(_) | Backing::Huge) {
                let region = os::Region { start: arena.start(), bytes: arena.bytes() };
                // SAFETY: the precondition.
                unsafe { os::release(region) };
            }
        });
        self.forget(info_slices);
    }

    /// As new, but for the statistics, which go on.
    fn forget(&self, info_slices: usize) {
        self.usage.forget(info_slices);
        self.meta.forget();
    }
}

/// What an arena may take of the addresses that the process' limits allow. No limit is none, of however many bits addresses are.
fn share_of_limit() -> usize {
    match mem::config().address_limit_bytes {
        usize::MAX => usize::MAX,
        limit => limit / LIMIT_SHARE,
    }
}

/// From the first of the arenas that has room and memory.
fn claim_in_one(arenas: impl Iterator<Item = &'static Arena>, want: &Want) -> Result<Claim, Miss> {
    let mut missed = Miss::Full;
    for arena in arenas {
        match claim_in(arena, want) {
            Err(miss) => missed = missed.or(miss),
            claim => return claim,
        }
    }
    Err(missed)
}

fn claim_in(arena: &'static Arena, want: &Want) -> Result<Claim, Miss> {
    arena.claim(want.slices, want.align_slices, want.kind, want.seed, want.extent)
}

fn is_near(arena: &Arena, want: &Want) -> bool {
    want.numa.is_none() || arena.numa().is_none() || arena.numa() == want.numa
}

/// What `want` takes of an arena, wherever slices of it begin.
fn bytes_needed(want: &Want) -> Option<usize> {
    want.slices.checked_add(want.align_slices - 1)?.checked_mul(SLICE_BYTES)
}

/// The structures of an arena for `want` have no more slices.
fn info_slices_at_most(want: &Want) -> usize {
    want.slices / 4096 + 2
}

/// Whether another arena is rather reserved than one of another node used.
fn is_tied(want: &Want) -> bool {
    want.numa.is_some() && options::is_enabled(OptionId::ArenaIsNumaLocal)
}
