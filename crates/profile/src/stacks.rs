//! Stacks as their readers want them: without the allocator's own frames, as addresses of calls.

use ferrimalloc_core::profile::{self, Amounts, Counts, MAX_FRAMES};
use ferrimalloc_prim::modules;

use crate::symbols::Symbols;

/// What of a stack is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// What has been allocated and not been freed.
    InUse,
    /// All that has been allocated.
    Allocated,
    /// What was in use when most was.
    Peak,
}

impl Measure {
    /// What it is in the counts of a stack.
    pub fn of(self, counts: &Counts) -> Amounts {
        match self {
            Measure::InUse => counts.in_use,
            Measure::Allocated => counts.allocated,
            Measure::Peak => counts.peak,
        }
    }
}

/// The code of the library that we are; empty in a program that we are a part of.
fn own_library() -> (usize, usize) {
    let (here, mut range) = (own_library as *const () as usize, (0, 0));
    modules::for_each(&mut |module| {
        let is_here = module.contains(here);
        if is_here && !module.name.is_empty() {
            range = (module.start, module.end);
        }
        !is_here
    });
    range
}

/// A look at all stacks.
pub struct Stacks {
    own: (usize, usize),
}

impl Stacks {
    pub fn new() -> Stacks {
        Stacks { own: own_library() }
    }

    /// Calls `visit` with each stack, innermost call first, and what is known of it, until it answers false.
    pub fn for_each(&self, symbols: &mut Symbols, mut visit: impl FnMut(&mut Symbols, &[usize], &Counts) -> bool) {
        profile::for_each_stack(|frames, counts| {
            let mut calls = [0; MAX_FRAMES];
            for (call, frame) in calls.iter_mut().zip(frames) {
                *call = frame.saturating_sub(1);
            }
            let calls = &calls[..frames.len()];
            let own = calls.iter().take_while(|&&call| self.is_own(symbols, call)).count();
            // A stack that could not be walked further is all there is.
            let theirs = if own == calls.len() { &calls[own.saturating_sub(1)..] } else { &calls[own..] };
            visit(symbols, theirs, counts)
        });
    }

    fn is_own(&self, symbols: &mut Symbols, call: usize) -> bool {
        let (start, end) = self.own;
        (start..end).contains(&call) || end == 0 && symbols.name(call).is_some_and(|found| is_ours(found.name))
    }
}

/// Whether a function is one of this allocator's crates, by its mangled name.
fn is_ours(name: &[u8]) -> bool {
    const CRATES: &[u8] = b"ferrimalloc_";
    name.windows(CRATES.len()).any(|part| part == CRATES)
}
