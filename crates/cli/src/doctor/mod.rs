//! What is wrong, with the figure that says so, and what to do.
//!
//! * `machine`: settings of the system and limits; `program`: a file that is to be run; `patient`: a process; `heap`: what
//!   its heap shows.

pub mod heap;
pub mod machine;
pub mod patient;
pub mod program;

use crate::failure::{Exit, Result};
use ferrimalloc_core::options::{OptionId, parse};
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Good,
    /// Worth knowing.
    Note,
    /// Something works worse than it could.
    Warning,
    /// The library isn't in use, or can't be.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub level: Level,
    /// For tests and scripts.
    pub id: &'static str,
    /// With the figure.
    pub what: String,
    /// What to do; empty if nothing.
    pub advice: String,
}

impl Finding {
    pub fn new(level: Level, id: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { level, id, what: what.into(), advice: advice.into() }
    }

    pub fn good(id: &'static str, what: impl Into<String>) -> Finding {
        Finding::new(Level::Good, id, what, "")
    }

    /// Whether a preloaded library has no effect.
    pub fn keeps_us_out(&self) -> bool {
        self.level == Level::Problem
    }
}

/// Options that are read apart from the others.
const LEVELS: [&str; 2] = ["SECURE", "DEBUG"];
/// Variables that are ours and no options.
const NO_OPTIONS: [&str; 2] = ["FERRIMALLOC_SO", "FERRIMALLOC_EMBED"];
const PREFIXES: [&str; 2] = ["MIMALLOC_", "FERRIMALLOC_"];

/// Whether the library has an option of that name, in capitals and without a prefix.
pub fn is_option(name: &str) -> bool {
    option(name).is_some() || LEVELS.contains(&name)
}

fn option(name: &str) -> Option<OptionId> {
    let is_its = |option: &&OptionId| {
        let spec = option.spec();
        spec.name.eq_ignore_ascii_case(name) || spec.former_name.is_some_and(|former| former.eq_ignore_ascii_case(name))
    };
    OptionId::ALL.iter().find(is_its).copied()
}

/// Variables that the library ignores: of no option, or with a value that is none.
pub fn of_environment<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Finding> {
    variables
        .filter(|(name, _)| !NO_OPTIONS.contains(name))
        .filter_map(|(name, value)| of_variable(name, value))
        .collect()
}

fn of_variable(variable: &str, value: &str) -> Option<Finding> {
    let upper = variable.to_ascii_uppercase();
    let name = PREFIXES.iter().find_map(|prefix| upper.strip_prefix(prefix))?;
    if !is_option(name) {
        let advice = match nearest(name) {
            Some(nearest) => format!("MIMALLOC_{nearest} is one; README.md has the usual ones."),
            None => "README.md has the usual ones.".into(),
        };
        return Some(Finding::new(
            Level::Warning,
            "unknown-option",
            format!("{variable}={value} is no option, and ignored"),
            advice,
        ));
    }
    let spec = option(name)?.spec();
    parse(spec.kind, value.as_bytes()).err().map(|_| {
        Finding::new(
            Level::Warning,
            "bad-option-value",
            format!("{variable}={value} has no value that the option can have, and is ignored"),
            format!("Its default is {}.", spec.default),
        )
    })
}

/// The option that a name was probably meant to be.
fn nearest(name: &str) -> Option<String> {
    let names = OptionId::ALL.iter().map(|option| option.spec().name.to_ascii_uppercase());
    let best = names.chain(LEVELS.map(String::from)).min_by_key(|other| distance(name, other))?;
    (distance(name, &best) <= 3).then_some(best)
}

/// How many letters have to be changed, put in or taken out.
fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for column in 0..two.len() {
            let changed = diagonal + usize::from(letter != two[column]);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[two.len()]
}

/// Looks, prints, and says by its code whether there is something to do.
pub fn execute(patient: Option<&OsStr>) -> Result<ExitCode> {
    let findings = examine(patient)?;
    for finding in &findings {
        let mark = match finding.level {
            Level::Good => "ok     ",
            Level::Note => "note   ",
            Level::Warning => "WARNING",
            Level::Problem => "PROBLEM",
        };
        println!("{mark}  {}", finding.what);
        if !finding.advice.is_empty() {
            println!("         → {}", finding.advice);
        }
    }
    let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Good);
    Ok(if worst >= Level::Warning { ExitCode::from(Exit::Findings as u8) } else { ExitCode::SUCCESS })
}

/// Everything about a process (by its number), a program, or the machine alone.
pub fn examine(patient: Option<&OsStr>) -> Result<Vec<Finding>> {
    let root = Path::new("/");
    let mut findings = Vec::new();
    match patient.map(|patient| (patient, patient.to_str().and_then(|text| text.parse::<u32>().ok()))) {
        Some((_, Some(pid))) => {
            findings.extend(patient::look(pid)?);
            findings.extend(machine::of_process(root, pid));
        }
        Some((program, None)) => {
            findings.extend(program::look(program));
            let variables: Vec<(String, String)> = std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect();
            findings.extend(of_environment(variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))));
            findings.extend(machine::of_process(root, std::process::id()));
        }
        None => findings.extend(machine::of_process(root, std::process::id())),
    }
    findings.extend(machine::look(root));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_option_is_told_with_what_was_meant() {
        let variables =
            [("MIMALLOC_PURGE_DEALY", "0"), ("mimalloc_verbose", "1"), ("HOME", "/"), ("MIMALLOC_SECURE", "4")];
        let found = of_environment(variables.into_iter());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id, "unknown-option");
        assert!(found[0].advice.contains("MIMALLOC_PURGE_DELAY"), "{}", found[0].advice);
    }

    #[test]
    fn a_value_that_is_none_is_told() {
        let found = of_environment([("MIMALLOC_PURGE_DELAY", "soon"), ("MIMALLOC_SHOW_STATS", "yes")].into_iter());
        assert_eq!(found.iter().map(|finding| finding.id).collect::<Vec<_>>(), ["bad-option-value"]);
    }
}
