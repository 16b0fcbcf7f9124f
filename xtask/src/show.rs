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
