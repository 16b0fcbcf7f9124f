//! Where blocks come from: which calls have allocated a block, and which have freed it, for reports of what was done to it.
//!
//! What is kept is bounded and approximate: two tables of fixed size, in memory of their own from the system. One has a place
//! for a block, by its address, with the *marks* of two traces; the other has traces, a thread and its innermost calls, by their
//! marks. Who needs a place takes another's, if need be. A mark is a hash of its trace.
//!
//! There are no locks. Words are written one by one, and whoever reads them believes nothing that doesn't fit together:
//!
//! Invariant 1: a block's place counts only if its key is the block's address mixed with both of its marks.
//! Invariant 2: a trace counts only if its mark is the one that was looked for.
//!
//! So two threads that write to one place at a time at worst have something forgotten; and this may be read in a signal handler,
//! and in the child of a fork.

use core::ops::Range;

use ferrimalloc_prim::mem::Access;
use ferrimalloc_prim::stack::Registers;
use ferrimalloc_prim::{modules, thread};

use super::unwind::{Known, walk, walk_from};
use crate::diag::{self, Message};
use crate::os;
use crate::sync::{AtomicU64, AtomicUsize, Ordering::Relaxed, Published};

/// Calls that are kept of a stack.
const CALLS: usize = 16;
/// The allocator's own calls, which are left out, are not more.
const OWN_CALLS: usize = 6;
/// A trace's thread, and its calls.
const WORDS: usize = 1 + CALLS;
const TRACES: usize = 1 << 13;
/// Blocks whose addresses have the same hash share so many places.
const WAYS: usize = 4;
const SETS: usize = 1 << 15;
/// A module's name is not longer where it is printed: a line has to hold it.
const NAME_BYTES: usize = 400;

/// Made when the first block is noted: most processes note none.
static ORIGINS: Published<Origins> = Published::new();

/// The calls that allocated, or freed: the thread, then addresses inside of calls, the innermost first; 0 where there are no more.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Trace([usize; WORDS]);

impl Trace {
    const NONE: Trace = Trace([0; WORDS]);

    /// Of this thread. What lies in `own` is the allocator's.
    fn here(own: &Range<usize>, known: &Known) -> Trace {
        let mut frames = [0; 1 + OWN_CALLS + CALLS];
        let count = walk(&mut frames, known);
        Trace::of(frames.get(1..count).unwrap_or(&[]), own)
    }

    /// Of where a signal has interrupted this thread.
    fn interrupted(at: Registers) -> Trace {
        let mut frames = [0; CALLS];
        let count = walk_from(at, &mut frames, &Known::new());
        let mut trace = Trace::of(&frames[..count], &(0..0));
        // Not a return address.
        trace.0[1] = at.pc;
        trace
    }

    /// Of return addresses.
    fn of(frames: &[usize], own: &Range<usize>) -> Trace {
        let ours = frames.iter().take(OWN_CALLS).take_while(|frame| own.contains(frame)).count();
        let mut trace = Trace::NONE;
        trace.0[0] = thread::id();
        // A return address may be that of the next function.
        trace.0[1..].iter_mut().zip(&frames[ours..]).for_each(|(call, frame)| *call = frame - 1);
        trace
    }

    fn calls(&self) -> impl Iterator<Item = usize> {
        self.0[1..].iter().copied().take_while(|&call| call != 0)
    }

    /// Never 0.
    fn mark(&self) -> u64 {
        let hash = self.0.iter().fold(0, |hash: u64, &word| (hash.rotate_left(23) ^ word as u64).wrapping_mul(SPREAD));
        (hash ^ hash >> 32) | 1
    }

    /// The lines of a report.
    fn say(&self, what: &str) {
        diag::say(|line| {
            line.text("  ").text(what).text(" by thread ").hex(self.0[0]).text(" at:");
        });
        for (number, call) in self.calls().enumerate() {
            diag::say(|line| write_call(line, number, call));
        }
    }
}

const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The last trace that needed this place, word by word.
struct TracePlace([AtomicUsize; WORDS]);

impl TracePlace {
    fn keep(&self, trace: &Trace) {
        if self.kept() != *trace {
            self.0.iter().zip(trace.0).for_each(|(place, word)| place.store(word, Relaxed));
        }
    }

    fn kept(&self) -> Trace {
        let mut trace = Trace::NONE;
        trace.0.iter_mut().zip(&self.0).for_each(|(word, place)| *word = place.load(Relaxed));
        trace
    }
}

/// What is known of a block: marks of traces, or 0. All 0 is an empty place.
struct Place {
    key: AtomicU64,
    allocated: AtomicU64,
    freed: AtomicU64,
}

impl Place {
    /// The marks, if this place is the block's.
    fn marks_of(&self, block: usize) -> Option<(u64, u64)> {
        let (allocated, freed) = (self.allocated.load(Relaxed), self.freed.load(Relaxed));
        (self.key.load(Relaxed) == key(block, allocated, freed)).then_some((allocated, freed))
    }

    fn keep(&self, block: usize, allocated: u64, freed: u64) {
        self.key.store(key(block, allocated, freed), Relaxed);
        self.allocated.store(allocated, Relaxed);
        self.freed.store(freed, Relaxed);
    }

    /// What is lost if another block gets the place: nothing, a block that is free, or one in use.
    fn worth(&self) -> u8 {
        match (self.allocated.load(Relaxed), self.freed.load(Relaxed)) {
            (0, 0) => 0,
            (_, 0) => 2,
            _ => 1,
        }
    }
}

fn key(block: usize, allocated: u64, freed: u64) -> u64 {
    block as u64 ^ allocated ^ freed.rotate_left(32)
}

/// What is known. Zeroed memory knows nothing, but for the allocator's own code.
struct Origins {
    own: Range<usize>,
    traces: [TracePlace; TRACES],
    places: [[Place; WAYS]; SETS],
}

impl Origins {
    fn trace_place(&self, mark: u64) -> &TracePlace {
        &self.traces[(mark >> 20) as usize % TRACES]
    }

    fn enter(&self, trace: &Trace) -> u64 {
        let mark = trace.mark();
        self.trace_place(mark).keep(trace);
        mark
    }

    fn trace(&self, mark: u64) -> Option<Trace> {
        let trace = self.trace_place(mark).kept();
        (mark != 0 && trace.mark() == mark).then_some(trace)
    }

    fn set(&self, block: usize) -> &[Place; WAYS] {
        &self.places[((block as u64).wrapping_mul(SPREAD) >> 40) as usize % SETS]
    }

    /// The block's place and its marks.
    fn find_place(&self, block: usize) -> Option<(&Place, (u64, u64))> {
        self.set(block).iter().find_map(|place| Some((place, place.marks_of(block)?)))
    }

    /// The block's place, or one that it may have.
    fn place(&self, block: usize, mark: u64) -> &Place {
        let set = self.set(block);
        let found = set.iter().find(|place| place.marks_of(block).is_some());
        let least = || set.iter().min_by_key(|place| place.worth()).filter(|place| place.worth() < 2);
        found.or_else(least).unwrap_or(&set[(mark >> 40) as usize % WAYS])
    }

    fn note_allocated(&self, block: usize, trace: &Trace) {
        let mark = self.enter(trace);
        self.place(block, mark).keep(block, mark, 0);
    }

    /// Who has freed it first: others do so in vain.
    fn note_freed(&self, block: usize, trace: &Trace) {
        if let Some((place, (allocated, 0))) = self.find_place(block) {
            place.keep(block, allocated, self.enter(trace));
        }
    }

    fn forget(&self, block: usize) {
        if let Some((place, _)) = self.find_place(block) {
            // Nobody's: whoever frees the block is not noted either.
            place.keep(0, 0, 0);
        }
    }
}

fn known_origins() -> Option<&'static Origins> {
    // SAFETY: null, or what `map` has installed, for ever.
    unsafe { ORIGINS.get().as_ref() }
}

/// Notes that this thread has just allocated a block. Forgotten if there is no memory for that.
#[cold]
#[inline(never)]
pub fn note_allocated(block: *const u8, known: &Known) {
    if let Some(origins) = known_origins().or_else(map) {
        origins.note_allocated(block.addr(), &Trace::here(&origins.own, known));
    }
}

/// Notes that this thread frees a block, if its allocation was noted.
#[cold]
#[inline(never)]
pub fn note_freed(block: *const u8, known: &Known) {
    if let Some(origins) = known_origins()
        && origins.find_place(block.addr()).is_some_and(|(_, (_, freed))| freed == 0)
    {
        origins.note_freed(block.addr(), &Trace::here(&origins.own, known));
    }
}

/// Whoever had this address before says nothing about the block that has it now.
#[cold]
pub fn forget_origins(block: *const u8) {
    if let Some(origins) = known_origins() {
        origins.forget(block.addr());
    }
}

/// Whether any block has been noted.
#[inline]
pub fn notes_origins() -> bool {
    !ORIGINS.get().is_null()
}

#[cold]
fn map() -> Option<&'static Origins> {
    let bytes = size_of::<Origins>().next_multiple_of(os::os_page_bytes());
    let region = os::reserve(bytes, os::os_page_bytes(), Access::ReadWrite, |_| true, core::iter::empty())?.region();
    let made: *mut Origins = region.start.cast();
    // SAFETY: reserved above, and nobody else has seen it.
    unsafe { (&raw mut (*made).own).write(own_code()) };
    if ORIGINS.install(made).is_err() {
        // SAFETY: as above.
        unsafe { os::release(region) };
    }
    known_origins()
}

/// The code of the library that the allocator is; none where it is a part of the program.
fn own_code() -> Range<usize> {
    let (here, mut own) = (own_code as fn() -> Range<usize> as usize, 0..0);
    modules::find(here, &mut |module| {
        if !module.name.is_empty() {
            own = module.start..module.end;
        }
    });
    own
}

/// Says, below a report, who has allocated the block and who has freed it, as far as that is known, and where this thread is. Nothing
/// where no block has been noted.
#[cold]
pub fn tell_origins(block: *const u8) {
    if let Some(origins) = known_origins() {
        tell_block(origins, block);
        Trace::here(&origins.own, &Known::new()).say("noticed");
    }
}

/// The same in a signal handler, of an access that has faulted.
#[cold]
pub fn tell_fault_origins(block: *const u8, at: Option<Registers>) {
    if let Some(origins) = known_origins() {
        tell_block(origins, block);
    }
    if let Some(at) = at {
        Trace::interrupted(at).say("accessed");
    }
}

fn tell_block(origins: &Origins, block: *const u8) {
    let (allocated, freed) = origins.find_place(block.addr()).map_or((0, 0), |(_, marks)| marks);
    for (what, mark) in [("allocated", allocated), ("freed", freed)] {
        if let Some(trace) = origins.trace(mark) {
            trace.say(what);
        }
    }
}

/// `    #0 0x55d0c8a011c9 /path/of/program+0x11c9`.
fn write_call(line: &mut Message, number: usize, call: usize) {
    line.text("    #").size(number).text(" ").hex(call);
    modules::find(call, &mut |module| {
        let mut path = [0; NAME_BYTES];
        let name = match module.name.to_bytes() {
            b"" => modules::program_path(&mut path),
            name => name,
        };
        if (1..NAME_BYTES).contains(&name.len()) {
            line.text(" ").path(name).text("+").hex(call - module.base);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;

    fn empty() -> Box<Origins> {
        // SAFETY: all zero is an empty one.
        unsafe { Box::<Origins>::new_zeroed().assume_init() }
    }

    fn trace(number: usize) -> Trace {
        Trace::of(&[number + 1, 0x1000], &(0..0))
    }

    fn marks(origins: &Origins, block: usize) -> Option<(Option<Trace>, Option<Trace>)> {
        let (_, (allocated, freed)) = origins.find_place(block)?;
        Some((origins.trace(allocated), origins.trace(freed)))
    }

    #[test]
    fn a_block_has_the_traces_of_its_last_life() {
        let origins = empty();
        assert!(marks(&origins, 64).is_none());
        origins.note_allocated(64, &trace(1));
        assert!(marks(&origins, 64) == Some((Some(trace(1)), None)));
        origins.note_freed(64, &trace(2));
        assert!(marks(&origins, 64) == Some((Some(trace(1)), Some(trace(2)))));
        origins.note_allocated(64, &trace(3));
        assert!(marks(&origins, 64) == Some((Some(trace(3)), None)));
        origins.note_freed(64, &trace(2));
        origins.note_freed(64, &trace(4));
        assert!(marks(&origins, 64) == Some((Some(trace(3)), Some(trace(2)))), "freed once");
        origins.forget(64);
        origins.note_freed(64, &trace(5));
        assert!(marks(&origins, 64).is_none(), "it is another block's address now");
        origins.note_freed(128, &trace(2));
        assert!(marks(&origins, 128).is_none(), "never allocated");
    }

    #[test]
    fn who_is_free_goes_before_who_is_in_use() {
        let origins = empty();
        let set = origins.set(64);
        let mut shared = (1..).map(|number| 64 * number).filter(|&block| core::ptr::eq(origins.set(block), set));
        let blocks: [usize; WAYS + 1] = core::array::from_fn(|_| shared.next().unwrap());
        blocks[..WAYS].iter().for_each(|&block| origins.note_allocated(block, &trace(block)));
        origins.note_freed(blocks[1], &trace(7));
        origins.note_allocated(blocks[WAYS], &trace(9));
        let known = blocks.map(|block| marks(&origins, block).is_some());
        assert!(known.iter().enumerate().all(|(at, known)| *known == (at != 1)), "{known:?}");
    }

    #[test]
    fn halves_of_two_entries_are_nobodys() {
        let place = Place { key: AtomicU64::new(0), allocated: AtomicU64::new(0), freed: AtomicU64::new(0) };
        place.keep(64, 11, 13);
        assert_eq!(place.marks_of(64), Some((11, 13)));
        assert_eq!(place.marks_of(128), None);
        place.allocated.store(17, Relaxed);
        assert_eq!(place.marks_of(64), None);
        let origins = empty();
        let mark = origins.enter(&trace(1));
        assert!(origins.trace(mark) == Some(trace(1)));
        origins.trace_place(mark).0[2].store(5, Relaxed);
        assert!(origins.trace(mark).is_none());
    }

    #[test]
    fn own_calls_are_left_out() {
        let of = |frames: &[usize]| Trace::of(frames, &(100..200)).0[1..4].to_vec();
        assert_eq!(of(&[150, 160, 300, 170]), [299, 169, 0]);
        assert_eq!(of(&[300]), [299, 0, 0]);
        assert_eq!(of(&[150]), [0, 0, 0]);
    }
}
