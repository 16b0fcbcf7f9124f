//! Confidence intervals by the bootstrap (Efron 1979): the measured rounds are drawn again and again, with replacement,
//! and what comes out in 95 of 100 drawings is the interval. Nothing is assumed about how times are distributed.
//!
//! Rounds are drawn in pairs: the n-th samples of two engines were taken side by side, and what the machine did
//! meanwhile hit both. With fewer rounds than [`FEWEST_ROUNDS`] nothing can be said, and the interval is everything.

use super::statistics::{Ratio, median};

const DRAWINGS: usize = 1000;
const LEFT_OUT: f64 = 0.025; // at each end
pub const FEWEST_ROUNDS: usize = 3;

/// One engine's rounds and another's, in the same order.
pub struct Pair {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Pair {
    pub fn new(mut ours: Vec<f64>, mut theirs: Vec<f64>) -> Option<Self> {
        let rounds = ours.len().min(theirs.len());
        ours.truncate(rounds);
        theirs.truncate(rounds);
        let measured = rounds > 0 && ours.iter().chain(&theirs).all(|&value| value > 0.0);
        measured.then_some(Pair { ours, theirs })
    }

    fn rounds(&self) -> usize {
        self.ours.len()
    }

    fn ratio(&self) -> f64 {
        self.ratio_of(|round| round)
    }

    fn drawn(&self, random: &mut Random) -> f64 {
        let drawn: Vec<usize> = (0..self.rounds()).map(|_| random.below(self.rounds())).collect();
        self.ratio_of(|round| drawn[round])
    }

    fn ratio_of(&self, chosen: impl Fn(usize) -> usize) -> f64 {
        let values = |all: &[f64]| (0..self.rounds()).map(|round| all[chosen(round)]).collect();
        let middle = |all: &[f64]| median(values(all)).unwrap_or(f64::NAN);
        middle(&self.ours) / middle(&self.theirs)
    }
}

/// The ratio of two engines' medians.
pub fn ratio(pair: &Pair) -> Ratio {
    geometric_mean(std::slice::from_ref(pair)).unwrap_or(Ratio { median: f64::NAN, low: 0.0, high: f64::INFINITY })
}

/// The geometric mean of many pairs' ratios; each pair's rounds are drawn by themselves.
pub fn geometric_mean(pairs: &[Pair]) -> Option<Ratio> {
    let median = mean_of(pairs, Pair::ratio)?;
    if pairs.iter().any(|pair| pair.rounds() < FEWEST_ROUNDS) {
        return Some(Ratio { median, low: 0.0, high: f64::INFINITY });
    }
    let mut random = Random(1);
    let mut means: Vec<f64> = (0..DRAWINGS).filter_map(|_| mean_of(pairs, |pair| pair.drawn(&mut random))).collect();
    means.sort_by(f64::total_cmp);
    let bias = part_below(&means, median);
    let at = |part: f64| means[((DRAWINGS - 1) as f64 * corrected(part, bias)).round() as usize];
    Some(Ratio { median, low: at(LEFT_OUT).min(median), high: at(1.0 - LEFT_OUT).max(median) })
}

/// The part of the drawings that lies below what was measured; a half where they are not biased.
fn part_below(sorted: &[f64], measured: f64) -> f64 {
    let (below, up_to) = (sorted.partition_point(|&x| x < measured), sorted.partition_point(|&x| x <= measured));
    let least = 1.0 / (2 * DRAWINGS) as f64;
    ((below + up_to) as f64 / (2 * sorted.len()) as f64).clamp(least, 1.0 - least)
}

/// Efron's correction of a bias (1987): medians of drawings lie off the measured one where rounds are skewed, and over
/// many workloads that adds up. Odds stand in place of the normal distribution, so that no table of it is needed.
fn corrected(part: f64, bias: f64) -> f64 {
    let odds = |part: f64| part / (1.0 - part);
    let both = odds(bias).powi(2) * odds(part);
    both / (1.0 + both)
}

fn mean_of(pairs: &[Pair], mut ratio: impl FnMut(&Pair) -> f64) -> Option<f64> {
    let sum: f64 = pairs.iter().map(|pair| ratio(pair).ln()).sum();
    (!pairs.is_empty()).then(|| (sum / pairs.len() as f64).exp())
}

/// splitmix64 (Steele et al. 2014): the same results give the same page.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed ^ (mixed >> 31)) >> 32) as usize * bound) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(ours: &[f64], theirs: &[f64]) -> Pair {
        Pair::new(ours.to_vec(), theirs.to_vec()).unwrap()
    }

    #[test]
    fn steady_rounds_give_a_narrow_interval_and_wild_ones_a_wide_one() {
        let steady = ratio(&pair(&[50.0, 50.5, 49.5, 50.2, 49.8], &[100.0, 101.0, 99.0, 100.5, 99.5]));
        let wild = ratio(&pair(&[50.0, 90.0, 110.0, 60.0, 140.0], &[100.0, 70.0, 120.0, 130.0, 80.0]));
        assert!(steady.resolved_from(1.0) && steady.high - steady.low < 0.03, "{steady:?}");
        assert!(!wild.resolved_from(1.0) && wild.high - wild.low > 0.3, "{wild:?}");
    }

    #[test]
    fn what_slows_both_engines_of_a_round_down_does_not_widen_the_interval() {
        let both = ratio(&pair(&[50.0, 80.0, 60.0, 50.0, 75.0], &[100.0, 160.0, 120.0, 100.0, 150.0]));
        assert!((both.low - 0.5).abs() < 1e-9 && (both.high - 0.5).abs() < 1e-9, "{both:?}");
    }

    #[test]
    fn a_mean_over_many_pairs_is_surer_than_each_of_them() {
        let noisy = || pair(&[60.0, 90.0, 75.0, 70.0, 85.0], &[100.0, 95.0, 105.0, 90.0, 110.0]);
        let one = ratio(&noisy());
        let mean = geometric_mean(&(0..30).map(|_| noisy()).collect::<Vec<_>>()).unwrap();
        assert!((mean.median - one.median).abs() < 1e-9 && mean.high - mean.low < (one.high - one.low) / 3.0);
    }

    #[test]
    fn an_interval_of_skewed_rounds_moves_to_what_was_measured() {
        assert!((corrected(0.025, 0.5) - 0.025).abs() < 1e-12);
        assert!(corrected(0.025, 0.3) < 0.025 && corrected(0.975, 0.3) < 0.975);
        assert_eq!(part_below(&[1.0, 2.0, 2.0, 3.0], 2.0), 0.5);
    }

    #[test]
    fn two_rounds_resolve_nothing() {
        assert!(!ratio(&pair(&[1.0, 1.0], &[9.0, 9.0])).resolved_from(1.0));
    }
}
