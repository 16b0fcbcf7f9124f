//! `cargo xtask size-classes`: how much memory the size classes waste in real programs, and what others would.
//!
//! * `record`: what sizes programs ask for, by a preload library of ours; kept in `xtask/sizes/`.
//! * `tables`: the classes that there are, other ways to choose them, and what each costs a program.
//! * `page`: `docs/SIZE_CLASSES.md`.

mod page;
mod record;
mod tables;

use crate::{pages, workspace};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Record the programs' sizes anew; those that are not installed are left as they are.
    #[arg(long)]
    record: bool,
}

/// Size in bytes; blocks in all; blocks in use when most bytes were.
type Sizes = Vec<(usize, u64, u64)>;

/// What a program asked for, up to 512 KiB.
#[derive(Serialize, Deserialize)]
struct Histogram {
    program: String,
    command: String,
    sizes: Sizes,
}

pub fn execute(args: Args) -> Result<ExitCode> {
    if args.record {
        record::record_all()?;
    }
    let file = pages::document("SIZE_CLASSES.md");
    fs::write(&file, page::text(&load()?)?)?;
    println!("wrote {}", file.display());
    Ok(ExitCode::SUCCESS)
}

fn folder() -> PathBuf {
    workspace::root().join("xtask/sizes")
}

fn load() -> Result<Vec<Histogram>> {
    let mut files: Vec<_> = fs::read_dir(folder())?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file)?;
        serde_json::from_str(&text).with_context(|| file.display().to_string())
    };
    files.iter().map(read).collect()
}
