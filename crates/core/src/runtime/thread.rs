//! A thread: its default theap, its theaps in other heaps, its end.
//!
//! The thread-local word points to the default theap; until the first allocation, and again after the thread's end, to the
//! empty theap. Allocation in destructors that run after ours makes a new theap and arms the hook once more; in case that
//! is in vain, the thread is `late` from then on.

use core::cell::Cell;
use core::ptr;

use ferrimalloc_prim::thread as prim;

use super::ends::Ends;
use super::late;
use super::process::{HOOKS, main_subproc};
use super::theap_word;
use crate::base::*;
use crate::heap::{FreeStack, Heap, Subproc, adopt_orphans_first};
use crate::profile;
use crate::sync::{Left, Lock, Presence};
use crate::theap::{EMPTY_THEAP, Theap};

/// Theaps remembered by heap id.
const REMEMBERED: usize = 16;

/// What a thread knows. Its memory is only ever used for threads.
pub struct Thread {
    tid: Cell<usize>,
    /// By what it owns pages: `tid`, or if it is late, a number.
    owner: Cell<usize>,
    late: late::Entry,
    subproc: Cell<*const Subproc>,
    /// The theap in the main heap of its sub-process.
    main: Cell<*const Theap>,
    /// All its theaps.
    theaps: Cell<*const Theap>,
    remembered: [Remembered; REMEMBERED],
    heartbeat: Cell<u64>,
    in_hook: Cell<bool>,
}

/// A theap and the id of the heap that it was made for.
struct Remembered {
    heap_id: Cell<usize>,
    theap: Cell<*const Theap>,
}

/// Structures of ended threads. Held over `fork`.
pub(super) static ENDED: Lock<FreeStack> = Lock::new(FreeStack::new());

pub(crate) static ENDS: Ends = Ends::new();

/// The threads that have started and not ended. Not the late ones, whose ends are not told.
static PRESENT: Presence = Presence::new();

/// The default theap of this thread, or the empty theap.
#[inline(always)]
pub fn current_theap() -> &'static Theap {
    // SAFETY: the word always points to a live theap or the empty one.
    unsafe { &*theap_word::get().cast::<Theap>() }
}

fn set_current(theap: &'static Theap) {
    theap_word::set(ptr::from_ref(theap).cast_mut().cast());
}

/// Makes `theap`, one of this thread's, its default; answers the one before.
pub fn set_default_theap(theap: &'static Theap) -> &'static Theap {
    let before = current_theap();
    Thread::of(theap).late.change_word(theap.handle(), || set_current(theap));
    before
}

/// After all memory has been released: as if no thread had ever started.
pub(super) fn forget_threads() {
    prim::arm_exit_hook(ptr::null_mut());
    set_current(&EMPTY_THEAP);
    late::forget();
    PRESENT.reset(0);
    *ENDED.lock() = FreeStack::new();
}

/// Ends this thread as far as the allocator is concerned: its pages are abandoned. It may allocate again.
pub(super) fn end_current() -> Left {
    let Some(thread) = Thread::current() else { return Left::OthersStay };
    prim::arm_exit_hook(ptr::null_mut());
    thread.end()
}

/// Ends one of this thread's theaps: its pages are left to others, its heap stays. The main one only loses its pages. If it was
/// the default, the main one is from now on. False if the theap is not, or no longer, this thread's.
pub fn theap_delete(theap: *const Theap) -> bool {
    let Some(thread) = Thread::current() else { return false };
    adopt_orphans_first();
    let main = thread.main_theap();
    let _no_heap_ends = ENDS.wait();
    let Some(theap) = thread.theaps().find(|own| ptr::eq(*own, theap)) else { return false };
    if ptr::eq(theap, main) {
        main.abandon_all();
        main.hand_over_counts();
        return true;
    }
    if ptr::eq(theap, current_theap()) {
        set_default_theap(main);
    }
    thread.end_theap(theap);
    true
}

/// Leaves all pages of a theap to others; the theap goes on. Its thread may be another, which is not in the allocator now: the
/// program has seen to that, and to no heap ending meanwhile. Nothing happens for a theap that has ended.
pub fn theap_abandon(theap: &'static Theap) {
    if theap.tid() != 0 {
        adopt_orphans_first();
        theap.abandon_all();
        theap.hand_over_counts();
    }
}

/// The C library says that this thread ends, which had asked for that.
///
/// The thread is known by our own word. The value may be another copy's of us: in a namespace of `dlmopen` there is another C
/// library, which numbers its slots anew, in the same threads.
pub(super) fn end_at_exit() -> Left {
    let Some(thread) = Thread::current() else { return Left::OthersStay };
    let left = thread.end();
    late::note_ended();
    left
}

/// Ends threads that have gone without a word.
fn end_gone_threads() {
    while let Some(thread) = late::take_gone() {
        // SAFETY: entered with a thread's structure, which nobody else uses any more.
        let _not_counted = unsafe { &*thread.cast::<Thread>() }.end();
    }
}

impl Thread {
    /// Starts this thread in a sub-process; `None` without memory. `tell` tells the C library about us, which may allocate.
    pub(super) fn start(subproc: &'static Subproc, tell: impl FnOnce()) -> Option<&'static Theap> {
        end_gone_threads();
        let thread = Thread::create(subproc)?;
        let theap = thread.new_theap(subproc.main_heap()?);
        let Some(theap) = theap else {
            thread.recycle();
            return None;
        };
        thread.main.set(theap);
        subproc.arenas().stats().threads.increase(1);
        set_current(theap);
        tell();
        if thread.is_late() {
            let handle = ptr::from_ref(thread).cast();
            thread.late.enter(thread.tid.get(), theap.handle(), handle);
        } else {
            PRESENT.enter();
        }
        prim::arm_exit_hook(ptr::from_ref(thread).cast_mut().cast());
        Some(theap)
    }

    fn create(subproc: &'static Subproc) -> Option<&'static Thread> {
        let thread = Self::memory()?;
        thread.tid.set(prim::id());
        let is_late = late::has_ended() || HOOKS.is_done() && !prim::has_exit_hook();
        thread.owner.set(if is_late { late::number() } else { prim::id() });
        thread.late.reset();
        thread.subproc.set(subproc);
        thread.main.set(ptr::null());
        thread.theaps.set(ptr::null());
        thread.in_hook.set(false);
        for remembered in &thread.remembered {
            remembered.heap_id.set(0);
        }
        Some(thread)
    }

    fn memory() -> Option<&'static Thread> {
        let cached = ENDED.lock().pop();
        let place = match cached {
            Some(piece) => piece,
            None => main_subproc().arenas().meta_alloc(size_of::<Thread>())?.start,
        };
        // SAFETY: zeroed memory, or an ended thread's: both valid, and overwritten by `create`.
        Some(unsafe { &*place.cast::<Thread>() })
    }

    fn recycle(&'static self) {
        self.tid.set(0);
        // SAFETY: nobody uses an ended thread's structure; `tid` is its first word and is set again by `create`.
        unsafe { ENDED.lock().push(ptr::from_ref(self).cast_mut().cast()) };
    }

    /// This thread, if it has allocated and not ended since.
    pub fn current() -> Option<&'static Thread> {
        let theap = current_theap();
        (!theap.is_empty_theap()).then(|| Thread::of(theap))
    }

    /// The thread of a live theap.
    #[inline]
    pub fn of(theap: &Theap) -> &'static Thread {
        // SAFETY: live theaps carry their thread's structure.
        unsafe { &*theap.thread().cast::<Thread>() }
    }

    /// The sub-process in which it allocates, which outlives it.
    pub fn subproc(&self) -> &'static Subproc {
        // SAFETY: a sub-process outlives the threads that use it.
        unsafe { &*self.subproc.get() }
    }

    /// Its theap in its sub-process's main heap.
    pub fn main_theap(&self) -> &'static Theap {
        // SAFETY: set once the thread has started.
        unsafe { &*self.main.get() }
    }

    /// The same of a thread that a fork may have left behind while it was starting.
    pub(super) fn main_theap_if_started(&self) -> Option<&'static Theap> {
        // SAFETY: null, or a live theap.
        unsafe { self.main.get().as_ref() }
    }

    /// Slow paths since the thread started, plus one: the heartbeat of deferred frees.
    pub fn beat(&self) -> u64 {
        let heartbeat = self.heartbeat.get() + 1;
        self.heartbeat.set(heartbeat);
        heartbeat
    }

    /// Runs `hook` unless this thread is running one already.
    pub fn without_reentry(&self, hook: impl FnOnce()) {
        if !self.in_hook.replace(true) {
            hook();
            self.in_hook.set(false);
        }
    }

    fn new_theap(&'static self, heap: &'static Heap) -> Option<&'static Theap> {
        adopt_orphans_first();
        let theap = Theap::create(heap, self.owner.get(), ptr::from_ref(self).cast())?;
        // SAFETY: the list holds live theaps.
        theap.set_next_of_thread(unsafe { self.theaps.get().as_ref() });
        self.theaps.set(theap);
        Some(theap)
    }

    /// Its theap in `heap`, made if there is none; `None` without memory.
    #[inline]
    pub(super) fn theap_for(&'static self, heap: &'static Heap) -> Option<&'static Theap> {
        let remembered = &self.remembered[heap.id() % REMEMBERED];
        if remembered.heap_id.get() == heap.id() {
            // SAFETY: remembered theaps are this thread's and live.
            return unsafe { remembered.theap.get().as_ref() };
        }
        self.find_or_make(heap)
    }

    #[cold]
    fn find_or_make(&'static self, heap: &'static Heap) -> Option<&'static Theap> {
        let theap = self.find(heap).or_else(|| self.new_theap(heap))?;
        let remembered = &self.remembered[heap.id() % REMEMBERED];
        remembered.heap_id.set(heap.id());
        remembered.theap.set(theap);
        Some(theap)
    }

    /// Its theap in `heap`. Theaps of deleted heaps are in the main heap, too, but it is the main theap that counts.
    fn find(&self, heap: &Heap) -> Option<&'static Theap> {
        let main = self.main_theap();
        if main.is_of(heap) {
            return Some(main);
        }
        self.theaps().find(|theap| theap.is_of(heap))
    }

    /// All its theaps, newest first.
    pub fn theaps(&self) -> impl Iterator<Item = &'static Theap> + use<> {
        // SAFETY: the list holds live theaps.
        let mut next = unsafe { self.theaps.get().as_ref() };
        core::iter::from_fn(move || {
            let theap = next?;
            next = theap.next_of_thread();
            Some(theap)
        })
    }

    /// Collects in all its theaps; those of deleted heaps end.
    pub fn collect(&'static self, force: Force) {
        adopt_orphans_first();
        end_gone_threads();
        let main = self.main_theap();
        main.collect(force);
        // Not worth waiting for: the next collection will do.
        if self.has_other_theaps()
            && let Some(_no_heap_ends) = ENDS.unless_now()
        {
            self.theaps().filter(|theap| !ptr::eq(*theap, main)).for_each(|theap| theap.collect(force));
            self.end_orphans();
        }
    }

    /// Has its theaps hand over what they count for themselves, unless their heap might be ending.
    pub fn hand_over_counts(&self) {
        self.for_each_theap(Theap::hand_over_counts);
    }

    /// Calls `work` with each of its theaps: the main one, and the others unless a heap might be ending.
    pub fn for_each_theap(&self, mut work: impl FnMut(&'static Theap)) {
        let main = self.main_theap();
        work(main);
        if self.has_other_theaps()
            && let Some(_no_heap_ends) = ENDS.unless_now()
        {
            self.theaps().filter(|theap| !ptr::eq(*theap, main)).for_each(work);
        }
    }

    fn has_other_theaps(&self) -> bool {
        self.theaps().nth(1).is_some()
    }

    /// Ends its theaps of heaps that have ended, while no other ends: they have moved to the main heap, where the thread has
    /// a theap already.
    pub(super) fn end_orphans(&'static self) {
        let main = self.main_theap();
        let is_orphan =
            |theap: &Theap| theap.is_of(main.heap()) && !ptr::eq(theap, main) && !ptr::eq(theap, current_theap());
        while let Some(orphan) = self.theaps().find(|theap| is_orphan(theap)) {
            self.end_theap(orphan);
        }
    }

    /// Ends one theap of this thread.
    pub fn end_theap(&'static self, theap: &'static Theap) {
        for remembered in &self.remembered {
            if ptr::eq(remembered.theap.get(), theap) {
                remembered.heap_id.set(0);
            }
        }
        self.unlink(theap);
        theap.abandon_all();
        // Last: what becomes of its pages is counted, too.
        theap.hand_over_counts();
        theap.end();
    }

    fn unlink(&self, theap: &'static Theap) {
        match self.theaps().find(|other| other.next_of_thread().is_some_and(|next| ptr::eq(next, theap))) {
            Some(before) => before.set_next_of_thread(theap.next_of_thread()),
            None => self.theaps.set(theap.next_of_thread().map_or(ptr::null(), ptr::from_ref)),
        }
    }

    /// Whether its end has come already, or will not be told.
    pub fn is_late(&self) -> bool {
        self.owner.get() != self.tid.get()
    }

    /// By the thread, or whoever has found that it has gone.
    fn end(&'static self) -> Left {
        let is_late = self.is_late();
        adopt_orphans_first();
        self.late.leave();
        if self.is_current() {
            set_current(&EMPTY_THEAP);
        }
        let _no_heap_ends = self.has_other_theaps().then(|| ENDS.wait());
        while let Some(theap) = self.theaps().next() {
            self.end_theap(theap);
        }
        self.subproc().arenas().stats().threads.decrease(1);
        self.recycle();
        if is_late { Left::OthersStay } else { PRESENT.leave() }
    }

    fn is_current(&self) -> bool {
        Thread::current().is_some_and(|current| ptr::eq(current, self))
    }
}

/// Whether a theap is one of this thread's.
pub fn is_own(theap: &Theap) -> bool {
    let current = current_theap();
    theap.tid() == if current.is_empty_theap() { prim::id() } else { current.tid() }
}

/// Takes a sample per `rate_bytes` bytes from now on; 0 stops. This thread follows at once, others when they next see to
/// their theaps. Answers the rate before.
pub fn profile_at(rate_bytes: usize) -> usize {
    let before = profile::set_rate(rate_bytes);
    if let Some(thread) = Thread::current() {
        thread.for_each_theap(Theap::follow_profiler);
    }
    before
}

/// In the child of a fork.
pub(super) fn after_fork() {
    let thread = Thread::current();
    PRESENT.reset(thread.map_or(0, |thread| usize::from(!thread.is_late())));
    late::after_fork(thread.map(|thread| &thread.late));
}
