//! The interface that programs in Rust build on, as `xtask/interfaces` has recorded it: a change is seen, and meant.

use super::{Testbed, Verdict};
use crate::workspace;
use anyhow::{Context, Result, ensure};
use public_api::PublicApi;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Set in the environment, has what is found recorded.
const RECORD: &str = "FERRIMALLOC_RECORD";

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
