//! Every function of the interface is exported, by the reference but for three, by ours without exception.

use super::{Bench, Row, tests};
use crate::install::exported_symbols;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The reference declares these and leaves them out.
const NOT_IN_THE_REFERENCE: [&str; 3] = ["mi_collect_reduce", "mi_stats_merge", "mi_uzalloc_small"];
const FUNCTIONS: usize = 190;

pub fn check(bench: &Bench) -> Result<Vec<Row>> {
    if !bench.wants("symbols") {
        return Ok(Vec::new());
    }
    let declared = declared_functions()?;
    let reference = missing(&declared, &bench.reference_libraries().join("libmimalloc.so"))?;
    let mut rows = vec![row("symbols of the reference", &reference, demand(&reference, &NOT_IN_THE_REFERENCE))];
    if let Some(library) = &bench.library {
        let ours = missing(&declared, library)?;
        rows.push(row("symbols of ours", &ours, demand(&ours, &[])));
    }
    Ok(rows)
}

fn row(name: &str, missing: &[String], outcome: Result<()>) -> Row {
    Row::new(name, vec![format!("{} of {FUNCTIONS}", FUNCTIONS - missing.len()), String::new()], outcome)
}

fn demand(missing: &[String], allowed: &[&str]) -> Result<()> {
    if missing != allowed {
        bail!("not exported: {}", missing.join(" "));
    }
    Ok(())
}

fn missing(declared: &BTreeSet<String>, library: &Path) -> Result<Vec<String>> {
    let exported: BTreeSet<String> = exported_symbols(library)?.into_iter().collect();
    Ok(declared.difference(&exported).cloned().collect())
}

/// The names in `prototypes.c`: what stands before the first parenthesis of each declaration.
fn declared_functions() -> Result<BTreeSet<String>> {
    let file = tests().join("prototypes.c");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let names: BTreeSet<String> = text.lines().filter(|line| line.ends_with(");")).filter_map(function_name).collect();
    if names.len() != FUNCTIONS {
        bail!("{} declares {} functions, not {FUNCTIONS}", file.display(), names.len());
    }
    Ok(names)
}

fn function_name(declaration: &str) -> Option<String> {
    let before = declaration.split('(').next()?;
    let name = before.rsplit([' ', '*']).next()?;
    name.starts_with("mi_").then(|| name.to_owned())
}
