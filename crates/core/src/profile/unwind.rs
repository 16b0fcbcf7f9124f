//! The stack of the calling thread.
//!
//! Each frame is left by the rule that the unwind tables have for it (`cfi`); where there is none, by its frame pointer. Nothing
//! is taken on trust: a word is read only from memory that the kernel has said can be read, or that lies between such memory
//! and the stack pointer on the thread's own stack, where it stays readable. So a walk that has lost its way ends, and
//! never faults. It takes no lock (before glibc 2.35, and with musl, the dynamic linker's for addresses that it meets for the
//! first time), and allocates nothing.

use core::cell::Cell;

use ferrimalloc_prim::mem::Access;
use ferrimalloc_prim::modules;
use ferrimalloc_prim::stack::{self, Registers};

use super::cfi;
use super::rule::{Base, Rule, RuleTable};
use crate::os;
use crate::sync::Published;

/// The granule in which memory is asked about; OS pages are multiples of it.
const GRANULE: usize = 4096;
/// Frames are not larger.
const MAX_FRAME_BYTES: usize = 1 << 20;
/// No code lies below.
const LEAST_ADDRESS: usize = 4096;
const WORD: usize = size_of::<usize>();

/// Mapped when the first rule is learned: most processes walk no stack.
static RULES: Published<RuleTable> = Published::new();

/// What a thread knows about its own stack: memory from `low` to `high` can be read. Valid when zeroed.
pub struct Known {
    low: Cell<usize>,
    high: Cell<usize>,
}

impl Known {
    /// Nothing is known.
    pub const fn new() -> Known {
        Known { low: Cell::new(0), high: Cell::new(0) }
    }

    /// For another thread.
    pub fn forget(&self) {
        self.low.set(0);
        self.high.set(0);
    }
}

/// Memory that may be read, from where the stack pointer was.
struct Window {
    low: usize,
    high: usize,
    known: (usize, usize),
    limit: usize,
}

impl Window {
    fn new(sp: usize, known: &Known) -> Window {
        let low = sp & !(GRANULE - 1);
        let top = stack::top(sp);
        let known = if top.is_some() { (known.low.get(), known.high.get()) } else { (0, 0) };
        let high = if (known.0..known.1).contains(&low) { known.1 } else { low + GRANULE };
        Window { low, high, known, limit: top.map_or(usize::MAX, |top| top & !(WORD - 1)) }
    }

    /// The word at an address above the stack pointer.
    fn read(&mut self, address: usize) -> Option<usize> {
        let known_bytes = self.high.min(self.limit) - self.low;
        let is_known = address.wrapping_sub(self.low) < known_bytes && address.is_multiple_of(WORD);
        if !(is_known || self.reaches(address)) {
            return None;
        }
        // SAFETY: readable, as the module's head says; what changes meanwhile is another frame's business.
        Some(unsafe { core::ptr::with_exposed_provenance::<usize>(address).read_volatile() })
    }

    /// Asks about what has not been looked at before.
    #[cold]
    fn reaches(&mut self, address: usize) -> bool {
        let Some(end) = address.checked_add(WORD) else { return false };
        let may_be = address.is_multiple_of(WORD) && address >= self.low && end <= self.limit;
        may_be && (end <= self.high || self.grow(end))
    }

    fn grow(&mut self, end: usize) -> bool {
        if end - self.high > MAX_FRAME_BYTES {
            return false;
        }
        while self.high < end {
            if self.high == self.known.0 {
                self.high = self.known.1;
            } else if stack::is_readable(self.high) {
                self.high += GRANULE;
            } else {
                return false;
            }
        }
        true
    }

    /// Remembers what was learned about the thread's own stack.
    fn keep(&self, known: &Known) {
        if self.limit == usize::MAX {
            return;
        }
        // What lies between two ranges that don't touch has not been asked about.
        let touches = self.low <= self.known.1 && self.known.0 <= self.high;
        let (low, high) = if touches { self.known } else { (self.low, self.high) };
        known.low.set(low.min(self.low));
        known.high.set(high.max(self.high));
    }
}

/// Fills `frames` with the addresses in this thread's calls, the innermost first, and answers how many there are. All but the
/// first are return addresses. None where registers aren't known.
#[inline(always)]
pub fn walk(frames: &mut [usize], known: &Known) -> usize {
    if !stack::CAN_BE_WALKED {
        return 0;
    }
    walk_from(stack::registers(), frames, known)
}

/// The same of where a signal has interrupted this thread: the first address is that of an instruction.
pub fn walk_from(mut at: Registers, frames: &mut [usize], known: &Known) -> usize {
    let mut window = Window::new(at.sp, known);
    let mut count = 0;
    while count < frames.len() {
        frames[count] = at.pc;
        count += 1;
        match step(at, count == 1, &mut window) {
            Some(caller) => at = caller,
            None => break,
        }
    }
    window.keep(known);
    count
}

/// The caller's frame.
fn step(at: Registers, is_innermost: bool, window: &mut Window) -> Option<Registers> {
    // A return address may be that of the next function.
    let inside = if is_innermost { at.pc } else { at.pc - 1 };
    let rule = find_rule(inside);
    let caller = match rule.base {
        Base::End => return None,
        Base::Chain => by_frame_pointer(at, window)?,
        _ => by_rule(at, rule, window)?,
    };
    let is_plausible = caller.pc >= LEAST_ADDRESS && caller.sp > at.sp && caller.sp - at.sp <= MAX_FRAME_BYTES;
    is_plausible.then_some(caller)
}

fn by_rule(at: Registers, rule: Rule, window: &mut Window) -> Option<Registers> {
    let base = if rule.base == Base::FramePointer { at.fp } else { at.sp };
    let cfa = base.checked_add_signed(rule.cfa as isize * WORD as isize)?;
    let saved = |words: i16| cfa.checked_add_signed(isize::from(words) * WORD as isize);
    let pc = stack::plain(window.read(saved(rule.return_address)?)?);
    let fp = match rule.fp {
        Some(words) => window.read(saved(words)?)?,
        None => at.fp,
    };
    Some(Registers { pc, sp: cfa, fp })
}

/// As functions that keep a frame pointer have it: the caller's frame pointer, and the return address behind it.
fn by_frame_pointer(at: Registers, window: &mut Window) -> Option<Registers> {
    if at.fp < at.sp {
        return None;
    }
    let (fp, pc) = (window.read(at.fp)?, stack::plain(window.read(at.fp.checked_add(WORD)?)?));
    Some(Registers { pc, sp: at.fp + 2 * WORD, fp })
}

fn find_rule(address: usize) -> Rule {
    known_rules().and_then(|rules| rules.find(address)).unwrap_or_else(|| learn_rule(address))
}

fn known_rules() -> Option<&'static RuleTable> {
    // SAFETY: null, or what `map_rules` has installed, for ever.
    unsafe { RULES.get().as_ref() }
}

#[cold]
fn learn_rule(address: usize) -> Rule {
    let mut rule = None;
    modules::find(address, &mut |module| {
        if module.unwind_table != 0 {
            rule = cfi::rule_at(module.unwind_table, address);
        }
    });
    let rule = rule.unwrap_or(Rule::CHAIN);
    if let Some(rules) = known_rules().or_else(map_rules) {
        rules.remember(address, rule);
    }
    rule
}

/// A table for all threads; `None` if there is no memory: then rules are learned each time.
fn map_rules() -> Option<&'static RuleTable> {
    let bytes = size_of::<RuleTable>().next_multiple_of(os::os_page_bytes());
    let region = os::reserve(bytes, os::os_page_bytes(), Access::ReadWrite, |_| true, core::iter::empty())?.region();
    if RULES.install(region.start.cast()).is_err() {
        // SAFETY: reserved above, and nobody else has seen it.
        unsafe { os::release(region) };
    }
    known_rules()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[inline(never)]
    fn deeper(depth: usize, known: &Known) -> Vec<usize> {
        let frames = if depth == 0 {
            let mut frames = [0; 200];
            let count = walk(&mut frames, known);
            frames[..count].to_vec()
        } else {
            deeper(depth - 1, known)
        };
        core::hint::black_box(&frames);
        frames
    }

    #[test]
    fn a_walk_sees_every_call() {
        let known = Known::new();
        let (flat, deep) = (deeper(0, &known), deeper(50, &known));
        if !stack::CAN_BE_WALKED {
            assert!(flat.is_empty() && deep.is_empty());
            return;
        }
        assert_eq!(deep.len(), flat.len() + 50);
        // In a recursion all return addresses but the first are the same.
        assert!(deep[3..51].windows(2).all(|pair| pair[0] == pair[1]));
        assert!(flat.len() > 5, "to the thread's start: {flat:x?}");
        assert!(known.low.get() != 0 && known.high.get() > known.low.get());
        assert_eq!(deeper(50, &known).len(), deep.len(), "what is known of the stack changes nothing");
    }

    #[test]
    fn it_agrees_with_the_frames_that_the_standard_library_finds() {
        let ours = deeper(3, &Known::new());
        let text = std::format!("{:?}", std::backtrace::Backtrace::force_capture());
        let theirs = text.matches("fn: ").count();
        assert!(theirs == 0 || ours.len() + 20 > theirs / 2, "{} frames, {theirs} functions", ours.len());
    }

    #[test]
    fn a_walk_that_starts_anywhere_ends() {
        if !stack::CAN_BE_WALKED {
            return;
        }
        let known = Known::new();
        let real = stack::registers();
        let mut random = crate::random::Fast::new(3);
        let mut frames = [0; 64];
        for round in 0..20_000usize {
            let fp = match round % 4 {
                0 => random.next_u64() as usize,
                1 => real.sp.wrapping_add(random.below(1 << 20) as usize),
                2 => real.sp + 8 * random.below(4096) as usize,
                _ => usize::MAX - 7,
            };
            let pc = if round % 2 == 0 { random.next_u64() as usize } else { real.pc };
            walk_from(Registers { pc: pc | 1, sp: real.sp, fp }, &mut frames, &known);
        }
    }
}
