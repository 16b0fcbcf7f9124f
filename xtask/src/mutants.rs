//! `cargo xtask mutants`: do the models catch mistakes?
//!
//! Each mutant is the core with one mistake: an ordering weakened, a step left out or swapped. The models of that
//! protocol must fail on it, or hang, which the time limit finds. A mutant that survives means a model that is missing,
//! or an ordering that is not needed.
//!
//! Mutants are made in a copy of the core's sources under `target/mutants`, never in the checkout.

mod list;
mod tree;

use crate::{process, workspace};
use anyhow::{Context, Result, bail};
use list::{MUTANTS, Mutant};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use tree::Tree;

#[derive(clap::Args)]
pub struct Args {
    /// Only mutants whose name or file contains one of these.
    #[arg(value_name = "WORD")]
    only: Vec<String>,
    /// Name the mutants and do nothing.
    #[arg(long)]
    list: bool,
}

/// The models take seconds when nothing is wrong, and the machine is not busy.
const LIMIT: Duration = Duration::from_secs(900);
/// Models of a mutant hang when they take so long, and so many times as long as without it.
const LEAST_HANG: Duration = Duration::from_secs(150);
const HANG_FACTOR: u32 = 5;

/// How long the models of each test program may take.
type Limits = BTreeMap<&'static str, Duration>;

/// What became of a mutant.
enum Fate {
    Caught(Vec<String>),
    Hung,
    Survived,
    /// The text that it changes is not there (any more).
    Stale,
    DoesNotBuild,
}

impl Fate {
    fn is_good(&self) -> bool {
        matches!(self, Fate::Caught(_) | Fate::Hung)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Fate::Caught(models) if models.is_empty() => write!(out, "caught"),
            Fate::Caught(models) => write!(out, "caught by {}", models.join(", ")),
            Fate::Hung => write!(out, "caught: the models hang"),
            Fate::Survived => write!(out, "SURVIVED"),
            Fate::Stale => write!(out, "STALE: its text is not in the file"),
            Fate::DoesNotBuild => write!(out, "DOES NOT BUILD"),
        }
    }
}

/// How many mutants of a file there were, and how many of them were caught.
#[derive(Default)]
struct Tally {
    caught: usize,
    all: usize,
}

impl Tally {
    fn count(&mut self, fate: &Fate) {
        self.caught += usize::from(fate.is_good());
        self.all += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{} of {} caught", self.caught, self.all)
    }
}

pub fn execute(args: Args) -> Result<ExitCode> {
    let mutants: Vec<&Mutant> = MUTANTS.iter().filter(|mutant| is_wanted(mutant, &args.only)).collect();
    if args.list {
        mutants.iter().for_each(|mutant| println!("{:45} {}", mutant.name, mutant.file));
        return Ok(ExitCode::SUCCESS);
    }
    let tree = Tree::copy()?;
    let limits = check_models(&tree, &mutants)?;
    let mut tallies = BTreeMap::new();
    for mutant in &mutants {
        let fate = try_mutant(&tree, mutant, limits[mutant.models()])?;
        tallies.entry((mutant.file, mutant.models())).or_insert_with(Tally::default).count(&fate);
        println!("{:45} {fate}", mutant.name);
    }
    println!();
    tallies.iter().for_each(|((file, models), tally)| println!("{file:20} {models:15} {tally}"));
    let good: usize = tallies.values().map(|tally| tally.caught).sum();
    println!("{good} of {} mutants caught", mutants.len());
    Ok(if good == mutants.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_wanted(mutant: &Mutant, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|word| mutant.name.contains(word) || mutant.file.contains(word))
}

/// Without a mistake the models must pass. How long that takes says when those of a mutant hang.
fn check_models(tree: &Tree, mutants: &[&Mutant]) -> Result<Limits> {
    let mut limits = Limits::new();
    for models in mutants.iter().map(|mutant| mutant.models()) {
        if limits.contains_key(models) {
            continue;
        }
        let began = Instant::now();
        if !matches!(run_models(tree, models, LIMIT)?, Fate::Survived) {
            bail!("{models} fails without any mutant: see {}", tree.log().display());
        }
        limits.insert(models, (began.elapsed() * HANG_FACTOR).max(LEAST_HANG));
    }
    Ok(limits)
}

fn try_mutant(tree: &Tree, mutant: &Mutant, limit: Duration) -> Result<Fate> {
    let path = tree.source(mutant.file);
    let source = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let Some(mutated) = replace(&source, mutant.from, mutant.to) else { return Ok(Fate::Stale) };
    fs::write(&path, mutated)?;
    let fate = run_models(tree, mutant.models(), limit);
    fs::write(&path, source)?;
    fate
}

fn run_models(tree: &Tree, models: &str, limit: Duration) -> Result<Fate> {
    let log = tree.log();
    let finished = process::bounded(&mut models_command(tree, models, &log)?, limit)?;
    if finished.ended == process::Ended::TimeIsUp {
        return Ok(Fate::Hung);
    }
    let log = fs::read_to_string(&log)?;
    Ok(match log {
        _ if finished.succeeded() => Fate::Survived,
        log if log.contains("could not compile") => Fate::DoesNotBuild,
        log => Fate::Caught(failed_tests(&log)),
    })
}

/// Quick to build; the models' own speed matters less.
fn models_command(tree: &Tree, models: &str, log: &Path) -> Result<Command> {
    let log = File::create(log)?;
    let mut command = workspace::cargo(&["test", "-q", "-p", "ferrimalloc-core", "--release", "--test", models]);
    command
        .current_dir(tree.root())
        .env("RUSTFLAGS", "--cfg loom")
        .env("RUST_BACKTRACE", "0")
        .env("STOP_AT_FIRST_FAILURE", "1")
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_TARGET_DIR", tree.target())
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(command)
}

/// The names in the list that the test program ends with.
fn failed_tests(log: &str) -> Vec<String> {
    let indented = log.lines().filter_map(|line| line.strip_prefix("    "));
    let is_name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut names: Vec<String> = indented.filter(is_name).map(String::from).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// `source` with the first `from` replaced; blanks and line breaks don't count, so that formatting does not matter.
fn replace(source: &str, from: &str, to: &str) -> Option<String> {
    let wanted: Vec<char> = from.chars().filter(|c| !c.is_whitespace()).collect();
    let solid: Vec<(usize, char)> = source.char_indices().filter(|(_, c)| !c.is_whitespace()).collect();
    let matches = |window: &&[(usize, char)]| window.iter().map(|(_, c)| c).eq(&wanted);
    let found = solid.windows(wanted.len()).find(matches)?;
    let (start, (last, c)) = (found.first()?.0, *found.last()?);
    Some([&source[..start], to, &source[last + c.len_utf8()..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_do_not_count() {
        let source = "let a = b\n    .c(d);\nlet e;";
        assert_eq!(replace(source, "b.c (d)", "f()").as_deref(), Some("let a = f();\nlet e;"));
        assert_eq!(replace(source, "b.d", "f()"), None);
    }

    #[test]
    fn every_mutant_applies() {
        for mutant in MUTANTS {
            let path = workspace::root().join("crates/core/src").join(mutant.file);
            let source = fs::read_to_string(path).unwrap();
            assert!(replace(&source, mutant.from, mutant.to).is_some(), "{}", mutant.name);
        }
    }
}
