//! What a hardened page has besides an ordinary one: a block table in metadata memory, and a guard OS page at its end. And guarded
//! blocks: of their pages nothing is accessible but the block's OS pages, and when the block has been freed, nothing.
//!
//! A guard is inaccessible, so that whoever runs over the page's end faults. Arenas over memory of the program's
//! own, and of huge OS pages, do without. Each guard splits a mapping, of which a process can have 65,530 (Linux's
//! `vm.max_map_count`), so there are never more than [`MAX_GUARDS`]: the program needs some itself, for threads.

use core::ptr;

use ferrimalloc_prim::stack::Registers;
use ferrimalloc_prim::{fault, mem};

use super::heap::Heap;
use crate::arena::{ArenaSet, Meta};
use crate::base::*;
use crate::bitmap::BitRange;
use crate::diag::{self, Detail, ErrorKind};
use crate::hardened::{BlockTable, Secrets, Style};
use crate::options::{self, Hardening, OptionId};
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
    if may && guard_parts(page, &[(end_of(page).wrapping_sub(guard), guard)], |is| page.set_guarded(is)) {
        page.set_reserved(blocks.min(page.reserved()) as u16);
    }
}

/// Makes the whole page inaccessible: its blocks are addresses and nothing else. May fail; then they have some memory.
fn guard_whole(page: &Owned) {
    if page.commit_up_to(end_of(page)) {
        guard_parts(page, &[whole_of(page)], |is| page.set_guarded(is));
    }
}

fn end_of(page: &Page) -> *mut u8 {
    page.memory().wrapping_add(page.slices() * SLICE_BYTES)
}

/// A part of a page: where it begins, and how many bytes it has.
type Part = (*mut u8, usize);

fn whole_of(page: &Page) -> Part {
    (page.memory(), page.slices() * SLICE_BYTES)
}

/// Makes all of a single block's page inaccessible but the OS pages of the block; false if that can't be done. The page has at least
/// one in front of the block, and one behind it.
pub fn guard_single(block: &mut SinglePage) -> bool {
    let page = block.page();
    guard_parts(page, &around_single(page), |is| block.set_guarded(is))
}

/// What is in front of a single block's OS pages, and what is behind them.
fn around_single(page: &Page) -> [Part; 2] {
    let (memory, guard) = (page.memory(), guard_of(page));
    let front = align_down(page.start().addr(), os::os_page_bytes()) - memory.addr();
    [(memory, front), (guard, end_of(page).addr().saturating_sub(guard.addr()))]
}

/// Makes parts of a page inaccessible, and has `mark` enter in the page that they are, or are not; false if that can't be done.
fn guard_parts(page: &Page, parts: &[Part], mut mark: impl FnMut(bool)) -> bool {
    let can = parts.iter().all(|&(start, bytes)| bytes > 0 && page.private_at(start, bytes).is_some());
    if !can || !take_guards(parts.len()) {
        return false;
    }
    // First: the child of a fork at this moment releases the page, and has to know that there is something to open.
    mark(true);
    pin();
    let closed = parts.iter().take_while(|&&part| close(page, part)).count();
    pin();
    if closed == parts.len() {
        watch_guards();
        return true;
    }
    // If one can't be opened again, the page is left as one that has guards.
    if parts[..closed].iter().all(|&part| open(page, part)) {
        mark(false);
        GUARDS.fetch_sub(parts.len(), Ordering::Relaxed);
    }
    false
}

fn close(page: &Page, (start, bytes): Part) -> bool {
    // SAFETY: OS pages of the page's own, where no block is that anybody may access.
    page.private_at(start, bytes).is_some_and(|memory| unsafe { memory.close() })
}

fn open(page: &Page, (start, bytes): Part) -> bool {
    page.private_at(start, bytes).is_some_and(PrivateMemory::open)
}

/// A block with more bytes gives its memory back while it rests. A smaller one isn't worth a call of the system.
const DROPPED_BYTES: usize = 16 << 10;

/// Makes all of a guarded block's page inaccessible, whose block has been freed; false if that can't be done.
pub(super) fn close_single(page: &Owned) -> bool {
    let (start, bytes) = whole_of(page);
    if !close(page, (start, bytes)) {
        return false;
    }
    let drops = page.block_bytes() > DROPPED_BYTES && !mem::CLOSING_CLEARS && options::get(OptionId::PurgeDelay) >= 0;
    if drops && let Some(memory) = page.private_at(start, bytes) {
        // SAFETY: nobody has a block there.
        unsafe { memory.discard() };
    }
    true
}

/// Whether there may be more guards.
pub fn may_guard() -> bool {
    GUARDS.load(Ordering::Relaxed) < MAX_GUARDS
}

/// Counts more guards, if there may be more.
fn take_guards(count: usize) -> bool {
    let is_over = GUARDS.fetch_add(count, Ordering::Relaxed) >= MAX_GUARDS;
    if is_over {
        GUARDS.fetch_sub(count, Ordering::Relaxed);
    }
    !is_over
}

/// The guards go with the memory of their page.
pub fn forget_guard(page: &Page) {
    if page.owner().is_guarded() {
        let guards = if page.is_singleton() { 2 } else { 1 };
        GUARDS.fetch_sub(guards, Ordering::Relaxed);
    }
}

/// Whether an address is in a guard of the page.
fn is_guard(page: &Page, p: *const u8) -> bool {
    let holds = |(start, bytes): Part| p.addr().wrapping_sub(start.addr()) < bytes;
    let is_in_guard = match page.is_singleton() && !page.is_resting() {
        true => around_single(page).into_iter().any(holds),
        false => holds(extent_of_guards(page)),
    };
    page.owner().is_guarded() && is_in_guard
}

/// The part of a guarded page that has all of its guards. Of requests for nothing, and of single blocks, that is the whole page.
fn extent_of_guards(page: &Page) -> Part {
    match page.bin() {
        VOID | Bin::SINGLETON => whole_of(page),
        _ => (guard_of(page), os::os_page_bytes()),
    }
}

/// Where a guarded page's guard is, that behind its blocks.
fn guard_of(page: &Page) -> *mut u8 {
    let behind = if page.is_singleton() {
        page.start().wrapping_add(page.block_bytes())
    } else {
        end_of(page).wrapping_sub(os::os_page_bytes())
    };
    behind.map_addr(|address| align_down(address + os::os_page_bytes() - 1, os::os_page_bytes()))
}

/// Makes the guards ordinary memory again, of a page that is about to be given back. If the system refuses, whoever
/// claims the memory next has to commit it; false if it can't be used again: a mapping of its own would be kept as a whole.
pub(super) fn unguard(page: &Page) -> bool {
    if !page.owner().is_guarded() {
        return true;
    }
    forget_guard(page);
    let guards = extent_of_guards(page);
    open(page, guards) || leave_guarded(page, guards)
}

#[cold]
fn leave_guarded(page: &Page, (start, bytes): Part) -> bool {
    let Origin::Arena(arena) = page.origin() else { return false };
    arena.note_inaccessible(BitRange::new(arena.slice_of(start), bytes.div_ceil(SLICE_BYTES)));
    true
}

// What is said of an access that faults at a guard, or in a block at rest: of which block, and whose calls those were. In a signal handler,
// which reads metadata that others may be changing, and believes nothing.

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
    diag::fault(kind_of_hit(page, p), p, Detail::Block(about), &|| profile::tell_fault_origins(about.block, at));
}

fn kind_of_hit(page: PageRef, p: *const u8) -> ErrorKind {
    match page.is_singleton() {
        true if page.is_resting() => ErrorKind::UseAfterFree,
        true if p.addr() < page.start().addr() => ErrorKind::FrontGuardHit,
        _ => ErrorKind::GuardHit,
    }
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
