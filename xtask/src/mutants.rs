//! `cargo xtask mutants`: do the models catch mistakes?
//!
//! Each mutant is the core with one mistake: an ordering weakened, a step left out or swapped. The models of that
//! protocol must fail on it, or hang, which the time limit finds. A mutant that survives means a model that is missing,
//! or an ordering that is not needed.
//!
//! Mutants are made in a copy of the core's sources under `target/mutants`, never in the checkout.

mod tree;

use crate::{process, tables, workspace};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
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
type Limits = BTreeMap<String, Duration>;

/// A protocol in a file of the core (below its `src`), and the test program whose models must catch the mutants.
#[derive(Deserialize)]
struct Protocol {
    file: String,
    models: String,
    mutant: Vec<Mutant>,
}

/// One mistake.
#[derive(Deserialize)]
struct Mutant {
    name: String,
    from: String,
    to: String,
}

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

pub fn execute(args: Args) -> Result<ExitCode> {
    let protocols = protocols(&args.only)?;
    if args.list {
        print_names(&protocols);
        return Ok(ExitCode::SUCCESS);
    }
    let tree = Tree::copy()?;
    let limits = check_models(&tree, &protocols)?;
    let mut good = Vec::new();
    for protocol in &protocols {
        good.push(caught(&tree, protocol, limits[&protocol.models])?);
    }
    println!();
    for (Protocol { file, models, mutant }, good) in protocols.iter().zip(&good) {
        println!("{file:20} {models:15} {good} of {} caught", mutant.len());
    }
    let (good, all): (usize, usize) = (good.iter().sum(), protocols.iter().map(|protocol| protocol.mutant.len()).sum());
    println!("{good} of {all} mutants caught");
    Ok(if good == all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The protocols with those of their mutants that are wanted.
fn protocols(only: &[String]) -> Result<Vec<Protocol>> {
    let mut protocols: Vec<Protocol> = tables::list("mutants", "protocol")?;
    for Protocol { file, mutant, .. } in &mut protocols {
        let is_wanted =
            |name: &str| only.is_empty() || only.iter().any(|word| name.contains(word) || file.contains(word));
        mutant.retain(|mutant| is_wanted(&mutant.name));
    }
    protocols.retain(|protocol| !protocol.mutant.is_empty());
    Ok(protocols)
}

fn print_names(protocols: &[Protocol]) {
    for protocol in protocols {
        protocol.mutant.iter().for_each(|mutant| println!("{:45} {}", mutant.name, protocol.file));
    }
}

/// Without a mistake the models must pass. How long that takes says when those of a mutant hang.
fn check_models(tree: &Tree, protocols: &[Protocol]) -> Result<Limits> {
    let mut limits = Limits::new();
    for Protocol { models, .. } in protocols {
        if limits.contains_key(models) {
            continue;
        }
        let began = Instant::now();
        if !matches!(run_models(tree, models, LIMIT)?, Fate::Survived) {
            bail!("{models} fails without any mutant: see {}", tree.log().display());
        }
        limits.insert(models.clone(), (began.elapsed() * HANG_FACTOR).max(LEAST_HANG));
    }
    Ok(limits)
}

/// How many mutants of a protocol its models catch.
fn caught(tree: &Tree, protocol: &Protocol, limit: Duration) -> Result<usize> {
    let mut good = 0;
    for mutant in &protocol.mutant {
        let fate = try_mutant(tree, protocol, mutant, limit)?;
        println!("{:45} {fate}", mutant.name);
        good += usize::from(fate.is_good());
    }
    Ok(good)
}

fn try_mutant(tree: &Tree, protocol: &Protocol, mutant: &Mutant, limit: Duration) -> Result<Fate> {
    let path = tree.source(&protocol.file);
    let source = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let Some(mutated) = replace(&source, &mutant.from, &mutant.to) else { return Ok(Fate::Stale) };
    fs::write(&path, mutated)?;
    let fate = run_models(tree, &protocol.models, limit);
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
        let protocols = protocols(&[]).unwrap();
        assert!(protocols.len() > 20);
        for Protocol { file, mutant, .. } in protocols {
            let source = fs::read_to_string(workspace::root().join("crates/core/src").join(file)).unwrap();
            let stale = mutant.iter().find(|mutant| replace(&source, &mutant.from, &mutant.to).is_none());
            assert_eq!(stale.map(|mutant| &mutant.name), None);
        }
    }
}
