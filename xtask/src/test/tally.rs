//! The score: a closing line per case, a table and the plain line `N passed, N failed` at the end.

use crate::show;
use anyhow::Result;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Default)]
pub struct Tally {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    wall: Duration,
    end: End,
}

enum End {
    Passed(String),
    Failed(String),
}

impl Tally {
    /// Prints the closing line of a case (all of an error) and remembers it.
    pub fn add(&mut self, name: &str, wall: Duration, verdict: Result<String>) {
        let end = match verdict {
            Ok(note) => End::Passed(note),
            Err(error) => End::Failed(format!("{error:#}")),
        };
        println!("   {} in {}: {}", end.word(), show::seconds(wall), end.note());
        self.rows.push(Row { name: name.into(), wall, end });
    }

    /// Prints the table and the score.
    pub fn conclude(&self) -> ExitCode {
        println!("\n== summary");
        self.rows.iter().for_each(Row::print);
        let failed = self.rows.iter().filter(|row| matches!(row.end, End::Failed(_))).count();
        println!("\n{} passed, {failed} failed", self.rows.len() - failed);
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl Row {
    fn print(&self) {
        let (word, note) = (self.end.word(), self.end.first_line());
        println!("  {:<15} {word} {:>9}  {note}", self.name, show::seconds(self.wall));
    }
}

impl End {
    fn word(&self) -> &'static str {
        match self {
            End::Passed(_) => "passed",
            End::Failed(_) => "FAILED",
        }
    }

    fn note(&self) -> &str {
        let (End::Passed(note) | End::Failed(note)) = self;
        note
    }

    fn first_line(&self) -> &str {
        self.note().lines().next().unwrap_or_default()
    }
}
