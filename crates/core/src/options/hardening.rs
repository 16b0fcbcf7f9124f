//! How much is checked: the levels `MIMALLOC_SECURE` and `MIMALLOC_DEBUG`.
//!
//! They are no options of the interface (C decides them when it is compiled), but like options they come from the
//! program, the environment, or the build's features, in this order. They are decided once, as soon as the
//! environment can be read; whoever asks before that is told so, and asks again.

use super::parse::parse;
use super::store::{PREFIXES, variable};
use super::table::{Kind, OptionId};
use crate::base::{BUILD, GUARDED_SAMPLE_RATE};
use crate::diag::{self, Fatal};
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicBool, AtomicUsize};
use ferrimalloc_prim::env;

/// Levels of checking. The default checks nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hardening {
    /// 1: guard OS pages beside metadata; 2: hardened pages; 3: with padding behind blocks; 4: free blocks are zero
    /// and rest; 5: a guard OS page at the end of every page, and longer rests.
    pub secure: u8,
    /// 1: everything of `secure` 4, and memory is filled; 2: fillings are verified; 3: also at every collection.
    pub debug: u8,
}

impl Hardening {
    /// Checks nothing.
    pub const NONE: Hardening = Hardening { secure: 0, debug: 0 };
    /// At least what the build asks for.
    pub(crate) const fn or_least(self) -> Hardening {
        let secure = match BUILD.least_secure {
            Some(least) if self.secure < least => least,
            _ => self.secure,
        };
        Hardening { secure, ..self }
    }

    /// Everything there is.
    pub const MAX: Hardening = Hardening { secure: 5, debug: 3 };

    /// Metadata has guard OS pages beside it.
    pub const fn guards_metadata(self) -> bool {
        self.secure >= 1
    }

    /// Pages are checked.
    pub const fn checks(self) -> bool {
        self.secure >= 2 || self.debug >= 1
    }

    /// Blocks have padding and a canary behind them.
    pub const fn pads(self) -> bool {
        self.secure >= 3 || self.debug >= 1
    }

    /// Free blocks are zero, and rest before they are used again.
    pub const fn clears(self) -> bool {
        self.secure >= 4
    }

    /// Every page ends with a guard OS page.
    pub const fn guards_pages(self) -> bool {
        self.secure >= 5
    }

    /// Memory is filled when it is allocated and when it is freed.
    pub const fn fills(self) -> bool {
        self.debug >= 1
    }

    /// A block's filling is verified before it is allocated again.
    pub const fn verifies(self) -> bool {
        self.debug >= 2
    }

    /// All free blocks are verified at every collection.
    pub const fn audits(self) -> bool {
        self.debug >= 3
    }

    pub(crate) const fn pack(self) -> usize {
        DECIDED | (self.secure as usize) << 8 | (self.debug as usize) << 16
    }

    pub(crate) const fn unpack(word: usize) -> Hardening {
        Hardening { secure: (word >> 8) as u8, debug: (word >> 16) as u8 }
    }
}

const DECIDED: usize = 1;

/// Whether frees that pass a size or an alignment along are checked: as the levels have it that pages are hardened.
pub static CHECKS_FREES: AtomicBool = AtomicBool::new(false);

/// The levels, packed; 0 until they are decided.
static CHOSEN: AtomicUsize = AtomicUsize::new(0);

/// The levels that hold unless the program or the environment has others, packed; 0: the build's.
static DEFAULT: AtomicUsize = AtomicUsize::new(0);

/// What a level is that neither the program nor the environment has chosen; before the first allocation.
pub fn set_default_hardening(hardening: Hardening) {
    DEFAULT.store(hardening.pack(), Relaxed);
}

fn default_hardening() -> Hardening {
    match DEFAULT.load(Relaxed) {
        0 => Hardening { secure: BUILD.secure, debug: BUILD.debug },
        word => Hardening::unpack(word),
    }
}

/// The levels of this process; `None` while the environment cannot be read yet.
pub fn hardening() -> Option<Hardening> {
    match CHOSEN.load(Relaxed) {
        0 => decide(),
        word => Some(Hardening::unpack(word)),
    }
}

/// Chooses the levels for threads and heaps that start from now on; before the first allocation, for the whole
/// process.
pub fn set_hardening(hardening: Hardening) {
    let hardening = hardening.or_least();
    CHOSEN.store(hardening.pack(), Relaxed);
    apply(hardening);
}

#[cold]
fn decide() -> Option<Hardening> {
    if !env::ready() {
        return None;
    }
    super::init();
    let default = default_hardening();
    let hardening = Hardening {
        secure: level("SECURE", default.secure, Hardening::MAX.secure),
        debug: level("DEBUG", default.debug, Hardening::MAX.debug),
    }
    .or_least();
    if BUILD.guarded_sample_rate > 0 {
        super::set_default(OptionId::GuardedSampleRate, BUILD.guarded_sample_rate);
    }
    // What the program chose meanwhile stays; several threads find the same.
    if CHOSEN.compare_exchange(0, hardening.pack(), Relaxed, Relaxed).is_ok() {
        apply(hardening);
    }
    Some(Hardening::unpack(CHOSEN.load(Relaxed)))
}

/// What else the levels decide.
fn apply(hardening: Hardening) {
    let fatal = fatal(hardening);
    diag::end_process_on(fatal);
    CHECKS_FREES.store(hardening.checks(), Relaxed);
    if hardening != Hardening::NONE || fatal == Fatal::Misuse {
        super::set_default(OptionId::ShowErrors, 1);
    }
    if hardening.debug > 0 {
        super::set_default(OptionId::GuardedSampleRate, GUARDED_SAMPLE_RATE);
    }
}

/// What ends the process. (Valgrind has reported the access and is to see more of the program. AddressSanitizer ends it at
/// the first error.)
fn fatal(hardening: Hardening) -> Fatal {
    match super::get(OptionId::Abort) {
        0 => Fatal::None,
        1 => Fatal::Misuse,
        _ if BUILD.valgrind => Fatal::None,
        _ if hardening.checks() => Fatal::Misuse,
        _ if hardening.guards_metadata() => Fatal::Corruption,
        _ => Fatal::Checked,
    }
}

/// Option `abort` has another value: it holds at once, if the levels are decided.
pub(super) fn abort_changed() {
    let word = CHOSEN.load(Relaxed);
    if word != 0 {
        apply(Hardening::unpack(word));
    }
}

/// A level from the environment, as `name` or switched on or off; `default` without one.
fn level(name: &'static str, default: u8, max: u8) -> u8 {
    let mut text = [0; 64];
    let found = PREFIXES.iter().find_map(|prefix| {
        let value = variable(&super::ProcessEnvironment, prefix, name, &mut text)?;
        Some(parse(Kind::Number, value))
    });
    match found {
        Some(Ok(value)) => value.clamp(0, i64::from(max)) as u8,
        Some(Err(_)) => {
            diag::warning_always(|line| _ = line.text("MIMALLOC_").text(name).text(" has an invalid value"));
            default
        }
        None => default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_the_levels() {
        for (secure, debug) in [(0, 0), (4, 0), (0, 3), (5, 2)] {
            let hardening = Hardening { secure, debug };
            assert_ne!(hardening.pack(), 0);
            assert_eq!(Hardening::unpack(hardening.pack()), hardening);
        }
    }

    #[test]
    fn every_level_contains_those_below() {
        let all = |h: Hardening| {
            [
                h.guards_metadata(),
                h.checks(),
                h.pads(),
                h.clears(),
                h.guards_pages(),
                h.fills(),
                h.verifies(),
                h.audits(),
            ]
        };
        let grows = |below: Hardening, above: Hardening| all(below).iter().zip(all(above)).all(|(b, a)| !b || a);
        assert_eq!(all(Hardening::NONE), [false; 8]);
        assert!(
            (1..=5).all(|secure| grows(Hardening { secure: secure - 1, debug: 0 }, Hardening { secure, debug: 0 }))
        );
        assert!((1..=3).all(|debug| grows(Hardening { secure: 0, debug: debug - 1 }, Hardening { secure: 0, debug })));
    }
}
