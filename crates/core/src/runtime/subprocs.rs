//! Sub-processes: which there are, who is in them, and their end.
//!
//! All but the main one are on a list, so that a handle from outside is judged without following it, and `fork` finds
//! them all.

use crate::arena::Meta;
use crate::heap::{Heap, Subproc, adopt_orphans_first, forget_guard, heap_locks, release_page_of, unlock};
use crate::page::{Origin, PageRef};
use crate::sync::{AtomicBool, Lock, Relaxed};
use crate::theap::Theap;

use super::descriptor;
use super::main_subproc;
use super::process::ensure_process;
use super::thread::{ENDS, Thread};

/// The newest sub-process besides the main one.
pub(super) struct Newest(Option<&'static Subproc>);

static OTHERS: Lock<Newest> = Lock::new(Newest(None));
/// Whether there has ever been one.
static ANY_OTHERS: AtomicBool = AtomicBool::new(false);

/// Why a sub-process can't be destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undestroyed {
    /// It is the main one, or this thread's.
    InUse,
    /// Other threads have not ended that allocated in it.
    HasThreads,
}

/// A new sub-process with a main heap of its own; `None` without memory.
pub fn subproc_new() -> Option<&'static Subproc> {
    if !ensure_process() {
        return None;
    }
    let subproc = Subproc::create(main_subproc())?;
    let mut newest = OTHERS.lock();
    subproc.set_next(newest.0);
    newest.0 = Some(subproc);
    ANY_OTHERS.set(true);
    descriptor::describe_newest(OTHERS.data_ptr().cast_const().cast());
    Some(subproc)
}

/// The sub-process that this thread allocates in.
pub fn current_subproc() -> &'static Subproc {
    Thread::current().map_or_else(main_subproc, Thread::subproc)
}

/// The live sub-process with this address, which is not followed.
pub fn find_subproc(handle: *const Subproc) -> Option<&'static Subproc> {
    find_in_subprocs(|subproc| core::ptr::eq(subproc, handle).then_some(subproc))
}

/// Calls `visit` with every sub-process, the main one first. The list is locked meanwhile.
pub fn for_each_subproc(mut visit: impl FnMut(&'static Subproc)) {
    find_in_subprocs(|subproc| {
        visit(subproc);
        None::<()>
    });
}

/// What `pick` makes of the first sub-process of which it makes something. The list is locked meanwhile.
pub fn find_in_subprocs<R>(mut pick: impl FnMut(&'static Subproc) -> Option<R>) -> Option<R> {
    pick(main_subproc()).or_else(|| {
        let newest = OTHERS.lock();
        each(newest.0).find_map(pick)
    })
}

/// Whether there has never been any but the main one.
pub(super) fn is_main_alone() -> bool {
    !ANY_OTHERS.get()
}

/// What `pick` makes of the first sub-process of which it makes something; as if there were only the main one while
/// the list of others is locked.
pub(super) fn find_in_subprocs_unless_locked<R>(mut pick: impl FnMut(&'static Subproc) -> Option<R>) -> Option<R> {
    pick(main_subproc()).or_else(|| {
        let newest = if is_main_alone() { return None } else { OTHERS.try_lock()? };
        each(newest.0).find_map(pick)
    })
}

/// Calls `visit` with the main sub-process, and with all others unless their list is locked now.
pub(super) fn each_subproc_unless_locked(mut visit: impl FnMut(&'static Subproc)) {
    find_in_subprocs_unless_locked(|subproc| {
        visit(subproc);
        None::<()>
    });
}

fn each(newest: Option<&'static Subproc>) -> impl Iterator<Item = &'static Subproc> {
    core::iter::successors(newest, |subproc| subproc.next())
}

/// The live heap with this address, which is not followed.
pub fn find_heap(handle: *const Heap) -> Option<&'static Heap> {
    with_heap(handle, |heap| heap)
}

/// What `work` makes of the live heap with this address, which is not followed. The heap can't end meanwhile: its
/// sub-process's list of heaps is locked.
pub fn with_heap<R>(handle: *const Heap, work: impl FnOnce(&'static Heap) -> R) -> Option<R> {
    adopt_orphans_first();
    let mut work = Some(work);
    let mut pick = |heap: &'static Heap| if core::ptr::eq(heap, handle) { Some(work.take()?(heap)) } else { None };
    find_in_subprocs(|subproc| subproc.find_heap(&mut pick))
}

/// Calls `visit` with each heap of a sub-process, newest first, until it answers false; it may make and end heaps, and other
/// threads may: a heap that ends while it is visited is an empty one.
pub fn visit_heaps(subproc: &Subproc, mut visit: impl FnMut(&'static Heap) -> bool) -> bool {
    adopt_orphans_first();
    let mut id = usize::MAX;
    while let Some(pinned) = subproc.heap_before(id) {
        id = pinned.heap().id();
        if !visit(pinned.heap()) {
            return false;
        }
    }
    true
}

/// Ends a sub-process with all its heaps, blocks and arenas.
///
/// # Safety
/// No thread uses any of its blocks from now on.
pub unsafe fn subproc_destroy(subproc: &'static Subproc) -> Result<(), Undestroyed> {
    if core::ptr::eq(subproc, main_subproc()) || core::ptr::eq(subproc, current_subproc()) {
        return Err(Undestroyed::InUse);
    }
    adopt_orphans_first();
    let _no_heap_ends = ENDS.begin();
    leave(subproc);
    if has_theaps(subproc) {
        return Err(Undestroyed::HasThreads);
    }
    unlist(subproc);
    // SAFETY: the precondition, and no theap is left.
    unsafe {
        release_memory(subproc);
        let bytes = size_of::<Subproc>();
        main_subproc().arenas().meta_free(Meta { start: core::ptr::from_ref(subproc).cast_mut().cast(), bytes });
    }
    Ok(())
}

/// Ends this thread's theaps in heaps of the sub-process.
fn leave(subproc: &'static Subproc) {
    let Some(thread) = Thread::current() else { return };
    thread.main_theap().flush_remote();
    let is_there = |theap: &Theap| core::ptr::eq(theap.heap().subproc(), subproc);
    while let Some(theap) = thread.theaps().find(|theap| is_there(theap)) {
        thread.end_theap(theap);
    }
}

fn has_theaps(subproc: &Subproc) -> bool {
    subproc.find_heap(|heap| Theap::find_of(heap, |_| true)).is_some()
}

fn unlist(subproc: &'static Subproc) {
    let mut newest = OTHERS.lock();
    match each(newest.0).find(|other| other.next().is_some_and(|next| core::ptr::eq(next, subproc))) {
        Some(before) => before.set_next(subproc.next()),
        None => newest.0 = subproc.next(),
    }
}

/// Gives back everything that a sub-process has, and makes its pages' entries those of no page.
///
/// # Safety
/// Nobody uses any of it any more.
pub(super) unsafe fn release_memory(subproc: &'static Subproc) {
    subproc.for_each_heap(|heap| heap.for_each_own_page(erase));
    // SAFETY: the precondition.
    unsafe { subproc.arenas().destroy() };
    subproc.close();
}

fn erase(page: PageRef) {
    // SAFETY: nobody uses any block, and no thread is left that could claim a page.
    let page = unsafe { page.take_over() };
    match page.origin() {
        Origin::Arena(_) => {
            forget_guard(&page);
            page.erase();
        }
        Origin::Os(_) => release_page_of(Heap::of_page(&page), page),
    }
}

/// Gives back the memory of all sub-processes, the main one's last.
///
/// # Safety
/// Nobody uses any of it any more.
pub(super) unsafe fn release_all() {
    adopt_orphans_first();
    let mut newest = OTHERS.lock();
    // SAFETY: the precondition. The structures of the others lie in the main one's memory.
    unsafe {
        each(newest.0.take()).for_each(|subproc| release_memory(subproc));
        release_memory(main_subproc());
    }
}

/// Takes the locks of all sub-processes, before a fork.
pub(super) fn lock_all() {
    OTHERS.lock_raw();
    all_locked().for_each(Subproc::lock_heaps);
    heap_locks().for_each(Lock::lock_raw);
    all_locked().for_each(Subproc::lock_rest);
}

/// Releases what [`lock_all`] took, as [`Subproc::unlock_all`] does.
///
/// # Safety
/// As for that.
pub(super) unsafe fn unlock_all(child: bool) {
    // SAFETY: the precondition.
    unsafe {
        all_locked().for_each(|subproc| subproc.unlock_all(child));
        heap_locks().for_each(|lock| unlock(lock, child));
        unlock(&OTHERS, child);
    }
}

/// All of them, the main one first, while the caller holds the list's lock by `lock_raw`.
fn all_locked() -> impl Iterator<Item = &'static Subproc> {
    // SAFETY: the lock is held.
    let newest = unsafe { (*OTHERS.data_ptr()).0 };
    core::iter::once(main_subproc()).chain(each(newest))
}
