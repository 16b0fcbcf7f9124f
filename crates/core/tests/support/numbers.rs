//! Numbers without a pattern, the same for the same seed.

/// A generator (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit
    }

    /// A size below `1 << max_bits`, every order of magnitude as likely.
    pub fn size(&mut self, max_bits: u32) -> usize {
        let bits = self.below(max_bits as usize + 1);
        self.below(1 << bits)
    }
}

/// Spreads a number over all bits.
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
