//! The copy of the sources in which mutants are made: a workspace of the core and what it needs.

use crate::{process, workspace};
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATES: [&str; 2] = ["prim", "core"];

pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// A fresh copy. What was built from the last one is used again.
    pub fn copy() -> Result<Tree> {
        let root = workspace::target().join("mutants/tree");
        let crates = root.join("crates");
        fs::create_dir_all(&crates)?;
        for name in CRATES {
            process::read(Command::new("rm").arg("-rf").arg(crates.join(name)))?;
            process::read(Command::new("cp").arg("-r").arg(workspace::root().join("crates").join(name)).arg(&crates))?;
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
