//! What a hardened page has besides an ordinary one: a block table in metadata memory, and a guard OS page at its end.
//!
//! A guard OS page is inaccessible, so that whoever runs over the page's end faults. Arenas over memory of the program's
//! own, and of huge OS pages, do without. Each guard splits a mapping, of which a process can have 65,530 (Linux's
//! `vm.max_map_count`), so there are never more than [`MAX_GUARDS`]: the program needs some itself, for threads.

use core::ptr;

use ferrimalloc_prim::fault;
use ferrimalloc_prim::stack::Registers;

use super::heap::Heap;
use crate::arena::{ArenaSet, Meta};
use crate::base::*;
use crate::bitmap::BitRange;
use crate::diag::{self, Detail, ErrorKind};
use crate::hardened::{BlockTable, Secrets, Style};
use crate::options::Hardening;
use crate::os::{self, PrivateMemory};
use crate::page::{Origin, Owned, Page, PageRef, SinglePage};
use crate::profile;
use crate::sync::{AtomicUsize, Ordering, pin};

/// How many guards there may be at a time, in all sub-processes.
const MAX_GUARDS: usize = 24_000;
static GUARDS: AtomicUsize = AtomicUsize::new(0);

/// The class of requests for nothing, where blocks have canaries: its blocks would be all canary and no room.
const VOID: Bin = Bin::of(0);

/// Makes a fresh page a checked one; false without memory for its block table. By its owner.
pub fn check_page(page: &Owned, secrets: Secrets, style: Style, levels: Hardening) -> bool {
    let is_void = style.pads && page.bin() == VOID;
    if is_void {
        guard_whole(page);
    } else if levels.guards_pages() {
        guard_end(page);
    }
    let arenas = Heap::of_page(page).subproc().arenas();
    let Some(Meta { start, .. }) = arenas.meta_alloc(BlockTable::bytes(page.reserved())) else { return false };
    // SAFETY: fresh metadata memory of that size, given back by `drop_block_table` when the page is.
    unsafe { page.check(BlockTable::create(start, page.reserved(), page.block_bytes(), secrets, style)) };
    true
}

/// The page is about to be erased.
pub(super) fn drop_block_table(page: &Page, arenas: &ArenaSet) {
    if page.has_block_table() {
        let table = page.block_table();
        let meta = Meta { start: ptr::from_ref(table).cast_mut().cast(), bytes: BlockTable::bytes(page.reserved()) };
        // SAFETY: allocated by `check_page`; no block of the page is in use any more.
        unsafe { arenas.meta_free(meta) };
    }
}

/// Makes the last OS page of a fresh page inaccessible, and does without the blocks there.
fn guard_end(page: &Owned) {
    let guard = os::os_page_bytes();
    let blocks = page.area_bytes().saturating_sub(guard) / page.block_bytes();
    // What is committed later would be accessible as a whole.
    let may = blocks > 0 && guard <= SLICE_BYTES && page.commit_up_to(end_of(page));
    if may && guard_range(page, end_of(page).wrapping_sub(guard), guard, |is| page.set_guarded(is)) {
        page.set_reserved(blocks.min(page.reserved()) as u16);
    }
}

/// Makes the whole page inaccessible: its blocks are addresses and nothing else. May fail; then they have some memory.
fn guard_whole(page: &Owned) {
    if page.commit_up_to(end_of(page)) {
        guard_range(page, page.memory(), page.slices() * SLICE_BYTES, |is| page.set_guarded(is));
    }
}

fn end_of(page: &Page) -> *mut u8 {
    page.memory().wrapping_add(page.slices() * SLICE_BYTES)
}

/// Makes the OS page behind a single block inaccessible, which belongs to the block's page; false if that can't be
/// done.
pub fn guard_single(block: &mut SinglePage) -> bool {
    let page = block.page();
    guard_range(page, guard_of(page), os::os_page_bytes(), |is| block.set_guarded(is))
}

/// Makes a part of a page inaccessible, and has `mark` enter in the page that it is, or is not; false if that can't be done.
fn guard_range(page: &Page, guard: *mut u8, bytes: usize, mut mark: impl FnMut(bool)) -> bool {
    let Some(memory) = page.private_at(guard, bytes) else { return false };
    if !take_guard() {
        return false;
    }
    // First: the child of a fork at this moment releases the page, and has to know that there is something to open.
    mark(true);
    pin();
    // SAFETY: OS pages of the page's own, where no block is that anybody may access.
    let done = unsafe { memory.close() };
    pin();
    if done {
        watch_guards();
    } else {
        mark(false);
        GUARDS.fetch_sub(1, Ordering::Relaxed);
    }
    done
}

/// Whether there may be more guards.
pub fn may_guard() -> bool {
    GUARDS.load(Ordering::Relaxed) < MAX_GUARDS
}

/// Counts one more guard, if there may be one.
fn take_guard() -> bool {
    let is_over = GUARDS.fetch_add(1, Ordering::Relaxed) >= MAX_GUARDS;
    if is_over {
        GUARDS.fetch_sub(1, Ordering::Relaxed);
    }
    !is_over
}

/// The guard goes with the memory of its page.
pub fn forget_guard(page: &Page) {
    if page.owner().is_guarded() {
        GUARDS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether an address is in the page's guard.
fn is_guard(page: &Page, p: *const u8) -> bool {
    let (guard, bytes) = extent_of_guard(page);
    page.owner().is_guarded() && (guard.addr()..guard.addr() + bytes).contains(&p.addr())
}

/// Where a guarded page's guard is, and how large. Of requests for nothing it is the whole page.
fn extent_of_guard(page: &Page) -> (*mut u8, usize) {
    match page.bin() {
        VOID => (page.memory(), page.slices() * SLICE_BYTES),
        _ => (guard_of(page), os::os_page_bytes()),
    }
}

/// Where a guarded page's guard is.
fn guard_of(page: &Page) -> *mut u8 {
    let behind = if page.is_singleton() {
        page.start().wrapping_add(page.block_bytes())
    } else {
        end_of(page).wrapping_sub(os::os_page_bytes())
    };
    behind.map_addr(|address| align_down(address + os::os_page_bytes() - 1, os::os_page_bytes()))
}

/// Makes the guard ordinary memory again, of a page that is about to be given back. If the system refuses, whoever
/// claims the memory next has to commit it; false if it can't be used again: a mapping of its own would be kept as a whole.
pub(super) fn unguard(page: &Page) -> bool {
    if !page.owner().is_guarded() {
        return true;
    }
    forget_guard(page);
    let (guard, bytes) = extent_of_guard(page);
    let is_open = page.private_at(guard, bytes).is_some_and(PrivateMemory::open);
    is_open || leave_guarded(page, guard)
}

#[cold]
fn leave_guarded(page: &Page, guard: *mut u8) -> bool {
    let Origin::Arena(arena) = page.origin() else { return false };
    arena.note_inaccessible(BitRange::one(arena.slice_of(guard)));
    true
}

// What is said of an access that faults at a guard: of which block, and whose calls those were. In a signal handler, which reads metadata
// that others may be changing, and believes nothing.

/// A guard is looked for behind blocks of up to so many slices: 1 GiB.
const MAX_SLICES: usize = (1 << 30) / SLICE_BYTES;

/// Has guards looked at when they are hit, from now on.
fn watch_guards() {
    fault::watch(tell);
}

fn tell(address: usize, at: Option<Registers>) {
    let p = ptr::without_provenance(address);
    let Some(page) = guarded_page(p) else { return };
    let about = page.about(last_block(page, p), p);
    diag::fault(ErrorKind::GuardHit, p, Detail::Block(about), &|| profile::tell_fault_origins(about.block, at));
}

/// The page whose guard the address is in. Slices behind a single block's start don't say whose they are.
fn guarded_page(p: *const u8) -> Option<PageRef> {
    let slice = |back: usize| p.wrapping_sub(back * SLICE_BYTES);
    let found = (0..MAX_SLICES).map(slice).find_map(|at| Page::lookup(at))?;
    is_guard(found, p).then_some(found)
}

/// The address, or that of the page's last block if it lies behind that.
fn last_block(page: PageRef, p: *const u8) -> *const u8 {
    let last = page.start().wrapping_add(page.reserved().saturating_sub(1) * page.block_bytes());
    if p.addr() < last.addr() + page.block_bytes() { p } else { last }
}
