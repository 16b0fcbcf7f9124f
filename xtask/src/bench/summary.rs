//! What a run prints at its end: the page's tables of this run, as plain text.

use super::cases::GENERATED;
use super::page::tables::{self, Fold};
use super::results::{Results, Timing};
use super::statistics::Measure;
use crate::show;

pub fn print(results: &Results) {
    let (generated, single): (Vec<&Timing>, _) = results.timing.iter().partition(|timing| timing.group == GENERATED);
    for measure in Measure::ALL {
        println!();
        print_plainly(&tables::ratios(results, &single, measure, Fold::Open));
    }
    if !generated.is_empty() {
        println!("\n{} programs drawn at random, geometric means", generated.len());
        print_plainly(&tables::means(results, &[GENERATED]));
    }
    if !results.timing.is_empty() {
        let groups: Vec<&str> = results.timing.iter().map(|timing| timing.group.as_str()).collect();
        println!("\nGeometric means of all");
        print_plainly(&tables::means(results, &groups));
    }
    print_plainly(&tables::extra_figures(results, &single));
    if !results.instructions.is_empty() {
        println!("\nInstructions per operation, without the loop");
        print_plainly(&tables::instructions(results));
    }
    print_plainly(&tables::latency(results));
}

/// Markdown as a terminal shows it best: rows of tables are aligned, and marks within a line are left out.
fn print_plainly(markdown: &str) {
    let plain = markdown.replace("**", "").replace("### ", "").replace("<sub>", "[").replace("</sub>", "]");
    let lines: Vec<&str> = plain.lines().filter(|line| !line.starts_with("|---")).collect();
    for part in lines.chunk_by(|a, b| a.starts_with('|') == b.starts_with('|')) {
        match cells(part[0]) {
            Some(_) => show::table(&part.iter().copied().filter_map(cells).collect::<Vec<_>>()),
            None => part.iter().for_each(|line| println!("{line}")),
        }
    }
}

/// The cells of a table's row.
fn cells(line: &str) -> Option<Vec<String>> {
    let row = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(|cell| cell.trim().to_owned()).collect())
}
