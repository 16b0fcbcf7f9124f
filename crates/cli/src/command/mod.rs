//! What the user can ask for.

mod bench;
mod look;
mod profile;
mod run;
mod symbolise;
mod target;
mod top;

pub use target::{Target, load};

use crate::failure::{Exit, Failure, Result, file_failure};
use crate::profile::Measure;
use crate::view::svg::Colour;
use crate::{doctor, library};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

const AFTER: &str = "Exit codes: 0 done; 1 doctor found something; 2 wrong command line; 3 no such process, or it may not be \
    read; 4 the process does not use ferrimalloc, or left no profile; 5 what was read can't be understood; 6 the system or a \
    file fails. `run`, `profile` and `leaks` end with their program's code, 128 and the signal's number if a signal ended it, \
    126 or 127 if it can't be started; `bench` with the greatest code of its runs.";

/// Run programs with the allocator ferrimalloc, and look into the heaps of those that use it.
///
/// Processes are read as they run: they are not stopped, and need no preparation.
#[derive(Parser, Debug)]
#[command(name = "ferrimalloc", version, after_help = AFTER)]
pub struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Run a program with the library, and report its time and memory.
    Run(Run),
    /// Find who allocates: a flame graph, or a file for pprof or DHAT, of a program or of a process that runs.
    Profile(Profiling),
    /// Run a program, and list what it has not freed at its end.
    Leaks(Leaks),
    /// Compare two profiles.
    Diff(Diff),
    /// Add names of functions and lines of code to a report of the library.
    Symbolise(Symbolise),
    /// Run a program with several allocators, in turns, and compare time and memory.
    Bench(Bench),
    /// Draw the heap of a process, a core file or a snapshot.
    Map(Map),
    /// Print gauges and counters.
    Stats(Stats),
    /// Watch a process's heap.
    Top(Top),
    /// Keep what is seen of a heap now, for other commands later.
    Snapshot(Keep),
    /// Look for what is wrong with the machine, a process or a program, and say what to do.
    Doctor(Doctor),
    /// Print completions for a shell.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

#[derive(Args, Debug)]
pub struct Run {
    /// Hardening, from 1 to 5 (MIMALLOC_SECURE): guards, hardened pages, canaries.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=5))]
    pub secure: Option<u8>,
    /// Checking, from 1 to 3 (MIMALLOC_DEBUG): filled memory, writes to freed memory.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=3))]
    pub debug: Option<u8>,
    /// Copies by memcpy, strcpy and their kin may not leave their blocks (libferrimalloc-checks.so).
    #[arg(long)]
    pub checks: bool,
    /// Print the allocator's statistics at the program's end (MIMALLOC_SHOW_STATS).
    #[arg(long)]
    pub stats: bool,
    /// At most so much memory (MIMALLOC_LIMIT): what is unused goes back first, then requests fail.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub limit: Option<u64>,
    /// Profile the heap (MIMALLOC_PROFILE): NAME.0001.pb, for pprof, is written at the program's end.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Another option of the library: `--option purge_delay=0` is MIMALLOC_PURGE_DELAY=0.
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub option: Vec<(String, String)>,
    /// Run it so often with the system's malloc and with ours, in turns, and compare. Its output is dropped.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub compare: Option<u32>,
    /// Report nothing.
    #[arg(long, short)]
    pub quiet: bool,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub command: Vec<OsString>,
}

#[derive(Args, Debug)]
pub struct Profiling {
    #[command(flatten)]
    pub options: ProfileOptions,
    /// The number of a process that uses the library; or a program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PID|PROGRAM")]
    pub target: Vec<OsString>,
}

#[derive(Args, Clone, Debug)]
pub struct ProfileOptions {
    /// Where to: .svg is a flame graph, .pb.gz and .pb are for pprof, .json for DHAT, .folded collapsed stacks, .txt or - text
    /// [default: flame.svg].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Look for so long: at a process, 10 unless it is said; at a program, until it ends.
    #[arg(long, short, value_name = "N")]
    pub seconds: Option<f64>,
    /// Mean bytes from one sample to the next [default: 64KiB for a program, 512KiB for a process].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub rate: Option<u64>,
    /// What is shown: in use at the end, all that was allocated, or what was in use when most was
    /// [default: peak for a program, in-use for a process].
    #[arg(long, short, value_enum, hide_default_value = true)]
    pub measure: Option<Measure>,
}

impl ProfileOptions {
    /// These, or where nothing is said, those.
    fn or(self, other: ProfileOptions) -> ProfileOptions {
        ProfileOptions {
            output: self.output.or(other.output),
            seconds: self.seconds.or(other.seconds),
            rate: self.rate.or(other.rate),
            measure: self.measure.or(other.measure),
        }
    }
}

#[derive(Args, Debug)]
pub struct Leaks {
    /// Write it to a file instead, as `profile` does.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Mean bytes from one sample to the next [default: 16KiB]; 1 finds every block, slowly.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub rate: Option<u64>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub command: Vec<OsString>,
}

#[derive(Args, Debug)]
pub struct Diff {
    /// The profile of before: .pb, .pb.gz or .folded.
    pub before: PathBuf,
    /// The profile of after.
    pub after: PathBuf,
    /// What is compared; collapsed stacks have one number only.
    #[arg(long, short, value_enum, default_value_t = Measure::InUse)]
    pub measure: Measure,
    /// Where to: .svg is a flame graph of the second, red where more is held and blue where less; .pb.gz, .pb, .folded; text.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
}

#[derive(Args, Debug)]
pub struct Symbolise {
    /// What the library has printed, among other lines; - is standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    pub report: PathBuf,
}

#[derive(Args, Debug)]
pub struct Bench {
    /// Which allocators, by commas: system, ferrimalloc, those that are installed (mimalloc, jemalloc, tcmalloc, …), or
    /// NAME=PATH or PATH of a library to preload [default: all that are there].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub engines: Vec<String>,
    /// How often each is run, after one run that doesn't count.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// A chart or the numbers: .svg or .json.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The program and its arguments. Its output is dropped.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub command: Vec<OsString>,
}

#[derive(Args, Debug)]
pub struct Map {
    /// The number of a process, a core file, or a snapshot.
    target: Target,
    /// Where to: its ending says what it is, .html or .svg; anything else, or `-`, is text.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// What the colours of an SVG say.
    #[arg(long, value_enum, default_value_t)]
    colour: Colour,
}

#[derive(Args, Debug)]
pub struct Stats {
    /// The number of a process, a core file, or a snapshot.
    target: Target,
    /// As JSON.
    #[arg(long, conflicts_with = "prometheus")]
    json: bool,
    /// As metrics for Prometheus (OpenMetrics).
    #[arg(long)]
    prometheus: bool,
}

#[derive(Args, Debug)]
pub struct Top {
    /// The number of a process.
    pub pid: u32,
    /// Seconds between looks.
    #[arg(long, short, value_name = "SECONDS", default_value_t = 1.0)]
    pub delay: f64,
    /// Print one look and end.
    #[arg(long)]
    pub once: bool,
}

#[derive(Args, Debug)]
pub struct Keep {
    /// The number of a process, or a core file.
    target: Target,
    /// The file to write.
    #[arg(long, short, value_name = "FILE", default_value = "heap.ferrimalloc")]
    output: PathBuf,
}

#[derive(Args, Debug)]
pub struct Doctor {
    /// The number of a process, or a program (with its path, or found as a shell would); without: the machine alone.
    pub patient: Option<OsString>,
}

/// `64KiB`, `64k`, `65536`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let shift = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err("a number of bytes is expected, as in 65536, 64KiB or 1MiB".into()),
    };
    let number = text[..digits].parse::<u64>().ok().filter(|number| *number > 0);
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "it must be a number above 0, and not larger than memory can be".into())
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected, as in purge_delay=0")?;
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("MIMALLOC_").unwrap_or(&name).to_owned();
    if doctor::is_option(&name) {
        return Ok((name, value.into()));
    }
    Err(format!("the library has no option {}; the table in README.md names the usual ones", name.to_ascii_lowercase()))
}

impl Cli {
    pub fn execute(self) -> ExitCode {
        // A reader that ends, as `head` does, ends us silently.
        // SAFETY: the default action; no handler runs.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        match self.what.execute() {
            Ok(code) => code,
            Err(failure) => {
                eprintln!("ferrimalloc: {failure}");
                failure.code()
            }
        }
    }
}

impl What {
    fn execute(self) -> Result<ExitCode> {
        match self {
            What::Run(run) => return run::execute(&run),
            What::Profile(profiling) => return profile::profile(&profiling),
            What::Leaks(leaks) => return profile::leaks(&leaks),
            What::Diff(diff) => profile::difference(&diff)?,
            What::Symbolise(report) => symbolise::execute(&report)?,
            What::Bench(bench) => return bench::execute(&bench),
            What::Map(map) => look::map(&map.target, &map.output, map.colour)?,
            What::Stats(stats) if stats.json => println!("{:#}", crate::view::stats::json(&load(&stats.target)?)),
            What::Stats(stats) if stats.prometheus => {
                print!("{}", crate::view::stats::openmetrics(&load(&stats.target)?));
            }
            What::Stats(stats) => print!("{}", crate::view::stats::text(&load(&stats.target)?)),
            What::Top(top) => top::execute(&top)?,
            What::Snapshot(keep) => look::keep(&keep.target, &keep.output)?,
            What::Doctor(patient) => return doctor::execute(patient.patient.as_deref()),
            What::Completions { shell } => {
                clap_complete::generate(shell, &mut Cli::command(), "ferrimalloc", &mut std::io::stdout());
            }
            What::Man => man()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn man() -> Result<()> {
    let mut page = Vec::new();
    let manual = |command: clap::Command, page: &mut Vec<u8>| clap_mangen::Man::new(command).render(page);
    let command = Cli::command();
    let failed = |error| file_failure(&PathBuf::from("man"), &error);
    manual(command.clone(), &mut page).map_err(failed)?;
    for sub in command.get_subcommands() {
        let name = format!("ferrimalloc {}", sub.get_name());
        let mut text = Vec::new();
        clap_mangen::Man::new(sub.clone().bin_name(&name)).render_options_section(&mut text).map_err(failed)?;
        page.extend(format!(".SH \"{}\"\n", name.to_uppercase()).into_bytes());
        page.extend(format!("{}\n", sub.get_about().map(ToString::to_string).unwrap_or_default()).into_bytes());
        page.extend(String::from_utf8_lossy(&text).replace(".SH OPTIONS", ".PP").into_bytes());
    }
    std::io::Write::write_all(&mut std::io::stdout(), &page).map_err(failed)
}

/// The library's file, for other parts.
pub fn library_path() -> Result<PathBuf> {
    library::find()
}

/// An error of the command line.
pub fn usage(what: impl Into<String>, next: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, what, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        let sizes = ["65536", "64k", "64KiB", "1MB"].map(|text| size(text).unwrap());
        assert_eq!(sizes, [65536, 65536, 65536, 1 << 20]);
        assert!(["", "k", "0", "5x", "99999999999999999999", "-1"].iter().all(|text| size(text).is_err()));
    }

    #[test]
    fn options_are_named_as_the_library_names_them() {
        assert_eq!(name_and_value("purge_delay=0").unwrap(), ("PURGE_DELAY".into(), "0".into()));
        assert_eq!(name_and_value("MIMALLOC_SECURE=4").unwrap().0, "SECURE");
        assert!(name_and_value("purge_dealy=0").unwrap_err().contains("purge_dealy"));
        assert!(name_and_value("purge_delay").is_err());
    }
}
