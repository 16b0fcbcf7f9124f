//! Arenas and OS memory.
//!
//! An arena's id is given back where it is wanted (not null): null on failure. Exclusive arenas serve the heaps made in
//! them by `mi_heap_new_in_arena`, the others any heap of this thread's sub-process. Arenas stay for the life of the
//! sub-process.

use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::Ordering;

use ferrimalloc_core::arena::{Arena, Commit, CommitFn, LargePages, Refusal, Sharing, UserMemory};
use ferrimalloc_core::base::{Force, MAX_REQUEST, SLICE_BYTES, Zero};
use ferrimalloc_core::diag::{self, DefaultOutput};
use ferrimalloc_core::options::{self, OptionId};
use ferrimalloc_core::os;
use ferrimalloc_core::runtime;
use ferrimalloc_prim::Errno;
use ferrimalloc_report as report;

use super::args::tell;
use super::export;
use super::types::ArenaId;

/// The arena with this id, which is not followed.
pub fn find_arena(id: ArenaId) -> Option<&'static Arena> {
    runtime::find_in_subprocs(|subproc| {
        subproc.arenas().arenas().find(|arena| ptr::eq(ptr::from_ref(*arena).cast(), id))
    })
}

fn id_of(arena: Option<&Arena>) -> ArenaId {
    arena.map_or(ptr::null_mut(), |arena| ptr::from_ref(arena).cast_mut().cast())
}

fn sharing(exclusive: bool) -> Sharing {
    if exclusive { Sharing::Exclusive } else { Sharing::Shared }
}

fn commit(now: bool) -> Commit {
    if now { Commit::Now } else { Commit::Later }
}

fn node(numa_node: c_int) -> Option<usize> {
    usize::try_from(numa_node).ok()
}

fn code(done: bool) -> c_int {
    if done { 0 } else { Errno::ENOMEM.0 }
}

fn reserve(size: usize, commit: Commit, large: LargePages, sharing: Sharing) -> Option<&'static Arena> {
    runtime::ensure_process();
    let arena = runtime::current_subproc().arenas().reserve_arena(size, commit, large, sharing);
    if arena.is_none() {
        warn_of_reserve(size);
    }
    arena
}

#[cold]
fn warn_of_reserve(size: usize) {
    diag::warning(|line| {
        line.text("cannot reserve an arena of ").size(size).text(" bytes");
        if size < Arena::MIN_BYTES {
            line.text(": not large enough, the least is ").size(Arena::MIN_BYTES);
        }
    });
}

fn manage(user: &UserMemory) -> Option<&'static Arena> {
    runtime::ensure_process();
    // SAFETY: the contract of `mi_manage_memory` is that of `manage`.
    match unsafe { runtime::current_subproc().arenas().manage(user) } {
        Ok(arena) => Some(arena),
        Err(refusal) => {
            warn_of_memory(user, refusal);
            None
        }
    }
}

#[cold]
fn warn_of_memory(user: &UserMemory, refusal: Refusal) {
    diag::warning(|line| {
        line.text("cannot manage memory at ").address(user.start).text(" (").size(user.bytes).text(" bytes): ");
        line.text(refusal.words());
    });
}

export! {
    /// Reserves `size` bytes of address space as an arena, committed at once or piece by piece, in OS pages of 2 MiB if
    /// they are allowed and there are enough. 0 or `ENOMEM`.
    fn mi_reserve_os_memory(size: usize, commit: bool, allow_large: bool) -> c_int {
        mi_reserve_os_memory_ex(size, commit, allow_large, false, ptr::null_mut())
    }

    /// The same, also as an exclusive arena.
    fn mi_reserve_os_memory_ex(size: usize, is_committed: bool, allow_large: bool, exclusive: bool, arena_id: *mut ArenaId) -> c_int {
        let large = if allow_large { LargePages::Try } else { LargePages::Never };
        let arena = reserve(size, commit(is_committed), large, sharing(exclusive));
        tell(arena_id, id_of(arena));
        code(arena.is_some())
    }

    /// Makes an arena of the program's memory, see [`mi_manage_memory`].
    fn mi_manage_os_memory(start: *mut c_void, size: usize, is_committed: bool, is_pinned: bool, is_zero: bool, numa_node: c_int) -> bool {
        mi_manage_os_memory_ex(start, size, is_committed, is_pinned, is_zero, numa_node, false, ptr::null_mut())
    }

    /// The same, also as an exclusive arena.
    fn mi_manage_os_memory_ex(
        start: *mut c_void, size: usize, is_committed: bool, is_pinned: bool, is_zero: bool, numa_node: c_int, exclusive: bool, arena_id: *mut ArenaId,
    ) -> bool {
        mi_manage_memory(start, size, is_committed, is_pinned, is_zero, numa_node, exclusive, None, ptr::null_mut(), arena_id)
    }

    /// Makes an arena of the program's memory, of the whole slices (64 KiB) in it: at least 2 MiB. `commit_fun` makes
    /// ranges accessible and takes that back; it must not allocate, any thread may call it, and refusing is running out of memory.
    /// Without it, or if `is_pinned`, the memory stays as it is: nobody knows whether it is shared, or a file. The memory
    /// is the library's from now on.
    fn mi_manage_memory(
        start: *mut c_void, size: usize, is_committed: bool, is_pinned: bool, is_zero: bool, numa_node: c_int, exclusive: bool,
        commit_fun: Option<CommitFn>, commit_fun_arg: *mut c_void, arena_id: *mut ArenaId,
    ) -> bool {
        let arena = manage(&UserMemory {
            start: start.cast(),
            bytes: size,
            commit_state: commit(is_committed),
            pinned: is_pinned,
            zero: if is_zero { Zero::Zeroed } else { Zero::Any },
            numa: node(numa_node),
            sharing: sharing(exclusive),
            commit: commit_fun.map(|fun| (fun, commit_fun_arg)),
        });
        tell(arena_id, id_of(arena));
        arena.is_some()
    }

    /// Reserves huge OS pages of 1 GiB (or as much in pages of 2 MiB), in equal parts on `numa_nodes` nodes (0: all there
    /// are), giving up after `timeout_msecs` (0: never). 0, or `ENOMEM` and a warning if fewer than `pages` were had.
    fn mi_reserve_huge_os_pages_interleave(pages: usize, numa_nodes: usize, timeout_msecs: usize) -> c_int {
        code(interleave(pages, numa_nodes, timeout_msecs) == pages)
    }

    /// The same on one node; a negative one means any.
    fn mi_reserve_huge_os_pages_at(pages: usize, numa_node: c_int, timeout_msecs: usize) -> c_int {
        mi_reserve_huge_os_pages_at_ex(pages, numa_node, timeout_msecs, false, ptr::null_mut())
    }

    /// The same, also as an exclusive arena.
    fn mi_reserve_huge_os_pages_at_ex(pages: usize, numa_node: c_int, timeout_msecs: usize, exclusive: bool, arena_id: *mut ArenaId) -> c_int {
        runtime::ensure_process();
        let (arena, had) =
            runtime::reserve_huge_on(runtime::current_subproc(), pages, node(numa_node), timeout_msecs as u64, sharing(exclusive));
        tell(arena_id, id_of(arena));
        code(had == pages)
    }

    /// Deprecated form of [`mi_reserve_huge_os_pages_interleave`], in seconds; tells how many pages were had.
    fn mi_reserve_huge_os_pages(pages: usize, max_secs: f64, pages_reserved: *mut usize) -> c_int {
        let had = interleave(pages, 0, (max_secs * 1000.0) as usize);
        tell(pages_reserved, had);
        code(had == pages)
    }

    /// An arena's memory: its start and, where that is wanted, its size; null and 0 for an arena that is not there.
    fn mi_arena_area(arena_id: ArenaId, size: *mut usize) -> *mut c_void {
        let arena = find_arena(arena_id);
        tell(size, arena.map_or(0, Arena::bytes));
        arena.map_or(ptr::null_mut(), |arena| arena.start().cast())
    }

    /// Whether `p` points into the arena's memory.
    fn mi_arena_contains(arena_id: ArenaId, p: *const c_void) -> bool {
        find_arena(arena_id).is_some_and(|arena| arena.contains(p.cast()))
    }

    /// Arenas start at multiples of this.
    fn mi_arena_min_alignment() -> usize {
        SLICE_BYTES
    }

    /// The smallest arena.
    fn mi_arena_min_size() -> usize {
        Arena::MIN_BYTES
    }

    /// The largest block that is taken from an arena: larger ones are mapped for themselves.
    fn mi_arena_max_object_size() -> usize {
        let bytes = options::get_size(OptionId::ArenaMaxObjectSize).clamp(SLICE_BYTES, MAX_REQUEST - SLICE_BYTES);
        bytes.next_multiple_of(SLICE_BYTES)
    }

    /// Gives all unused memory of all arenas back to the system, now.
    fn mi_arenas_purge() {
        runtime::for_each_subproc(|subproc| subproc.arenas().purge_due(Force::All));
    }

    /// Draws the arenas of this thread's sub-process on the registered output, a character for each slice.
    fn mi_arenas_print() {
        report::print_arenas(&mut DefaultOutput, runtime::current_subproc());
    }

    /// As [`mi_arenas_print`].
    fn mi_debug_show_arenas() {
        mi_arenas_print();
    }

    /// Whether `malloc` was redirected by changing a running program: that is done on Windows only, by `ferrimalloc_redirect.dll`.
    fn mi_is_redirected() -> bool {
        crate::REDIRECTED.load(Ordering::Relaxed)
    }
}

fn interleave(pages: usize, numa_nodes: usize, timeout_msecs: usize) -> usize {
    runtime::ensure_process();
    let nodes = if numa_nodes == 0 { os::numa_nodes() } else { numa_nodes };
    runtime::interleave_huge(runtime::current_subproc(), pages, 0, nodes, timeout_msecs as u64)
}
