//! The profiler: whether it runs, and what it has found.
//!
//! Theaps compare [`version`] with the one that they know, and follow when it has changed. A thread that takes a sample walks its
//! stack before it takes the lock, and holds no other. The lock is held over `fork`: the child goes on with what
//! there was. A signal handler that allocates may find it held, as it may any lock of the allocator.

use core::ptr::NonNull;

use ferrimalloc_prim::{clock, thread, trace};

use super::interval::weight;
use super::samples::{Amounts, Counts, Cursor, Find, MAX_FRAMES, Sample, Samples, Who};
use super::unwind::{Known, walk};
use crate::sync::{AtomicBool, AtomicU8, AtomicUsize, Lock, Ordering};

static SAMPLES: Lock<Samples> = Lock::new(Samples::new());
static RATE: AtomicUsize = AtomicUsize::new(0);
/// The last rate that was not 0.
static LAST_RATE: AtomicUsize = AtomicUsize::new(DEFAULT_RATE_BYTES);
static VERSION: AtomicUsize = AtomicUsize::new(0);
/// A [`Watcher`], or 0.
static WATCHER: AtomicUsize = AtomicUsize::new(0);

/// A `fn()`, or 0.
static AT_END: AtomicUsize = AtomicUsize::new(0);
/// A `fn()` that is called soon, or 0.
static SOON: AtomicUsize = AtomicUsize::new(0);
/// Functions that are called in the child of a fork, or 0.
static IN_CHILD: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
/// Whether heaps are sampled only if they have been chosen.
static ONLY_CHOSEN: AtomicBool = AtomicBool::new(false);

/// One sample per so many bytes, unless something else is said.
pub const DEFAULT_RATE_BYTES: usize = 512 << 10;
/// The rarest that samples can be: 1 TiB, or where there are not so many addresses, a quarter of them.
const MAX_RATE_BYTES: usize = 1 << if usize::BITS < 64 { usize::BITS - 2 } else { 40 };

/// Is told, after each sample, what has been allocated and what is in use altogether. By any thread, which holds no lock; must not
/// allocate.
pub type Watcher = fn(allocated: Amounts, in_use: Amounts);

/// Mean bytes from one sample to the next; 0: the profiler doesn't run.
#[inline]
pub fn rate() -> usize {
    RATE.load(Ordering::Relaxed)
}

/// The rate of the samples that there are: at which the profiler runs, or last ran; the usual one if it never did.
pub fn last_rate() -> usize {
    LAST_RATE.load(Ordering::Relaxed)
}

/// Whether a heap is looked at. Valid when zeroed.
pub struct Choice(AtomicU8);

const UNDECIDED: u8 = 0;
const CHOSEN: u8 = 1;
const NEVER: u8 = 2;

impl Choice {
    /// Undecided: the heap is looked at unless others have been chosen.
    pub const fn new() -> Choice {
        Choice(AtomicU8::new(UNDECIDED))
    }

    /// From now on the heap is looked at, and others only if they have been chosen, too. False if it is never to be.
    pub fn choose(&self) -> bool {
        ONLY_CHOSEN.store(true, Ordering::Relaxed);
        let is_chosen = self.0.load(Ordering::Relaxed) != NEVER;
        if is_chosen {
            self.0.store(CHOSEN, Ordering::Relaxed);
        }
        note_change();
        is_chosen
    }

    /// The heap is never looked at.
    pub fn refuse(&self) {
        self.0.store(NEVER, Ordering::Relaxed);
        note_change();
    }

    /// Mean bytes from one sample to the next in the heap; 0: none.
    pub fn rate(&self) -> usize {
        match self.0.load(Ordering::Relaxed) {
            NEVER => 0,
            UNDECIDED if ONLY_CHOSEN.load(Ordering::Relaxed) => 0,
            _ => rate(),
        }
    }
}

/// All heaps are looked at but those that never are.
pub fn choose_all() {
    ONLY_CHOSEN.store(false, Ordering::Relaxed);
    note_change();
}

fn note_change() {
    VERSION.fetch_add(1, Ordering::Relaxed);
}

/// Changes with the rate, and with what heaps are looked at.
#[inline]
pub fn version() -> usize {
    VERSION.load(Ordering::Relaxed)
}

/// Samples one of `rate_bytes` bytes from now on, or stops (0). Answers the rate before. What has been found stays. Other threads
/// follow when they next see to their theaps.
pub fn set_rate(rate_bytes: usize) -> usize {
    let rate_bytes = rate_bytes.min(MAX_RATE_BYTES);
    if rate_bytes > 0 {
        LAST_RATE.store(rate_bytes, Ordering::Relaxed);
    }
    let before = RATE.swap(rate_bytes, Ordering::Relaxed);
    note_change();
    before
}

/// Has `watcher` told of each sample from now on.
pub fn watch(watcher: Option<Watcher>) {
    WATCHER.store(watcher.map_or(0, |watcher| watcher as usize), Ordering::Relaxed);
}

fn watcher() -> Option<Watcher> {
    let address = WATCHER.load(Ordering::Relaxed);
    // SAFETY: stored by `watch`.
    (address != 0).then(|| unsafe { core::mem::transmute::<usize, Watcher>(address) })
}

/// Has `end` called at the process's end.
pub fn at_end(end: fn()) {
    AT_END.store(end as usize, Ordering::Relaxed);
}

/// Has `work` called soon, by a thread that allocates: what could not be done when we were loaded.
pub fn soon(work: fn()) {
    SOON.store(work as usize, Ordering::Relaxed);
}

/// Has `work` called in the child of a fork, which has no other thread: for those on higher floors who have locks, which another thread
/// of the parent may have held. At most two functions, each once, however often this is called.
pub fn in_child(work: fn()) {
    let work = work as usize;
    let takes = |place: &AtomicUsize| {
        let before = place.compare_exchange(0, work, Ordering::Relaxed, Ordering::Relaxed);
        before.is_ok() || before == Err(work)
    };
    let is_entered = IN_CHILD.iter().any(takes);
    debug_assert!(is_entered, "a third function");
}

/// In the child of a fork.
pub fn after_fork() {
    IN_CHILD.iter().for_each(|place| call(place.load(Ordering::Relaxed)));
}

/// Calls what is to be called soon.
#[inline]
pub fn catch_up() {
    if SOON.load(Ordering::Relaxed) != 0 {
        call(SOON.swap(0, Ordering::Relaxed));
    }
}

#[cold]
fn call(address: usize) {
    if address != 0 {
        // SAFETY: stored as a function of this type.
        unsafe { core::mem::transmute::<usize, fn()>(address)() };
    }
}

/// The process ends.
pub fn finish() {
    call(AT_END.swap(0, Ordering::Relaxed));
}

/// Records that this thread has allocated a `block` of `bytes`, which stands for others at a rate of `rate_bytes`. `None` without
/// memory for it. A tracer is told, too. (Each call on the way here is one more frame to walk.)
#[inline]
pub fn record(block: *mut u8, bytes: usize, rate_bytes: usize, heap: u64, known: &Known) -> Option<NonNull<Sample>> {
    let mut frames = [0; MAX_FRAMES];
    let depth = walk(&mut frames, known);
    let who = Who { thread: thread::current_name(), heap };
    let weight = weight(bytes, rate_bytes);
    let find = Find { frames: &frames[..depth], who, bytes, weight, now_millis: clock::now_millis() };
    let (sample, (allocated, in_use)) = {
        let mut samples = SAMPLES.lock();
        (samples.enter(&find), samples.totals())
    };
    if sample.is_some() {
        trace::sample_allocated(block as usize, bytes, Amounts::of(bytes, weight).estimate().bytes as usize);
    }
    if let Some(watcher) = watcher() {
        watcher(allocated, in_use);
    }
    sample
}

/// Records that a sample has been freed. A tracer is told, too.
///
/// # Safety
/// It came from [`record`], for this `block`, which was in use until now.
#[cold]
#[inline(never)]
pub unsafe fn retire(sample: NonNull<Sample>, block: *mut u8) {
    trace::sample_freed(block as usize);
    let now = clock::now_millis();
    // SAFETY: the precondition.
    unsafe { SAMPLES.lock().leave(sample, now) };
}

/// Calls `visit` with every stack and what is known of it, the newest first, until it answers false. Stacks change meanwhile; each
/// is seen at one moment. No lock is held while `visit` runs.
pub fn for_each_stack(mut visit: impl FnMut(&[usize], &Counts) -> bool) -> bool {
    let (mut cursor, mut frames): (Option<Cursor>, _) = (None, [0; MAX_FRAMES]);
    loop {
        let looked = SAMPLES.lock().look(cursor, &mut frames);
        let Some((here, counts, depth)) = looked else { return true };
        if !visit(&frames[..depth], &counts) {
            return false;
        }
        cursor = Some(here);
    }
}

/// What all stacks have allocated, and have in use.
pub fn totals() -> (Amounts, Amounts) {
    SAMPLES.lock().totals()
}

/// How many samples there was no memory for.
pub fn lost_samples() -> u64 {
    SAMPLES.lock().lost()
}

/// Where the rate, the version and the samples behind their lock are, for a reader in another process. It may store a rate and
/// then another version, as [`set_rate`] does.
pub fn places() -> [*const (); 3] {
    [(&raw const RATE).cast(), (&raw const VERSION).cast(), (&raw const SAMPLES).cast()]
}

/// Held over `fork`.
pub fn lock_for_fork() -> &'static Lock<Samples> {
    &SAMPLES
}
