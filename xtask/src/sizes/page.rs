//! `docs/SIZE_CLASSES.md`: what `xtask/pages/size-classes.md` asks for.

use super::tables::{self, Cost, Table};
use super::{Histogram, Sizes};
use crate::pages;
use anyhow::{Context, Result};
use minijinja::{Value, context};
use serde::Serialize;

/// A table, and what it costs, as means over programs, each of which counts the same. Percent.
#[derive(Serialize)]
struct Row {
    name: String,
    number: usize,
    rounding: f64,
    worst: f64,
    classes: f64,
    together: f64,
}

pub fn text(histograms: &[Histogram]) -> Result<String> {
    let all = tables::all();
    let rows: Vec<Row> = all.iter().map(|table| row(table, histograms)).collect();
    let others = rows.iter().skip(2);
    let least = others.min_by(|a, b| a.together.total_cmp(&b.together)).context("there are other tables")?;
    let programs: Vec<Value> = histograms.iter().map(|histogram| program(histogram, &all[0])).collect();
    let context = context! { tables => rows, least => least, programs };
    Ok(pages::render("size-classes.md", context, |_| Ok(()))? + "\n")
}

fn row(table: &Table, histograms: &[Histogram]) -> Row {
    let costs: Vec<Cost> = histograms.iter().map(|histogram| table.cost(&histogram.sizes)).collect();
    let mean = |value: fn(Cost) -> f64| costs.iter().map(|cost| value(*cost)).sum::<f64>() / costs.len().max(1) as f64;
    Row {
        name: table.name.clone(),
        number: table.blocks.len(),
        rounding: 100.0 * mean(Cost::waste),
        worst: 100.0 * costs.iter().map(|cost| cost.waste()).fold(0.0, f64::max),
        classes: mean(|cost| cost.classes as f64),
        together: 100.0 * mean(Cost::together),
    }
}

fn program(histogram: &Histogram, ours: &Table) -> Value {
    let cost = ours.cost(&histogram.sizes);
    context! {
        name => histogram.program, mib => cost.requested as f64 / f64::from(1 << 20), classes => cost.classes,
        rounding => 100.0 * cost.waste(), together => 100.0 * cost.together(), worst => worst(&histogram.sizes, ours),
    }
}

/// How many sizes that waste most are named for each program.
const WORST: usize = 3;

fn worst(sizes: &Sizes, ours: &Table) -> String {
    let mut wasted: Vec<_> = sizes.iter().map(|entry| (ours.cost(&[*entry]).rounding, entry.0)).collect();
    let all: u64 = wasted.iter().map(|(waste, _)| waste).sum();
    wasted.sort_unstable_by(|a, b| b.cmp(a));
    let share = |(waste, size): &(u64, usize)| format!("{size}: {:.0} %", 100.0 * *waste as f64 / all.max(1) as f64);
    wasted.iter().take(WORST).map(share).collect::<Vec<_>>().join(", ")
}
