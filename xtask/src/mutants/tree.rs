//! The copy of the sources in which mutants are made: a workspace of the core and what it needs.

use crate::workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 2] = ["prim", "core"];

pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// A fresh copy. What was built from the last one is used again.
    pub fn copy() -> Result<Tree> {
        let root = workspace::target().join("mutants/tree");
        for name in CRATES {
            let to = root.join("crates").join(name);
            if to.exists() {
                fs::remove_dir_all(&to)?;
            }
            copy_folder(&workspace::root().join("crates").join(name), &to)?;
        }
        fs::copy(workspace::root().join("Cargo.lock"), root.join("Cargo.lock"))?;
        fs::write(root.join("Cargo.toml"), manifest()?)?;
        Ok(Tree { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's folder for the copy.
    pub fn target(&self) -> PathBuf {
        self.root.with_file_name("target")
    }

    /// What the last run of the models printed.
    pub fn log(&self) -> PathBuf {
        self.root.with_file_name("log")
    }

    /// A file of the core's.
    pub fn source(&self, file: &str) -> PathBuf {
        self.root.join("crates/core/src").join(file)
    }
}

/// The workspace's manifest with only these crates in it.
fn manifest() -> Result<String> {
    let whole = fs::read_to_string(workspace::root().join("Cargo.toml"))?;
    let members = CRATES.map(|name| format!("\"crates/{name}\"")).join(", ");
    let narrowed = whole
        .lines()
        .filter(|line| !line.starts_with("default-members"))
        .map(|line| if line.starts_with("members") { format!("members = [{members}]") } else { line.into() });
    Ok(narrowed.collect::<Vec<String>>().join("\n"))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
