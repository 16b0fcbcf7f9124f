//! The process: set up by the first allocation, in two steps.
//!
//! The first step needs nothing of the C library that could allocate: what the options want reserved, the main
//! sub-process, its main heap. The second (`hooks`) tells the C library to call us at thread ends, forks and exit; that
//! may allocate, so it happens when the first thread already has its theap.
//!
//! A thread that allocates after all memory has been released gets a new main heap.

use ferrimalloc_prim::{mem, process};

use super::descriptor;
use crate::arena::{Arena, Commit, LargePages, Sharing, page_map};
use crate::diag;
use crate::heap::Subproc;
use crate::options::{self, OptionId};
use crate::os;
use crate::sync::{AtomicBool, Lock, Once, Ordering};

static MAIN: Subproc = Subproc::new();
static SETUP: Once = Once::new();
/// The second step: whether the C library has been told of us. See `hooks`.
pub(super) static HOOKS: Once = Once::new();
/// What happens once at the end.
pub(super) static DONE: Once = Once::new();
/// Held over `fork`.
pub(super) static REOPENING: Lock<()> = Lock::new(());
static HAS_NO_HUGE_PAGES: AtomicBool = AtomicBool::new(false);
/// Whether the C library knows about our fork handlers.
pub(super) static HANDLES_FORKS: AtomicBool = AtomicBool::new(false);

/// 1 GiB.
const HUGE_PAGE_BYTES: usize = 1 << 30;

/// The sub-process of everything that has not been put into another one.
pub fn main_subproc() -> &'static Subproc {
    &MAIN
}

/// Sets the process up if that has not been done. False if there was no memory for it.
pub fn ensure_process() -> bool {
    if MAIN.main_heap().is_none() {
        SETUP.call(setup);
    }
    MAIN.main_heap().is_some() || reopen()
}

#[cold]
fn setup() {
    process::learn();
    settle_huge_pages();
    page_map::limit_bits(options::get(OptionId::MaxVabits).clamp(0, 64) as u32);
    reserve_at_start();
    descriptor::describe(&MAIN);
    MAIN.open();
}

/// Turns transparent huge pages off if the options say so: once, and before the program is in a sandbox, if that can be.
pub(super) fn settle_huge_pages() {
    options::init();
    if options::get(OptionId::AllowThp) == 0 && !HAS_NO_HUGE_PAGES.swap(true, Ordering::Relaxed) {
        mem::thp_disable_process();
    }
}

/// The main sub-process has no heap: its memory was released at the process's end, or there was none to begin with.
#[cold]
fn reopen() -> bool {
    if !SETUP.is_done() {
        return false;
    }
    let _one_by_one = REOPENING.lock();
    MAIN.main_heap().is_some() || MAIN.open()
}

/// What the options want reserved.
fn reserve_at_start() {
    let huge = options::get(OptionId::ReserveHugeOsPages).clamp(0, 1 << 20) as usize;
    if huge > 0 {
        reserve_huge(huge);
    }
    let bytes = options::get_size(OptionId::ReserveOsMemory);
    if bytes > 0 && MAIN.arenas().reserve_arena(bytes, Commit::Now, LargePages::Try, Sharing::Shared).is_none() {
        diag::warning(|line| _ = line.text("cannot reserve ").size(bytes).text(" bytes of OS memory at start"));
    }
}

fn reserve_huge(pages: usize) {
    const MILLIS_PER_PAGE: u64 = 500;
    let node = usize::try_from(options::get(OptionId::ReserveHugeOsPagesAt)).ok();
    let nodes = if node.is_some() { 1 } else { os::numa_nodes() };
    interleave_huge(&MAIN, pages, node.unwrap_or(0), nodes, pages as u64 * MILLIS_PER_PAGE);
}

/// Reserves huge pages in equal parts on `nodes` NUMA nodes from `first` on, in `timeout_millis` (0: no limit) together;
/// answers how many were had, and warns when there were fewer.
pub fn interleave_huge(subproc: &Subproc, pages: usize, first: usize, nodes: usize, timeout_millis: u64) -> usize {
    let nodes = nodes.max(1);
    let timeout = timeout_millis.div_ceil(nodes as u64);
    let parts = (0..nodes).map(|index| (first + index, pages / nodes + usize::from(index < pages % nodes)));
    parts.map(|(node, pages)| reserve_huge_on(subproc, pages, Some(node), timeout, Sharing::Shared).1).sum()
}

/// Reserves huge pages on one node; the arena's address and how many pages it has.
pub fn reserve_huge_on(
    subproc: &Subproc,
    pages: usize,
    node: Option<usize>,
    timeout_millis: u64,
    sharing: Sharing,
) -> (Option<&'static Arena>, usize) {
    if pages == 0 {
        return (None, 0);
    }
    let arena = subproc.arenas().reserve_huge(pages, node, timeout_millis, sharing);
    let had = arena.map_or(0, |arena| arena.bytes() / HUGE_PAGE_BYTES);
    if had < pages {
        diag::warning(|line| {
            line.text("could reserve ").size(had).text(" of ").size(pages).text(" huge OS pages of 1 GiB");
        });
    }
    (arena, had)
}

/// In the child of a fork: what another thread was just beginning or ending is begun anew.
///
/// # Safety
/// There is no other thread.
pub(super) unsafe fn after_fork() {
    // The C library has called a handler of ours.
    HANDLES_FORKS.store(true, Ordering::Relaxed);
    // SAFETY: the precondition.
    unsafe { [&SETUP, &HOOKS, &DONE].into_iter().for_each(|once| once.after_fork()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{ENTRY_BYTES, SLICE_BYTES, align_down};

    #[test]
    fn slices_have_entries_of_their_own() {
        let _ground = crate::arena::tests::ground();
        ensure_process();
        let here = MAIN.arenas().arenas().next().expect("an arena").start();
        let next = here.wrapping_add(SLICE_BYTES);
        assert_eq!(page_map::entry(next) as usize - page_map::entry(here) as usize, ENTRY_BYTES);
        assert_eq!(page_map::slice_address(page_map::entry(here)), align_down(here as usize, SLICE_BYTES));
        assert!(page_map::find(usize::MAX as *const u8).is_none());
        assert!(page_map::find((&raw const MAIN).cast()).is_none_or(|entry| entry != page_map::find(here).unwrap()));
    }
}
