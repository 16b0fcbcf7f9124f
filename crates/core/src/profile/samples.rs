//! What has been sampled: a record per stack, and one per sample that is in use.
//!
//! Everything here is behind one lock (`engine`): samples are rare, and what is done under the lock is a look-up. Memory comes from a
//! pool of our own; a stack's record stays for ever, a sample's is used again.
//!
//! The *peak* is what was in use when most was. A stack's part of it is written down lazily: when what it has in use changes for
//! the first time since the peak, it is what it had before.

use core::mem::offset_of;
use core::ptr::{self, NonNull};

use super::interval::UNIT;
use super::memory::Pool;
use crate::sync::Lock;

/// The deepest stack that is recorded whole.
pub const MAX_FRAMES: usize = 100;
/// How long blocks have lived, by powers of two of milliseconds: the first is below one, the last has no limit.
pub const LIFETIMES: usize = 20;
const BUCKETS: usize = 4096;

/// Blocks and their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Amount {
    /// How many blocks.
    pub count: u64,
    /// Their size together, in bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, more: Amount) {
        self.count += more.count;
        self.bytes += more.bytes;
    }

    fn subtract(&mut self, less: Amount) {
        self.count -= less.count;
        self.bytes -= less.bytes;
    }
}

/// The same twice: the samples themselves, and what they stand for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Amounts {
    /// The samples alone.
    pub sampled: Amount,
    /// In units of 2^-10.
    estimate: Amount,
}

impl Amounts {
    /// One sample of `bytes` bytes, which stands for `weight` blocks, in units of 2^-10.
    pub(super) fn of(bytes: usize, weight: u64) -> Amounts {
        let bytes = bytes as u64;
        let estimate = Amount { count: weight, bytes: bytes.saturating_mul(weight) };
        Amounts { sampled: Amount { count: 1, bytes }, estimate }
    }

    /// How much there was of everything, as far as the samples tell. Unbiased.
    pub fn estimate(&self) -> Amount {
        let rounded = |units: u64| (units + UNIT / 2) / UNIT;
        Amount { count: rounded(self.estimate.count), bytes: rounded(self.estimate.bytes) }
    }

    fn add(&mut self, more: Amounts) {
        self.sampled.add(more.sampled);
        self.estimate.add(more.estimate);
    }

    fn subtract(&mut self, less: Amounts) {
        self.sampled.subtract(less.sampled);
        self.estimate.subtract(less.estimate);
    }
}

/// Who allocates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Who {
    /// The thread's name, padded with zeros.
    pub thread: [u8; 16],
    /// The heap's number; 1 is the first heap of the process.
    pub heap: u64,
}

/// What is known of one stack.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Who allocated.
    pub who: Who,
    /// All that was ever allocated there.
    pub allocated: Amounts,
    /// What of it has not been freed.
    pub in_use: Amounts,
    /// In use when most was.
    pub peak: Amounts,
    /// How many of the samples that were freed had lived so long.
    pub lifetimes: [u32; LIFETIMES],
    /// For every block estimated, in units of 2^-10, the moment it was freed less the one it was allocated. Blocks in use have
    /// the second alone: the sum, which may go around, is right once now is added for them.
    ages: u64,
}

impl Counts {
    fn age(&mut self, more: u64) {
        self.ages = self.ages.wrapping_add(more);
    }

    /// How long all blocks together had lived by `now_millis`, as far as the samples tell.
    pub fn lived_millis(&self, now_millis: u64) -> u64 {
        self.ages.wrapping_add(now_millis.wrapping_mul(self.in_use.estimate.count)) / UNIT
    }
}

/// Where a reader in another process finds what is known: offsets in the guarded [`Samples`] and in records of stacks.
/// Records stay, and those behind the newest don't get others behind them: who has read the newest can follow `older`.
#[repr(C)]
pub struct SamplesOffsets {
    /// The lock's word, a 32-bit number that is 0 while nobody changes anything.
    pub lock: u32,
    /// A word: the address of the newest record of a stack; null: there is none.
    pub newest: u32,
    /// 64 bits: the number of the latest peak.
    pub peak: u32,
    /// 64 bits: how many samples there was no memory for.
    pub lost: u32,
    /// No offset but a size: of a stack's record, in bytes. The stack's frames follow it, a word each, the innermost
    /// first.
    pub stack_bytes: u32,
    /// In a record, a word: the address of the one that was made before; null: there is none.
    pub stack_older: u32,
    /// In a record, a word: how many frames follow.
    pub stack_depth: u32,
    /// In a record, 64 bits: the number of the peak that `peak_amounts` is for. If there has been a later one, what is
    /// in use was in use then.
    pub stack_peak_seen: u32,
    /// In a record, 16 bytes: the thread's name, padded with zeros.
    pub thread: u32,
    /// In a record, 64 bits: the heap's number.
    pub heap: u32,
    /// In a record, four numbers of 64 bits: samples, their bytes, and the estimates of both in units of 2^-10.
    pub allocated: u32,
    /// In a record, likewise: what of that has not been freed.
    pub in_use: u32,
    /// In a record, likewise: what was in use at a peak; see `stack_peak_seen`.
    pub peak_amounts: u32,
    /// In a record, 64 bits, which go around: how long the blocks have lived. For those in use, now must still be
    /// added, times the estimate of their number. In milliseconds times 2^10.
    pub ages: u32,
}

impl SamplesOffsets {
    /// The offsets of this build, in bytes.
    pub const HERE: SamplesOffsets = {
        const IN_LOCK: usize = Lock::<Samples>::VALUE_AT;
        const COUNTS: usize = offset_of!(Stack, counts);
        SamplesOffsets {
            lock: 0,
            newest: (IN_LOCK + offset_of!(Samples, newest)) as u32,
            peak: (IN_LOCK + offset_of!(Samples, peak)) as u32,
            lost: (IN_LOCK + offset_of!(Samples, lost)) as u32,
            stack_bytes: size_of::<Stack>() as u32,
            stack_older: offset_of!(Stack, older) as u32,
            stack_depth: offset_of!(Stack, depth) as u32,
            stack_peak_seen: offset_of!(Stack, peak_seen) as u32,
            thread: (COUNTS + offset_of!(Counts, who.thread)) as u32,
            heap: (COUNTS + offset_of!(Counts, who.heap)) as u32,
            allocated: (COUNTS + offset_of!(Counts, allocated)) as u32,
            in_use: (COUNTS + offset_of!(Counts, in_use)) as u32,
            peak_amounts: (COUNTS + offset_of!(Counts, peak)) as u32,
            ages: (COUNTS + offset_of!(Counts, ages)) as u32,
        }
    };
}

/// The record of a stack. Its frames follow it.
struct Stack {
    hash: u64,
    /// The next of the same bucket.
    next: *mut Stack,
    /// The one that was made before.
    older: *mut Stack,
    depth: usize,
    /// The number of the peak up to which `counts.peak` is right, unless nothing has changed since.
    peak_seen: u64,
    counts: Counts,
}

impl Stack {
    fn frames_of(stack: *mut Stack) -> *mut usize {
        stack.wrapping_add(1).cast()
    }

    /// Before what is in use changes.
    fn settle_peak(&mut self, peak: u64) {
        if self.peak_seen < peak {
            self.counts.peak = self.counts.in_use;
            self.peak_seen = peak;
        }
    }
}

/// A sample in use.
pub struct Sample {
    /// Null in one that is free.
    stack: *mut Stack,
    bytes: usize,
    weight: u64,
    born_millis: u64,
    /// The next free one.
    next: *mut Sample,
}

/// Everything.
pub struct Samples {
    pool: Pool,
    buckets: Option<NonNull<[*mut Stack; BUCKETS]>>,
    newest: *mut Stack,
    free: *mut Sample,
    allocated: Amounts,
    in_use: Amounts,
    most_bytes: u64,
    /// Numbers the peaks.
    peak: u64,
    /// Stacks and samples that there was no memory for.
    lost: u64,
}

// SAFETY: the records are reached through this alone.
unsafe impl Send for Samples {}

/// A sample to be recorded.
#[derive(Clone, Copy)]
pub struct Find<'f> {
    /// The addresses in the thread's calls, the innermost first.
    pub frames: &'f [usize],
    /// Who allocates.
    pub who: Who,
    /// The block's size in bytes.
    pub bytes: usize,
    /// How many blocks it stands for, in units of 2^-10.
    pub weight: u64,
    /// The time, by the clock by which the sample leaves, too.
    pub now_millis: u64,
}

impl Samples {
    /// No samples.
    pub const fn new() -> Samples {
        const NOTHING: Amount = Amount { count: 0, bytes: 0 };
        const NONE: Amounts = Amounts { sampled: NOTHING, estimate: NOTHING };
        Samples {
            pool: Pool::new(),
            buckets: None,
            newest: ptr::null_mut(),
            free: ptr::null_mut(),
            allocated: NONE,
            in_use: NONE,
            most_bytes: 0,
            peak: 0,
            lost: 0,
        }
    }

    /// Records a sample; `None` without memory.
    pub fn enter(&mut self, find: &Find<'_>) -> Option<NonNull<Sample>> {
        let found = self.stack_of(find).zip(self.sample());
        let Some((mut stack, mut place)) = found else {
            self.lost += 1;
            return None;
        };
        let amounts = Amounts::of(find.bytes, find.weight);
        // SAFETY: the records are ours.
        let (stack_record, sample) = unsafe { (stack.as_mut(), place.as_mut()) };
        let (bytes, weight, born_millis) = (find.bytes, find.weight, find.now_millis);
        *sample = Sample { stack: stack.as_ptr(), bytes, weight, born_millis, next: ptr::null_mut() };
        stack_record.settle_peak(self.peak);
        stack_record.counts.allocated.add(amounts);
        stack_record.counts.in_use.add(amounts);
        stack_record.counts.age(find.weight.wrapping_mul(find.now_millis).wrapping_neg());
        self.allocated.add(amounts);
        self.in_use.add(amounts);
        let bytes = self.in_use.estimate.bytes;
        if bytes > self.most_bytes {
            self.most_bytes = bytes;
            self.peak += 1;
        }
        Some(place)
    }

    /// The sample's block has been freed.
    ///
    /// # Safety
    /// The sample is in use, and its block's alone.
    pub unsafe fn leave(&mut self, place: NonNull<Sample>, now_millis: u64) {
        // SAFETY: the precondition; the records are ours.
        unsafe {
            let sample = &mut *place.as_ptr();
            let Some(stack) = sample.stack.as_mut() else { return };
            let amounts = Amounts::of(sample.bytes, sample.weight);
            stack.settle_peak(self.peak);
            stack.counts.in_use.subtract(amounts);
            stack.counts.age(sample.weight.wrapping_mul(now_millis));
            stack.counts.lifetimes[lifetime(now_millis.saturating_sub(sample.born_millis))] += 1;
            self.in_use.subtract(amounts);
            sample.stack = ptr::null_mut();
            sample.next = self.free;
            self.free = sample;
        }
    }

    /// What all stacks have allocated, and have in use.
    pub fn totals(&self) -> (Amounts, Amounts) {
        (self.allocated, self.in_use)
    }

    /// How many samples are missing.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// A stack: the newest, or the one before that at `cursor`. Copies its frames, and answers a cursor for the next, what is
    /// known of it, and how many frames it has.
    pub fn look(&self, cursor: Option<Cursor>, frames: &mut [usize; MAX_FRAMES]) -> Option<(Cursor, Counts, usize)> {
        let stack = match cursor {
            None => self.newest,
            // SAFETY: a cursor is a record's, and they stay.
            Some(Cursor(stack)) => unsafe { (*stack).older },
        };
        // SAFETY: null or a record; they stay, and the caller has the lock.
        let record = unsafe { stack.as_ref() }?;
        let mut counts = record.counts;
        if record.peak_seen < self.peak {
            counts.peak = counts.in_use;
        }
        let depth = record.depth.min(MAX_FRAMES);
        // SAFETY: as many frames follow the record.
        unsafe { ptr::copy_nonoverlapping(Stack::frames_of(stack), frames.as_mut_ptr(), depth) };
        Some((Cursor(stack), counts, depth))
    }

    fn sample(&mut self) -> Option<NonNull<Sample>> {
        if let Some(sample) = NonNull::new(self.free) {
            // SAFETY: a free record.
            self.free = unsafe { sample.as_ref().next };
            return Some(sample);
        }
        Some(self.pool.take(size_of::<Sample>())?.cast())
    }

    fn stack_of(&mut self, find: &Find<'_>) -> Option<NonNull<Stack>> {
        let hash = hash_of(find);
        let bucket = self.bucket(hash)?;
        // SAFETY: the table is ours.
        let mut stack = unsafe { bucket.read() };
        // SAFETY: null or a record.
        while let Some(record) = unsafe { stack.as_ref() } {
            if record.hash == hash && record.counts.who == find.who && is_of(stack, record, find.frames) {
                return NonNull::new(stack);
            }
            stack = record.next;
        }
        self.new_stack(find, hash, bucket)
    }

    fn bucket(&mut self, hash: u64) -> Option<NonNull<*mut Stack>> {
        let table = match self.buckets {
            Some(table) => table,
            None => self.pool.take(size_of::<[*mut Stack; BUCKETS]>())?.cast(),
        };
        self.buckets = Some(table);
        // SAFETY: in bounds.
        Some(unsafe { table.cast().add((hash >> 32) as usize % BUCKETS) })
    }

    fn new_stack(&mut self, find: &Find<'_>, hash: u64, bucket: NonNull<*mut Stack>) -> Option<NonNull<Stack>> {
        let depth = find.frames.len();
        let place: NonNull<Stack> = self.pool.take(size_of::<Stack>() + size_of_val(find.frames))?.cast();
        let (allocated, in_use, peak) = Default::default();
        let counts = Counts { who: find.who, allocated, in_use, peak, lifetimes: [0; LIFETIMES], ages: 0 };
        // SAFETY: the table is ours; the memory is new, and as large as the record and its frames.
        unsafe {
            let next = bucket.read();
            place.write(Stack { hash, next, older: self.newest, depth, peak_seen: self.peak, counts });
            ptr::copy_nonoverlapping(find.frames.as_ptr(), Stack::frames_of(place.as_ptr()), depth);
            bucket.write(place.as_ptr());
        }
        self.newest = place.as_ptr();
        Some(place)
    }
}

/// Where a walk over all stacks is.
#[derive(Clone, Copy)]
pub struct Cursor(*mut Stack);

fn is_of(stack: *mut Stack, record: &Stack, frames: &[usize]) -> bool {
    // SAFETY: as many frames follow the record.
    record.depth == frames.len()
        && unsafe { core::slice::from_raw_parts(Stack::frames_of(stack), record.depth) } == frames
}

fn hash_of(find: &Find<'_>) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |hash: u64, word: u64| (hash.rotate_left(29) ^ word).wrapping_mul(FACTOR);
    let thread = u128::from_ne_bytes(find.who.thread);
    let start = [find.who.heap, thread as u64, (thread >> 64) as u64].into_iter().fold(FACTOR, step);
    find.frames.iter().fold(start, |hash, &frame| step(hash, frame as u64))
}

/// Which of the lifetimes so many milliseconds are.
fn lifetime(millis: u64) -> usize {
    ((u64::BITS - millis.leading_zeros()) as usize).min(LIFETIMES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn find(frames: &[usize], bytes: usize, now_millis: u64) -> Find<'_> {
        Find { frames, who: Who::default(), bytes, weight: 3 * UNIT, now_millis }
    }

    fn all(samples: &Samples) -> Vec<(Vec<usize>, Counts)> {
        let (mut cursor, mut frames, mut found) = (None, [0; MAX_FRAMES], Vec::new());
        while let Some((next, counts, depth)) = samples.look(cursor, &mut frames) {
            found.push((frames[..depth].to_vec(), counts));
            cursor = Some(next);
        }
        found
    }

    #[test]
    fn stacks_are_told_apart_and_counted() {
        let mut samples = Samples::new();
        let first = samples.enter(&find(&[1, 2, 3], 100, 0)).unwrap();
        samples.enter(&find(&[1, 2, 3], 50, 0)).unwrap();
        samples.enter(&find(&[1, 2], 7, 0)).unwrap();
        let other = Who { heap: 2, ..Who::default() };
        samples.enter(&Find { who: other, ..find(&[1, 2], 8, 0) }).unwrap();
        // SAFETY: in use, and freed once.
        unsafe { samples.leave(first, 5) };
        let found = all(&samples);
        assert_eq!(found.len(), 3);
        let (frames, counts) = &found[2];
        assert_eq!(frames, &[1, 2, 3]);
        assert_eq!(counts.allocated.sampled, Amount { count: 2, bytes: 150 });
        assert_eq!(counts.allocated.estimate(), Amount { count: 6, bytes: 450 });
        assert_eq!(counts.in_use.estimate(), Amount { count: 3, bytes: 150 });
        assert_eq!(counts.lifetimes[3], 1, "5 ms: from 4 to 8");
        assert_eq!(found[1].1.in_use.sampled.bytes, 7);
        assert_eq!(found[0].1.who.heap, 2);
    }

    #[test]
    fn the_peak_is_what_was_in_use_when_most_was() {
        let mut samples = Samples::new();
        let mut random = crate::random::Fast::new(5);
        let stacks: Vec<[usize; 2]> = (0..10).map(|index| [index, 7]).collect();
        let (mut live, mut most, mut at_most) = (Vec::new(), 0, Vec::new());
        for _ in 0..2000 {
            let stack = random.below(10) as usize;
            if random.below(5) < 3 {
                let bytes = 1 + random.below(1000) as usize;
                live.push((stack, bytes, samples.enter(&find(&stacks[stack], bytes, 0)).unwrap()));
            } else if !live.is_empty() {
                let (.., sample) = live.swap_remove(random.below(live.len() as u64) as usize);
                // SAFETY: in use, and freed once.
                unsafe { samples.leave(sample, 0) };
            }
            let sum: usize = live.iter().map(|(_, bytes, _)| bytes).sum();
            if sum > most {
                most = sum;
                at_most = live.iter().map(|&(stack, bytes, _)| (stack, bytes)).collect();
            }
        }
        for (frames, counts) in all(&samples) {
            let expected: usize = at_most.iter().filter(|(stack, _)| *stack == frames[0]).map(|(_, bytes)| bytes).sum();
            assert_eq!(counts.peak.sampled.bytes as usize, expected);
        }
    }

    #[test]
    fn records_of_samples_are_used_again() {
        let mut samples = Samples::new();
        let first = samples.enter(&find(&[1], 1, 0)).unwrap();
        // SAFETY: in use, and freed once.
        unsafe { samples.leave(first, 0) };
        assert_eq!(samples.enter(&find(&[2], 1, 0)), Some(first));
        assert_eq!(samples.totals().1.sampled.count, 1);
    }

    #[test]
    fn lives_are_summed_of_blocks_freed_and_in_use() {
        let mut samples = Samples::new();
        let first = samples.enter(&find(&[1], 10, 1 << 40)).unwrap();
        samples.enter(&find(&[1], 10, (1 << 40) + 5)).unwrap();
        // SAFETY: in use, and freed once.
        unsafe { samples.leave(first, (1 << 40) + 100) };
        let (_, counts) = &all(&samples)[0];
        assert_eq!(counts.lived_millis((1 << 40) + 105), 3 * 100 + 3 * 100, "each sample stands for three");
    }

    #[test]
    fn lifetimes_are_powers_of_two() {
        assert_eq!([0, 1, 2, 3, 4, 1000, u64::MAX].map(lifetime), [0, 1, 2, 2, 3, 10, LIFETIMES - 1]);
    }
}
