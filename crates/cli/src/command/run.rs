//! `run`: a program with the library, and how it did.

use super::Run;
use crate::doctor::program;
use crate::failure::{Exit, Failure, Result};
use crate::library;
use crate::view::amount::{bytes, table};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How a run went.
pub(super) struct Finished {
    pub status: ExitStatus,
    pub wall: Duration,
    pub cpu: Duration,
    pub peak_bytes: u64,
}

pub fn execute(run: &Run) -> Result<ExitCode> {
    let libraries = if run.checks { library::find_with_checks()? } else { vec![library::find()?] };
    warn_of(&run.command[0]);
    match run.compare {
        Some(rounds) => compare(run, &libraries, rounds),
        None => once(run, &libraries),
    }
}

/// What keeps the library out of a program is better known before it runs than after it.
pub(super) fn warn_of(program: &OsStr) {
    for finding in program::look(program).into_iter().filter(|finding| finding.keeps_us_out()) {
        eprintln!("ferrimalloc: {}\n  {}", finding.what, finding.advice);
    }
}

fn once(run: &Run, libraries: &[PathBuf]) -> Result<ExitCode> {
    let finished = start(run, libraries, Output::Shown)?;
    if !run.quiet {
        eprintln!(
            "ferrimalloc: {:.2} s, {:.2} s of CPU, peak memory {}",
            finished.wall.as_secs_f64(),
            finished.cpu.as_secs_f64(),
            bytes(finished.peak_bytes)
        );
    }
    Ok(ExitCode::from(code(finished.status)))
}

/// A program's code, or 128 and its signal's number.
pub(super) fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    (code & 0xFF) as u8
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Shown,
    Dropped,
}

fn start(run: &Run, libraries: &[PathBuf], output: Output) -> Result<Finished> {
    let options = if libraries.is_empty() { Vec::new() } else { options(run) };
    launch(&run.command, libraries, &options, output)?.wait()
}

/// A program that runs.
pub(super) struct Started {
    pub pid: u32,
    since: Instant,
}

/// Starts a program with libraries preloaded, if there are any.
pub(super) fn launch(
    line: &[OsString],
    libraries: &[PathBuf],
    env: &[(String, String)],
    output: Output,
) -> Result<Started> {
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]);
    if output == Output::Dropped {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    if !libraries.is_empty() {
        command.env("LD_PRELOAD", preloaded(libraries)).envs(env.iter().cloned());
    }
    // SAFETY: between fork and exec only a call that is allowed there.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            libc::signal(libc::SIGQUIT, libc::SIG_DFL);
            Ok(())
        });
    }
    let since = Instant::now();
    let child = command.spawn().map_err(|error| cannot_run(&line[0], &error))?;
    Ok(Started { pid: child.id(), since })
}

impl Started {
    pub fn wait(self) -> Result<Finished> {
        wait(self.pid, self.since)
    }

    /// Whether it ends within `time`; it is still to be waited for.
    pub fn ends_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until {
            // SAFETY: integers only: all zero is a value.
            let mut state: libc::siginfo_t = unsafe { std::mem::zeroed() };
            let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            // SAFETY: the pointer is to memory of ours.
            let answer = unsafe { libc::waitid(libc::P_PID, self.pid, &mut state, how) };
            // SAFETY: a field that this call fills.
            if answer != 0 || unsafe { state.si_pid() } != 0 {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10).min(until.saturating_duration_since(Instant::now())));
        }
        false
    }
}

/// What is preloaded anyway comes behind ours.
fn preloaded(libraries: &[PathBuf]) -> OsString {
    let names: Vec<&OsStr> = libraries.iter().map(|library| library.as_os_str()).collect();
    let mut all = names.join(OsStr::new(":"));
    if let Some(others) = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
        all.push(":");
        all.push(others);
    }
    all
}

fn options(run: &Run) -> Vec<(String, String)> {
    let option = |name: &str, value: Option<String>| value.map(|value| (name.to_owned(), value));
    let number = |name, value: Option<u8>| option(name, value.map(|value| value.to_string()));
    let fixed = [
        number("SECURE", run.secure),
        number("DEBUG", run.debug),
        number("SHOW_STATS", run.stats.then_some(1)),
        option("LIMIT", run.limit.map(|bytes| format!("{}KiB", bytes.div_ceil(1024)))),
        option("PROFILE", run.profile.clone()),
    ];
    let all = fixed.into_iter().flatten().chain(run.option.iter().cloned());
    all.map(|(name, value)| (format!("MIMALLOC_{name}"), value)).collect()
}

fn cannot_run(program: &OsStr, error: &io::Error) -> Failure {
    let program = program.display();
    match error.kind() {
        io::ErrorKind::NotFound => Failure::new(
            Exit::NoProgram,
            format!("there is no program {program}"),
            "Give its path, or a name that the shell finds; behind `--` everything belongs to the program.",
        ),
        _ => Failure::new(
            Exit::CannotRun,
            format!("{program} can't be started: {error}"),
            format!("Is it executable? `ls -l {program}` tells."),
        ),
    }
}

/// Waits with Ctrl-C left to the program.
fn wait(pid: u32, started: Instant) -> Result<Finished> {
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: ignoring signals runs no handler; both pointers are to memory of ours.
    let waited = unsafe {
        let before = [libc::SIGINT, libc::SIGQUIT].map(|signal| (signal, libc::signal(signal, libc::SIG_IGN)));
        let mut waited = -1;
        while waited < 0 {
            waited = libc::wait4(pid as libc::pid_t, &mut status, 0, usage.as_mut_ptr());
            if waited < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                break;
            }
        }
        before.into_iter().for_each(|(signal, action)| _ = libc::signal(signal, action));
        waited
    };
    let wall = started.elapsed();
    if waited < 0 {
        let error = io::Error::last_os_error();
        return Err(Failure::new(Exit::System, format!("waiting failed: {error}"), "Is SIGCHLD ignored?"));
    }
    // SAFETY: zeroed, and filled by the system.
    let usage = unsafe { usage.assume_init() };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    Ok(Finished {
        status: ExitStatus::from_raw(status),
        wall,
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        peak_bytes: (usage.ru_maxrss as u64) << 10,
    })
}

fn compare(run: &Run, libraries: &[PathBuf], rounds: u32) -> Result<ExitCode> {
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        theirs.push(start(run, &[], Output::Dropped)?);
        ours.push(start(run, libraries, Output::Dropped)?);
    }
    println!("{rounds} runs each, in turns; medians");
    let row = |name: &str, value: &dyn Fn(&Finished) -> f64, text: &dyn Fn(f64) -> String| {
        let (before, after) = (median(&theirs, value), median(&ours, value));
        let ratio = if before > 0.0 { format!("{:.2}", after / before) } else { "–".into() };
        vec![name.into(), text(before), text(after), ratio]
    };
    let seconds = |value: f64| format!("{value:.3} s");
    print!(
        "{}",
        table(&[
            ["", "system", "ferrimalloc", "ratio"].map(String::from).to_vec(),
            row("wall", &|run| run.wall.as_secs_f64(), &seconds),
            row("CPU", &|run| run.cpu.as_secs_f64(), &seconds),
            row("peak memory", &|run| run.peak_bytes as f64, &|value| bytes(value as u64)),
        ])
    );
    let codes = |runs: &[Finished]| runs.iter().map(|run| code(run.status)).collect::<Vec<_>>();
    let (before, after) = (codes(&theirs), codes(&ours));
    if before != after {
        println!("exit codes differ: {before:?} with the system's malloc, {after:?} with ours");
    }
    Ok(ExitCode::from(after.into_iter().max().unwrap_or(0)))
}

pub(super) fn median(runs: &[Finished], value: &dyn Fn(&Finished) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
