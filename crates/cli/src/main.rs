//! `ferrimalloc`: see `--help`.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    ferrimalloc_cli::command::Cli::parse().execute()
}
