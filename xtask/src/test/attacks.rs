//! The catalogue of attacks: each ends at each level as the table in `docs/SECURITY.md` says, which is read here.
//!
//! `programs/attacks.cpp` has the attacks, each of which runs in a child of its own.

use super::{Testbed, Verdict, Workbench};
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Whether `libferrimalloc-checks.so` is preloaded, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Copies {
    Plain,
    Checked,
}

use Copies::{Checked, Plain};

/// The columns of the table: the level of `MIMALLOC_SECURE`, and the copies.
const COLUMNS: [(&str, Copies); 8] = [
    ("0", Plain),
    ("1", Plain),
    ("2", Plain),
    ("3", Plain),
    ("4", Plain),
    ("5", Plain),
    ("0", Checked),
    ("4", Checked),
];
const DEBUG_LEVELS: [&str; 3] = ["1", "2", "3"];
/// The column from which on blocks have canaries, as at all debug levels.
const PADDED: usize = 3;

const HEADING: &str = "| attack | 0 | 1 | 2 | 3 | 4 | 5 | 0c | 4c |\n|---|---|---|---|---|---|---|---|---|\n";
/// The column that the table's head calls so.
#[cfg(test)]
pub fn column(head: &str) -> Option<usize> {
    let names = HEADING.lines().next()?.split('|').map(str::trim);
    names.skip_while(|name| *name != "attack").skip(1).position(|name| name == head)
}

/// Fewer were not all of the table.
const FEWEST: usize = 80;

const LIMIT: Duration = Duration::from_secs(100);

/// How an attack can end: in the table, and as the program says it.
const ENDS: [(&str, &str); 4] =
    [("", "unnoticed"), ("harmless", "harmless"), ("**ended**", "ended"), ("**fault**", "faulted")];

/// A row of the table.
pub struct Attack {
    pub name: String,
    /// How it ends in each column, in the program's words.
    pub ends: Vec<&'static str>,
}

/// How each attack ended in a run.
pub type Endings = BTreeMap<String, String>;

pub fn check(testbed: &Testbed) -> Verdict {
    let catalogue = catalogue()?;
    let (bench, program) = prepare(testbed)?;
    for (column, (level, copies)) in COLUMNS.into_iter().enumerate() {
        let endings = run_ours(&bench, &program, copies, &[("MIMALLOC_SECURE", level)])?;
        judge(&catalogue, &endings, column).with_context(|| format!("MIMALLOC_SECURE={level}, copies {copies:?}"))?;
    }
    for level in DEBUG_LEVELS {
        let settings = [("MIMALLOC_DEBUG", level), ("MIMALLOC_GUARDED_SAMPLE_RATE", "0")];
        let endings = run_ours(&bench, &program, Plain, &settings)?;
        judge_debug(&catalogue, &endings).with_context(|| format!("MIMALLOC_DEBUG={level}"))?;
    }
    for copies in [Plain, Checked] {
        let endings = run_ours(&bench, &program, copies, &[("MIMALLOC_SECURE", "4"), ("MIMALLOC_ABORT", "0")])?;
        if let Some((name, _)) = endings.iter().find(|(_, end)| *end == "ended") {
            bail!("{name}: ended in spite of MIMALLOC_ABORT=0");
        }
    }
    let checked = COLUMNS.iter().filter(|(_, copies)| *copies == Checked).count();
    Ok(format!(
        "{} attacks end as they must, at {} levels, {checked} with checked copies and {} debug levels",
        catalogue.len(),
        COLUMNS.len() - checked,
        DEBUG_LEVELS.len()
    ))
}

/// The attacks, in the order of the table.
pub fn catalogue() -> Result<Vec<Attack>> {
    let document = fs::read_to_string(workspace::root().join("docs/SECURITY.md"))?;
    let (_, table) = document.split_once(HEADING).context("docs/SECURITY.md has lost its table of attacks")?;
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let catalogue = rows.map(attack).collect::<Result<Vec<Attack>>>()?;
    let names: BTreeSet<&str> = catalogue.iter().map(|attack| attack.name.as_str()).collect();
    ensure!(catalogue.len() == names.len(), "an attack stands in the table twice");
    ensure!(catalogue.len() >= FEWEST, "only {} attacks are in the table", catalogue.len());
    Ok(catalogue)
}

/// `| double free at once of 24 |  |  | **ended** | …`
fn attack(line: &str) -> Result<Attack> {
    let cells = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")).context("a row has bars around it")?;
    let mut cells = cells.split(" | ");
    let name = cells.next().context("a row has a name")?;
    let end_of = |cell: &str| Some(ENDS.iter().find(|(word, _)| *word == cell)?.1);
    let ends: Vec<_> = cells.map(|cell| end_of(cell.trim())).collect::<Option<_>>().context(name.to_owned())?;
    ensure!(ends.len() == COLUMNS.len(), "{name} has {} ends", ends.len());
    Ok(Attack { name: name.to_owned(), ends })
}

/// Where the attacks are run, and the program that has them, compiled.
pub fn prepare(testbed: &Testbed) -> Result<(Workbench<'_>, PathBuf)> {
    let bench = testbed.workbench("attacks", LIMIT)?;
    let program = bench.compile("attacks.cpp", &["-ldl"])?;
    Ok((bench, program))
}

fn run_ours(bench: &Workbench, program: &Path, copies: Copies, settings: &[(&str, &str)]) -> Result<Endings> {
    let preload: OsString = match copies {
        Plain => bench.testbed.library()?.into(),
        Checked => bench.testbed.preloads_that_check()?,
    };
    let mut command = Command::new(program);
    run(bench, command.env("LD_PRELOAD", preload).envs(settings.iter().copied()))
        .with_context(|| format!("{settings:?}"))
}

/// Every attack of the program, and how it ended.
pub fn run(bench: &Workbench, program: &mut Command) -> Result<Endings> {
    let text = bench.run(program)?;
    Ok(text.lines().filter_map(|line| line.rsplit_once(": ")).map(|(name, end)| (name.into(), end.into())).collect())
}

fn judge(catalogue: &[Attack], endings: &Endings, column: usize) -> Result<()> {
    ensure!(endings.len() == catalogue.len(), "{} attacks ran, the table has {}", endings.len(), catalogue.len());
    let wrong: Vec<String> = catalogue
        .iter()
        .map(|Attack { name, ends }| (name, end_of(endings, name), ends[column]))
        .filter(|(_, end, due)| end != due)
        .map(|(name, end, due)| format!("{name}: {end}, should be {due}"))
        .collect();
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
}

fn end_of<'a>(endings: &'a Endings, name: &str) -> &'a str {
    endings.get(name).map_or("missing", String::as_str)
}

/// What canaries notice is noticed by debug levels, too.
fn judge_debug(catalogue: &[Attack], endings: &Endings) -> Result<()> {
    let is_noticed = |end: &str| end == "ended" || end == "faulted";
    for Attack { name, ends } in catalogue {
        let end = end_of(endings, name);
        let is_known = ENDS.iter().any(|(_, word)| *word == end);
        ensure!(is_known && (is_noticed(end) || !is_noticed(ends[PADDED])), "{name}: {end}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_a_complete_table() {
        let catalogue = catalogue().unwrap();
        let ends = |name: &str| &catalogue.iter().find(|attack| attack.name == name).unwrap().ends;
        assert_eq!(ends("right copies to the ends of blocks")[..], ["harmless"; 8]);
        assert_eq!(ends("memcpy to a freed block")[6..], ["unnoticed", "ended"]);
    }

    #[test]
    fn columns_are_called_by_their_level() {
        for (at, (level, copies)) in COLUMNS.into_iter().enumerate() {
            assert_eq!(column(&format!("{level}{}", if copies == Checked { "c" } else { "" })), Some(at));
        }
    }

    #[test]
    fn a_row_that_lacks_a_column_is_an_error() {
        assert!(attack("| a |  |  |  | **ended** | **ended** | **fault** |  | harmless |").is_ok());
        assert!(attack("| a |  |  |  | **ended** | **ended** | **fault** |  |").is_err());
        assert!(attack("| a |  |  |  | **ended** | **ended** | **fault** |  | nothing |").is_err());
    }
}
