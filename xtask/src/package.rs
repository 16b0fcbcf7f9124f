//! `cargo xtask package --out FOLDER`: builds the libraries and makes the packages of `packaging/package.py` of it.

use crate::{install, process, workspace};
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub struct Args {
    /// Where the packages go. What was there is removed.
    #[arg(long, value_name = "FOLDER", default_value = "target/packages")]
    out: PathBuf,
    /// Also build the command `ferrimalloc`, for the Debian package of tools.
    #[arg(long)]
    tool: bool,
}

pub fn execute(args: Args) -> Result<ExitCode> {
    let scratch = tempfile::tempdir()?;
    let tree = scratch.path().join("tree");
    install::install_built(&tree)?;
    let mut make = Command::new("python3");
    make.arg(workspace::root().join("packaging/package.py")).arg(tree).arg(&args.out);
    if args.tool {
        run_visibly(&mut workspace::cargo(&["build", "--quiet", "-p", "ferrimalloc-cli", "--profile", "tool"]))?;
        make.arg("--tool").arg(workspace::target().join("tool/ferrimalloc"));
    }
    run_visibly(&mut make)?;
    Ok(ExitCode::SUCCESS)
}

fn run_visibly(command: &mut Command) -> Result<()> {
    let finished = process::foreground(command)?;
    ensure!(finished.succeeded(), "{}: {}", command.get_program().display(), finished.describe());
    Ok(())
}
