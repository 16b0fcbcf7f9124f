//! The profiler: whether it runs, and what it has found.
//!
//! Theaps compare [`version`] with the one that they know, and follow when it has changed. A thread that takes a sample walks its
//! stack before it takes the lock, and holds no other. The lock is held over `fork`: the child goes on with what
//! there was. A signal handler that allocates may find it held, as it may any lock of the allocator.

use core::ptr::NonNull;

use ferrimalloc_prim::{clock, thread};

use super::interval::weight;
use super::samples::{Amounts, Counts, Cursor, Find, MAX_FRAMES, Sample, Samples, Who};
use super::unwind::{Known, walk};
use crate::sync::{AtomicUsize, Lock, Ordering};

static SAMPLES: Lock<Samples> = Lock::new(Samples::new());
static RATE: AtomicUsize = AtomicUsize::new(0);
static VERSION: AtomicUsize = AtomicUsize::new(0);
/// A [`Watcher`], or 0.
static WATCHER: AtomicUsize = AtomicUsize::new(0);

/// One sample per so many bytes, unless something else is said.
pub const DEFAULT_RATE_BYTES: usize = 512 << 10;
/// The rarest that samples can be.
const MAX_RATE_BYTES: usize = 1 << 40;

/// Is told, after each sample, what has been allocated and what is in use altogether. By any thread, which holds no lock; must not
/// allocate.
pub type Watcher = fn(allocated: Amounts, in_use: Amounts);

/// Mean bytes from one sample to the next; 0: the profiler doesn't run.
#[inline]
pub fn rate() -> usize {
    RATE.load(Ordering::Relaxed)
}

/// Changes with the rate.
#[inline]
pub fn version() -> usize {
    VERSION.load(Ordering::Relaxed)
}

/// Samples one of `rate_bytes` bytes from now on, or stops (0). Answers the rate before. What has been found stays. Other threads
/// follow when they next see to their theaps.
pub fn set_rate(rate_bytes: usize) -> usize {
    let before = RATE.swap(rate_bytes.min(MAX_RATE_BYTES), Ordering::Relaxed);
    VERSION.fetch_add(1, Ordering::Relaxed);
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

/// Records that this thread has allocated a block of `bytes`, which stands for others at a rate of `rate_bytes`. `None` without
/// memory for it.
#[cold]
#[inline(never)]
pub fn record(bytes: usize, rate_bytes: usize, heap: u64, known: &Known) -> Option<NonNull<Sample>> {
    let mut frames = [0; MAX_FRAMES];
    let depth = walk(&mut frames, known);
    let who = Who { thread: thread::current_name(), heap };
    let weight = weight(bytes, rate_bytes);
    let find = Find { frames: &frames[..depth], who, bytes, weight, now_millis: clock::now_millis() };
    let (sample, (allocated, in_use)) = {
        let mut samples = SAMPLES.lock();
        (samples.enter(&find), samples.totals())
    };
    if let Some(watcher) = watcher() {
        watcher(allocated, in_use);
    }
    sample
}

/// Records that a sample has been freed.
///
/// # Safety
/// It came from [`record`], for a block that was in use until now.
#[cold]
pub unsafe fn retire(sample: NonNull<Sample>) {
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

/// Held over `fork`.
pub fn lock_for_fork() -> &'static Lock<Samples> {
    &SAMPLES
}
