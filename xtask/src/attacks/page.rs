//! `docs/ATTACKS.md`, and the summary in `docs/SECURITY.md`.

use super::endings::{Column, Findings, Kind, RIGHT, kinds};
use super::subjects::{Beside, Subject};
use crate::bench::{engines, machine};
use crate::workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;

const HEAD: &str = "\
# Attacks on other allocators

Written by `cargo xtask attacks --write`: the [catalogue of attacks](SECURITY.md#the-catalogue) under other allocators, by the same program
and the same rules. [SECURITY.md](SECURITY.md#other-allocators) has the summary, and what we read in it. Each attack runs in a child process, RUNS times; where runs
ended differently, the letters have numbers.

| | |
|---|---|
| **e** | the library found it and ended the process |
| **f** | a fault, by a guard or by accident: an allocator that follows a wild address, or a damaged list, faults, too |
| h | harmless: the process went on, and the attack had none of the effects that it looks for |
| - | unnoticed: it had the effect, or nobody knows |
| n/a | the library has no such function |

An attack is looked at until memory of its size has been allocated some 10,000 times; an error that would be noticed later counts as unnoticed.
";

/// In `docs/SECURITY.md`.
const BEGIN: &str = "<!-- Other allocators: made by cargo xtask attacks --write -->\n";
const END: &str = "<!-- End of other allocators -->\n";

pub fn write(findings: &Findings) -> Result<()> {
    fs::write(file(), text(findings)?)?;
    let path = workspace::root().join("docs/SECURITY.md");
    let page = fs::read_to_string(&path)?;
    let (before, rest) = page.split_once(BEGIN).context("the beginning of the summary")?;
    let (_, after) = rest.split_once(END).context("the end of the summary")?;
    fs::write(path, format!("{before}{BEGIN}{}{END}{after}", markdown(&summary_rows(findings))))?;
    Ok(())
}

fn file() -> PathBuf {
    workspace::root().join("docs/ATTACKS.md")
}

fn text(findings: &Findings) -> Result<String> {
    let columns = &findings.columns;
    let runs = columns.first().map_or(0, |column| column.runs.len());
    let sections = [
        ("Who", subjects(columns)?),
        ("What others stop and we don't", list(&better(findings, |_| true))),
        ("What others stop and we only with checked copies or guards", list(&only_with_more(findings))),
        ("False alarms", alarms(columns)),
        ("Every attack", markdown(&cells(findings))),
    ];
    let head = HEAD.replace("RUNS", &runs.to_string());
    Ok(sections.iter().fold(head, |page, (title, body)| format!("{page}\n## {title}\n\n{body}")))
}

/// One row for each subject: stopped attacks by kind, all, those that were noticed, and the cost.
pub fn summary_rows(Findings { catalogue, columns }: &Findings) -> Vec<Vec<String>> {
    let kinds = kinds(catalogue);
    let of = |kind: &Kind| format!("{} ({})", kind.name, kind.attacks.len());
    let mut head = vec!["stopped".to_owned()];
    head.extend(kinds.iter().map(of));
    head.extend([
        format!("all ({})", catalogue.len() - 1),
        "noticed".into(),
        "ns, 100 bytes".into(),
        "ns, 16 to 512".into(),
    ]);
    let row = |column: &Column| {
        let all: Vec<&str> = kinds.iter().flat_map(|kind| kind.attacks.iter().copied()).collect();
        let mut row = vec![column.subject.title.clone()];
        row.extend(kinds.iter().map(|kind| sum(&kind.attacks, |attack| column.stopped(attack))));
        row.extend([sum(&all, |attack| column.stopped(attack)), sum(&all, |attack| column.noticed(attack))]);
        row.extend(column.pairs.map(|pair| format!("{pair:.0}")));
        row
    };
    std::iter::once(head).chain(columns.iter().map(row)).collect()
}

/// The sum of shares; where a library lacks functions, how many attacks are left.
fn sum(attacks: &[&str], share: impl Fn(&str) -> Option<f64>) -> String {
    let shares: Vec<f64> = attacks.iter().filter_map(|attack| share(attack)).collect();
    let total: f64 = shares.iter().sum();
    let number = if total.fract().abs() < 0.05 { format!("{total:.0}") } else { format!("{total:.1}") };
    if shares.len() == attacks.len() { number } else { format!("{number} of {}", shares.len()) }
}

/// Who they are, and on what system.
fn subjects(columns: &[Column]) -> Result<String> {
    let here = machine::describe();
    let libc = machine::first_line_printed("getconf", "GNU_LIBC_VERSION");
    let told = markdown(&told(columns)?);
    Ok(format!("{told}\n{}, {libc}, kernel {}, {}.\n", here.system, here.kernel, here.compiler))
}

fn told(columns: &[Column]) -> Result<Vec<Vec<String>>> {
    let head = ["column", "allocator", "what it is", "settings"].map(str::to_owned).to_vec();
    let row = |column: &Column| {
        let Subject { short, title, settings, .. } = &column.subject;
        let settings: Vec<String> = settings.iter().map(|(name, value)| format!("`{name}={value}`")).collect();
        Ok(vec![short.clone(), title.clone(), origin(&column.subject)?, settings.join(" ")])
    };
    std::iter::once(Ok(head)).chain(columns.iter().map(row)).collect()
}

fn origin(subject: &Subject) -> Result<String> {
    let engine = engines::told(&subject.engine)?;
    Ok(match subject.beside {
        Beside::Nothing => engine,
        Beside::Checks => format!("{engine}, and `libferrimalloc-checks.so`"),
        Beside::MallocDebug => format!("{engine} but `libc_malloc_debug.so.0`"),
    })
}

/// More often than not.
fn stops(column: &Column, attack: &str) -> bool {
    column.stopped(attack).is_some_and(|share| share > 0.5)
}

/// An attack, and by whom it is stopped.
type Stopped<'a> = (&'a str, Vec<&'a str>);

/// Attacks that another allocator stops, and none of our columns of which `counts` is true.
fn better(Findings { catalogue, columns }: &Findings, counts: impl Fn(&Column) -> bool) -> Vec<Stopped<'_>> {
    let ours =
        |attack: &str| columns.iter().any(|column| column.subject.is_ours() && counts(column) && stops(column, attack));
    let others = |attack: &str| {
        let stopping = columns.iter().filter(|column| !column.subject.is_ours() && stops(column, attack));
        stopping.map(|column| column.subject.short.as_str()).collect::<Vec<_>>()
    };
    let missed = catalogue.iter().map(|attack| attack.name.as_str()).filter(|attack| !ours(attack));
    missed.map(|attack| (attack, others(attack))).filter(|(_, others)| !others.is_empty()).collect()
}

fn only_with_more(findings: &Findings) -> Vec<Stopped<'_>> {
    let never: Vec<&str> = better(findings, |_| true).into_iter().map(|(attack, _)| attack).collect();
    let plain = better(findings, |column| column.subject.short.chars().all(|letter| letter.is_ascii_digit()));
    plain.into_iter().filter(|(attack, _)| !never.contains(attack)).collect()
}

fn list(found: &[Stopped]) -> String {
    match found {
        [] => "Nothing in this catalogue.\n".into(),
        _ => found.iter().map(|(attack, others)| format!("- {attack}: {}\n", others.join(", "))).collect(),
    }
}

fn alarms(columns: &[Column]) -> String {
    let false_ones: Vec<String> = columns
        .iter()
        .filter(|column| column.stopped(RIGHT) != Some(1.0) || column.noticed(RIGHT) != Some(0.0))
        .map(|column| format!("- {}: {}\n", column.subject.title, column.cell(RIGHT)))
        .collect();
    let none = "None: right copies, to the ends of blocks of all sizes, end well under all of them.\n";
    if false_ones.is_empty() { none.into() } else { false_ones.concat() }
}

fn cells(Findings { catalogue, columns }: &Findings) -> Vec<Vec<String>> {
    let mut head = vec!["attack".to_owned()];
    head.extend(columns.iter().map(|column| column.subject.short.clone()));
    let row = |attack: &str| {
        let cells = columns.iter().map(|column| column.cell(attack));
        std::iter::once(attack.to_owned()).chain(cells).collect::<Vec<_>>()
    };
    std::iter::once(head).chain(catalogue.iter().map(|attack| row(&attack.name))).collect()
}

fn markdown(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(rows.first().map_or(0, Vec::len)));
    rows.iter().enumerate().map(|(at, row)| if at == 0 { line(row) + &rule } else { line(row) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacks::endings::letter;
    use crate::attacks::subjects::subjects;
    use crate::test::attacks::{catalogue, column};

    /// What our levels do is in two tables; this one is written when the other allocators are there.
    #[test]
    fn the_page_has_our_columns_as_the_stage_knows_them() {
        let page = fs::read_to_string(file()).unwrap();
        let table: Vec<Vec<&str>> = page
            .lines()
            .skip_while(|line| !line.starts_with("| attack |"))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        let (catalogue, subjects) = (catalogue().unwrap(), subjects().unwrap());
        assert_eq!(table.len(), catalogue.len() + 2, "run cargo xtask attacks --write");
        let columns = subjects.iter().map(|subject| column(&subject.short).filter(|_| subject.is_ours()));
        let columns: Vec<Option<usize>> = columns.collect();
        assert_eq!(columns.iter().flatten().count(), 7);
        for (attack, row) in catalogue.iter().zip(&table[2..]) {
            assert_eq!(row[0], attack.name, "run cargo xtask attacks --write");
            for (at, column) in columns.iter().enumerate() {
                let due = column.map(|column| letter(attack.ends[column]).unwrap());
                assert!(due.is_none_or(|due| due == row[1 + at]), "{}, {}", attack.name, subjects[at].title);
            }
        }
    }

    #[test]
    fn sums_say_how_many_attacks_are_left() {
        let share =
            |attack: &str| [("a", 1.0), ("b", 0.4)].into_iter().find(|(name, _)| *name == attack).map(|it| it.1);
        assert_eq!(sum(&["a", "b"], share), "1.4");
        assert_eq!(sum(&["a", "c"], share), "1 of 1");
    }
}
