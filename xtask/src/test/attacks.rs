//! The catalogue of attacks: each ends at each level as the table in `docs/SECURITY.md` says, which is read here.
//!
//! `programs/attacks.cpp` has the attacks, each of which runs in a child of its own.

use super::{Testbed, Verdict, Workbench};
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
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
/// Fewer were not all of the table.
const FEWEST: usize = 80;

const LIMIT: Duration = Duration::from_secs(100);

/// How an attack can end: in the table, and as the program says it.
const ENDS: [(&str, &str); 4] =
    [("", "unnoticed"), ("harmless", "harmless"), ("**ended**", "ended"), ("**fault**", "faulted")];

/// How each attack ends in each column.
type Catalogue = BTreeMap<String, Vec<&'static str>>;
/// How each attack ended in a run.
type Endings = BTreeMap<String, String>;

pub fn check(testbed: &Testbed) -> Verdict {
    let catalogue = catalogue(&fs::read_to_string(workspace::root().join("docs/SECURITY.md"))?)?;
    let bench = testbed.workbench("attacks", LIMIT)?;
    let program = bench.compile("attacks.cpp", &["-ldl"])?;
    for (column, (level, copies)) in COLUMNS.into_iter().enumerate() {
        let endings = run(&bench, &program, copies, &[("MIMALLOC_SECURE", level)])?;
        judge(&catalogue, &endings, column).with_context(|| format!("MIMALLOC_SECURE={level}, copies {copies:?}"))?;
    }
    for level in DEBUG_LEVELS {
        let endings =
            run(&bench, &program, Plain, &[("MIMALLOC_DEBUG", level), ("MIMALLOC_GUARDED_SAMPLE_RATE", "0")])?;
        judge_debug(&catalogue, &endings).with_context(|| format!("MIMALLOC_DEBUG={level}"))?;
    }
    for copies in [Plain, Checked] {
        let endings = run(&bench, &program, copies, &[("MIMALLOC_SECURE", "4"), ("MIMALLOC_ABORT", "0")])?;
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

fn catalogue(document: &str) -> Result<Catalogue> {
    let (_, table) = document.split_once(HEADING).context("docs/SECURITY.md has lost its table of attacks")?;
    let lines: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let catalogue = lines.iter().map(|line| attack(line)).collect::<Result<Catalogue>>()?;
    ensure!(catalogue.len() == lines.len(), "an attack stands in the table twice");
    ensure!(catalogue.len() >= FEWEST, "only {} attacks are in the table", catalogue.len());
    Ok(catalogue)
}

/// `| double free at once of 24 |  |  | **ended** | …`
fn attack(line: &str) -> Result<(String, Vec<&'static str>)> {
    let cells = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")).context("a row has bars around it")?;
    let mut cells = cells.split(" | ");
    let name = cells.next().context("a row has a name")?;
    let end_of = |cell: &str| Some(ENDS.iter().find(|(word, _)| *word == cell)?.1);
    let ends: Vec<_> = cells.map(|cell| end_of(cell.trim())).collect::<Option<_>>().context(name.to_owned())?;
    ensure!(ends.len() == COLUMNS.len(), "{name} has {} ends", ends.len());
    Ok((name.to_owned(), ends))
}

/// Every attack, and how it ended with these settings.
fn run(bench: &Workbench, program: &Path, copies: Copies, settings: &[(&str, &str)]) -> Result<Endings> {
    let mut command = Command::new(program);
    match copies {
        Plain => command.env("LD_PRELOAD", bench.testbed.library()?),
        Checked => command.env("LD_PRELOAD", bench.testbed.preloads_that_check()?),
    };
    command.envs(settings.iter().copied());
    let text = bench.run(&mut command).with_context(|| format!("{settings:?}"))?;
    Ok(text.lines().filter_map(|line| line.rsplit_once(": ")).map(|(name, end)| (name.into(), end.into())).collect())
}

fn judge(catalogue: &Catalogue, endings: &Endings, column: usize) -> Result<()> {
    ensure!(endings.len() == catalogue.len(), "{} attacks ran, the table has {}", endings.len(), catalogue.len());
    let wrong: Vec<String> = catalogue
        .iter()
        .filter(|(name, ends)| end_of(endings, name) != ends[column])
        .map(|(name, ends)| format!("{name}: {}, should be {}", end_of(endings, name), ends[column]))
        .collect();
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
}

fn end_of<'a>(endings: &'a Endings, name: &str) -> &'a str {
    endings.get(name).map_or("missing", String::as_str)
}

/// What canaries notice is noticed by debug levels, too.
fn judge_debug(catalogue: &Catalogue, endings: &Endings) -> Result<()> {
    let is_noticed = |end: &str| end == "ended" || end == "faulted";
    for (name, ends) in catalogue {
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
        let text = fs::read_to_string(workspace::root().join("docs/SECURITY.md")).unwrap();
        let catalogue = catalogue(&text).unwrap();
        assert_eq!(catalogue["right copies to the ends of blocks"], ["harmless"; 8]);
        assert_eq!(catalogue["memcpy to a freed block"][6..], ["unnoticed", "ended"]);
    }

    #[test]
    fn a_row_that_lacks_a_column_is_an_error() {
        assert!(attack("| a |  |  |  | **ended** | **ended** | **fault** |  | harmless |").is_ok());
        assert!(attack("| a |  |  |  | **ended** | **ended** | **fault** |  |").is_err());
        assert!(attack("| a |  |  |  | **ended** | **ended** | **fault** |  | nothing |").is_err());
    }
}
