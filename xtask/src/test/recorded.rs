//! Interfaces that others build on, as `xtask/interfaces` has recorded them: a change of one is seen, and meant.

use super::{Testbed, Verdict};
use crate::install::exported_symbols;
use crate::{process, workspace};
use anyhow::{Context, Result, ensure};
use public_api::PublicApi;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Set in the environment, has what is found recorded.
const RECORD: &str = "FERRIMALLOC_RECORD";

/// What the C library implements on top of `malloc` is left to it: the process may have another `malloc` than ours.
const LEFT_TO_C: &str = "strdup strndup reallocarray __strdup __strndup wcsdup realpath getline asprintf";

/// Libraries that the dynamic linker may be asked for.
const MAY_NEED: [&str; 2] = ["libc.so.6", "ld-linux-x86-64.so.2"];

/// What the shared library exports and imports.
pub fn symbols(testbed: &Testbed) -> Verdict {
    let library = testbed.library()?;
    let exported: BTreeSet<String> = exported_symbols(library)?.into_iter().collect();
    let taken: Vec<&str> = LEFT_TO_C.split_whitespace().filter(|name| exported.contains(*name)).collect();
    ensure!(taken.is_empty(), "exported, and not left to the C library: {}", taken.join(" "));
    compare("libferrimalloc.so.txt", &exported)?;
    demand_libc_only(library)?;
    Ok(format!("the {} symbols that are recorded, libc alone imported", exported.len()))
}

fn demand_libc_only(library: &Path) -> Result<()> {
    let headers = process::read(Command::new("objdump").arg("--private-headers").arg(library))?;
    let needed = headers.lines().filter_map(|line| line.trim().strip_prefix("NEEDED")).map(str::trim);
    let foreign: Vec<&str> = needed.filter(|name| !MAY_NEED.contains(name)).collect();
    ensure!(foreign.is_empty(), "needs {}", foreign.join(" "));
    Ok(())
}

const LIMIT: Duration = Duration::from_secs(300);

/// What a program in Rust can use of the crate `ferrimalloc`, by what rustdoc says of it.
pub fn api(testbed: &Testbed) -> Verdict {
    let target = workspace::target().join("api");
    let mut rustdoc =
        workspace::cargo(&["rustdoc", "--quiet", "-p", "ferrimalloc", "--features", "allocator-api2", "--lib"]);
    rustdoc.arg("--target-dir").arg(&target).args(["--", "-Zunstable-options", "--output-format", "json"]);
    testbed.workbench("api", LIMIT)?.run(rustdoc.env("RUSTC_BOOTSTRAP", "1"))?;
    let api = match listed(target.join("doc/ferrimalloc.json")) {
        Ok(api) => api,
        // The form changes from one version of Rust to the next.
        Err(error) => return Ok(format!("NOT RUN: this rustdoc's JSON can't be read: {error}")),
    };
    let items: BTreeSet<String> = api.items().map(ToString::to_string).collect();
    compare("ferrimalloc.txt", &items)?;
    Ok(format!("the {} public items that are recorded", items.len()))
}

/// Without what every type has.
fn listed(json: PathBuf) -> Result<PublicApi, public_api::Error> {
    public_api::Builder::from_rustdoc_json(json).omit_blanket_impls(true).build()
}

/// `found` must be what the file has, a line each.
fn compare(file: &str, found: &BTreeSet<String>) -> Result<()> {
    let file = workspace::root().join("xtask/interfaces").join(file);
    if env::var_os(RECORD).is_some() {
        let lines: String = found.iter().map(|line| format!("{line}\n")).collect();
        return fs::write(&file, lines).with_context(|| file.display().to_string());
    }
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let differences = differences(&text.lines().map(str::to_owned).collect(), found);
    let (count, file) = (differences.lines().count(), file.display());
    ensure!(count == 0, "{count} lines differ from {file} ({RECORD}=1 records what there is):\n{differences}");
    Ok(())
}

/// Lines that are gone have a `-`, new ones a `+`.
fn differences(recorded: &BTreeSet<String>, found: &BTreeSet<String>) -> String {
    let gone = recorded.difference(found).map(|line| format!("-{line}\n"));
    gone.chain(found.difference(recorded).map(|line| format!("+{line}\n"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_come_and_go_are_told() {
        let set = |words: &str| words.split(' ').map(str::to_owned).collect::<BTreeSet<String>>();
        assert_eq!(differences(&set("a b c"), &set("b c d")), "-a\n+d\n");
        assert_eq!(differences(&set("a b"), &set("b a")), "");
    }
}
