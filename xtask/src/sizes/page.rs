//! `docs/SIZE_CLASSES.md`.

use super::tables::Cost;
use super::{Histogram, Row};
use std::fmt::Write;

const HEAD: &str = "\
# Size classes

Written by `cargo xtask size-classes` from `xtask/sizes/`: what sizes real programs ask for, as a preload library of ours saw it
(`--record` records them anew). Counted are the blocks up to 512 KiB that are in use when a program has most bytes in use.

A request gets the next larger block size. What it doesn't use of that is wasted. More classes waste less by rounding; but each class that a thread
uses has a page of its own, which is not full: what blocks have not been made of yet is half an OS page on average, and half a block. *Rounding*
is the first alone, *together* both, each as a share of all that blocks take. `base/bins.rs` has the table, which is a formula. Blocks of 16 bytes and
more are aligned to 16, as C wants it, so their sizes are multiples of 16.
";

/// The mean over programs, each of which counts the same.
fn mean(row: &Row, value: impl Fn(Cost) -> f64) -> f64 {
    row.costs.iter().map(|cost| value(*cost)).sum::<f64>() / row.costs.len().max(1) as f64
}

pub fn text(histograms: &[Histogram], rows: &[Row]) -> String {
    let mut page = String::from(HEAD);
    tables(&mut page, rows).expect("strings can be written to");
    programs(&mut page, histograms, &rows[0]).expect("strings can be written to");
    page
}

fn tables(page: &mut String, rows: &[Row]) -> std::fmt::Result {
    writeln!(
        page,
        "\n## Tables\n\n| classes | number | rounding, mean | worst program | classes in use, mean | together, mean |"
    )?;
    writeln!(page, "|---|---|---|---|---|---|")?;
    for row in rows {
        let worst = row.costs.iter().map(|cost| cost.waste()).fold(0.0, f64::max);
        writeln!(
            page,
            "| {} | {} | {:.1} % | {:.1} % | {:.0} | {:.1} % |",
            row.table.name,
            row.table.blocks.len(),
            100.0 * mean(row, Cost::waste),
            100.0 * worst,
            mean(row, |cost| cost.classes as f64),
            100.0 * mean(row, Cost::together)
        )?;
    }
    let others = rows.iter().skip(2);
    let best = others.min_by(|a, b| mean(a, Cost::together).total_cmp(&mean(b, Cost::together)));
    if let Some(best) = best {
        let (least, ours) = (100.0 * mean(best, Cost::together), 100.0 * mean(&rows[0], Cost::together));
        writeln!(page, "\nThe least together: *{}*, {least:.1} %; ours: {ours:.1} %.", best.table.name)?;
    }
    Ok(())
}

/// How many sizes that waste most are named for each program.
const WORST: usize = 3;

fn programs(page: &mut String, histograms: &[Histogram], ours: &Row) -> std::fmt::Result {
    writeln!(page, "\n## Programs, with our classes\n")?;
    writeln!(
        page,
        "| program | in use | rounding | classes | together | sizes that waste most (bytes: share of the waste) |"
    )?;
    writeln!(page, "|---|---|---|---|---|---|")?;
    for (histogram, cost) in histograms.iter().zip(&ours.costs) {
        writeln!(
            page,
            "| {} | {:.1} MiB | {:.1} % | {} | {:.1} % | {} |",
            histogram.program,
            cost.requested as f64 / f64::from(1 << 20),
            100.0 * cost.waste(),
            cost.classes,
            100.0 * cost.together(),
            worst(histogram, ours)
        )?;
    }
    writeln!(page, "\nThe commands stand in `xtask/tables/sizes.toml`.")
}

fn worst(histogram: &Histogram, ours: &Row) -> String {
    let wasted = |&(size, total, peak): &(usize, u64, u64)| ours.table.cost(&[(size, total, peak)]).rounding;
    let all: u64 = histogram.sizes.iter().map(wasted).sum();
    let mut sizes: Vec<_> = histogram.sizes.iter().map(|entry| (wasted(entry), entry.0)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let share = |(waste, size): &(u64, usize)| format!("{size}: {:.0} %", 100.0 * *waste as f64 / all.max(1) as f64);
    sizes.iter().take(WORST).map(share).collect::<Vec<_>>().join(", ")
}
