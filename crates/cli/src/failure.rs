//! What went wrong, what to do next, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

/// Exit codes besides 0, and besides those of the program that `run` runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// `doctor` found something that needs attention.
    Findings = 1,
    /// The command line is wrong (also clap's).
    Usage = 2,
    /// There is no such process, or it may not be read.
    NoAccess = 3,
    /// The process doesn't use ferrimalloc, or has not allocated yet.
    NotOurs = 4,
    /// What was read can't be understood: another version, or a file that is damaged.
    Unreadable = 5,
    /// A file can't be read or written, or something else of the system fails.
    System = 6,
    /// `run` can't start the program.
    CannotRun = 126,
    /// `run` finds no such program.
    NoProgram = 127,
}

/// An error for people.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub what: String,
    /// What to do next.
    pub next: String,
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub fn new(exit: Exit, what: impl Into<String>, next: impl Into<String>) -> Failure {
        Failure { exit, what: what.into(), next: next.into() }
    }

    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}\n  {}", self.what, self.next)
    }
}

impl std::error::Error for Failure {}

/// A file that can't be read or written.
pub fn file_failure(path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::System,
        format!("{}: {error}", path.display()),
        "Check the name, the folder and its permissions.",
    )
}
