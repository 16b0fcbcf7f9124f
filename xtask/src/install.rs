//! `cargo xtask install --prefix P`: builds the libraries and has `packaging/install.sh`, which says what there is, install them.

use crate::{process, workspace};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub struct Args {
    /// Where to install: gets `include` and `lib`.
    #[arg(long, value_name = "FOLDER")]
    prefix: PathBuf,
    /// Install the libferrimalloc.so and .a of this folder in place of building them.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
}

pub fn execute(args: Args) -> Result<ExitCode> {
    match args.from {
        Some(folder) => install(&folder, &args.prefix)?,
        None => install_built(&args.prefix)?,
    }
    println!("installed in {}", args.prefix.display());
    Ok(ExitCode::SUCCESS)
}

/// Builds both libraries and installs them below `prefix`.
pub fn install_built(prefix: &Path) -> Result<()> {
    let library = workspace::build_library()?;
    workspace::build_checks()?;
    install(library.parent().context("a file has a folder")?, prefix)
}

fn install(from: &Path, prefix: &Path) -> Result<()> {
    let script = workspace::root().join("packaging/install.sh");
    process::read(Command::new("sh").arg(script).args([from, prefix])).map(drop)
}
