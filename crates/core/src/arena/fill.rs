//! Whether big blocks get filled: what became of earlier ones of their size.
//!
//! A huge OS page is cleared as a whole for one touched byte. So the inside of a big block is advised only if blocks
//! of its size have been seen to fill up. Evidence comes from blocks on fresh memory in small OS pages, where the
//! system can tell which of them have been touched: a *probe* is asked about a few, when the next block of its size
//! is made, eight blocks later, and when blocks are released (the first few, and then one in eight). One block in
//! sixteen is watched and left without advice even if it is expected to fill, so that a change is noticed.
//!
//! All of it steers and decides nothing: threads that change it at the same time may lose a change, and a probe whose
//! place has been given to something else tells about that. To ask about memory of an arena is always allowed.

use ferrimalloc_prim::mem;

use crate::base::WORD_BYTES;
use crate::os;
use crate::sync::{AtomicUsize, Ordering};

/// Sizes by their power of two, from 1 MiB on; all above share the last.
const CLASSES: usize = 16;
const FIRST_CLASS_LOG2: u32 = 20;
/// OS pages that are asked about.
const SAMPLES: usize = 4;
/// So many of them touched: the block is filled, or nearly.
const ENOUGH: usize = 3;
/// The most that evidence adds up to; each piece counts as much as all before it.
const CERTAIN: usize = 8;
/// From here on blocks are expected to fill.
const LIKELY: usize = 4;
/// A block that is not filled when so many others have been made is taken to stay so.
const PATIENCE: usize = 8;
/// One in so many is watched, and left without advice though it may be expected to fill.
const EXPLORE: usize = 16;

/// Of the blocks that are released, the first few tell, and then one in so many.
const EVERY: usize = 8;

/// What is known about blocks of a size class.
struct Class {
    /// From 0, they stay sparse or nobody knows, to `CERTAIN`.
    likelihood: AtomicUsize,
    /// The start of the block that is watched; 0: none.
    probe: AtomicUsize,
    probe_bytes: AtomicUsize,
    /// Blocks made since the probe was chosen.
    made: AtomicUsize,
    /// Blocks released.
    released: AtomicUsize,
}

impl Class {
    const fn new() -> Class {
        Class {
            likelihood: AtomicUsize::new(0),
            probe: AtomicUsize::new(0),
            probe_bytes: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            released: AtomicUsize::new(0),
        }
    }

    fn learn(&self, is_filled: bool) {
        let likelihood = self.likelihood.load(Ordering::Relaxed) + if is_filled { CERTAIN } else { 0 };
        self.likelihood.store(likelihood / 2, Ordering::Relaxed);
    }

    fn watch(&self, start: *const u8, bytes: usize) {
        self.probe_bytes.store(bytes, Ordering::Relaxed);
        self.probe.store(start.addr(), Ordering::Relaxed);
        self.made.store(0, Ordering::Relaxed);
    }

    /// Looks at the probe, if it is time; answers whether another is wanted.
    fn review(&self, made: usize) -> bool {
        let probe = self.probe.load(Ordering::Relaxed);
        if probe == 0 {
            return true;
        }
        if made != 1 && made < PATIENCE {
            return false;
        }
        let is_filled = is_filled(core::ptr::without_provenance(probe), self.probe_bytes.load(Ordering::Relaxed));
        let is_decided = is_filled || made >= PATIENCE;
        if is_decided {
            self.probe.store(0, Ordering::Relaxed);
            self.learn(is_filled);
        }
        is_decided
    }
}

/// What is known about big blocks. Valid when zeroed.
pub struct FillHistory {
    classes: [Class; CLASSES],
}

impl FillHistory {
    pub const fn new() -> Self {
        Self { classes: [const { Class::new() }; CLASSES] }
    }

    fn class(&self, bytes: usize) -> &Class {
        let log2 = bytes.max(1).ilog2().saturating_sub(FIRST_CLASS_LOG2) as usize;
        &self.classes[log2.min(CLASSES - 1)]
    }

    /// Whether a block that has just been made on fresh memory is expected to fill.
    pub fn expects_filling(&self, start: *const u8, bytes: usize) -> bool {
        let class = self.class(bytes);
        let made = class.made.fetch_add(1, Ordering::Relaxed) + 1;
        let wants_probe = class.review(made);
        let is_likely = class.likelihood.load(Ordering::Relaxed) >= LIKELY;
        let is_first = || !is_likely && class.probe_bytes.load(Ordering::Relaxed) == 0;
        let explores = wants_probe && (made >= EXPLORE || is_first());
        if explores {
            class.watch(start, bytes);
        }
        is_likely && !explores
    }

    /// A block on memory that was fresh when it was made, and that got no advice, is about to be released.
    pub fn note_released(&self, start: *const u8, bytes: usize) {
        let class = self.class(bytes);
        if class.probe.load(Ordering::Relaxed) == start.addr() {
            class.probe.store(0, Ordering::Relaxed);
        }
        let released = class.released.fetch_add(1, Ordering::Relaxed) + 1;
        if released <= EVERY || released.is_multiple_of(EVERY) {
            class.learn(is_filled(start, bytes));
        }
    }

    /// The arenas have gone, and the probes with them.
    pub fn forget(&self) {
        self.classes.iter().for_each(|class| class.probe.store(0, Ordering::Relaxed));
    }
}

/// Whether a sample of a block's OS pages has been touched.
fn is_filled(start: *const u8, bytes: usize) -> bool {
    most_of_sample(start, bytes, is_resident)
}

/// The same of a block whose memory was zero when it was allocated, and may have been there before: whether the sample is not zero now. A
/// few calls of the system.
///
/// # Safety
/// The block is readable.
pub unsafe fn has_been_filled(start: *const u8, bytes: usize) -> bool {
    let before = start.align_offset(os::os_page_bytes()).min(bytes);
    // SAFETY: the precondition.
    most_of_sample(start.wrapping_add(before), bytes - before, |page| is_resident(page) && unsafe { !is_zero(page) })
}

/// Whether most OS pages of a block's sample are so. They stand apart by no multiple of a power of two, as what is touched in a sparse
/// block often does.
fn most_of_sample(start: *const u8, bytes: usize, is_so: impl Fn(*const u8) -> bool) -> bool {
    let page_bytes = os::os_page_bytes();
    let pages = bytes / page_bytes;
    let sample = |index: usize| {
        let page = (pages * (2 * index + 1) / (2 * SAMPLES)) | 1;
        start.wrapping_add(page.min(pages.saturating_sub(1)) * page_bytes)
    };
    (0..SAMPLES).filter(|&index| !is_so(sample(index))).nth(SAMPLES - ENOUGH).is_none()
}

fn is_resident(page: *const u8) -> bool {
    // SAFETY: asks about an arena's memory and changes nothing; addresses that are not mapped count as untouched.
    unsafe { mem::resident_bytes(page, os::os_page_bytes()) > 0 }
}

/// # Safety
/// An OS page from there on is readable.
unsafe fn is_zero(page: *const u8) -> bool {
    let words = os::os_page_bytes() / WORD_BYTES;
    // SAFETY: the precondition.
    (0..words).all(|index| unsafe { page.cast::<u64>().add(index).read_unaligned() } == 0)
}

/// Not on the simulated system, which takes no advice.
#[cfg(all(test, not(feature = "sim")))]
mod tests {
    use super::*;
    use ferrimalloc_prim::mem::Access;

    const MIB: usize = 1 << 20;

    /// A mapping of 64 MiB, on small OS pages.
    fn memory() -> *mut u8 {
        let memory = mem::map(0, 64 * MIB, Access::ReadWrite).expect("memory");
        // SAFETY: mapped just now.
        let _ = unsafe { mem::thp(memory, 64 * MIB, mem::Thp::Refuse) };
        memory
    }

    /// Touches a byte of every `step` of a block.
    fn touch(start: *mut u8, bytes: usize, step: usize) {
        // SAFETY: the test's mapping.
        (0..bytes).step_by(step).for_each(|at| unsafe { start.wrapping_add(at).write(1) });
    }

    #[test]
    fn blocks_are_expected_to_do_what_the_one_before_did() {
        let _ground = crate::arena::tests::ground();
        let (history, memory) = (FillHistory::new(), memory());
        let block = |index: usize| memory.wrapping_add(index * 4 * MIB);
        assert!(!history.expects_filling(block(0), 4 * MIB), "nothing is known");
        touch(block(0), 4 * MIB, 4096);
        assert!(history.expects_filling(block(1), 4 * MIB));
        assert!(!history.expects_filling(block(1), 16 * MIB), "another size");
    }

    #[test]
    fn a_byte_in_sixteen_pages_is_sparse() {
        let _ground = crate::arena::tests::ground();
        let (history, memory) = (FillHistory::new(), memory());
        for index in 0..12 {
            let block = memory.wrapping_add(index * 4 * MIB);
            assert!(!history.expects_filling(block, 4 * MIB), "{index}");
            touch(block, 4 * MIB, 64 << 10);
            history.note_released(block, 4 * MIB);
        }
    }

    #[test]
    fn zeros_are_no_contents() {
        let _ground = crate::arena::tests::ground();
        let memory = memory();
        // SAFETY: the test's mapping.
        let is_filled = |at: usize| unsafe { has_been_filled(memory.wrapping_add(at), 4 * MIB) };
        touch(memory, 4 * MIB, 4096);
        touch(memory.wrapping_add(4 * MIB), 4 * MIB, 64 << 10);
        // SAFETY: as above.
        unsafe { memory.wrapping_add(8 * MIB).write_bytes(0, 4 * MIB) };
        assert_eq!([0, 4 * MIB, 8 * MIB, 12 * MIB].map(is_filled), [true, false, false, false]);
    }

    #[test]
    fn releases_teach_and_the_last_ones_count_most() {
        let _ground = crate::arena::tests::ground();
        let (history, memory) = (FillHistory::new(), memory());
        let (full, sparse) = (memory, memory.wrapping_add(16 * MIB));
        touch(full, 8 * MIB, 4096);
        touch(sparse, 8 * MIB, 64 << 10);
        (0..3).for_each(|_| history.note_released(full, 8 * MIB));
        assert!(history.expects_filling(sparse, 8 * MIB));
        (0..3).for_each(|_| history.note_released(sparse, 8 * MIB));
        assert!(!history.expects_filling(sparse, 8 * MIB));
    }

    #[test]
    fn now_and_then_a_block_is_left_without_advice_to_see_a_change() {
        let _ground = crate::arena::tests::ground();
        let (history, memory) = (FillHistory::new(), memory());
        touch(memory, 4 * MIB, 4096);
        (0..3).for_each(|_| history.note_released(memory, 4 * MIB));
        let sparse = memory.wrapping_add(32 * MIB);
        let advised = |times: usize| (0..times).filter(|_| history.expects_filling(sparse, 4 * MIB)).count();
        let first = advised(64);
        assert!((16..32).contains(&first), "{first}");
        assert_eq!(advised(64), 0, "none of them is filled any more");
    }
}
