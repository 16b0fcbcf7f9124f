//! An arena: a stretch of slices, with four bitmaps over them (`slice_states`) and what each part of it is used for.
//!
//! The description and the bitmaps live among the set's metadata, where it has room for them, else in the arena's own first slices.

use core::ffi::c_void;
use core::mem::offset_of;
use core::ptr;

use super::mapping::{Backing, CommitFn, LEAST_STEP, UNIT_SLICES, goes_in_steps, open};
use super::pool::{META_ALIGN, Meta};
use super::search_hint::SearchHint;
use super::slice_states::{Initial, SliceStates};
use super::usage::Usage;
use crate::base::*;
use crate::bitmap::{BitRange, Bitmap, CHUNK_BITS};
use crate::options::{self, Hardening};
use crate::os::{self, CLOSING_CLEARS, PrivateMemory, tool_hooks};
use crate::stats::ChunkBin;
use crate::sync::{AtomicU8, AtomicUsize, Ordering};

/// What a chunk of slices is used for, so that pages of different sizes don't fragment each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Pages of one slice, with blocks of up to 4 KiB.
    Small = 1,
    /// Pages of 8 slices, with blocks of up to 16 KiB, and a thread's first ones of up to 64 KiB.
    Medium = 2,
    /// Pages of 64 slices, with blocks of up to 512 KiB.
    Large = 3,
    /// Singletons, metadata, and pages of other sizes.
    Other = 4,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Small, Kind::Medium, Kind::Large, Kind::Other];

    pub(super) fn from_word(word: u8) -> Option<Kind> {
        Self::ALL.into_iter().find(|&kind| kind as u8 == word)
    }

    /// Where statistics count its chunks.
    pub(super) fn chunk_bin(self) -> ChunkBin {
        match self {
            Kind::Small => ChunkBin::Small,
            Kind::Medium => ChunkBin::Medium,
            Kind::Large => ChunkBin::Large,
            Kind::Other => ChunkBin::Other,
        }
    }

    /// The kind of pages with this many slices.
    pub fn of_slices(slices: usize) -> Kind {
        match slices {
            SMALL_PAGE_SLICES => Kind::Small,
            MEDIUM_PAGE_SLICES => Kind::Medium,
            LARGE_PAGE_SLICES => Kind::Large,
            _ => Kind::Other,
        }
    }
}

/// A chunk that no kind has taken.
pub(super) const KIND_NONE: u8 = 0;

/// Who may allocate in an arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// Any heap of the sub-process.
    Shared,
    /// Only heaps that were made for this arena.
    Exclusive,
}

/// What a new arena is to be.
pub struct Setup {
    /// The first slice; a multiple of [`SLICE_BYTES`].
    pub start: *mut u8,
    /// How much memory there is, in bytes. What is left over behind the last whole slice is not used.
    pub bytes: usize,
    /// Where the memory comes from, and so what may be done with it.
    pub backing: Backing,
    /// Whether any heap may allocate there.
    pub sharing: Sharing,
    /// Whether all of it may be touched already.
    pub committed: bool,
    /// Whether all of it reads as zero (once committed).
    pub zero: Zero,
    /// The NUMA node it belongs to, if any.
    pub numa: Option<usize>,
    /// Commits user memory; null for the system's own way.
    pub commit: Option<(CommitFn, *mut c_void)>,
    /// Metadata for its structures, of at least `Arena::info_bytes`, in an older arena of the set. `None`: its own first slices.
    pub info: Option<Meta>,
}

/// An arena. The module's head says where it lives.
pub struct Arena {
    /// The set that it is in, opaque here.
    set: *const (),
    usage: *const Usage,
    /// Its place in the set.
    index: AtomicUsize,
    start: *mut u8,
    slices: usize,
    info_slices: usize,
    backing: Backing,
    sharing: Sharing,
    numa: Option<usize>,
    commit: Option<(CommitFn, *mut c_void)>,
    pub(super) slice_states: SliceStates,
    /// Two MiB units that are advised to be huge pages.
    pub(super) advised: Bitmap,
    /// Those that were and are not any more.
    pub(super) refused: Bitmap,
    pub(super) chunk_kinds: &'static [AtomicU8],
    /// For pages of the kind `Other`.
    pub(super) hint: SearchHint,
}

// SAFETY: all that changes after construction is atomic; the user's commit function and its argument are, by the
// contract of `mi_manage_memory`, callable from any thread.
unsafe impl Sync for Arena {}

impl PartialEq for Arena {
    fn eq(&self, other: &Arena) -> bool {
        ptr::eq(self, other)
    }
}
impl Eq for Arena {}

impl Setup {
    /// Makes the first slices of a new arena accessible, `info_slices` at least; answers how many. `None` if refused.
    fn commit_first(&self, info_slices: usize) -> Option<usize> {
        let most = self.bytes / SLICE_BYTES;
        let commit = |slices| open(self.backing, self.commit, self.start, slices * SLICE_BYTES).map(|_| slices);
        let commit_info = || if info_slices == 0 { Some(0) } else { commit(info_slices) };
        if !goes_in_steps(self.backing) {
            return commit_info();
        }
        commit(info_slices.max(1).next_multiple_of(LEAST_STEP).min(most)).or_else(commit_info)
    }

    /// Where its structures begin.
    fn info_start(&self) -> *mut u8 {
        self.info.map_or(self.start, |info| info.start)
    }
}

/// Where the fields of an arena's description lie, for a reader in another process.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArenaOffsets {
    /// A word: the address of the first slice.
    pub start: u32,
    /// A word: how many slices there are, those of the arena's own structures included.
    pub slices: u32,
    /// A word: how many of the first slices the arena's own structures take; 0 if these lie elsewhere.
    pub info_slices: u32,
    /// Where the addresses of the bitmaps' first words lie: free, committed, dirty, purge.
    pub bitmaps: [u32; 4],
}

impl ArenaOffsets {
    /// The offsets of this build, in bytes.
    pub const HERE: ArenaOffsets = {
        let states = offset_of!(Arena, slice_states);
        let [free, committed, dirty, purge] = SliceStates::FIELDS_AT;
        ArenaOffsets {
            start: offset_of!(Arena, start) as u32,
            slices: offset_of!(Arena, slices) as u32,
            info_slices: offset_of!(Arena, info_slices) as u32,
            bitmaps: [
                (states + free) as u32,
                (states + committed) as u32,
                (states + dirty) as u32,
                (states + purge) as u32,
            ],
        }
    };
}

/// A cursor through the memory in which an arena's structures are laid out.
struct Layout {
    next: usize,
}

impl Layout {
    /// Takes `bytes` at a multiple of a cache line; answers the offset.
    fn take(&mut self, bytes: usize) -> usize {
        let at = self.next;
        self.next = at + bytes.next_multiple_of(64);
        at
    }
}

/// Offsets of an arena's structures from its start: what is touched at once comes first, so that a process that has
/// just started touches few OS pages.
struct Offsets {
    kinds: usize,
    /// Advised, refused.
    units: [usize; 2],
    /// Free, committed, dirty, purge.
    bitmaps: [usize; 4],
    end: usize,
}

fn offsets(slices: usize) -> Offsets {
    let mut layout = Layout { next: 0 };
    layout.take(size_of::<Arena>());
    let kinds = layout.take(chunks(slices));
    let units = [(); 2].map(|()| layout.take(Bitmap::layout_bytes(thp_units(slices))));
    let bitmaps = [(); 4].map(|()| layout.take(Bitmap::layout_bytes(slices)));
    Offsets { kinds, units, bitmaps, end: layout.next }
}

/// Whether a guard OS page is to stand between an arena's structures and its slices.
fn is_to_be_guarded(setup: &Setup) -> bool {
    let is_ours = setup.info.is_none() && matches!(setup.backing, Backing::Os(_));
    is_ours && options::hardening().is_some_and(Hardening::guards_metadata)
}

/// Bytes of an arena's structures, and of the guard behind them.
fn info_bytes_with_guard(offsets: &Offsets, setup: &Setup) -> usize {
    let guard_bytes = os::os_page_bytes();
    if is_to_be_guarded(setup) { offsets.end.next_multiple_of(guard_bytes) + guard_bytes } else { offsets.end }
}

fn chunks(slices: usize) -> usize {
    slices.div_ceil(CHUNK_BITS)
}

fn thp_units(slices: usize) -> usize {
    slices.div_ceil(UNIT_SLICES)
}

impl Arena {
    /// The smallest arena: its own structures and a large page. Bytes.
    pub const MIN_BYTES: usize = LARGE_PAGE_SLICES / 2 * SLICE_BYTES;

    /// Lays an arena out in the memory that it is to manage; `None` if that is too small or its first part can't be
    /// committed.
    ///
    /// # Safety
    /// The memory is aligned to slices, nobody else uses it, and it is as `setup` says; it lives until the arena is
    /// destroyed. `set` and its `usage` outlive the arena.
    pub(super) unsafe fn create(set: *const (), usage: &Usage, setup: &Setup) -> Option<&'static Arena> {
        let slices = setup.bytes / SLICE_BYTES;
        let offsets = offsets(slices);
        let info_slices = match setup.info {
            Some(_) => 0,
            None => info_bytes_with_guard(&offsets, setup).div_ceil(SLICE_BYTES),
        };
        if info_slices + 1 > slices {
            return None;
        }
        let committed = if setup.committed { slices } else { setup.commit_first(info_slices)? };
        if setup.zero == Zero::Any && info_slices > 0 {
            // SAFETY: the structures' part of the memory, committed.
            unsafe { ptr::write_bytes(setup.start, 0, offsets.end) };
        }
        // SAFETY: the memory is committed, zero, large enough by `offsets`, and ours.
        let arena = unsafe { Self::lay_out(set, usage, setup, slices, info_slices, &offsets) };
        arena.open(setup, committed);
        if is_to_be_guarded(setup) {
            arena.guard_info();
        }
        Some(arena)
    }

    /// # Safety
    /// As for [`Arena::create`], with the structures' part committed and zero.
    unsafe fn lay_out(
        set: *const (),
        usage: &Usage,
        setup: &Setup,
        slices: usize,
        info_slices: usize,
        offsets: &Offsets,
    ) -> &'static Arena {
        let at = |offset: usize| setup.info_start().wrapping_add(offset);
        // SAFETY: each structure has its own part of zeroed memory.
        let bitmap = |offset: usize, bits: usize| unsafe { Bitmap::init_at(at(offset), bits) };
        // SAFETY: zeroed memory of that many bytes is a valid slice of atomics.
        let chunk_kinds = unsafe { core::slice::from_raw_parts(at(offsets.kinds).cast::<AtomicU8>(), chunks(slices)) };
        let arena = Arena {
            set,
            usage,
            index: AtomicUsize::new(usize::MAX),
            start: setup.start,
            slices,
            info_slices,
            backing: setup.backing,
            sharing: setup.sharing,
            numa: setup.numa,
            commit: setup.commit,
            slice_states: SliceStates::new(offsets.bitmaps.map(|offset| bitmap(offset, slices))),
            advised: bitmap(offsets.units[0], thp_units(slices)),
            refused: bitmap(offsets.units[1], thp_units(slices)),
            chunk_kinds,
            hint: SearchHint::new(),
        };
        // SAFETY: the first part of the memory is the description's.
        unsafe {
            let place = setup.info_start().cast::<Arena>();
            place.write(arena);
            &*place
        }
    }

    /// How much its structures take. Bytes.
    pub(super) fn info_bytes(slices: usize) -> usize {
        offsets(slices).end
    }

    /// What its structures leave of slices of its own, if that is worth anything and nothing is to guard it: for other metadata.
    pub(super) fn rest_of_info(&self) -> Option<(*mut u8, usize)> {
        let used = offsets(self.slices).end.next_multiple_of(META_ALIGN);
        let rest = (self.info_slices * SLICE_BYTES).checked_sub(used)?;
        let is_guarded = options::hardening().is_some_and(Hardening::guards_metadata);
        let rest = ((SLICE_BYTES / 4..SLICE_BYTES).contains(&rest) && !is_guarded).then_some(rest)?;
        Some((self.start.wrapping_add(used), rest))
    }

    /// Makes the last OS page in front of the slices for claims inaccessible. That the system refuses costs the guard.
    fn guard_info(&self) {
        let guard_bytes = os::os_page_bytes();
        let guard = self.start.wrapping_add(self.info_slices * SLICE_BYTES - guard_bytes);
        if let Some(guard) = self.private_at(guard, guard_bytes) {
            // SAFETY: no structure reaches that far (`info_bytes_with_guard`).
            let _ = unsafe { guard.close() };
        }
    }

    /// Opens the slices behind the structures for claims; so many of all are committed.
    fn open(&self, setup: &Setup, committed: usize) {
        let all = BitRange { start: 0, len: self.slices };
        let free = BitRange { start: self.info_slices, len: self.slices - self.info_slices };
        let committed = BitRange { start: 0, len: committed };
        self.usage().committed.add(committed.len);
        let dirty = if setup.zero == Zero::Any { all } else { BitRange::default() };
        tool_hooks::never_used(self.slice_memory(free.start), free.len * SLICE_BYTES);
        self.slice_states.begin(Initial { committed, dirty, free });
    }

    /// The arena's place in its set.
    pub fn index(&self) -> usize {
        self.index.load(Ordering::Relaxed)
    }

    pub(super) fn set_index(&self, index: usize) {
        self.index.store(index, Ordering::Relaxed);
    }

    /// The first slice; a multiple of [`SLICE_BYTES`].
    pub fn start(&self) -> *mut u8 {
        self.start
    }

    /// How many slices there are, those of the arena's own structures included.
    pub fn slices(&self) -> usize {
        self.slices
    }

    /// Slices taken by the arena's own structures.
    pub fn info_slices(&self) -> usize {
        self.info_slices
    }

    /// Bytes of all its slices.
    pub fn bytes(&self) -> usize {
        self.slices * SLICE_BYTES
    }

    /// Where the memory comes from, and so what may be done with it.
    pub fn backing(&self) -> Backing {
        self.backing
    }

    /// Whether any heap may allocate here.
    pub fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// The NUMA node that the memory belongs to, if that is known.
    pub fn numa(&self) -> Option<usize> {
        self.numa
    }

    /// The set that it is in: an opaque handle for `arenas`.
    pub(super) fn set_handle(&self) -> *const () {
        self.set
    }

    /// What the arenas of its set count together.
    pub fn usage(&self) -> &Usage {
        // SAFETY: the set outlives its arenas (contract of `create`).
        unsafe { &*self.usage }
    }

    /// Whether the address `p`, which is not followed, lies in one of the arena's slices.
    pub fn contains(&self, p: *const u8) -> bool {
        (p as usize).wrapping_sub(self.start as usize) < self.bytes()
    }

    /// The slice that holds an address inside the arena.
    pub fn slice_of(&self, p: *const u8) -> usize {
        (p as usize - self.start as usize) / SLICE_BYTES
    }

    /// The first byte of a slice, which need not be committed.
    pub fn slice_memory(&self, slice: usize) -> *mut u8 {
        self.start.wrapping_add(slice * SLICE_BYTES)
    }

    /// Whether nobody has the slice. A snapshot: another thread may claim it at once.
    pub fn is_free(&self, slice: usize) -> bool {
        self.slice_states.is_free(slice)
    }

    /// Whether the slice's memory may be touched.
    pub fn is_committed(&self, slice: usize) -> bool {
        self.slice_states.is_committed(BitRange::one(slice))
    }

    /// Whether the slice is free and has memory behind it that could go back. A snapshot.
    pub fn is_purgeable(&self, slice: usize) -> bool {
        self.slice_states.is_purgeable(slice)
    }

    /// Whether nothing but the arena's own structures is claimed.
    pub fn is_empty(&self) -> bool {
        self.slice_states.free().count_set(BitRange { start: 0, len: self.slices }) == self.slices - self.info_slices
    }

    pub(super) fn commit_fn(&self) -> Option<(CommitFn, *mut c_void)> {
        self.commit
    }

    /// Whether the memory behind free slices may go: private memory of ours, or by the user's own function.
    pub(super) fn can_purge(&self) -> bool {
        match self.backing {
            Backing::Os(_) => true,
            Backing::User => self.commit.is_some(),
            Backing::Huge | Backing::UserPinned => false,
        }
    }

    /// Whether memory that has been touched stays readable, without strict accounting.
    pub fn keeps_memory(&self) -> bool {
        self.commit.is_none() || !self.can_purge()
    }

    /// The memory of slices, if it is private memory of ours.
    pub fn private(&self, range: BitRange) -> Option<PrivateMemory> {
        self.private_at(self.slice_memory(range.start), range.len * SLICE_BYTES)
    }

    /// The same of a stretch of whole OS pages in the arena.
    pub fn private_at(&self, start: *const u8, bytes: usize) -> Option<PrivateMemory> {
        match self.backing {
            Backing::Os(memory) => Some(memory.part(start as usize - self.start as usize, bytes)),
            Backing::Huge | Backing::User | Backing::UserPinned => None,
        }
    }

    /// How many chunks it has, the last maybe a part of one.
    pub fn chunks(&self) -> usize {
        chunks(self.slices)
    }

    /// Some of the memory behind claimed slices can't be touched: whoever claims them next commits it.
    pub fn note_inaccessible(&self, range: BitRange) {
        self.slice_states.note_decommitted(range);
    }

    /// The memory behind claimed slices has moved elsewhere ([`PrivateMemory::move_to`]): they read as zero.
    pub fn note_moved_out(&self, range: BitRange) {
        self.slice_states.note_clean(range);
    }

    /// Gives the memory behind claimed slices back and makes them read as zero; false if that is not possible.
    pub fn zero_by_discarding(&self, range: BitRange) -> bool {
        // SAFETY: the caller has claimed the slices.
        self.private(range).is_some_and(|memory| unsafe { memory.discard() })
    }

    /// Takes the physical memory of slices that the caller has claimed. True if they read as zero now.
    pub(super) fn drop_memory(&self, range: BitRange, way: PurgeWay) -> bool {
        if let Some((commit, arg)) = self.commit {
            return self.drop_user_memory(range, commit, arg);
        }
        let Some(memory) = self.private(range) else { return false };
        // SAFETY: the slices are claimed by the caller, so that nobody uses them.
        let zero = unsafe {
            match way {
                PurgeWay::Reset => !memory.reset() && memory.discard(),
                PurgeWay::Discard => memory.discard(),
                PurgeWay::Decommit if CLOSING_CLEARS => self.make_inaccessible(range, memory),
                PurgeWay::Decommit => {
                    let gone = memory.discard();
                    self.make_inaccessible(range, memory);
                    gone
                }
            }
        };
        if zero {
            self.slice_states.note_clean(range);
        }
        zero
    }

    /// Stops being charged for claimed slices. That the system refuses costs nothing but that.
    fn make_inaccessible(&self, range: BitRange, memory: PrivateMemory) -> bool {
        // SAFETY: the caller has claimed the slices.
        let is_closed = unsafe { memory.close() };
        if is_closed {
            self.slice_states.note_decommitted(range);
        }
        is_closed
    }

    fn drop_user_memory(&self, range: BitRange, commit: CommitFn, arg: *mut c_void) -> bool {
        let (memory, bytes) = (self.slice_memory(range.start), range.len * SLICE_BYTES);
        let mut zero = false;
        // SAFETY: the contract of the user's function: any range of its memory that nobody uses.
        let done = unsafe { commit(false, memory.cast(), bytes, &mut zero, arg) };
        if done {
            self.slice_states.note_decommitted(range);
        }
        done && zero
    }
}

/// How memory of free slices is given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PurgeWay {
    /// The system may take it when it needs some.
    Reset,
    /// At once; the addresses stay accessible.
    Discard,
    /// At once, and no longer charged for: must be committed again.
    Decommit,
}

/// Whether `start` and `bytes` make a whole arena of slices where addresses may lie.
pub(super) fn is_manageable(start: *mut u8, bytes: usize) -> bool {
    start as usize & (SLICE_BYTES - 1) == 0
        && bytes >= 2 * SLICE_BYTES
        && super::page_map::admits(start as usize, bytes)
}
