//! How to get from a frame to its caller's, in one word, and a table of what is known already.
//!
//! The table is shared by all threads, without locks. A place holds a rule and the address that it is for, mixed with the rule:
//! who meets the halves of two different entries finds neither. A rule that has been overwritten is found again in the unwind
//! tables.
//!
//! ```text
//!  63   62 61            40 39            24 23   17     16            1 0
//! +-------+----------------+----------------+-------+-------------------+-+
//! | base  |   CFA offset   | return address |   0   |   frame pointer   |s|
//! +-------+----------------+----------------+-------+-------------------+-+
//! ```
//! Offsets are in words; those of the saved registers count from the CFA, the stack pointer before the call. `s`: whether
//! the frame pointer is saved.

use crate::sync::{AtomicU64, Ordering, UNDER_LOOM, array_of, const_unless_loom};

/// What a CFA is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// The frame's stack pointer.
    StackPointer,
    /// The frame pointer.
    FramePointer,
    /// There is no caller.
    End,
    /// The tables say nothing: by the frame pointer, if the function keeps one.
    Chain,
}

/// How to get to the caller's frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What the CFA is counted from; decides what the other fields mean.
    pub base: Base,
    /// Words.
    pub cfa: i32,
    /// Where the return address is, in words from the CFA.
    pub return_address: i16,
    /// Where the caller's frame pointer is, in words from the CFA, unless the register still holds it.
    pub fp: Option<i16>,
}

const CFA_BITS: u32 = 22;

impl Rule {
    /// There is no caller.
    pub const END: Rule = Rule { base: Base::End, cfa: 0, return_address: 0, fp: None };
    /// The frame pointer leads to where the caller's was saved, with the return address a word above.
    pub const CHAIN: Rule = Rule { base: Base::Chain, return_address: 1, ..Rule::END };

    /// `None` if it doesn't fit. Never 0.
    fn packed(self) -> Option<u64> {
        let base = match self.base {
            Base::StackPointer => 1,
            Base::FramePointer => 2,
            Base::End => 3,
            Base::Chain => 0,
        };
        let limit = 1 << (CFA_BITS - 1);
        if !(-limit..limit).contains(&self.cfa) {
            return None;
        }
        let cfa = u64::from(self.cfa as u32 & ((1 << CFA_BITS) - 1));
        let fp = self.fp.map_or(0, |fp| u64::from(fp as u16) << 1 | 1);
        Some(base << 62 | cfa << 40 | u64::from(self.return_address as u16) << 24 | fp)
    }

    fn unpacked(word: u64) -> Option<Rule> {
        let base = match word >> 62 {
            1 => Base::StackPointer,
            2 => Base::FramePointer,
            3 => Base::End,
            _ if word == 0 => return None,
            _ => Base::Chain,
        };
        let unused = i32::BITS - CFA_BITS;
        let cfa = ((word >> 40) as i32) << unused >> unused;
        let fp = (word & 1 != 0).then_some((word >> 1) as i16);
        Some(Rule { base, cfa, return_address: (word >> 24) as i16, fp })
    }
}

const PLACES: usize = if UNDER_LOOM { 1 } else { 4096 };

struct Place {
    /// The address, mixed with the rule.
    key: AtomicU64,
    rule: AtomicU64,
}

impl Place {
    const_unless_loom! {
        const fn new() -> Place {
            Place { key: AtomicU64::new(0), rule: AtomicU64::new(0) }
        }
    }
}

/// What is known. Zeroed memory is an empty one.
pub struct RuleTable([Place; PLACES]);

impl RuleTable {
    const_unless_loom! {
        /// Knows no rule. `const` except under loom.
        pub const fn new() -> RuleTable {
            RuleTable(array_of!(Place::new(); PLACES))
        }
    }

    fn place(&self, address: usize) -> &Place {
        &self.0[(mixed(address as u64) >> 40) as usize % PLACES]
    }

    /// The rule for `address`, if it is known.
    #[inline]
    pub fn find(&self, address: usize) -> Option<Rule> {
        let place = self.place(address);
        let (key, rule) = (place.key.load(Ordering::Relaxed), place.rule.load(Ordering::Relaxed));
        if key ^ mixed(rule) == address as u64 { Rule::unpacked(rule) } else { None }
    }

    /// Remembers the rule for `address`.
    pub fn remember(&self, address: usize, rule: Rule) {
        if let Some(rule) = rule.packed() {
            let place = self.place(address);
            place.key.store(address as u64 ^ mixed(rule), Ordering::Relaxed);
            place.rule.store(rule, Ordering::Relaxed);
        }
    }
}

/// Spreads the bits of `word`; one to one.
fn mixed(word: u64) -> u64 {
    let word = (word ^ word >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    word ^ word >> 32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn rules_fit_into_a_word() {
        for rule in [
            Rule::END,
            Rule::CHAIN,
            Rule { base: Base::StackPointer, cfa: 1, return_address: -1, fp: None },
            Rule { base: Base::FramePointer, cfa: 2, return_address: -1, fp: Some(-2) },
            Rule { base: Base::StackPointer, cfa: 2_000_000, return_address: -32_000, fp: Some(-31_999) },
            Rule { base: Base::FramePointer, cfa: -3, return_address: 5, fp: Some(0) },
        ] {
            assert_eq!(Rule::unpacked(rule.packed().unwrap()), Some(rule));
        }
        assert_eq!(Rule { base: Base::StackPointer, cfa: 1 << 22, return_address: -1, fp: None }.packed(), None);
        assert_eq!(Rule::unpacked(0), None);
    }

    #[test]
    fn what_is_remembered_is_found() {
        static TABLE: RuleTable = RuleTable::new();
        let rule = |cfa| Rule { base: Base::StackPointer, cfa, return_address: -1, fp: None };
        assert_eq!(TABLE.find(0), None);
        assert_eq!(TABLE.find(0x1234), None);
        for address in 1..2000 {
            TABLE.remember(address, rule(address as i32));
            assert_eq!(TABLE.find(address), Some(rule(address as i32)));
        }
        TABLE.remember(5, rule(6));
        assert_eq!(TABLE.find(5), Some(rule(6)));
    }
}
