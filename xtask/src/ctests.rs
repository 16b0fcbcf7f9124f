//! `cargo xtask ctests`: the C interface against the reference, mimalloc's own library. `tests/c/run.py` does it, and says what; here it
//! gets what it needs.

use crate::bench::engines;
use crate::{packages, process, workspace};
use anyhow::{Context, Result};
use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub struct Args {
    /// Test this library (with a libferrimalloc.a beside it, for the projects) in place of a freshly built one.
    #[arg(long, value_name = "FILE")]
    lib: Option<PathBuf>,
    /// Only the programs, projects and checks of these names.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Run the programs on the reference alone.
    #[arg(long)]
    reference_only: bool,
}

const NEEDS: [&str; 8] = ["gcc", "g++", "nm", "make", "cmake", "pkg-config", "pip", "python3"];

pub fn execute(args: Args) -> Result<ExitCode> {
    packages::install(&NEEDS, &workspace::log("ctests-packages")?)?;
    let library = match args.lib {
        _ if args.reference_only => PathBuf::new(),
        Some(library) => library.canonicalize().with_context(|| library.display().to_string())?,
        None => workspace::build_library()?,
    };
    let mut script = Command::new("python3");
    script.arg(workspace::root().join("tests/c/run.py")).current_dir(workspace::root());
    script
        .args(args.only.iter().flat_map(|only| ["--only", only]))
        .args(args.reference_only.then_some("--reference-only"));
    script.env("REFERENCE", engines::wheel_of(engines::BASELINE)?.join("cmeel.prefix"));
    script.env("NEWEST", engines::sources_of(engines::NEWEST)?.join("c_src/mimalloc"));
    script.env("LIBRARY", library).env("TARGET", workspace::target()).env("XTASK", env::current_exe()?);
    Ok(ExitCode::from(process::foreground(&mut script)?.code() as u8))
}
