//! Figures of memory and time that users notice, measured by small C programs against fixed limits.
//!
//! A program prints lines `name value`. Each is run a few times. Where a busy machine only adds, the least value counts;
//! the resident set at start varies by where the libraries are mapped (the kernel maps file contents that it has in
//! memory around what is touched, in windows of 64 KiB), so there the median of more runs counts, beside what is
//! the process's own and hardly varies.

use super::{Testbed, Verdict, Workbench};
use crate::tables;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A figure of `tables/memory.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Figure {
    /// As the program prints it; ends with the unit.
    name: String,
    /// What it is divided by: another line of the same program.
    per: Option<String>,
    most: f64,
}

/// Which of a figure's values counts.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Typical {
    #[default]
    Least,
    Median,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Meter {
    source: String,
    #[serde(default = "usual_rounds")]
    rounds: usize,
    #[serde(default)]
    typical: Typical,
    figures: Vec<Figure>,
}

fn usual_rounds() -> usize {
    3
}

const LIMIT: Duration = Duration::from_secs(120);

/// The values of all rounds by the figures' names, in ascending order.
type Figures = BTreeMap<String, Vec<f64>>;

pub fn check(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("memory", LIMIT)?;
    let mut lines = Vec::new();
    let mut over = Vec::new();
    for meter in tables::list::<Meter>("memory", "meter")? {
        let measured = meter.measure(&bench)?;
        for figure in &meter.figures {
            let value = figure.value(&measured, meter.typical)?;
            let verdicts = if value <= figure.most { &mut lines } else { &mut over };
            verdicts.push(figure.describe(&measured, value));
        }
    }
    if !over.is_empty() {
        bail!("over the limit: {}; within: {}", over.join(", "), lines.join(", "));
    }
    Ok(lines.join(", "))
}

impl Meter {
    fn measure(&self, bench: &Workbench) -> Result<Figures> {
        let program = bench.compile(&format!("memory/{}", self.source), &[])?;
        let mut figures = Figures::new();
        for _ in 0..self.rounds {
            let said = bench.run(&mut bench.preloaded(&program)?)?;
            for (name, value) in said.lines().filter_map(name_and_value) {
                figures.entry(name).or_default().push(value);
            }
        }
        figures.values_mut().for_each(|values| values.sort_by(f64::total_cmp));
        Ok(figures)
    }
}

impl Figure {
    fn value(&self, measured: &Figures, typical: Typical) -> Result<f64> {
        let value = typical.of(measured, &self.name)?;
        Ok(value / self.per.as_ref().map_or(Ok(1.0), |other| typical.of(measured, other))?)
    }

    /// With the spread of all rounds.
    fn describe(&self, measured: &Figures, value: f64) -> String {
        let lines: Vec<&str> =
            [Some(&self.name), self.per.as_ref()].into_iter().flatten().map(String::as_str).collect();
        let spreads: Vec<String> = lines.iter().map(|line| spread(&measured[*line])).collect();
        format!("{} {value:.2} ({}; at most {:.2})", lines.join(" per "), spreads.join(" per "), self.most)
    }
}

fn spread(values: &[f64]) -> String {
    format!("of {}: {:.2} to {:.2}", values.len(), values[0], values[values.len() - 1])
}

impl Typical {
    fn of(self, measured: &Figures, name: &str) -> Result<f64> {
        let values = measured.get(name).with_context(|| format!("no line {name}"))?;
        Ok(match self {
            Typical::Least => values[0],
            Typical::Median => values[values.len() / 2],
        })
    }
}

fn name_and_value(line: &str) -> Option<(String, f64)> {
    let (name, value) = line.split_once(' ')?;
    Some((name.to_owned(), value.parse().ok()?))
}
