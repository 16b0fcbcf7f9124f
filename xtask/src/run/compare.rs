//! A real program of this machine with and without the library, in turns, and the medians side by side.

use crate::bench::median;
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
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let spinner = show::Spinner::start(self.program);
        for _ in 0..ROUNDS {
            before.push(self.run(None)?);
            after.push(self.run(Some(library))?);
        }
        drop(spinner);
        print_comparison(&before, &after);
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

fn print_comparison(before: &[Finished], after: &[Finished]) {
    let row = |name: &str, value: fn(&Finished) -> f64, show: fn(f64) -> String| {
        let [before, after] = [before, after].map(|runs| median(runs.iter().map(value).collect()).unwrap_or(f64::NAN));
        vec![name.into(), show(before), show(after), format!("{:.2}", after / before)]
    };
    let seconds = |value| show::seconds(Duration::from_secs_f64(value));
    show::table(&[
        ["", "without", "with", "ratio"].map(String::from).to_vec(),
        row("wall", |run| run.wall.as_secs_f64(), seconds),
        row("user CPU", |run| run.user.as_secs_f64(), seconds),
        row("peak RSS", |run| run.peak_rss.0 as f64, |kib| show::mebibytes(Kib(kib as u64))),
    ]);
}
