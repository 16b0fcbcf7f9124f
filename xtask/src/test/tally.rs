//! The score: a closing line per case, a table and the plain line `N passed, N failed` at the end.

use super::Verdict;
use crate::show;
use std::process::ExitCode;
use std::time::Duration;

/// The table's lines, and how many say that a case has failed.
#[derive(Default)]
pub struct Tally {
    lines: Vec<String>,
    failed: usize,
}

impl Tally {
    /// Prints the closing line of a case (all of an error) and remembers it.
    pub fn add(&mut self, name: &str, wall: Duration, verdict: Verdict) {
        self.failed += usize::from(verdict.is_err());
        let (word, note) = match verdict {
            Ok(note) => ("passed", note),
            Err(error) => ("FAILED", format!("{error:#}")),
        };
        let wall = show::seconds(wall);
        println!("   {word} in {wall}: {note}");
        self.lines.push(format!("  {name:<15} {word} {wall:>9}  {}", note.lines().next().unwrap_or_default()));
    }

    /// Prints the table and the score.
    pub fn conclude(&self) -> ExitCode {
        println!("\n== summary\n{}", self.lines.join("\n"));
        println!("\n{} passed, {} failed", self.lines.len() - self.failed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
