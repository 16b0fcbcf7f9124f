//! Arenas: claims and what they find in memory, release, purging, metadata, memory of the program's own.

use core::ffi::c_void;
use core::ptr;
use std::boxed::Box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::Vec;

use super::*;
use crate::base::*;
use crate::bitmap::{BitRange, CHUNK_BITS};
use crate::options::OptionId;
use crate::os;
use crate::os::tests::{Alone, alone};
use ferrimalloc_prim::mem::{self, Access};

const MIB: usize = 1 << 20;

/// Ground with a page map.
pub(crate) fn ground() -> Alone {
    alone()
}

/// A set of its own for a test. Its arenas are never unmapped: other tests may not find their addresses used before.
pub(crate) fn new_set() -> &'static ArenaSet {
    Box::leak(Box::new(ArenaSet::new()))
}

/// Memory for an arena, as a program would get it.
fn user_memory(bytes: usize) -> *mut u8 {
    let start = mem::map(0, bytes + SLICE_BYTES, Access::ReadWrite).unwrap();
    start.wrapping_add((start as usize).wrapping_neg() % SLICE_BYTES)
}

fn user(bytes: usize) -> UserMemory {
    user_of(user_memory(bytes), bytes)
}

fn user_of(start: *mut u8, bytes: usize) -> UserMemory {
    UserMemory {
        start,
        bytes,
        commit_state: Commit::Now,
        pinned: false,
        zero: Zero::Zeroed,
        numa: None,
        sharing: Sharing::Shared,
        commit: None,
    }
}

/// An arena of `bytes` of the program's memory.
fn managed(set: &'static ArenaSet, memory: &UserMemory) -> &'static Arena {
    // SAFETY: fresh memory that stays mapped.
    unsafe { set.manage(memory) }.unwrap()
}

/// An arena for those only who name it.
pub(crate) fn user_arena(set: &ArenaSet, bytes: usize) -> &'static Arena {
    // SAFETY: fresh memory that stays mapped.
    unsafe { set.manage(&UserMemory { sharing: Sharing::Exclusive, ..user(bytes) }) }.unwrap()
}

fn want(slices: usize) -> Want {
    Want::new(slices, Kind::of_slices(slices))
}

fn only(arena: &'static Arena, slices: usize) -> Want {
    Want { arena: Some(arena), ..want(slices) }
}

fn fill(claim: &Claim) {
    // SAFETY: claimed, so ours, and accessible.
    unsafe { claim.memory().write_bytes(0xA5, claim.range.len * SLICE_BYTES) };
}

fn is_zero(claim: &Claim) -> bool {
    // SAFETY: claimed, so ours, and accessible.
    let bytes = unsafe { core::slice::from_raw_parts(claim.memory(), claim.range.len * SLICE_BYTES) };
    bytes[0] == 0 && bytes[1..] == bytes[..bytes.len() - 1]
}

#[test]
fn claims_lie_in_the_arena_and_never_overlap() {
    let mut ground = ground();
    ground.set(OptionId::ArenaReserve, (256 * MIB / 1024) as i64);
    let set = new_set();
    let claims: Vec<Claim> =
        [1, 8, 64, 1, 100, 3, 600, 64, 8, 1].map(|slices| set.claim(&want(slices)).unwrap()).into();
    let most = if usize::BITS < 64 { 4 } else { 1 };
    assert!(set.arenas().count() <= most, "one arena has room for all, where addresses are not few");
    for (index, claim) in claims.iter().enumerate() {
        assert!(claim.range.start >= claim.arena.info_slices() && claim.range.end() <= claim.arena.slices());
        assert!((claim.range.start..claim.range.end()).all(|slice| !claim.arena.is_free(slice)));
        let in_the_same = |other: &&Claim| core::ptr::eq(claim.arena, other.arena);
        let mut others = claims[index + 1..].iter().filter(in_the_same);
        assert!(others.all(|other| claim.range.intersect(other.range).is_empty()));
    }
    assert_eq!(set.in_use_slices(), 850);
    claims.iter().for_each(|claim| ArenaSet::of(claim.arena).release(claim.arena, claim.range, 0));
    assert_eq!(set.in_use_slices(), 0);
    assert!(claims[0].arena.is_empty());
}

#[test]
fn claims_are_aligned_as_asked() {
    let _ground = ground();
    let set = new_set();
    for align_slices in [1, 2, 16, 512, 1024, 4096] {
        let _in_the_way = set.claim(&want(1)).unwrap();
        let claim = set.claim(&Want { align_slices, ..Want::new(3, Kind::Other) }).unwrap();
        assert_eq!(claim.memory() as usize % (align_slices * SLICE_BYTES), 0, "{align_slices}");
    }
}

#[test]
fn entries_of_an_arena_that_begins_at_any_slice_get_their_memory() {
    let mut ground = ground();
    ground.set(OptionId::PagemapCommit, 1);
    let os_page = os::os_page_bytes();
    let mut memory = user(64 * MIB);
    // Its first entry shall not be the first of an OS page.
    if memory.start.addr().is_multiple_of(os_page / ENTRY_BYTES * SLICE_BYTES) {
        memory =
            UserMemory { start: memory.start.wrapping_add(SLICE_BYTES), bytes: memory.bytes - SLICE_BYTES, ..memory };
    }
    let arena = managed(new_set(), &UserMemory { sharing: Sharing::Exclusive, ..memory });
    let is_there = |slice: usize| {
        let entry = page_map::entry(arena.start().wrapping_add(slice * SLICE_BYTES)).cast::<u8>();
        // SAFETY: a part of the page map.
        unsafe { mem::resident_bytes(entry.map_addr(|address| align_down(address, os_page)), os_page) == os_page }
    };
    assert!((0..arena.slices()).all(is_there));
}

#[test]
fn pages_of_different_sizes_keep_to_their_own_chunks() {
    let mut ground = ground();
    // First arenas are of one chunk where nobody has chosen a size.
    ground.set(OptionId::ArenaReserve, (256 * MIB / 1024) as i64);
    let set = new_set();
    let chunk = |slices| {
        let claim = set.claim(&want(slices)).unwrap();
        (claim.range.start / CHUNK_BITS, claim)
    };
    let (small, _) = chunk(SMALL_PAGE_SLICES);
    let (medium, _) = chunk(MEDIUM_PAGE_SLICES);
    let (large, only_large) = chunk(LARGE_PAGE_SLICES);
    assert!(small != medium && medium != large && small != large);
    assert_eq!((chunk(SMALL_PAGE_SLICES).0, chunk(MEDIUM_PAGE_SLICES).0), (small, medium));
    let arena = only_large.arena;
    assert_eq!(arena.kind_of_chunk(large), Some(Kind::Large));
    ArenaSet::of(arena).release(arena, only_large.range, 0);
    assert_eq!(arena.kind_of_chunk(large), None, "an empty chunk is anybody's");
}

#[test]
fn a_mixed_chunk_is_used_before_memory_runs_out() {
    let _ground = ground();
    let set = new_set();
    let arena = managed(set, &user(CHUNK_BITS * SLICE_BYTES));
    assert!(set.claim(&only(arena, SMALL_PAGE_SLICES)).is_some());
    let medium = set.claim(&only(arena, MEDIUM_PAGE_SLICES)).expect("there is one chunk only");
    assert_eq!(medium.range.start / CHUNK_BITS, 0);
}

#[test]
fn an_exact_place_is_claimed_if_all_of_it_is_free() {
    let _ground = ground();
    let set = new_set();
    let first = set.claim(&want(4)).unwrap();
    let (arena, behind) = (first.arena, BitRange::new(first.range.end(), 4));
    let overlapping = BitRange::new(first.range.start + 2, 4);
    assert!(arena.claim_at(overlapping).is_none());
    assert!(arena.is_free(behind.start), "the free part of a refused place stays free");
    assert!(arena.claim_at(behind).is_some());
    assert!(arena.claim_at(behind).is_none());
    assert!(arena.claim_at(BitRange::new(arena.slices() - 1, 2)).is_none(), "beyond the end");
}

#[test]
fn a_claim_knows_whether_its_memory_is_zero() {
    let _ground = ground();
    let set = new_set();
    let fresh = set.claim(&want(8)).unwrap();
    assert!(fresh.zero == Zero::Zeroed && is_zero(&fresh));
    fill(&fresh);
    ArenaSet::of(fresh.arena).release(fresh.arena, fresh.range, 0);
    let again = fresh.arena.claim_at(fresh.range).unwrap();
    assert_eq!(again.zero, Zero::Any);
    ArenaSet::of(again.arena).release(again.arena, again.range, 0);
    set.purge_due(Force::All);
    let purged = fresh.arena.claim_at(fresh.range).unwrap();
    assert!(purged.zero == Zero::Zeroed && is_zero(&purged));
}

#[test]
fn a_half_dirty_claim_is_not_zero() {
    let _ground = ground();
    let set = new_set();
    let fresh = set.claim(&want(1)).unwrap();
    let arena = fresh.arena;
    fill(&fresh);
    ArenaSet::of(arena).release(arena, fresh.range, 0);
    let both = arena.claim_at(BitRange::new(fresh.range.start, 2)).unwrap();
    assert_eq!(both.zero, Zero::Any);
}

#[test]
fn memory_moved_out_reads_as_zero() {
    let _ground = ground();
    let claim = new_set().claim(&want(2)).unwrap();
    claim.arena.note_moved_out(BitRange::one(claim.range.start));
    assert!(
        !claim.arena.slice_states.is_dirty(claim.range.start)
            && claim.arena.slice_states.is_dirty(claim.range.start + 1)
    );
}

#[test]
fn discarding_clears_claimed_memory() {
    let _ground = ground();
    let claim = new_set().claim(&want(8)).unwrap();
    fill(&claim);
    assert!(claim.arena.zero_by_discarding(claim.range));
    assert!(is_zero(&claim));
}

#[test]
fn unused_memory_is_counted_until_it_is_purged_or_claimed() {
    let _ground = ground();
    let set = new_set();
    let claim = set.claim(&want(8)).unwrap();
    assert_eq!(set.unused_slices(), 0);
    ArenaSet::of(claim.arena).release(claim.arena, claim.range, 0);
    assert_eq!(set.unused_slices(), 8);
    assert!(claim.arena.is_purgeable(claim.range.start));
    let again = claim.arena.claim_at(BitRange::new(claim.range.start, 3)).unwrap();
    assert_eq!(set.unused_slices(), 5);
    set.purge_due(Force::All);
    assert_eq!(set.unused_slices(), 0);
    assert!(!claim.arena.is_purgeable(claim.range.start + 4) && claim.arena.is_free(claim.range.start + 4));
    ArenaSet::of(again.arena).release(again.arena, again.range, 0);
}

#[test]
fn routine_purging_waits_for_the_delay() {
    let _ground = ground();
    let set = new_set();
    let claim = set.claim(&want(8)).unwrap();
    ArenaSet::of(claim.arena).release(claim.arena, claim.range, 0);
    set.purge_due(Force::Routine);
    assert_eq!(set.unused_slices(), 8, "a second has not passed");
}

#[test]
fn too_much_unused_memory_is_purged_at_the_release_that_exceeds_the_bound() {
    let _ground = ground();
    let set = new_set();
    let claims: Vec<Claim> = (0..40).map(|_| set.claim(&want(LARGE_PAGE_SLICES)).unwrap()).collect();
    let mut most = 0;
    for claim in claims {
        ArenaSet::of(claim.arena).release(claim.arena, claim.range, 0);
        most = set.unused_slices().max(most);
    }
    // 160 MiB were in use: a quarter of that and 4 MiB may stay while the rest still is, at the most.
    assert!(most * SLICE_BYTES <= 44 * MIB, "{most}");
    assert!(set.unused_slices() * SLICE_BYTES <= 4 * MIB);
}

#[test]
fn room_that_hints_pass_by_is_found_before_another_arena_is_reserved() {
    let mut ground = ground();
    ground.set(OptionId::ArenaReserve, (64 * MIB / 1024) as i64);
    let set = new_set();
    let claim = |slices| set.claim(&want(slices)).unwrap();
    let claims: Vec<Claim> = (0..2 * CHUNK_BITS / 30 - 2).map(|_| claim(30)).collect();
    assert_eq!(set.arenas().count(), 1);
    // What is given back is taken again, wherever it is, by whatever fits.
    for index in [20, 3, 11] {
        ArenaSet::of(claims[index].arena).release(claims[index].arena, claims[index].range, 0);
        assert_eq!(claim(29).range.start, claims[index].range.start);
    }
    // No chunk has room for this, though for less; the hint must not hide that.
    assert!(claims[0].arena.claim(2 * CHUNK_BITS / 3, 1, Kind::Other, 0, Extent::Whole).is_err());
    claim(9);
    assert_eq!(set.arenas().count(), 1);
}

/// Somebody attends to the bell, and leaves when this goes.
struct Attended;

impl Attended {
    fn begin() -> Attended {
        assert!(super::scavenger_bell().attend());
        Attended
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        super::scavenger_bell().leave();
    }
}

#[test]
fn releases_leave_purging_to_the_scavenger() {
    let _ground = ground();
    let set = new_set();
    let claims: Vec<Claim> = (0..40).map(|_| set.claim(&want(LARGE_PAGE_SLICES)).unwrap()).collect();
    let _attended = Attended::begin();
    claims.iter().for_each(|claim| ArenaSet::of(claim.arena).release(claim.arena, claim.range, 0));
    assert_eq!(set.unused_slices(), 40 * LARGE_PAGE_SLICES);
    assert!(set.wants_scavenger() && set.has_much_unused());
}

#[test]
fn minimal_purges_leave_the_rest() {
    let mut ground = ground();
    ground.set(OptionId::ArenaPurgeMinSize, (8 * SLICE_BYTES / 1024) as i64);
    let set = new_set();
    let claim = set.claim(&Want { align_slices: 8, ..Want::new(12, Kind::Other) }).unwrap();
    let arena = claim.arena;
    let start = claim.range.start;
    ArenaSet::of(arena).release(arena, claim.range, 0);
    set.purge_due(Force::All);
    let unit = start.next_multiple_of(8);
    assert!((unit..unit + 8).all(|slice| !arena.is_purgeable(slice)), "a whole unit goes");
    assert_eq!(set.unused_slices(), 4, "what is no unit stays");
}

#[test]
fn another_arena_is_reserved_when_there_is_no_room() {
    let mut ground = ground();
    ground.set(OptionId::ArenaReserve, (64 * MIB / 1024) as i64);
    let set = new_set();
    let claims: Vec<Claim> =
        (0..3).map(|_| set.claim(&Want::new(40 * MIB / SLICE_BYTES, Kind::Other)).unwrap()).collect();
    assert_eq!(set.arenas().count(), 3);
    for claim in &claims {
        assert!(core::ptr::eq(set.find(claim.memory()).unwrap(), claim.arena));
    }
    assert!(set.find(ptr::null()).is_none());
    let huge = set.claim(&Want::new(3000, Kind::Other)).expect("more than an arena of the usual size");
    assert!(huge.arena.slices() >= 3000);
}

#[test]
fn nothing_is_reserved_where_that_is_not_allowed() {
    let mut ground = ground();
    ground.set(OptionId::DisallowOsAlloc, 1);
    assert!(new_set().claim(&want(1)).is_none());
}

#[test]
fn absurd_claims_are_refused() {
    let _ground = ground();
    let set = new_set();
    assert!(set.claim(&Want::new(usize::MAX, Kind::Other)).is_none());
    assert!(set.claim(&Want::new(usize::MAX / SLICE_BYTES, Kind::Other)).is_none());
    assert!(set.claim(&Want { align_slices: 1 << (usize::BITS - 4), ..Want::new(1, Kind::Other) }).is_none());
}

#[test]
fn an_exclusive_arena_serves_those_who_name_it() {
    let mut ground = ground();
    let set = new_set();
    let memory = UserMemory { sharing: Sharing::Exclusive, ..user(64 * MIB) };
    let arena = managed(set, &memory);
    ground.set(OptionId::DisallowOsAlloc, 1);
    assert!(set.claim(&want(1)).is_none(), "there is no shared arena");
    let claim = set.claim(&only(arena, 1)).unwrap();
    assert!(arena.contains(claim.memory()));
}

#[test]
fn a_full_arena_refuses_and_serves_again_after_a_release() {
    let _ground = ground();
    let set = new_set();
    let arena = managed(set, &user(64 * MIB));
    let mut claims = Vec::new();
    while let Some(claim) = set.claim(&only(arena, 1)) {
        claims.push(claim);
    }
    assert_eq!(claims.len(), arena.slices() - arena.info_slices());
    let one = claims.pop().unwrap();
    ArenaSet::of(arena).release(arena, one.range, 0);
    assert_eq!(set.claim(&only(arena, 1)).unwrap().range, one.range);
}

#[test]
fn slices_near_a_node_come_first_and_others_after() {
    let _ground = ground();
    let set = new_set();
    let [far, near] = [1, 0].map(|node| managed(set, &UserMemory { numa: Some(node), ..user(64 * MIB) }));
    let claim = |numa| set.claim(&Want { numa, ..Want::new(400, Kind::Other) }).unwrap().arena.index();
    assert_eq!((claim(Some(0)), claim(Some(0))), (near.index(), near.index()));
    assert_eq!(claim(Some(0)), far.index(), "far memory is better than none");
}

#[test]
fn user_memory_too_small_or_out_of_reach_is_refused() {
    let _ground = ground();
    let set = new_set();
    let small = UserMemory { bytes: SLICE_BYTES, ..user(MIB) };
    let far = UserMemory { start: ptr::without_provenance_mut((96 * MIB).wrapping_neg()), ..user(64 * MIB) };
    // SAFETY: nobody uses the small memory; what is out of reach is refused before it is touched.
    unsafe {
        assert_eq!(set.manage(&small).err(), Some(Refusal::TooSmall));
        assert_eq!(set.manage(&far).err(), Some(Refusal::OutOfReach));
    }
    assert_eq!(set.arenas().count(), 0);
}

#[test]
fn pinned_memory_is_never_purged() {
    let _ground = ground();
    let set = new_set();
    let arena = managed(set, &UserMemory { pinned: true, ..user(64 * MIB) });
    let claim = set.claim(&only(arena, 8)).unwrap();
    fill(&claim);
    ArenaSet::of(arena).release(arena, claim.range, 0);
    set.purge_due(Force::All);
    assert_eq!(set.unused_slices(), 0, "it can't be purged, so it does not count as purgeable");
    assert!(!is_zero(&arena.claim_at(claim.range).unwrap()), "nobody has touched it");
}

/// How often a program's commit function was called, for each of its two purposes.
static COMMITS: AtomicUsize = AtomicUsize::new(0);
static DECOMMITS: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn count_commits(
    commit: bool,
    start: *mut c_void,
    size: usize,
    is_zero: *mut bool,
    arg: *mut c_void,
) -> bool {
    let refuses = !arg.is_null() && commit && size > MIB;
    let counter = if commit { &COMMITS } else { &DECOMMITS };
    counter.fetch_add(1, Ordering::Relaxed);
    // SAFETY: what is decommitted belongs to nobody; `is_zero` is a place for the answer.
    unsafe {
        if !commit {
            start.write_bytes(0, size);
        }
        is_zero.write(true);
    }
    !refuses
}

#[test]
fn the_programs_function_commits_and_decommits_its_memory() {
    let _ground = ground();
    let set = new_set();
    let memory = UserMemory {
        commit_state: Commit::Later,
        zero: Zero::Any,
        commit: Some((count_commits, ptr::null_mut())),
        ..user(64 * MIB)
    };
    let arena = managed(set, &memory);
    let before = COMMITS.load(Ordering::Relaxed);
    let claim = set.claim(&only(arena, 4)).unwrap();
    assert_eq!(COMMITS.load(Ordering::Relaxed) - before, 1);
    assert_eq!(claim.zero, Zero::Zeroed, "the function says that it is");
    fill(&claim);
    ArenaSet::of(arena).release(arena, claim.range, 0);
    set.purge_due(Force::All);
    assert_eq!(DECOMMITS.load(Ordering::Relaxed), 1);
    assert!(!arena.is_committed(claim.range.start));
    assert!(is_zero(&arena.claim_at(claim.range).unwrap()));
}

#[test]
fn slices_that_cannot_be_committed_stay_free() {
    let _ground = ground();
    let set = new_set();
    let refusing = ptr::without_provenance_mut(1);
    let memory = UserMemory { commit_state: Commit::Later, commit: Some((count_commits, refusing)), ..user(64 * MIB) };
    let arena = managed(set, &memory);
    let free = (0..arena.slices()).filter(|slice| arena.is_free(*slice)).count();
    assert!(set.claim(&only(arena, 32)).is_none(), "2 MiB at once are refused");
    assert_eq!((0..arena.slices()).filter(|slice| arena.is_free(*slice)).count(), free);
    assert!(set.claim(&only(arena, 16)).is_some());
    let by_and_by = set.claim(&Want { extent: Extent::First(1), ..only(arena, 32) }).expect("one slice of it now");
    assert!(arena.is_committed(by_and_by.range.start) && !arena.is_committed(by_and_by.range.start + 1));
    assert!(arena.commit(BitRange::new(by_and_by.range.start, 16)));
}

#[test]
fn metadata_is_zero_aligned_and_used_again() {
    let _ground = ground();
    let set = new_set();
    for bytes in [1, 128, 200, 5000, SLICE_BYTES / 4, SLICE_BYTES / 4 + 1, 3 * SLICE_BYTES] {
        let pieces = [0; 3].map(|_| set.meta_alloc(bytes).unwrap());
        for meta in pieces {
            // SAFETY: ours, that many bytes.
            let held = unsafe { core::slice::from_raw_parts_mut(meta.start, bytes) };
            assert!(held.iter().all(|byte| *byte == 0) && (meta.start as usize).is_multiple_of(256));
            held.fill(0xEE);
        }
        let in_use = set.in_use_slices();
        // SAFETY: ours, used no more.
        pieces.into_iter().for_each(|meta| unsafe { set.meta_free(meta) });
        let again = [0; 3].map(|_| set.meta_alloc(bytes).unwrap());
        assert_eq!(set.in_use_slices(), in_use, "no more than before for {bytes} bytes");
        // SAFETY: ours, that many bytes.
        let is_zero =
            |meta: Meta| unsafe { core::slice::from_raw_parts(meta.start, bytes) }.iter().all(|byte| *byte == 0);
        assert!(again.into_iter().all(is_zero));
    }
}

/// The first arena's structures leave room for other metadata; those of later arenas lie there, so that all slices of theirs are
/// for blocks.
#[test]
fn later_arenas_keep_their_structures_among_the_metadata() {
    let mut ground = ground();
    ground.set(OptionId::ArenaReserve, 4096);
    let set = new_set();
    set.meta_alloc(5000).unwrap();
    assert_eq!((set.arenas().count(), set.in_use_slices()), (1, 0));
    let whole = 4 * MIB / SLICE_BYTES;
    let claims = [0; 3].map(|_| set.claim(&want(whole)).unwrap());
    assert!(claims.iter().all(|claim| (claim.range.start, claim.arena.slices()) == (0, whole)));
    assert_eq!(set.arenas().map(Arena::info_slices).collect::<Vec<_>>(), [1, 0, 0, 0]);
    // SAFETY: nothing of the set is used any more.
    unsafe { set.destroy() };
}

#[test]
fn addresses_have_entries_of_their_own_slice() {
    let _ground = ground();
    let claim = new_set().claim(&want(2)).unwrap();
    let [first, same, next] =
        [0, SLICE_BYTES - 1, SLICE_BYTES].map(|at| page_map::entry(claim.memory().wrapping_add(at)));
    assert!(first == same && first.wrapping_add(1) == next);
    assert_eq!(page_map::slice_address(first), claim.memory() as usize);
    assert!(page_map::find(claim.memory()).is_some() && page_map::find(ptr::null()).is_none());
}

/// Wherever memory lies, its entries are its own, and no other address has them: not one that differs in high bits, nor
/// one that no program can have.
#[test]
fn no_address_shares_the_entry_of_another() {
    let _ground = ground();
    let set = new_set();
    let near = set.claim(&want(4)).unwrap().memory();
    let far: Vec<*mut u8> = FAR_HINTS.into_iter().map(|hint| far_memory(set, hint)).collect();
    let starts = [near, far[0], far[1]];
    for (index, &start) in starts.iter().enumerate() {
        let entry = page_map::find(start).expect("an entry of its own").as_ptr();
        assert_eq!(page_map::slice_address(entry), start as usize);
        for bit in (28..usize::BITS).map(|bit| 1usize << bit) {
            let other = start.wrapping_byte_add(bit);
            assert!(page_map::find(other).is_none_or(|found| found.as_ptr() != entry), "{other:p}");
        }
        // Addresses of 32 bits are all somebody's.
        for bit in [47, 56, 63].into_iter().filter(|&bit| bit < usize::BITS) {
            let high = usize::MAX << bit;
            assert!(page_map::find(start.map_addr(|address| address | high)).is_none(), "{high:x}");
        }
        assert!(starts[index + 1..].iter().all(|&other| page_map::entry(other) != entry));
    }
}

/// Where nothing else is.
const FAR_HINTS: [usize; 2] =
    if usize::BITS < 64 { [1 << 29, 1 << 30] } else { [1 << (usize::BITS - 28), 3 << (usize::BITS - 24)] };

/// The first slice of an arena over memory of the program's near `hint`.
fn far_memory(set: &'static ArenaSet, hint: usize) -> *mut u8 {
    let start = mem::map(hint, 64 * MIB, Access::ReadWrite).unwrap();
    assert_eq!(start as usize % SLICE_BYTES, 0, "nothing else is mapped there");
    managed(set, &UserMemory { start, ..user_of(start, 64 * MIB) }).start()
}

#[test]
fn ranges_that_can_grow_take_what_comes_below() {
    let _ground = ground();
    let set = new_set();
    let first = set.reserve_arena(64 * MIB, Commit::Later, LargePages::Never, Sharing::Shared).unwrap();
    let below = set.reserve_arena(256 * MIB, Commit::Later, LargePages::Never, Sharing::Shared).unwrap();
    for arena in [first, below] {
        let last = arena.slice_memory(arena.slices() - 1);
        let entries = [arena.start(), last].map(|p| page_map::find(p).expect("covered").as_ptr());
        assert_eq!(entries[1] as usize - entries[0] as usize, (arena.slices() - 1) * ENTRY_BYTES);
        assert_eq!(entries.map(|entry| page_map::slice_address(entry)), [arena.start() as usize, last as usize]);
    }
}

/// What is claimed is accessible, and free neighbours with it, but not the whole arena.
#[test]
fn arenas_become_accessible_in_steps() {
    let _ground = ground();
    // Where what is accessible is charged for, there are no steps.
    if !mem::config().overcommits {
        return;
    }
    let set = new_set();
    let arena = set.reserve_arena(256 * MIB, Commit::Later, LargePages::Never, Sharing::Shared).unwrap();
    let accessible = || (0..arena.slices()).filter(|&slice| arena.is_committed(slice)).count();
    let claims: Vec<Claim> = (0..8).map(|_| set.claim(&only(arena, 8)).unwrap()).collect();
    claims.iter().for_each(fill);
    let committed = accessible();
    assert!((64..=96).contains(&committed), "{committed}");
    let calls = set.stats().commit_calls.get();
    assert!(calls <= 5, "{calls}");
    let last = arena.claim_at(BitRange::new(arena.slices() - 3, 3)).unwrap();
    fill(&last);
    assert!(accessible() < 200);
}

#[test]
fn a_destroyed_set_starts_anew() {
    let _ground = ground();
    let set = new_set();
    let claim = set.claim(&want(3)).unwrap();
    assert!(set.stats().reserved.current() > 0 && set.in_use_slices() == 3);
    ArenaSet::of(claim.arena).release(claim.arena, claim.range, 0);
    // SAFETY: nobody uses anything of it.
    unsafe { set.destroy() };
    assert_eq!((set.arenas().count(), set.in_use_slices(), set.unused_slices()), (0, 0, 0));
    assert_eq!(set.stats().reserved.current(), 0);
    assert!(set.claim(&want(3)).is_some());
}

/// With the simulated system, which can refuse.
#[cfg(feature = "sim")]
mod on_sim {
    use super::mapping::UNIT_SLICES;
    use super::*;
    use ferrimalloc_prim::mem::{MemConfig, ThpMode};
    use ferrimalloc_prim::sim::{self, Clock, Fault, Limits};
    use std::sync::atomic::AtomicBool;

    #[test]
    fn an_arena_that_is_refused_leaves_its_metadata() {
        let _ground = ground();
        let set = new_set();
        set.claim(&want(1)).unwrap();
        let huge = Want::new(20_000, Kind::Other);
        sim::refuse(sim::Kind::Map, Fault::From(1));
        (0..100).for_each(|_| assert!(set.claim(&huge).is_none()));
        let in_use = set.in_use_slices();
        let pieces = (0..4).map(|_| set.meta_alloc(SLICE_BYTES / 5).unwrap());
        assert_eq!(pieces.count(), 4);
        assert_eq!(set.in_use_slices(), in_use, "there is room for them beside the first arena's structures");
    }

    fn configure(change: impl FnOnce(&mut MemConfig)) {
        let mut config = *mem::config();
        change(&mut config);
        sim::set_config(Some(Box::leak(Box::new(config))));
    }

    #[test]
    fn a_smaller_arena_is_reserved_when_a_large_one_is_refused() {
        let _ground = ground();
        sim::set_limits(Limits { mapped_bytes: sim::mapped_bytes() + 100 * MIB, ..Limits::NONE });
        let claim = new_set().claim(&want(1)).expect("there is room for a smaller one");
        assert!(claim.arena.bytes() <= 100 * MIB);
    }

    /// So many bytes more may become accessible.
    fn limit_accessible(more: usize) {
        sim::set_limits(Limits { accessible_bytes: sim::accessible_bytes() + more, ..Limits::NONE });
    }

    #[test]
    fn what_is_needed_becomes_accessible_where_a_step_is_refused() {
        let _ground = ground();
        let set = new_set();
        set.claim(&want(20)).unwrap();
        let before = sim::accessible_bytes();
        let claims = [1, 12].map(|slices| {
            limit_accessible(slices * SLICE_BYTES);
            set.claim(&Want::new(slices, Kind::Other)).expect("as many as are allowed")
        });
        assert!(claims.iter().all(|claim| claim.range.len <= 12));
        assert!(sim::accessible_bytes() <= before + 13 * SLICE_BYTES);
    }

    #[test]
    fn free_slices_are_closed_where_others_are_refused() {
        let _ground = ground();
        let set = new_set();
        let pieces = [12, 1, 12, 1].map(|slices| set.claim(&Want::new(slices, Kind::Other)).unwrap());
        pieces.iter().step_by(2).for_each(|piece| set.release(piece.arena, piece.range, 0));
        limit_accessible(0);
        let larger = set.claim(&Want::new(14, Kind::Other)).expect("24 slices are accessible that nobody uses");
        assert!(pieces.iter().all(|piece| piece.arena == larger.arena), "the limit is not about addresses");
        fill(&larger);
        assert!(!larger.arena.is_committed(pieces[0].range.start) && larger.arena.is_free(pieces[0].range.start));
        sim::set_limits(Limits::NONE);
        fill(&set.claim(&Want::new(12, Kind::Other)).expect("the closed ones are there for others"));
    }

    #[test]
    fn a_refused_reservation_is_tried_again_by_the_next_claim() {
        let _ground = ground();
        let set = new_set();
        sim::refuse(sim::Kind::Map, Fault::From(1));
        assert!(set.claim(&want(1)).is_none());
        sim::refuse(sim::Kind::Map, Fault::Never);
        assert!(set.claim(&want(1)).is_some());
    }

    /// Takes most of each of the set's first arenas as soon as it is there; answers how many it got.
    fn steal_first(set: &'static ArenaSet, arenas: usize, most: usize, is_over: &AtomicBool) -> usize {
        let mut stolen = 0;
        while stolen < arenas && !is_over.load(Ordering::Relaxed) {
            let newest = set.arenas().nth(stolen);
            stolen += usize::from(newest.is_some_and(|arena| set.claim(&only(arena, most)).is_some()));
        }
        stolen
    }

    /// Whoever makes an arena may find it taken, and makes another.
    #[test]
    fn an_arena_that_others_empty_at_once_is_followed_by_another() {
        let mut ground = ground();
        ground.set(OptionId::ArenaReserve, 4 << 10);
        // Takes a while, between an arena's beginning and the claim that it was made for.
        ground.set(OptionId::PagemapCommit, 1);
        let most = LARGE_PAGE_SLICES / 2 + 1;
        let lost_first = |_: &usize| {
            let (set, is_over) = (new_set(), AtomicBool::new(false));
            let (claim, stolen) = std::thread::scope(|scope| {
                let thief = scope.spawn(|| steal_first(set, 3, most, &is_over));
                let claim = set.claim(&want(most));
                is_over.store(true, Ordering::Relaxed);
                (claim, thief.join().unwrap())
            });
            assert!(claim.is_some(), "there is memory");
            stolen > 0
        };
        assert!((0..1000).filter(lost_first).nth(4).is_some(), "the thief never came first");
    }

    /// More address space is no memory.
    #[test]
    fn no_arena_is_reserved_where_memory_is_refused() {
        let _ground = ground();
        configure(|config| config.overcommits = false);
        let set = new_set();
        assert!(set.claim(&want(1)).is_some());
        sim::refuse(sim::Kind::Commit, Fault::From(1));
        (0..10).for_each(|_| assert!(set.claim(&want(4)).is_none()));
        sim::refuse(sim::Kind::Commit, Fault::Never);
        assert_eq!(set.arenas().count(), 1);
        assert!(set.claim(&want(4)).is_some());
    }

    #[test]
    fn with_strict_accounting_slices_are_committed_when_claimed_and_given_up_when_purged() {
        let _ground = ground();
        configure(|config| config.overcommits = false);
        let set = new_set();
        let first = set.claim(&want(1)).unwrap();
        let arena = first.arena;
        assert!(!arena.is_committed(arena.slices() - 1));
        sim::refuse(sim::Kind::Commit, Fault::At(1));
        let before = set.in_use_slices();
        assert!(arena.claim_at(BitRange::new(first.range.end(), 4)).is_none());
        assert!(set.in_use_slices() == before && arena.is_free(first.range.end()));
        let claim = arena.claim_at(BitRange::new(first.range.end(), 4)).unwrap();
        let accessible = sim::accessible_bytes();
        ArenaSet::of(arena).release(arena, claim.range, 0);
        set.purge_due(Force::All);
        assert_eq!(accessible - sim::accessible_bytes(), 4 * SLICE_BYTES);
        assert!(!arena.is_committed(claim.range.start));
    }

    #[test]
    fn what_has_been_free_for_the_delay_is_purged_by_a_later_call() {
        let _ground = ground();
        sim::set_clock(Clock::Steps(1));
        let set = new_set();
        let claim = set.claim(&want(8)).unwrap();
        ArenaSet::of(claim.arena).release(claim.arena, claim.range, 0);
        set.purge_due(Force::Routine);
        assert_eq!(set.unused_slices(), 8);
        sim::set_clock(Clock::Steps(1300));
        set.purge_due(Force::Routine);
        assert_eq!(set.unused_slices(), 0);
    }

    #[test]
    fn the_scavenger_purges_what_exceeds_the_bound_a_part_of_a_delay_later() {
        let _ground = ground();
        sim::set_clock(Clock::Steps(1));
        let set = new_set();
        let claims: Vec<Claim> = (0..40).map(|_| set.claim(&want(LARGE_PAGE_SLICES)).unwrap()).collect();
        let _attended = super::Attended::begin();
        claims.iter().for_each(|claim| ArenaSet::of(claim.arena).release(claim.arena, claim.range, 0));
        assert!(set.scavenge(), "what has just come may be wanted again at once");
        assert_eq!(set.unused_slices(), 40 * LARGE_PAGE_SLICES);
        sim::set_clock(Clock::Steps(260));
        let rounds = (0..3).take_while(|_| set.scavenge()).count();
        assert!(rounds < 3 && set.unused_slices() * SLICE_BYTES <= 4 * MIB);
        sim::set_clock(Clock::Steps(1300));
        set.scavenge();
        assert_eq!(set.unused_slices(), 0);
    }

    #[test]
    fn a_release_purges_where_the_scavenger_does_not_keep_up() {
        let _ground = ground();
        sim::set_clock(Clock::Steps(100));
        let set = new_set();
        let claims: Vec<Claim> = (0..40).map(|_| set.claim(&want(LARGE_PAGE_SLICES)).unwrap()).collect();
        let _attended = super::Attended::begin();
        claims.iter().for_each(|claim| ArenaSet::of(claim.arena).release(claim.arena, claim.range, 0));
        assert!(set.unused_slices() < 20 * LARGE_PAGE_SLICES);
    }

    #[test]
    fn releases_do_not_put_off_what_is_due() {
        let _ground = ground();
        sim::set_clock(Clock::Steps(1));
        let set = new_set();
        let [idle, busy] = [8, 1].map(|slices| set.claim(&want(slices)).unwrap());
        ArenaSet::of(idle.arena).release(idle.arena, idle.range, 0);
        sim::set_clock(Clock::Steps(100));
        for _ in 0..20 {
            ArenaSet::of(busy.arena).release(busy.arena, busy.range, 0);
            assert!(busy.arena.claim_at(busy.range).is_some());
        }
        sim::set_clock(Clock::Steps(0));
        set.purge_due(Force::Routine);
        assert_eq!(set.unused_slices(), 0);
    }

    #[test]
    fn what_goes_into_use_again_and_again_is_purged_once_at_most() {
        let _ground = ground();
        sim::set_clock(Clock::Steps(10));
        let set = new_set();
        let purges = |rounds| {
            let before = sim::calls(sim::Kind::Discard);
            for _ in 0..rounds {
                let claims: Vec<Claim> = (0..10).map(|_| set.claim(&want(LARGE_PAGE_SLICES)).unwrap()).collect();
                claims.iter().for_each(|claim| ArenaSet::of(claim.arena).release(claim.arena, claim.range, 0));
                set.purge_due(Force::Routine);
            }
            sim::calls(sim::Kind::Discard) - before
        };
        assert!(purges(1) > 0, "that it comes again is not known yet");
        purges(1);
        assert_eq!(purges(100), 0);
        assert_eq!(set.unused_slices(), 10 * LARGE_PAGE_SLICES);
        sim::set_clock(Clock::Steps(1300));
        set.purge_due(Force::Routine);
        assert_eq!(set.unused_slices(), 0, "and when it does not come any more");
    }

    #[test]
    fn huge_pages_are_advised_once_the_heap_is_large_and_once_per_unit() {
        let _ground = ground();
        configure(|config| config.thp = ThpMode::Madvise);
        let set = new_set();
        let claim = set.claim(&want(LARGE_PAGE_SLICES)).unwrap();
        claim.arena.advise_filling(claim.range);
        assert_eq!(sim::calls(sim::Kind::Thp), 0, "the process is small");
        set.usage().single.add(64 * MIB / SLICE_BYTES);
        claim.arena.advise_filling(claim.range);
        assert_eq!(sim::calls(sim::Kind::Thp), 0, "big blocks don't tell that pages fill");
        set.usage().filled.add(64 * MIB / SLICE_BYTES);
        claim.arena.advise_filling(claim.range);
        claim.arena.advise_filling(claim.range);
        assert_eq!(sim::calls(sim::Kind::Thp), 1);
    }

    /// A large heap, of which the first units are in use: pages of a slice each, and their arena.
    fn large_heap(ground: &mut Alone, set: &'static ArenaSet, units: usize) -> (&'static Arena, Vec<Claim>) {
        configure(|config| config.thp = ThpMode::Madvise);
        ground.set(OptionId::ArenaReserve, (64 * MIB / 1024) as i64);
        set.usage().filled.add(64 * MIB / SLICE_BYTES);
        let arena = set.claim(&want(1)).expect("memory").arena;
        let slices = (UNIT_SLICES..(1 + units) * UNIT_SLICES).map(BitRange::one);
        let claims: Vec<Claim> = slices.map(|slice| arena.claim_at(slice).expect("free")).collect();
        claims.iter().for_each(|claim| arena.advise_filling(claim.range));
        (arena, claims)
    }

    fn purge(set: &ArenaSet, claims: &[Claim]) {
        claims.iter().for_each(|claim| ArenaSet::of(claim.arena).release(claim.arena, claim.range, 0));
        set.purge_due(Force::All);
    }

    /// The kernel would fill them up with huge pages by itself.
    #[test]
    fn purging_takes_advice_back_from_units_that_are_sparse_then() {
        let mut ground = ground();
        let set = new_set();
        let (arena, claims) = large_heap(&mut ground, set, 4);
        // So much in use that nothing is purged but when it is asked for.
        let _in_use = set.claim(&Want::new(6 * CHUNK_BITS / 5, Kind::Other)).unwrap();
        assert_eq!((sim::calls(sim::Kind::Thp), arena.advised.count_set(arena.advised.all())), (4, 4));
        let (first, rest) = claims.split_at(UNIT_SLICES);
        purge(set, &first[..UNIT_SLICES / 4 - 1]);
        assert_eq!((sim::calls(sim::Kind::Thp), set.usage().refused.get()), (4, 0), "still nearly full");
        // Of three units all but a slice; they are neighbours.
        purge(set, &rest[1..]);
        assert_eq!((sim::calls(sim::Kind::Thp), set.usage().refused.get()), (5, 3));
        assert!(arena.advised.is_set(1) && arena.advised.is_all_clear(BitRange::new(2, 3)));
    }

    /// A huge page has memory behind all of its slices, whoever used how many of them.
    #[test]
    fn what_huge_pages_put_behind_unused_slices_goes_with_the_advice() {
        let mut ground = ground();
        let set = new_set();
        let (arena, claims) = large_heap(&mut ground, set, 2);
        let _in_use = set.claim(&Want::new(6 * CHUNK_BITS / 5, Kind::Other)).unwrap();
        let (first, second) = claims.split_at(UNIT_SLICES);
        // Given back as zero: nothing of it waits to be purged.
        second[1..].iter().for_each(|claim| set.release(arena, claim.range, 1));
        let unused = arena.slice_memory(second[7].range.start);
        // SAFETY: nobody else uses the arena. It stands for what the system put there.
        unsafe { *unused = 1 };
        purge(set, &first[..UNIT_SLICES / 2]);
        // SAFETY: as above.
        assert_eq!(unsafe { *unused }, 1, "its unit is advised");
        purge(set, &second[..1]);
        // SAFETY: as above.
        assert_eq!(unsafe { *unused }, 0);
        assert!(arena.is_free(second[7].range.start) && !arena.is_advised(second[7].range));
    }

    #[test]
    fn a_page_with_holes_takes_advice_back_from_its_unit_however_full_it_is() {
        let mut ground = ground();
        let set = new_set();
        // The first arena of a process would be too small.
        let large = set.claim(&Want::new(CHUNK_BITS / 2, Kind::Other)).unwrap();
        set.release(large.arena, large.range, large.range.len);
        let (arena, claims) = large_heap(&mut ground, set, 2);
        assert!(arena.is_advised(claims[0].range) && !arena.is_advised(BitRange::one(3 * UNIT_SLICES)));
        arena.refuse_holes(claims[0].range);
        assert!(!arena.is_advised(claims[0].range) && arena.is_advised(claims[UNIT_SLICES].range));
        assert_eq!((sim::calls(sim::Kind::Thp), set.usage().refused.get()), (3, 1));
    }

    #[test]
    fn refused_units_are_advised_again_when_they_are_to_be_full() {
        let mut ground = ground();
        let set = new_set();
        let (arena, claims) = large_heap(&mut ground, set, 2);
        // So much in use that nothing is purged but when it is asked for.
        let _in_use = set.claim(&Want::new(6 * CHUNK_BITS / 5, Kind::Other)).unwrap();
        purge(set, &claims[1..]);
        assert_eq!(set.usage().refused.get(), 2);
        let claim = |slice| {
            let claim = arena.claim_at(BitRange::one(slice)).expect("free");
            arena.advise_filling(claim.range);
        };
        // The first unit has a slice left, so that it must be nearly full; the second is empty.
        let enough = UNIT_SLICES + UNIT_SLICES * 7 / 8 - 1;
        (UNIT_SLICES + 1..enough).for_each(claim);
        assert_eq!(set.usage().refused.get(), 2);
        claim(enough);
        assert_eq!(set.usage().refused.get(), 1);
        claim(2 * UNIT_SLICES + 7);
        assert_eq!((set.usage().refused.get(), sim::calls(sim::Kind::Thp)), (0, 5));
        assert!(arena.advised.is_all_set(BitRange::new(1, 2)));
    }

    #[test]
    fn new_arenas_refuse_huge_pages_where_the_system_always_gives_them() {
        let _ground = ground();
        configure(|config| config.thp = ThpMode::Always);
        let parts = || sim::calls(sim::Kind::Map) - sim::calls(sim::Kind::Unmap);
        let before = parts();
        assert!(new_set().claim(&want(1)).is_some());
        // So does each new part of the page map.
        assert!(sim::calls(sim::Kind::Thp) >= 1 && sim::calls(sim::Kind::Thp) <= parts() - before);
    }

    #[test]
    fn purged_memory_traps_under_strict_accounting_but_is_usable_once_claimed() {
        let _ground = ground();
        configure(|config| config.overcommits = false);
        let set = new_set();
        let claim = set.claim(&want(8)).unwrap();
        fill(&claim);
        ArenaSet::of(claim.arena).release(claim.arena, claim.range, 0);
        set.purge_due(Force::All);
        let again = claim.arena.claim_at(claim.range).unwrap();
        assert!(is_zero(&again));
        fill(&again);
    }
}
