//! How many bytes until the next sample, and what a sample stands for.
//!
//! Sample points are a Poisson process over the bytes allocated: the distance from one to the next is exponential with a mean of
//! `rate` bytes, whatever came before. A block of `b` bytes is a sample if a point falls into it, which has the probability
//! `1 - exp(-b / rate)`; one over that is how many such blocks the sample stands for, so that sums are unbiased.
//!
//! Since the process has no memory, it may be split: each size class of each thread has one of its own, and together they are one
//! again. Blocks of a class are all of one size, so the distance there is a number of blocks.

use core::f64::consts::{LOG2_E, SQRT_2};

use crate::random::Fast;

/// ln 2, in units of 2^-32.
const LN_2: u128 = 2_977_044_472;

/// Binary digits of the logarithm.
const DIGITS: u32 = 32;

/// A distance in bytes.
pub fn draw(random: &mut Fast, rate: usize) -> u64 {
    // -log2 of a number above 0 and up to 1, in units of 2^-32.
    let number = random.next_u64() | 1;
    let zeros = number.leading_zeros();
    let logarithm = (u128::from(zeros + 1) << DIGITS) - u128::from(log2_of_mantissa(number << zeros));
    let bytes = (((logarithm * LN_2) >> DIGITS) * rate as u128) >> DIGITS;
    bytes as u64
}

/// log2 of a number from 1 to 2, given in units of 2^-63; in units of 2^-32. By the series of the hyperbolic tangent's inverse, near 1.
fn log2_of_mantissa(mantissa: u64) -> u64 {
    let number = mantissa as f64 / (1u64 << 63) as f64;
    let (near, whole) = if number > SQRT_2 { (number / 2.0, 1.0) } else { (number, 0.0) };
    let z = (near - 1.0) / (near + 1.0);
    let terms = [1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0];
    let series = terms.into_iter().fold(0.0, |sum, term| sum * z * z + term);
    ((whole + 2.0 * LOG2_E * z * series) * (1u64 << DIGITS) as f64) as u64
}

/// How many blocks of `bytes` bytes come before the next that is a sample.
pub fn draw_blocks(random: &mut Fast, rate: usize, bytes: usize) -> u32 {
    u32::try_from(draw(random, rate) / bytes.max(1) as u64).unwrap_or(u32::MAX)
}

/// What blocks a sample stands for, in units of 2^-10.
pub const UNIT: u64 = 1 << 10;

/// How many blocks a sample of `bytes` bytes stands for, in units of 2^-10.
pub fn weight(bytes: usize, rate: usize) -> u64 {
    (UNIT as f64 / probability(bytes, rate) + 0.5) as u64
}

/// The probability that a block of `bytes` bytes is a sample.
pub fn probability(bytes: usize, rate: usize) -> f64 {
    let (mut x, mut doublings) = (bytes.max(1) as f64 / rate.max(1) as f64, 0);
    if x > 40.0 {
        return 1.0;
    }
    while x > 1.0 / 32.0 {
        x /= 2.0;
        doublings += 1;
    }
    // 1 - exp(-x), by the series; then 1 - exp(-2x) from that, and so on.
    let small = x * (1.0 - x / 2.0 * (1.0 - x / 3.0 * (1.0 - x / 4.0 * (1.0 - x / 5.0))));
    (0..doublings).fold(small, |p, _| p * (2.0 - p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_the_formula() {
        for (bytes, rate) in [(8, 512 << 10), (4096, 65_536), (1 << 20, 512 << 10), (1 << 30, 1), (100, 0), (0, 7)] {
            let expected = -(-(bytes.max(1) as f64) / rate.max(1) as f64).exp_m1();
            let found = probability(bytes, rate);
            assert!((found / expected - 1.0).abs() < 1e-8, "{bytes} of {rate}: {found}, not {expected}");
        }
        assert_eq!(weight(1 << 30, 1), UNIT);
    }

    #[test]
    fn the_logarithm_is_right() {
        for mantissa in [1.0f64, 1.25, 1.5, 1.999_999] {
            let digits = log2_of_mantissa((mantissa * (1u64 << 63) as f64) as u64);
            assert!((digits as f64 / (1u64 << 32) as f64 - mantissa.log2()).abs() < 1e-8);
        }
    }

    #[test]
    fn distances_are_exponential() {
        const DRAWS: usize = 200_000;
        const RATE: f64 = 10_000.0;
        let mut random = Fast::new(7);
        let mut distances: std::vec::Vec<u64> = (0..DRAWS).map(|_| draw(&mut random, RATE as usize)).collect();
        distances.sort_unstable();
        let mean = distances.iter().sum::<u64>() as f64 / DRAWS as f64;
        // The standard deviation of the mean is that of a distance, which is the mean, by the root of the number of draws.
        assert!((mean - RATE).abs() < 4.0 * RATE / (DRAWS as f64).sqrt() + 1.0, "the mean is {mean}");
        for part in [0.01, 0.1, 0.5, 0.9, 0.99] {
            let expected = -RATE * (1.0f64 - part).ln();
            let found = distances[(part * DRAWS as f64) as usize] as f64;
            let error = (part / (1.0 - part) / DRAWS as f64).sqrt() * RATE;
            assert!((found - expected).abs() < 4.0 * error + 2.0, "{part}: {found}, not {expected}");
        }
    }

    #[test]
    fn weighed_samples_count_what_there_was() {
        const BLOCKS: u64 = 20_000_000;
        const BYTES: usize = 48;
        let (mut random, mut at, mut sum) = (Fast::new(11), 0, 0);
        while at < BLOCKS {
            at += u64::from(draw_blocks(&mut random, 4096, BYTES)) + 1;
            sum += if at <= BLOCKS { weight(BYTES, 4096) } else { 0 };
        }
        let (found, p) = (sum as f64 / UNIT as f64, probability(BYTES, 4096));
        let sigma = (BLOCKS as f64 * (1.0 - p) / p).sqrt();
        assert!((found - BLOCKS as f64).abs() < 3.0 * sigma, "{found} of {BLOCKS}, sigma {sigma}");
    }
}
