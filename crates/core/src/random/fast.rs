//! A small fast generator: SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
//!
//! Its output passes the usual statistical tests, any seed is good, and its state is a counter; it is no secret.

/// The increment of the counter: 2^64 divided by the golden ratio, odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A generator for sampling and hints.
#[derive(Clone, Debug)]
pub struct Fast {
    counter: u64,
}

impl Fast {
    /// The generator that `seed` determines.
    pub const fn new(seed: u64) -> Fast {
        Fast { counter: seed }
    }

    /// The next number.
    #[inline]
    pub const fn next_u64(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(GOLDEN);
        mix(self.counter)
    }

    /// A number below `bound`, all equally likely but for a bias of `bound` in 2^64; 0 if `bound` is.
    #[inline]
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }
}

/// Spreads every bit of `word` over all others; one to one.
const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence() {
        let mut fast = Fast::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423_u64];
        expected.iter().for_each(|&number| assert_eq!(fast.next_u64(), number));
    }

    #[test]
    fn bounds_hold_and_are_reached() {
        let mut fast = Fast::new(0);
        let mut seen = [0; 10];
        for _ in 0..10_000 {
            seen[fast.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|&times| (800..1200).contains(&times)), "{seen:?}");
        assert_eq!(fast.below(0), 0);
        assert_eq!(fast.below(1), 0);
    }
}
