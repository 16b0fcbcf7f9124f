//! `cargo xtask run`: a program under ferrimalloc; without a program, a comparison with and without it.

mod compare;

use crate::process::{self, Finished};
use crate::{show, workspace};
use anyhow::Result;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub struct Args {
    /// The program and its arguments. Without one, a program of this machine is compared with and without ferrimalloc.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

pub fn execute(args: Args) -> Result<ExitCode> {
    let library = workspace::build_library()?;
    match args.program.split_first() {
        Some((program, rest)) => preloaded(&library, program, rest),
        None => compare::execute(&library),
    }
}

fn preloaded(library: &Path, program: &OsString, rest: &[OsString]) -> Result<ExitCode> {
    eprintln!("ferrimalloc: running {} with LD_PRELOAD={}", program.display(), library.display());
    let finished = process::foreground(Command::new(program).args(rest).env("LD_PRELOAD", library))?;
    eprintln!("ferrimalloc: {}", closing_line(&finished));
    Ok(ExitCode::from(finished.code() as u8))
}

fn closing_line(finished: &Finished) -> String {
    format!("{}, {} wall, {}", finished.describe(), show::seconds(finished.wall), peak(finished))
}

fn peak(finished: &Finished) -> String {
    let floor = process::own_peak_rss();
    match finished.peak_rss {
        small if small <= floor => format!("peak RSS below {}", show::mebibytes(floor)),
        size => format!("peak RSS {}", show::mebibytes(size)),
    }
}
