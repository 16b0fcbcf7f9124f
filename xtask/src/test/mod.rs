//! `cargo xtask test`: every test there is, one after another, each under a heading, and one table at the end.
//!
//! A *case* is a stage of [`STAGES`], a guest, or a program of the matrix. A failed case never stops the next one.

pub mod attacks;
mod checked;
pub mod commands;
mod copies;
mod crates;
mod disassembly;
mod faces;
mod foreign_toolchain;
mod guests;
mod listing;
mod memory;
mod newcomer;
mod platforms;
mod probes;
mod profiles;
mod recorded;
mod scaling;
mod tally;
mod testbed;
pub mod trials;
mod workbench;

pub use testbed::{Pace, Testbed};
pub use workbench::Workbench;

use crate::matrix;
use crate::packages;
use crate::prove::{asan, fuzz, stress, valgrind};
use crate::show;
use anyhow::{Result, bail};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tally::Tally;
use trials::{Reach, Trials};

#[derive(clap::Args)]
pub struct Args {
    /// Only the stages and programs of these names; `matrix` stands for all programs, `guests` for all cases of `tests/guests`.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Leave out what takes long: the loom models and the slow programs.
    #[arg(long)]
    quick: bool,
    /// Print the names and what they stand for, and do nothing.
    #[arg(long)]
    list: bool,
}

/// What a stage says when it passed: one line.
pub type Verdict = Result<String>;

struct Stage {
    name: &'static str,
    what: &'static str,
    pace: Pace,
    run: fn(&Testbed) -> Verdict,
}

const fn stage(name: &'static str, what: &'static str, run: fn(&Testbed) -> Verdict) -> Stage {
    Stage { name, what, pace: Pace::Quick, run }
}

const fn slow_stage(name: &'static str, what: &'static str, run: fn(&Testbed) -> Verdict) -> Stage {
    Stage { pace: Pace::Slow, ..stage(name, what, run) }
}

/// Programs in C and C++ that feed the library bad input or no memory, or fork and end threads in odd ways, and check what
/// it answers.
fn bad_input(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("bad-input", BAD_INPUT_LIMIT)?;
    let programs = Trials::preloaded(&bench, Reach::Quick)?.all(&trials::of("bad-input")?, &[])?;
    Ok(format!("{programs} programs"))
}

const BAD_INPUT_LIMIT: Duration = Duration::from_secs(120);

/// How long each fuzz target runs.
const FUZZ_SECONDS: u64 = 20;

/// In this order: cheap checks first, then what needs the built library.
const STAGES: &[Stage] = &[
    stage("fmt", "cargo fmt --check", commands::fmt),
    stage(
        "clippy",
        "cargo clippy --all-targets, warnings denied; again with the in-memory OS and what tools are told",
        commands::clippy,
    ),
    stage("unit", "cargo test --workspace", commands::unit_tests),
    stage(
        "packaging",
        "packages for Debian, RPM, Python and node: made, installed, used and removed; Meson",
        commands::packaging,
    ),
    stage("compat", "the interfaces of the crates mimalloc and libmimalloc-sys", commands::compat_tests),
    slow_stage("crates", "cargo package: each crate is packed, and built from its package", crates::check),
    stage("newcomer", "the commands by which README begins with each language, as they stand there", newcomer::check),
    stage("book", "the book of docs/ is built, and links of all Markdown pages lead somewhere", commands::book),
    stage("sim", "the core's tests on the in-memory OS, with faults", commands::sim_tests),
    slow_stage("loom", "models of the protocols", commands::loom_models),
    stage("build", "cargo build --release", commands::build),
    stage("symbols", "what the library exports, against what is recorded, and imports", recorded::symbols),
    stage("api", "the public items of the crate ferrimalloc, against what is recorded", recorded::api),
    stage("listing", "instructions on the fast paths of malloc and free", listing::check),
    stage("probes", "what tracers find in the library: notes that lead to nops in slow paths", probes::check),
    slow_stage("scaling", "atomic read-modify-writes per allocation", scaling::check),
    stage("faces", "preloaded, linked, static and by dlopen", faces::check),
    slow_stage("c-interface", "cargo xtask ctests: the C interface against the reference", commands::ctests),
    stage("insight", "the command ferrimalloc reads processes that use the library", commands::insight),
    stage("bad-input", "wild frees, absurd sizes, errno, out of memory", bad_input),
    stage("profile", "the heap profiler in programs of which is known what they allocate", profiles::check),
    slow_stage("checked", "misuse under the levels of checking; programs under them", checked::check),
    stage("attacks", "the catalogue of attacks at every level, against the table in SECURITY.md", attacks::check),
    slow_stage("copies", "programs with checked copies; copies that are cut", copies::check),
    stage("stress", "threads, forks, ends of processes, libraries, the system out of memory", |testbed| {
        stress::check(testbed, Reach::Quick)
    }),
    stage("valgrind", "memcheck over programs with one error each, and over correct ones", |testbed| {
        valgrind::check(testbed, Reach::Quick)
    }),
    stage("asan-programs", "AddressSanitizer over programs with one error each, and over correct ones", |testbed| {
        asan::check(testbed, Reach::Quick)
    }),
    slow_stage("fuzz", "every fuzz target for a while", |testbed| fuzz::check(testbed, FUZZ_SECONDS)),
    Stage {
        pace: Pace::Asked,
        ..stage("platforms", "tests on other targets than this machine, natively and emulated", platforms::check)
    },
    Stage {
        pace: Pace::Asked,
        ..stage(
            "cpython",
            "free-threaded CPython on ferrimalloc: built, and its own tests beside stock",
            commands::cpython,
        )
    },
    stage("memory", "resident set and time against their limits", memory::check),
];

const PACKAGES: &str = "packages";
const MATRIX: &str = "matrix";
const GUESTS: &str = "guests";

/// What the stages themselves need; each program of the matrix names its own needs.
const NEEDS: [&str; 15] = [
    "gcc",
    "g++",
    "/usr/include/stdlib.h",
    "objdump",
    "nm",
    "readelf",
    "valgrind",
    "python3",
    "perl",
    "cmake",
    "pkg-config",
    "rpmbuild",
    "meson",
    "ninja",
    "/usr/lib/python3.11/ensurepip",
];

/// One thing that passes or fails.
pub struct Case {
    name: String,
    what: String,
    run: Box<dyn Fn(&Testbed) -> Verdict>,
}

impl Case {
    pub fn new(name: &str, what: &str, run: impl Fn(&Testbed) -> Verdict + 'static) -> Case {
        Case { name: name.into(), what: what.into(), run: Box::new(run) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

pub fn execute(args: Args) -> Result<ExitCode> {
    run_cases(&selected_cases(&args)?, args.list)
}

/// Runs cases one after another and prints the table; or only names them.
pub fn run_cases(cases: &[Case], list_only: bool) -> Result<ExitCode> {
    if list_only {
        list(cases);
        return Ok(ExitCode::SUCCESS);
    }
    let testbed = Testbed::new()?;
    let mut tally = Tally::default();
    for (number, case) in cases.iter().enumerate() {
        announce(case, number + 1, cases.len());
        run_case(case, &testbed, &mut tally);
    }
    Ok(tally.conclude())
}

impl Args {
    fn pace(&self) -> Pace {
        if self.quick { Pace::Quick } else { Pace::Slow }
    }

    /// `--only` chooses by name, `--quick` by pace; a name that is asked for is run at any pace.
    fn wants(&self, name: &str, group: &str, pace: Pace) -> bool {
        match self.only.is_empty() {
            true => pace <= self.pace(),
            false => self.only.iter().any(|only| only == name) || self.wants_group(group, pace),
        }
    }

    fn wants_group(&self, group: &str, pace: Pace) -> bool {
        self.only.iter().any(|only| only == group) && pace <= self.pace()
    }
}

fn selected_cases(args: &Args) -> Result<Vec<Case>> {
    let mut programs = matrix::programs()?;
    programs.retain(|program| args.wants(&program.name, MATRIX, program.pace));
    let mut guests = guests::guests()?;
    guests.retain(|guest| args.wants(&guest.name, GUESTS, Pace::Quick));
    let needs: Vec<String> = programs.iter().flat_map(|program| program.needs.clone()).collect();
    let stages = STAGES.iter().filter(|stage| args.wants(stage.name, stage.name, stage.pace));
    let mut cases: Vec<Case> = stages.map(|stage| Case::new(stage.name, stage.what, stage.run)).collect();
    cases.extend(guests.into_iter().map(guests::case));
    cases.extend(programs.into_iter().map(matrix::case));
    if cases.is_empty() {
        bail!("nothing is called {}; cargo xtask test --list names everything", args.only.join(", "));
    }
    cases.insert(0, packages_case(needs));
    Ok(cases)
}

/// Installs what the stages need, and `more`.
pub fn packages_case(more: Vec<String>) -> Case {
    let needs: Vec<String> = NEEDS.map(String::from).into_iter().chain(more).collect();
    Case::new(PACKAGES, "install what is missing", move |testbed| packages::install(&needs, &testbed.log(PACKAGES)?))
}

fn list(cases: &[Case]) {
    cases.iter().for_each(|case| println!("{:<18} {}", case.name, case.what));
}

fn announce(case: &Case, number: usize, count: usize) {
    println!("\n== [{number}/{count}] {}: {}", case.name, case.what);
}

fn run_case(case: &Case, testbed: &Testbed, tally: &mut Tally) {
    let spinner = show::Spinner::start(&case.name);
    let started = Instant::now();
    let verdict = (case.run)(testbed);
    drop(spinner);
    tally.add(&case.name, started.elapsed(), verdict);
}
