//! Pages of `docs` that are written from what was found: the templates in `xtask/pages`.

use crate::workspace;
use anyhow::{Context, Result};
use minijinja::{Environment, Value};
use std::fs;
use std::path::PathBuf;

/// The page `xtask/pages/<name>`, which may use what `prepare` adds to the environment. `number|fixed(2)` has two decimals.
pub fn render(name: &str, context: Value, prepare: impl FnOnce(&mut Environment) -> Result<()>) -> Result<String> {
    let file = workspace::root().join("xtask/pages").join(name);
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let mut environment = Environment::new();
    environment.add_filter("fixed", |number: f64, digits: usize| format!("{number:.digits$}"));
    prepare(&mut environment)?;
    Ok(environment.render_named_str(name, &text, context)?)
}

/// `docs/<name>`.
pub fn document(name: &str) -> PathBuf {
    workspace::root().join("docs").join(name)
}

/// Puts a text between two marks of a document, and answers where that is.
pub fn put_between(name: &str, begin: &str, end: &str, text: &str) -> Result<PathBuf> {
    let file = document(name);
    let page = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let (before, rest) = page.split_once(begin).with_context(|| format!("docs/{name} has lost {begin}"))?;
    let (_, after) = rest.split_once(end).with_context(|| format!("docs/{name} has lost {end}"))?;
    fs::write(&file, format!("{before}{begin}\n{text}{end}{after}"))?;
    Ok(file)
}
