//! `cargo xtask ctests`: the C interface against the reference, mimalloc's own library.
//!
//! 1. headers: ours compile by themselves in every standard, and declare the 190 functions of mimalloc 3.4.3 exactly, and
//!    every function of 3.6.2;
//! 2. symbols: the library exports each of them;
//! 3. programs: each of `tests/c`, compiled *once, against the reference's header and library*, passes on the reference
//!    and, the library exchanged under it, on ours; it also compiles against our header;
//!    programs of `tests/c/newest` likewise, against mimalloc 3.6.2;
//! 4. projects: those that look for mimalloc by CMake, by pkg-config and as an object file build and run on an install tree.

mod headers;
mod newest;
mod programs;
mod projects;
mod prototypes;
mod symbols;

use crate::bench::engines;
use crate::{packages, process, show, workspace};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use tempfile::TempDir;

#[derive(clap::Args)]
pub struct Args {
    /// Test this library (with a libferrimalloc.a beside it, for the projects) in place of a freshly built one.
    #[arg(long, value_name = "FILE")]
    lib: Option<PathBuf>,
    /// Only the programs, projects and checks of these names.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Run the programs on the reference alone.
    #[arg(long)]
    reference_only: bool,
}

const NEEDS: [&str; 7] = ["gcc", "g++", "nm", "make", "cmake", "pkg-config", "pip"];

/// What everybody here needs to know.
struct Bench {
    scratch: TempDir,
    /// The reference's install tree.
    reference: PathBuf,
    /// The second reference.
    newest: newest::Newest,
    /// Our shared library; none with `--reference-only`.
    library: Option<PathBuf>,
    only: Vec<String>,
}

/// A line of the final table; `failed` has the reason.
struct Row {
    name: String,
    cells: Vec<String>,
    failed: Option<String>,
}

pub fn execute(args: Args) -> Result<ExitCode> {
    let bench = Bench::new(args)?;
    let mut rows = headers::check(&bench);
    rows.extend(prototypes::check(&bench));
    rows.extend(symbols::check(&bench)?);
    rows.extend(programs::check(&bench)?);
    rows.extend(projects::check(&bench)?);
    Ok(conclude(&rows))
}

impl Bench {
    fn new(args: Args) -> Result<Self> {
        let logs = workspace::target().join("test-logs");
        fs::create_dir_all(&logs)?;
        let log = logs.join("ctests-packages.log");
        File::create(&log)?;
        packages::install(&NEEDS, &log)?;
        let library = if args.reference_only { None } else { Some(Self::find_library(args.lib)?) };
        let scratch = tempfile::Builder::new().prefix("ferrimalloc-ctests-").tempdir()?;
        Ok(Bench {
            scratch,
            reference: engines::wheel_of(engines::BASELINE)?.join("cmeel.prefix"),
            newest: newest::fetch()?,
            library,
            only: args.only,
        })
    }

    fn find_library(given: Option<PathBuf>) -> Result<PathBuf> {
        match given {
            Some(library) => library.canonicalize().with_context(|| library.display().to_string()),
            None => workspace::build_library(),
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// The reference's headers, as `-I` wants them.
    fn reference_headers(&self) -> PathBuf {
        self.reference.join("include/mimalloc-3.4")
    }

    fn reference_libraries(&self) -> PathBuf {
        self.reference.join("lib")
    }
}

fn tests() -> PathBuf {
    workspace::root().join("tests/c")
}

fn our_headers() -> PathBuf {
    workspace::root().join("include")
}

impl Row {
    fn new(name: impl Into<String>, cells: Vec<String>, outcome: Result<()>) -> Self {
        Row { name: name.into(), cells, failed: outcome.err().map(|error| format!("{error:#}")) }
    }
}

/// Runs a command for at most `limit` and returns what it printed; an error has the end of that.
fn output_of(command: &mut Command, limit: Duration) -> Result<String> {
    let log = tempfile::NamedTempFile::new()?;
    let output = File::options().append(true).open(log.path())?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let finished = process::bounded(command, limit)?;
    let text = String::from_utf8_lossy(&fs::read(log.path())?).into_owned();
    if !finished.succeeded() {
        bail!("{}\n{}", finished.describe(), tail(&text));
    }
    Ok(text)
}

fn tail(text: &str) -> String {
    const LINES: usize = 25;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

fn run(command: &mut Command, limit: Duration) -> Result<()> {
    output_of(command, limit).map(drop)
}

fn conclude(rows: &[Row]) -> ExitCode {
    let failed: Vec<&Row> = rows.iter().filter(|row| row.failed.is_some()).collect();
    for row in &failed {
        println!("\n-- {}: {}", row.name, row.failed.as_deref().unwrap_or_default());
    }
    println!();
    show::table(&rows.iter().map(table_row).collect::<Vec<_>>());
    println!("\n{} passed, {} failed", rows.len() - failed.len(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn table_row(row: &Row) -> Vec<String> {
    let verdict = if row.failed.is_some() { "FAILED" } else { "ok" };
    [vec![row.name.clone()], row.cells.clone(), vec![verdict.to_owned()]].concat()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
