//! Memory that somebody handed us is never dropped, moved or advised, and no zeros are trusted in it but those that it
//! came with.
//!
//! The memory here is mapped by the test and seen twice, so that the test reads what the allocator did to it.

#![cfg(not(any(loom, feature = "sim")))]

use std::ptr;
use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ferrimalloc_core::alloc::{self, Alignment};
use ferrimalloc_core::arena::{Arena, Commit, Sharing, UserMemory};
use ferrimalloc_core::base::{Force, SLICE_BYTES, Zero};
use ferrimalloc_core::heap::Heap;
use ferrimalloc_core::options::{self, Hardening, OptionId};
use ferrimalloc_core::runtime;
use ferrimalloc_core::theap::Theap;

const MIB: usize = 1 << 20;
const BYTES: usize = 256 * MIB;

static ONE_BY_ONE: Mutex<()> = Mutex::new(());

/// A memory file, mapped twice: for the allocator, and for the test to look.
struct Shared {
    start: *mut u8,
    seen: *const u8,
    heap: &'static Heap,
    theap: &'static Theap,
    arena: &'static Arena,
    _alone: MutexGuard<'static, ()>,
}

fn map(hint: *mut u8, flags: i32, file: i32) -> *mut u8 {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping.
    let p = unsafe { libc::mmap(hint.cast(), BYTES, access, libc::MAP_SHARED | flags, file, 0) };
    assert_ne!(p, libc::MAP_FAILED);
    p.cast()
}

/// A heap over shared memory, which is zero.
fn shared() -> Shared {
    let alone = ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
    runtime::ensure_process();
    // SAFETY: a name and no flags.
    let file = unsafe { libc::memfd_create(c"arena".as_ptr(), 0) };
    // SAFETY: the file is the test's.
    assert!(file >= 0 && unsafe { libc::ftruncate(file, BYTES as libc::off_t) } == 0);
    // SAFETY: a new mapping, larger by a slice so that it can be aligned.
    let room = unsafe {
        libc::mmap(ptr::null_mut(), BYTES + SLICE_BYTES, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0)
    };
    let aligned = room.cast::<u8>().wrapping_add((room as usize).wrapping_neg() % SLICE_BYTES);
    let start = map(aligned, libc::MAP_FIXED, file);
    let seen = map(ptr::null_mut(), 0, file);
    let user = UserMemory {
        start,
        bytes: BYTES,
        commit_state: Commit::Now,
        pinned: false,
        zero: Zero::Zeroed,
        numa: None,
        sharing: Sharing::Exclusive,
        commit: None,
    };
    // SAFETY: the test's memory, which stays mapped.
    let arena = unsafe { runtime::current_subproc().arenas().manage(&user) }.unwrap();
    let heap = runtime::heap_new_in_arena(arena).unwrap();
    Shared { start, seen, heap, theap: runtime::theap_for(heap).unwrap(), arena, _alone: alone }
}

impl Shared {
    fn alloc(&self, size: usize, zero: Zero) -> *mut u8 {
        let p = alloc::alloc_in(self.theap, size, zero);
        assert!(self.arena.contains(p), "{size}");
        p
    }

    fn resize(&self, p: *mut u8, size: usize, zero: Zero) -> *mut u8 {
        // SAFETY: a block of the test's, which goes on with the answer.
        let p = unsafe { alloc::realloc_into(self.theap, p, size, Alignment::NATURAL, zero) };
        assert!(self.arena.contains(p), "{size}");
        p
    }

    /// What the other mapping shows of a block.
    fn seen(&self, p: *const u8, bytes: usize) -> &[u8] {
        // SAFETY: the same file, as far from the start.
        unsafe { slice::from_raw_parts(self.seen.wrapping_add(p as usize - self.start as usize), bytes) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the test is over; nobody uses its blocks any more.
        assert!(unsafe { runtime::heap_destroy(self.heap) });
    }
}

fn fill(p: *mut u8, bytes: usize, byte: u8) {
    // SAFETY: a block of the test's with so many bytes.
    unsafe { p.write_bytes(byte, bytes) };
}

fn holds(bytes: &[u8], byte: u8) -> bool {
    bytes[0] == byte && bytes[1..] == bytes[..bytes.len() - 1]
}

fn block<'a>(p: *const u8, bytes: usize) -> &'a [u8] {
    // SAFETY: a block of the test's with so many bytes.
    unsafe { slice::from_raw_parts(p, bytes) }
}

fn release(p: *mut u8) {
    // SAFETY: a block of the test's, used no more.
    unsafe { alloc::free(p) };
}

#[test]
fn blocks_do_not_alias_in_an_arena_over_shared_memory() {
    let shared = shared();
    let p = shared.alloc(8 * MIB, Zero::Any);
    let in_the_way = shared.alloc(8 * MIB, Zero::Any);
    fill(p, 8 * MIB, 1);
    fill(in_the_way, 8 * MIB, 2);
    let grown = shared.resize(p, 64 * MIB, Zero::Any);
    fill(grown, 64 * MIB, 3);
    let other = shared.alloc(8 * MIB, Zero::Any);
    fill(other, 8 * MIB, 4);
    assert!(holds(block(grown, 64 * MIB), 3) && holds(shared.seen(grown, 64 * MIB), 3));
    assert!(holds(block(other, 8 * MIB), 4) && holds(shared.seen(other, 8 * MIB), 4));
    assert!(holds(block(in_the_way, 8 * MIB), 2) && holds(shared.seen(in_the_way, 8 * MIB), 2));
}

#[test]
fn zeros_are_made_not_trusted_in_an_arena_over_shared_memory() {
    let shared = shared();
    for bytes in [100, 5000, 70_000, 4 * MIB, 20 * MIB] {
        let p = shared.alloc(bytes, Zero::Any);
        fill(p, bytes, 7);
        release(p);
        alloc::collect(Force::All);
        let blocks: Vec<_> = (0..6).map(|_| shared.alloc(bytes, Zero::Zeroed)).collect();
        assert!(blocks.iter().all(|p| holds(block(*p, bytes), 0) && holds(shared.seen(*p, bytes), 0)), "{bytes}");
        blocks.into_iter().for_each(|p| {
            fill(p, bytes, 9);
            release(p);
        });
    }
}

#[test]
fn a_shrunk_block_gives_slices_of_shared_memory_back_as_they_are() {
    let shared = shared();
    let p = shared.alloc(64 * MIB, Zero::Any);
    fill(p, 64 * MIB, 5);
    assert_eq!(shared.resize(p, 8 * MIB, Zero::Any), p);
    alloc::collect(Force::All);
    assert!(holds(block(p, 8 * MIB), 5));
    assert!(holds(shared.seen(p, 64 * MIB), 5), "returned, but not dropped");
    let other = shared.alloc(32 * MIB, Zero::Zeroed);
    assert!(other > p && other < p.wrapping_add(64 * MIB), "others may use the tail");
    assert!(holds(block(other, 32 * MIB), 0) && holds(block(p, 8 * MIB), 5));
    let grown = shared.resize(p, 24 * MIB, Zero::Zeroed);
    assert!(holds(block(grown, 8 * MIB), 5) && holds(block(grown.wrapping_add(8 * MIB), 16 * MIB), 0));
}

/// The arena's memory is mapped as the program has mapped it.
fn check_one_mapping(arena: &Arena) {
    let mappings = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = mappings.lines();
    let range = format!("{:x}-{:x} rw-s", arena.start() as usize, arena.start() as usize + BYTES);
    assert!(lines.any(|line| line.starts_with(&range)), "one mapping still, and accessible");
    let flags = lines.find(|line| line.starts_with("VmFlags:")).unwrap();
    assert!(!flags.split(' ').any(|flag| ["hg", "nh"].contains(&flag)), "{flags}");
}

/// Guards and huge-page advice would change the mapping that the program has.
#[test]
fn foreign_memory_is_neither_protected_nor_advised() {
    let shared = shared();
    options::set_hardening(Hardening { secure: 5, debug: 0 });
    options::set(OptionId::ShowErrors, 0);
    let (heap, arena) = (runtime::heap_new_in_arena(shared.arena).unwrap(), shared.arena);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let theap = runtime::theap_for(heap).unwrap();
            let sizes = [24, 3000, 40_000, 300_000, 3 * MIB, 40 * MIB];
            let blocks = sizes.map(|size| alloc::alloc_in(theap, size, Zero::Any));
            blocks.iter().zip(sizes).for_each(|(p, size)| fill(*p, size, 1));
            check_one_mapping(arena);
            blocks.into_iter().for_each(release);
            alloc::collect(Force::All);
        });
    });
    options::set_hardening(Hardening::NONE);
    check_one_mapping(arena);
    // SAFETY: no block of it is used.
    assert!(unsafe { runtime::heap_destroy(heap) });
}

/// Files of the core that call these functions of `prim::mem`, beside `os/private.rs`, and what of.
const OTHERS: [(&str, &str); 2] = [
    // Regions that nobody uses any more, if they can't be unmapped.
    ("os/region.rs", "discard"),
    // The page map's own table, mapped on the line before.
    ("arena/page_map.rs", "thp"),
];

#[test]
fn memory_is_dropped_moved_closed_and_advised_by_its_provenance_alone() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut complaints = Vec::new();
    for floor in std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in std::fs::read_dir(floor).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("mod tests {").next().unwrap();
            for call in ["discard", "reset", "thp", "move_pages"] {
                if code.contains(&format!("mem::{call}(")) && !OTHERS.contains(&(&name, call)) {
                    complaints.push(format!("{name} calls mem::{call}"));
                }
            }
            if code.lines().any(|line| line.contains("mem::protect(") && line.contains("Access::None")) {
                complaints.push(format!("{name} makes memory inaccessible"));
            }
        }
    }
    complaints.retain(|complaint| !complaint.starts_with("os/private.rs") && !complaint.contains("tests"));
    assert!(complaints.is_empty(), "{complaints:#?}");
}
