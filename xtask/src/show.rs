//! What the tasks print: durations, sizes, aligned tables, a spinner while something runs.

use crate::process::Kib;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

pub fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        short if short < 10.0 => format!("{short:.2} s"),
        long if long < 120.0 => format!("{long:.1} s"),
        minutes => format!("{:.1} min", minutes / 60.0),
    }
}

pub fn mebibytes(size: Kib) -> String {
    format!("{:.1} MiB", size.0 as f64 / 1024.0)
}

/// Prints rows with their columns aligned: the first to the left, the others to the right.
pub fn table(rows: &[Vec<String>]) {
    let widths = column_widths(rows);
    for row in rows {
        println!("{}", aligned(row, &widths));
    }
}

fn column_widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    (0..columns).map(|column| width(column).unwrap_or(0)).collect()
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let mut line = String::from(" ");
    for (column, (cell, &width)) in row.iter().zip(widths).enumerate() {
        line.push_str(&match column {
            0 => format!(" {cell:<width$}"),
            _ => format!("  {cell:>width$}"),
        });
    }
    line
}

/// Markdown as a terminal shows it best: rows of tables are aligned, and marks within a line are left out.
pub fn plainly(markdown: &str) {
    let plain = markdown.replace("**", "").replace("### ", "").replace("<sub>", "[").replace("</sub>", "]");
    let lines: Vec<&str> = plain.lines().filter(|line| !line.starts_with("|---")).collect();
    for part in lines.chunk_by(|a, b| a.starts_with('|') == b.starts_with('|')) {
        match cells(part[0]) {
            Some(_) => table(&part.iter().copied().filter_map(cells).collect::<Vec<_>>()),
            None => part.iter().for_each(|line| println!("{line}")),
        }
    }
}

/// The cells of a table's row.
fn cells(line: &str) -> Option<Vec<String>> {
    let row = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(|cell| cell.trim().to_owned()).collect())
}

/// A spinner with the elapsed time; invisible where stderr is no terminal. Drop it to clear it.
pub struct Spinner(ProgressBar);

impl Spinner {
    pub fn start(what: &str) -> Self {
        let style = ProgressStyle::with_template("  {spinner} {msg} ({elapsed})").expect("the template is well-formed");
        let bar = ProgressBar::new_spinner().with_style(style).with_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Spinner(bar)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
