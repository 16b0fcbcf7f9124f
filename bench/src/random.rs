//! xorshift64* (Vigna 2014) and the sizes drawn from it.

pub struct Random(u64);

const SMALLEST: usize = 16;

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (((self.next() >> 32) * bound as u64) >> 32) as usize
    }

    /// Bytes of a block: 16 to 1,024, each doubling half as frequent; one in 64 from 1 to 64 KiB.
    pub fn bytes(&mut self) -> usize {
        if self.below(64) == 0 {
            return 1024 + self.below(63 * 1024);
        }
        let base = SMALLEST << (self.next() | 1 << 5).trailing_zeros();
        base + self.below(base)
    }
}
