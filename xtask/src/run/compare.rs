//! A real program of this machine with and without the library, in turns, and the medians side by side.

use crate::process::{self, Finished, Kib};
use crate::{packages, show, workspace};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

const ROUNDS: usize = 5;
const LIMIT: Duration = Duration::from_secs(300);

/// Something that most machines can run; `arguments` are files of `xtask/programs/compare`, or plain words.
struct Workload {
    what: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

const WORKLOADS: [Workload; 2] = [
    Workload {
        what: "python3 building and dropping objects (PYTHONMALLOC=malloc)",
        program: "python3",
        arguments: &["objects.py"],
        variables: &[("PYTHONMALLOC", "malloc")],
    },
    Workload {
        what: "g++ -O1 compiling a C++ program full of templates",
        program: "g++",
        arguments: &["-std=c++17", "-O1", "-c", "-o", "/dev/null", "containers.cpp"],
        variables: &[],
    },
];

#[derive(Default)]
struct Runs {
    wall: Vec<Duration>,
    user: Vec<Duration>,
    peak: Vec<Kib>,
}

pub fn execute(library: &Path) -> Result<ExitCode> {
    let present: Vec<&Workload> = WORKLOADS.iter().filter(|workload| workload.is_present()).collect();
    if present.is_empty() {
        bail!("neither python3 nor g++ is on this machine; name a program: cargo xtask run -- PROGRAM ARGS…");
    }
    println!("library: {}", library.display());
    for workload in present {
        workload.compare(library)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Workload {
    fn is_present(&self) -> bool {
        packages::is_there(self.program)
    }

    fn compare(&self, library: &Path) -> Result<()> {
        println!("\n{}: {ROUNDS} runs each, in turns; medians", self.what);
        let (mut before, mut after) = (Runs::default(), Runs::default());
        let spinner = show::Spinner::start(self.program);
        for _ in 0..ROUNDS {
            before.add(self.run(None)?);
            after.add(self.run(Some(library))?);
        }
        drop(spinner);
        print_comparison(&mut before, &mut after);
        Ok(())
    }

    fn run(&self, library: Option<&Path>) -> Result<Finished> {
        let mut command = Command::new(self.program);
        command.args(self.arguments).envs(self.variables.iter().copied());
        command.current_dir(workspace::programs().join("compare"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        library.map(|library| command.env("LD_PRELOAD", library));
        let finished = process::bounded(&mut command, LIMIT)?;
        finished.succeeded().then_some(()).with_context(|| format!("{}: {}", self.program, finished.describe()))?;
        Ok(finished)
    }
}

impl Runs {
    fn add(&mut self, run: Finished) {
        self.wall.push(run.wall);
        self.user.push(run.user);
        self.peak.push(run.peak_rss);
    }
}

fn print_comparison(before: &mut Runs, after: &mut Runs) {
    show::table(&[
        ["", "without", "with", "ratio"].map(String::from).to_vec(),
        time_row("wall", &mut before.wall, &mut after.wall),
        time_row("user CPU", &mut before.user, &mut after.user),
        size_row("peak RSS", &mut before.peak, &mut after.peak),
    ]);
}

fn time_row(name: &str, before: &mut [Duration], after: &mut [Duration]) -> Vec<String> {
    let (before, after) = (median(before), median(after));
    let ratio = after.as_secs_f64() / before.as_secs_f64();
    vec![name.into(), show::seconds(before), show::seconds(after), format!("{ratio:.2}")]
}

fn size_row(name: &str, before: &mut [Kib], after: &mut [Kib]) -> Vec<String> {
    let (before, after) = (median(before), median(after));
    let ratio = after.0 as f64 / before.0 as f64;
    vec![name.into(), show::mebibytes(before), show::mebibytes(after), format!("{ratio:.2}")]
}

fn median<T: Ord + Copy>(values: &mut [T]) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}
