//! The catalogue of attacks: each ends at each level as the table in `docs/SECURITY.md` says, which is made of the same data.
//!
//! `programs/attacks.cpp` has the attacks, each of which runs in a child of its own.

use super::toolchain::compile;
use super::{Testbed, Verdict};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Levels 0 to 5 of `MIMALLOC_SECURE`.
const LEVELS: usize = 6;
const DEBUG_LEVELS: [&str; 3] = ["1", "2", "3"];
/// From here on blocks have canaries, as at all debug levels.
const PADDED: usize = 3;

/// How each attack ends at levels 0 to 5: `-` unnoticed, `h` without effect, `e` the library ends the process, `f` a fault.
const CATALOGUE: &[(&str, &str)] = &[
    ("overflow by 1 byte of 1", "---eee"),
    ("overflow by 1 byte of 24", "---eee"),
    ("overflow by 1 byte of 100", "---eee"),
    ("overflow by 1 byte of 1000", "---eee"),
    ("overflow by 1 byte of 5000", "---eee"),
    ("overflow by 1 byte of 100000", "---eee"),
    ("overflow by 1 byte of 1048576", "---eef"),
    ("overflow by 1 byte of 3145728", "---eef"),
    ("overflow by memcpy of 12 bytes of 24", "---eee"),
    ("overflow by memcpy of 12 bytes of 100", "---eee"),
    ("overflow by memcpy of 12 bytes of 1000", "---eee"),
    ("overflow by memcpy of 12 bytes of 1048576", "---eef"),
    ("overflow by strcpy's zero of 100", "---eee"),
    ("overflow found by realloc in place", "---eee"),
    ("overflow found by realloc that moves", "---eee"),
    ("overflow found by another thread's free", "---eee"),
    ("overflow of an aligned block", "---eee"),
    ("underflow by 1 byte of 24", "---eee"),
    ("underflow by 1 byte of 100", "---eee"),
    ("underflow by 1 byte of 1000", "---eee"),
    ("underflow by 1 byte of 5000", "---eee"),
    ("underflow by 8 bytes of 100", "---eee"),
    ("underflow into a free block", "---eee"),
    ("underflow found by another thread's free", "---eee"),
    ("read of malloc(0)", "---fff"),
    ("write to malloc(0)", "---fff"),
    ("write to calloc(0, 8)", "---fff"),
    ("write after realloc(p, 0)", "---fff"),
    ("double free of malloc(0)", "hheeee"),
    ("double free at once of 24", "--eeee"),
    ("double free at once of 100", "--eeee"),
    ("double free at once of 1000", "hheeee"),
    ("double free at once of 5000", "hheeee"),
    ("double free at once of 100000", "hheeee"),
    ("double free at once of 1048576", "hheeee"),
    ("double free with another block between", "hheeee"),
    ("double free much later", "--eeee"),
    ("double free, here and by another thread", "--eeee"),
    ("double free by another thread and here", "--eeee"),
    ("double free by two other threads", "--eeee"),
    ("double free, allocations between: 1", "hheeee"),
    ("double free, allocations between: 30", "hheeee"),
    ("double free of an aligned block", "hheeee"),
    ("free after realloc has moved the block", "hheeee"),
    ("realloc of a freed block", "hheeee"),
    ("malloc_usable_size of a freed block", "--eeee"),
    ("double free in the child of a fork", "hheeee"),
    ("double free after the page has gone", "hheeee"),
    ("free of the stack", "hheeee"),
    ("free of static memory", "hheeee"),
    ("free of code", "hheeee"),
    ("free of a wild address", "hheeee"),
    ("free of a non-canonical address", "hheeee"),
    ("free of the first OS page", "hheeee"),
    ("free of a mapping of the program's", "hheeee"),
    ("free of the environment", "hheeee"),
    ("free of the stack by another thread", "hheeee"),
    ("realloc of the stack", "hheeee"),
    ("free of an address inside a block, at 1", "hheeee"),
    ("free of an address inside a block, at 8", "hheeee"),
    ("free of an address inside a block, at 16", "--eeee"),
    ("free of an address inside a block, at 48", "--eeee"),
    ("free of an address inside a block, by another thread", "--eeee"),
    ("free of an address inside a block of 1 MiB", "hheeee"),
    ("free of an address 16 before a block", "hheeee"),
    ("realloc of an address inside a block", "--eeee"),
    ("write after free to a block of 24", "----ee"),
    ("write after free to a block of 100", "----ee"),
    ("write after free to a block of 1000", "----ee"),
    ("write after free to a block of 5000", "------"),
    ("write of a link to a freed block", "--hhee"),
    ("write after free by another thread", "----ee"),
    ("read of a secret after free, of 24", "----hh"),
    ("read of a secret after free, of 100", "----hh"),
    ("read of a secret after free, of 5000", "----hh"),
    ("read of a secret after free, of 1048576", "----hh"),
    ("read of a secret in fresh memory, of 100", "----hh"),
    ("read of a secret in fresh memory, of 5000", "----hh"),
    ("the next block of the size is the one just freed", "hhhhhh"),
    ("blocks allocated together lie in order", "--hhhh"),
    ("calloc whose product wraps", "hhhhhh"),
    ("reallocarray whose product wraps", "hhhhhh"),
    ("malloc of more than PTRDIFF_MAX", "hhhhhh"),
    ("aligned_alloc to no power of two", "hhhhhh"),
    ("posix_memalign whose sum wraps", "hhhhhh"),
    ("delete with a size too small", "---eee"),
    ("delete with a size too large", "---eee"),
    ("delete[] with a wrong size", "---eee"),
    ("delete with a wrong size and an alignment", "---eee"),
    ("delete with a wrong alignment", "---eee"),
    ("free_sized with a wrong size", "---eee"),
    ("mi_free_size with a wrong size", "---eee"),
    ("free_aligned_sized with a wrong size", "---eee"),
    ("mi_free_size_aligned with a wrong alignment", "---eee"),
    ("delete[] of new", "------"),
    ("free of a block of a destroyed heap", "hheeee"),
];

const LIMIT: Duration = Duration::from_secs(100);

type Endings = BTreeMap<String, String>;

pub fn check(testbed: &Testbed) -> Verdict {
    let (folder, log) = (testbed.scratch("attacks")?, testbed.log("attacks")?);
    let program = compile(testbed, "attacks.cpp", &folder, &["-ldl"], &log)?;
    for level in 0..LEVELS {
        let endings = run(testbed, &program, &[("MIMALLOC_SECURE", &level.to_string())])?;
        judge(&endings, level)?;
    }
    for level in DEBUG_LEVELS {
        let endings = run(testbed, &program, &[("MIMALLOC_DEBUG", level), ("MIMALLOC_GUARDED_SAMPLE_RATE", "0")])?;
        judge_debug(&endings).with_context(|| format!("MIMALLOC_DEBUG={level}"))?;
    }
    let endings = run(testbed, &program, &[("MIMALLOC_SECURE", "4"), ("MIMALLOC_ABORT", "0")])?;
    if let Some((name, _)) = endings.iter().find(|(_, end)| *end == "ended") {
        bail!("{name}: ended in spite of MIMALLOC_ABORT=0");
    }
    Ok(format!(
        "{} attacks end as they must, at {LEVELS} levels and {} debug levels",
        CATALOGUE.len(),
        DEBUG_LEVELS.len()
    ))
}

/// Every attack, and how it ended with these settings.
fn run(testbed: &Testbed, program: &Path, settings: &[(&str, &str)]) -> Result<Endings> {
    let log = testbed.log("attacks-run")?;
    let mut command = Command::new(program);
    command.env("LD_PRELOAD", testbed.library()?).envs(settings.iter().copied());
    testbed.logged(&mut command, LIMIT, &log).with_context(|| format!("{settings:?}"))?;
    let text = fs::read_to_string(&log)?;
    Ok(text.lines().filter_map(|line| line.rsplit_once(": ")).map(|(name, end)| (name.into(), end.into())).collect())
}

fn word(letter: char) -> &'static str {
    match letter {
        '-' => "unnoticed",
        'h' => "harmless",
        'e' => "ended",
        _ => "faulted",
    }
}

fn due(levels: &str, level: usize) -> &'static str {
    levels.chars().nth(level).map_or("", word)
}

fn judge(endings: &Endings, level: usize) -> Result<()> {
    if endings.len() != CATALOGUE.len() {
        bail!("{} attacks ran, the catalogue has {}", endings.len(), CATALOGUE.len());
    }
    let end_of = |name: &str| endings.get(name).map_or("missing", String::as_str);
    let wrong: Vec<String> = CATALOGUE
        .iter()
        .filter(|(name, levels)| end_of(name) != due(levels, level))
        .map(|(name, levels)| format!("{name}: {}, should be {}", end_of(name), due(levels, level)))
        .collect();
    if wrong.is_empty() { Ok(()) } else { bail!("MIMALLOC_SECURE={level}:\n{}", wrong.join("\n")) }
}

/// What canaries notice is noticed by debug levels, too.
fn judge_debug(endings: &Endings) -> Result<()> {
    let is_noticed = |end: &str| end == "ended" || end == "faulted";
    for (name, levels) in CATALOGUE {
        let end = endings.get(*name).map_or("missing", String::as_str);
        if is_noticed(due(levels, PADDED)) && !is_noticed(end)
            || !["unnoticed", "harmless", "ended", "faulted"].contains(&end)
        {
            bail!("{name}: {end}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    const BEGIN: &str = "<!-- The catalogue: made by ATTACKS_WRITE=1 cargo test -p xtask attacks -->\n";
    const END: &str = "<!-- End of the catalogue -->\n";

    fn table() -> String {
        let mut table = String::from("| attack | 0 | 1 | 2 | 3 | 4 | 5 |\n|---|---|---|---|---|---|---|\n");
        for (name, levels) in CATALOGUE {
            let cell = |letter| match letter {
                '-' => "",
                'e' => "**ended**",
                'f' => "**fault**",
                letter => word(letter),
            };
            let cells: Vec<&str> = levels.chars().map(cell).collect();
            table += &format!("| {name} | {} |\n", cells.join(" | "));
        }
        table
    }

    #[test]
    fn the_document_has_the_catalogue_as_it_is_tested() {
        let path = workspace::root().join("docs/SECURITY.md");
        let text = fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(BEGIN).expect("the beginning of the table");
        let (found, after) = rest.split_once(END).expect("the end of the table");
        if std::env::var_os("ATTACKS_WRITE").is_some() {
            fs::write(path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        } else {
            assert!(found == table(), "run ATTACKS_WRITE=1 cargo test -p xtask attacks");
        }
    }

    #[test]
    fn names_are_unique_and_levels_are_six() {
        let names: std::collections::HashSet<_> = CATALOGUE.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        assert!(CATALOGUE.len() >= 80 && CATALOGUE.iter().all(|(_, levels)| levels.len() == LEVELS));
    }
}
