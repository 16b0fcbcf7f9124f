//! The state of the simulated system and its decisions: which calls are legal, which are refused.
//!
//! Decides and books; touching memory is the backend's. Nothing here panics under the lock: misuse comes back as [`Misuse`].

use super::lock::Locked;
use super::os_page;
use super::place::Places;
use super::regions::Regions;
use super::{Fault, KINDS, Kind, Limits, Mode};
use crate::errno::Errno;
use crate::mem::Access;
use core::ops::Range;

pub(crate) static KERNEL: Locked<Kernel> = Locked::new(Kernel::new());

/// A call that no correct program makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misuse {
    /// The range is empty, wraps around, or is not whole OS pages.
    NotWholePages,
    /// Some of the range is not mapped.
    NotMapped,
    /// Some of the range is not accessible, but must be.
    NotAccessible,
    /// Two ranges share addresses.
    Overlap,
}

/// What becomes of a call.
pub(crate) type Verdict = Result<Result<(), Errno>, Misuse>;

#[derive(Clone, Copy)]
struct Tally {
    calls: usize,
    refusals: usize,
    fault: Fault,
    /// `calls` when `fault` was set.
    fault_set_at: usize,
}

const UNUSED: Tally = Tally { calls: 0, refusals: 0, fault: Fault::Never, fault_set_at: 0 };

impl Tally {
    /// Counts a call; whether it is refused.
    fn count(&mut self) -> bool {
        self.calls += 1;
        let refused = self.fault.hits(self.calls - self.fault_set_at);
        self.refusals += usize::from(refused);
        refused
    }
}

impl Fault {
    fn hits(self, call: usize) -> bool {
        match self {
            Fault::Never => false,
            Fault::At(k) => call == k,
            Fault::From(k) => call >= k,
            Fault::Every(k) => call.is_multiple_of(k),
        }
    }
}

pub(crate) struct Kernel {
    pub(crate) regions: Regions,
    pub(crate) mode: Mode,
    pub(crate) limits: Limits,
    pub(crate) places: Places,
    tallies: [Tally; KINDS],
}

impl Kernel {
    const fn new() -> Self {
        let (regions, places) = (Regions::new(), Places::MACHINE);
        Kernel { regions, mode: Mode::Plain, limits: Limits::NONE, places, tallies: [UNUSED; KINDS] }
    }

    pub(crate) fn forget_settings(&mut self) {
        (self.mode, self.limits, self.tallies) = (Mode::Plain, Limits::NONE, [UNUSED; KINDS]);
        self.places = Places::MACHINE;
    }

    pub(crate) fn refuse(&mut self, kind: Kind, fault: Fault) {
        let tally = &mut self.tallies[kind as usize];
        (tally.fault, tally.fault_set_at) = (fault, tally.calls);
    }

    pub(crate) fn calls(&self, kind: Kind) -> usize {
        self.tallies[kind as usize].calls
    }

    pub(crate) fn refusals(&self, kind: Kind) -> usize {
        self.tallies[kind as usize].refusals
    }

    pub(crate) fn mapped_bytes(&self) -> usize {
        self.accessible_bytes() + self.regions.bytes_with(Access::None) + self.regions.bytes_with(Access::Read)
    }

    pub(crate) fn accessible_bytes(&self) -> usize {
        self.regions.bytes_with(Access::ReadWrite)
    }

    /// Counts a call of `kind`; an error if it is refused.
    pub(crate) fn admit(&mut self, kind: Kind) -> Result<(), Errno> {
        if self.tallies[kind as usize].count() { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// [`Self::admit`], for a call on a range that must be mapped.
    pub(crate) fn admit_on(&mut self, kind: Kind, range: &Range<usize>) -> Verdict {
        self.check_mapped(range).map(|()| self.admit(kind))
    }

    /// Whether so much more may be mapped.
    pub(crate) fn admit_mapping(&mut self, kind: Kind, bytes: usize, access: Access) -> Result<(), Errno> {
        self.admit(kind)?;
        fits(self.mapped_bytes(), bytes, self.limits.mapped_bytes)?;
        match access {
            Access::None | Access::Read => Ok(()),
            Access::ReadWrite => fits(self.accessible_bytes(), bytes, self.limits.accessible_bytes),
        }
    }

    /// Where a mapping goes if the caller would like it at `hint`; 0 leaves it to the machine.
    pub(crate) fn place(&self, hint: usize, bytes: usize) -> usize {
        self.places.choose(&self.regions, self.mode, hint, bytes)
    }

    /// Books a new mapping.
    pub(crate) fn book(&mut self, range: Range<usize>, access: Access) {
        self.places.note(range.start);
        self.regions.add(range, access);
    }

    /// Changes the access of a range, on paper.
    pub(crate) fn protect(&mut self, range: Range<usize>, access: Access) -> Verdict {
        let kind = if access == Access::ReadWrite { Kind::Commit } else { Kind::Protect };
        let verdict = self.admit_on(kind, &range)?.and_then(|()| self.fits_accessible(&range, access));
        if verdict.is_ok() {
            self.regions.set_access(range, access);
        }
        Ok(verdict)
    }

    fn fits_accessible(&self, range: &Range<usize>, access: Access) -> Result<(), Errno> {
        let inaccessible = self.regions.parts(range.clone()).filter(|part| part.access != Access::ReadWrite);
        match access {
            Access::None | Access::Read => Ok(()),
            Access::ReadWrite => {
                fits(self.accessible_bytes(), inaccessible.map(|part| part.bytes()).sum(), self.limits.accessible_bytes)
            }
        }
    }

    /// Whether pages may move: both ranges accessible and apart.
    pub(crate) fn admit_move(&mut self, from: &Range<usize>, to: &Range<usize>) -> Verdict {
        self.check_accessible(from)?;
        self.check_accessible(to)?;
        if from.start < to.end && to.start < from.end { Err(Misuse::Overlap) } else { Ok(self.admit(Kind::MovePages)) }
    }

    pub(crate) fn check_mapped(&self, range: &Range<usize>) -> Result<(), Misuse> {
        let page = os_page::bytes();
        let whole = range.start.is_multiple_of(page) && range.end.is_multiple_of(page);
        match range {
            range if range.is_empty() || !whole => Err(Misuse::NotWholePages),
            range if self.regions.cover(range.clone()) => Ok(()),
            _ => Err(Misuse::NotMapped),
        }
    }

    fn check_accessible(&self, range: &Range<usize>) -> Result<(), Misuse> {
        self.check_mapped(range)?;
        let accessible = self.regions.parts(range.clone()).all(|part| part.access == Access::ReadWrite);
        if accessible { Ok(()) } else { Err(Misuse::NotAccessible) }
    }
}

fn fits(used: usize, more: usize, limit: usize) -> Result<(), Errno> {
    if used.saturating_add(more) <= limit { Ok(()) } else { Err(Errno::ENOMEM) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules() {
        let hits = |fault: Fault| (1..=7).filter(|&call| fault.hits(call)).fold(0, |sum, call| sum * 10 + call);
        assert_eq!(hits(Fault::Never), 0);
        assert_eq!(hits(Fault::At(3)), 3);
        assert_eq!(hits(Fault::From(5)), 567);
        assert_eq!(hits(Fault::Every(2)), 246);
    }
}
