//! Medians, ratios to the baseline with their spread, geometric means.

use super::results::{Results, Timing};
use super::sample::Sample;

/// What of a sample is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    Cpu,
    Wall,
    PeakRss,
    FinalRss,
}

impl Measure {
    pub const ALL: [Measure; 4] = [Measure::Cpu, Measure::Wall, Measure::PeakRss, Measure::FinalRss];

    pub fn title(self) -> &'static str {
        match self {
            Measure::Cpu => "CPU time",
            Measure::Wall => "Wall time",
            Measure::PeakRss => "Peak RSS",
            Measure::FinalRss => "Final RSS",
        }
    }

    pub fn of(self, sample: &Sample) -> f64 {
        match self {
            Measure::Cpu => sample.cpu_us(),
            Measure::Wall => sample.wall_us,
            Measure::PeakRss => sample.peak_rss_kib,
            Measure::FinalRss => sample.final_rss_kib,
        }
    }

    /// "123 ms", "12.3 MiB".
    pub fn show(self, value: f64) -> String {
        match self {
            Measure::Cpu | Measure::Wall => format!("{:.0} ms", value / 1000.0),
            Measure::PeakRss | Measure::FinalRss => format!("{:.1} MiB", value / 1024.0),
        }
    }
}

/// An engine's median as a part of the baseline's; the spread is that of the single rounds' ratios.
#[derive(Clone, Copy)]
pub struct Ratio {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

pub fn geometric_mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value.ln(), count + 1));
    (count > 0).then(|| (sum / f64::from(count)).exp())
}

impl Timing {
    fn values(&self, engine: &str, measure: Measure) -> Vec<f64> {
        self.samples.get(engine).into_iter().flatten().map(|sample| measure.of(sample)).collect()
    }

    pub fn median(&self, engine: &str, measure: Measure) -> Option<f64> {
        median(self.values(engine, measure)).filter(|&value| value > 0.0)
    }

    pub fn ratio(&self, engine: &str, baseline: &str, measure: Measure) -> Option<Ratio> {
        let median = self.median(engine, measure)? / self.median(baseline, measure)?;
        let (ours, theirs) = (self.values(engine, measure), self.values(baseline, measure));
        let each: Vec<f64> = ours.iter().zip(&theirs).filter(|pair| *pair.1 > 0.0).map(|(a, b)| a / b).collect();
        let (low, high) = each.iter().fold((median, median), |(low, high), &ratio| (low.min(ratio), high.max(ratio)));
        Some(Ratio { median, low, high })
    }
}

impl Results {
    pub fn geometric_mean(&self, engine: &str, measure: Measure, groups: &[&str]) -> Option<f64> {
        let cases = self.timing.iter().filter(|timing| groups.contains(&timing.group.as_str()));
        geometric_mean(cases.filter_map(|timing| Some(timing.ratio(engine, self.baseline(), measure)?.median)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_no_values() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn a_half_and_a_double_balance() {
        assert!((geometric_mean([0.5, 2.0].into_iter()).unwrap() - 1.0).abs() < 1e-12);
    }
}
