//! What is data and not code: the tables in `xtask/tables`.

use crate::workspace;
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs;

/// `xtask/tables/<name>.toml`.
pub fn read<T: DeserializeOwned>(name: &str) -> Result<T> {
    let file = workspace::root().join("xtask/tables").join(name).with_extension("toml");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    toml::from_str(&text).with_context(|| file.display().to_string())
}

/// A table that is nothing but a list: `[[entry]]`, again and again.
pub fn list<T: DeserializeOwned>(name: &str, entry: &str) -> Result<Vec<T>> {
    let mut lists: BTreeMap<String, Vec<T>> = read(name)?;
    lists.remove(entry).with_context(|| format!("{name}.toml has no [[{entry}]]"))
}
