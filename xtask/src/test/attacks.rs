//! The catalogue of attacks: each ends at each level as the table in `docs/SECURITY.md` says, which is made of the same data.
//!
//! `programs/attacks.cpp` has the attacks, each of which runs in a child of its own.

use super::toolchain::compile;
use super::{Testbed, Verdict};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Levels 0 to 5 of `MIMALLOC_SECURE`.
const LEVELS: usize = 6;
const DEBUG_LEVELS: [&str; 3] = ["1", "2", "3"];
/// From here on blocks have canaries, as at all debug levels.
const PADDED: usize = 3;

/// The levels with `libferrimalloc-checks.so`, which come behind these.
const CHECKED_LEVELS: [usize; 2] = [0, 4];

/// How each attack ends at levels 0 to 5, and with checked copies at 0 and 4: `-` unnoticed, `h` without effect, `e` the library ends the process, `f` a fault.
pub const CATALOGUE: &[(&str, &str)] = &[
    ("overflow by 1 byte of 1", "---eee-e"),
    ("overflow by 1 byte of 24", "---eee-e"),
    ("overflow by 1 byte of 100", "---eee-e"),
    ("overflow by 1 byte of 1000", "---eee-e"),
    ("overflow by 1 byte of 5000", "---eee-e"),
    ("overflow by 1 byte of 100000", "---eee-e"),
    ("overflow by 1 byte of 1048576", "---eef-e"),
    ("overflow by 1 byte of 3145728", "---eef-e"),
    ("overflow by memcpy of 12 bytes of 24", "---eeeee"),
    ("overflow by memcpy of 12 bytes of 100", "---eee-e"),
    ("overflow by memcpy of 12 bytes of 1000", "---eee-e"),
    ("overflow by memcpy of 12 bytes of 1048576", "---eef-e"),
    ("overflow by strcpy's zero of 100", "---eee-e"),
    ("overflow found by realloc in place", "---eee-e"),
    ("overflow found by realloc that moves", "---eee-e"),
    ("overflow found by another thread's free", "---eee-e"),
    ("overflow of an aligned block", "---eee-e"),
    ("underflow by 1 byte of 24", "---eee-e"),
    ("underflow by 1 byte of 100", "---eee-e"),
    ("underflow by 1 byte of 1000", "---eee-e"),
    ("underflow by 1 byte of 5000", "---eee-e"),
    ("underflow by 8 bytes of 100", "---eee-e"),
    ("underflow into a free block", "---eee-e"),
    ("underflow found by another thread's free", "---eee-e"),
    ("read of malloc(0)", "---fff-f"),
    ("write to malloc(0)", "---fff-f"),
    ("write to calloc(0, 8)", "---fff-f"),
    ("write after realloc(p, 0)", "---fff-f"),
    ("double free of malloc(0)", "--eeee-e"),
    ("double free at once of 24", "--eeee-e"),
    ("double free at once of 100", "--eeee-e"),
    ("double free at once of 1000", "hheeeehe"),
    ("double free at once of 5000", "hheeeehe"),
    ("double free at once of 100000", "hheeeehe"),
    ("double free at once of 1048576", "hheeeehe"),
    ("double free with another block between", "hheeeehe"),
    ("double free much later", "--eeee-e"),
    ("double free, here and by another thread", "--eeee-e"),
    ("double free by another thread and here", "--eeee-e"),
    ("double free by two other threads", "--eeee-e"),
    ("double free, allocations between: 1", "hheeeehe"),
    ("double free, allocations between: 30", "hheeeehe"),
    ("double free of an aligned block", "hheeeehe"),
    ("free after realloc has moved the block", "hheeeehe"),
    ("realloc of a freed block", "--eeee-e"),
    ("malloc_usable_size of a freed block", "--eeee-e"),
    ("double free in the child of a fork", "hheeeehe"),
    ("double free after the page has gone", "hheeeehe"),
    ("free of the stack", "hheeeehe"),
    ("free of static memory", "hheeeehe"),
    ("free of code", "hheeeehe"),
    ("free of a wild address", "hheeeehe"),
    ("free of a non-canonical address", "hheeeehe"),
    ("free of the first OS page", "hheeeehe"),
    ("free of a mapping of the program's", "hheeeehe"),
    ("free of the environment", "hheeeehe"),
    ("free of the stack by another thread", "hheeeehe"),
    ("realloc of the stack", "hheeeehe"),
    ("free of an address inside a block, at 1", "--eeee-e"),
    ("free of an address inside a block, at 8", "--eeee-e"),
    ("free of an address inside a block, at 16", "--eeee-e"),
    ("free of an address inside a block, at 48", "--eeee-e"),
    ("free of an address inside a block, by another thread", "--eeee-e"),
    ("free of an address inside a block of 1 MiB", "hheeeehe"),
    ("free of an address 16 before a block", "--eeee-e"),
    ("realloc of an address inside a block", "--eeee-e"),
    ("write after free to a block of 24", "----ee-e"),
    ("write after free to a block of 100", "----ee-e"),
    ("write after free to a block of 1000", "----ee-e"),
    ("write after free to a block of 5000", "-----e--"),
    ("write of a link to a freed block", "--hhee-e"),
    ("write after free by another thread", "----ee-e"),
    ("read of a secret after free, of 24", "----hh-h"),
    ("read of a secret after free, of 100", "----hh-h"),
    ("read of a secret after free, of 5000", "----hh-h"),
    ("read of a secret after free, of 1048576", "----hh-h"),
    ("read of a secret in fresh memory, of 100", "----hh-h"),
    ("read of a secret in fresh memory, of 5000", "----hh-h"),
    ("the next block of the size is the one just freed", "hhhhhhhh"),
    ("blocks allocated together lie in order", "--hhhh-h"),
    ("calloc whose product wraps", "hhhhhhhh"),
    ("reallocarray whose product wraps", "hhhhhhhh"),
    ("malloc of more than PTRDIFF_MAX", "hhhhhhhh"),
    ("aligned_alloc to no power of two", "hhhhhhhh"),
    ("posix_memalign whose sum wraps", "hhhhhhhh"),
    ("delete with a size too small", "---eee-e"),
    ("delete with a size too large", "---eee-e"),
    ("delete[] with a wrong size", "---eee-e"),
    ("delete with a wrong size and an alignment", "---eee-e"),
    ("delete with a wrong alignment", "---eee-e"),
    ("free_sized with a wrong size", "---eee-e"),
    ("mi_free_size with a wrong size", "---eee-e"),
    ("free_aligned_sized with a wrong size", "---eee-e"),
    ("mi_free_size_aligned with a wrong alignment", "---eee-e"),
    ("delete[] of new", "--------"),
    ("free of a block of a destroyed heap", "hheeeehe"),
    ("memcpy to 24 of 24 more", "---eeeee"),
    ("memcpy to 100 of 1 more", "---eee-e"),
    ("memcpy to 100 of 100 more", "---eeeee"),
    ("memcpy to 1000 of 200 more", "---eeeee"),
    ("memcpy to 5000 of 1000 more", "---eeeee"),
    ("memcpy to 100000 of 16384 more", "---eeeee"),
    ("memcpy to 1048576 of 70000 more", "---eefee"),
    ("memcpy to 3145728 of 70000 more", "---eefee"),
    ("memcpy from 100 of 100 more", "------ee"),
    ("memcpy from 5000 of 1000 more", "------ee"),
    ("memcpy from 1048576 of 70000 more", "-----fee"),
    ("memcpy to the inside of 3 MiB, beyond its end", "---eefee"),
    ("memcpy to another thread's block, beyond its end", "---eeeee"),
    ("memmove of 100 more", "---eeeee"),
    ("mempcpy of 100 more", "---eeeee"),
    ("memset of 100 more", "---eeeee"),
    ("strcpy of 100 more", "---eeeee"),
    ("stpcpy of 100 more", "---eeeee"),
    ("strncpy of 100 more", "---eeeee"),
    ("strcat of 100 more", "---eeeee"),
    ("strncat of 100 more", "---eeeee"),
    ("wmemcpy of 100 more", "---eeeee"),
    ("__memcpy_chk of 100 more", "---eeeee"),
    ("__strcpy_chk of 100 more", "---eeeee"),
    ("strcpy of a string without an end", "------ee"),
    ("strcat to a string without an end", "------ee"),
    ("memcpy to a freed block", "-------e"),
    ("memcpy from a freed block", "-------e"),
    ("right copies to the ends of blocks", "hhhhhhhh"),
];

const LIMIT: Duration = Duration::from_secs(100);

/// How each attack ended, by its name.
pub type Endings = BTreeMap<String, String>;

pub fn check(testbed: &Testbed) -> Verdict {
    let program = program(testbed)?;
    for level in 0..LEVELS {
        let endings = run_ours(testbed, &program, Copies::Plain, &[("MIMALLOC_SECURE", &level.to_string())])?;
        judge(&endings, level).with_context(|| format!("MIMALLOC_SECURE={level}"))?;
    }
    for (at, level) in CHECKED_LEVELS.iter().enumerate() {
        let endings = run_ours(testbed, &program, Copies::Checked, &[("MIMALLOC_SECURE", &level.to_string())])?;
        judge(&endings, LEVELS + at).with_context(|| format!("MIMALLOC_SECURE={level}, with checked copies"))?;
    }
    for level in DEBUG_LEVELS {
        let settings = [("MIMALLOC_DEBUG", level), ("MIMALLOC_GUARDED_SAMPLE_RATE", "0")];
        let endings = run_ours(testbed, &program, Copies::Plain, &settings)?;
        judge_debug(&endings).with_context(|| format!("MIMALLOC_DEBUG={level}"))?;
    }
    for copies in [Copies::Plain, Copies::Checked] {
        let endings = run_ours(testbed, &program, copies, &[("MIMALLOC_SECURE", "4"), ("MIMALLOC_ABORT", "0")])?;
        if let Some((name, _)) = endings.iter().find(|(_, end)| *end == "ended") {
            bail!("{name}: ended in spite of MIMALLOC_ABORT=0");
        }
    }
    Ok(format!(
        "{} attacks end as they must, at {LEVELS} levels, {} with checked copies and {} debug levels",
        CATALOGUE.len(),
        CHECKED_LEVELS.len(),
        DEBUG_LEVELS.len()
    ))
}

/// Whether `libferrimalloc-checks.so` is preloaded, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copies {
    Plain,
    Checked,
}

/// The program with the attacks, compiled.
pub fn program(testbed: &Testbed) -> Result<PathBuf> {
    let (folder, log) = (testbed.scratch("attacks")?, testbed.log("attacks")?);
    compile(testbed, "attacks.cpp", &folder, &["-ldl"], &log)
}

fn run_ours(testbed: &Testbed, program: &Path, copies: Copies, settings: &[(&str, &str)]) -> Result<Endings> {
    match copies {
        Copies::Plain => run(testbed, program, testbed.library()?.as_os_str(), settings),
        Copies::Checked => run(testbed, program, &testbed.preloads_that_check()?, settings),
    }
}

/// Every attack, and how it ended with these libraries and settings.
pub fn run(testbed: &Testbed, program: &Path, preload: &OsStr, settings: &[(&str, &str)]) -> Result<Endings> {
    let log = testbed.log("attacks-run")?;
    let mut command = Command::new(program);
    command.env("LD_PRELOAD", preload).envs(settings.iter().copied());
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

fn due(levels: &str, column: usize) -> &'static str {
    levels.chars().nth(column).map_or("", word)
}

fn judge(endings: &Endings, column: usize) -> Result<()> {
    if endings.len() != CATALOGUE.len() {
        bail!("{} attacks ran, the catalogue has {}", endings.len(), CATALOGUE.len());
    }
    let end_of = |name: &str| endings.get(name).map_or("missing", String::as_str);
    let wrong: Vec<String> = CATALOGUE
        .iter()
        .filter(|(name, levels)| end_of(name) != due(levels, column))
        .map(|(name, levels)| format!("{name}: {}, should be {}", end_of(name), due(levels, column)))
        .collect();
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
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
        let mut table =
            String::from("| attack | 0 | 1 | 2 | 3 | 4 | 5 | 0c | 4c |\n|---|---|---|---|---|---|---|---|---|\n");
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
    fn names_are_unique_and_columns_are_complete() {
        let names: std::collections::HashSet<_> = CATALOGUE.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        assert!(
            CATALOGUE.len() >= 80 && CATALOGUE.iter().all(|(_, levels)| levels.len() == LEVELS + CHECKED_LEVELS.len())
        );
    }
}
