//! Children: measured, bounded in time, and never left behind.
//!
//! A [`bounded`] child leads a process group of its own; when its time is up the whole group is killed. Whatever escapes
//! from the group (a server's daemon) is adopted by this process, a "child subreaper", and killed by [`kill_strays`].
//! Ctrl-C kills the group too, by [`die_with_the_group`].
//! Children run one after another, never two at a time: every other child of this process is then a stray.

use anyhow::{Context, Result, ensure};
use nix::libc;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{self, SigHandler, Signal};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};
use wait4::Wait4;

/// What a finished child cost. Times and memory include the descendants that it waited for.
pub struct Finished {
    pub status: ExitStatus,
    pub wall: Duration,
    pub user: Duration,
    /// The largest resident set of the child or of one of its descendants.
    pub peak_rss: Kib,
    pub ended: Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    ByItself,
    TimeIsUp,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Kib(pub u64);

impl Finished {
    /// The shell's number for the status: the exit code, or 128 plus the signal.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    pub fn succeeded(&self) -> bool {
        self.status.success() && self.ended == Ended::ByItself
    }

    /// "exit status 1", "signal: 11 (SIGSEGV)", "time is up".
    pub fn describe(&self) -> String {
        match self.ended {
            Ended::ByItself => self.status.to_string(),
            Ended::TimeIsUp => format!("time was up after {:.0} s", self.wall.as_secs_f64()),
        }
    }
}

/// Runs a child in the foreground of the terminal, without a bound.
///
/// The terminal's Ctrl-C reaches the child too; we outlive it to report.
pub fn foreground(command: &mut Command) -> Result<Finished> {
    let started = Instant::now();
    let child = spawn(command)?;
    handle(&[Signal::SIGINT, Signal::SIGQUIT], SigHandler::SigIgn)?;
    reap(child, started)
}

/// Runs a child in its own process group for at most `limit`, then kills what is left of it.
pub fn bounded(command: &mut Command, limit: Duration) -> Result<Finished> {
    set_child_subreaper(true)?;
    let started = Instant::now();
    let child = spawn(command.process_group(0))?;
    let group = child.id() as libc::pid_t;
    CURRENT_GROUP.store(group, Ordering::Relaxed);
    handle(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP], SigHandler::Handler(die_with_the_group))?;
    let (done, watch) = channel::<()>();
    let watchdog = thread::spawn(move || match watch.recv_timeout(limit) {
        Err(RecvTimeoutError::Timeout) => {
            kill_group(group);
            Ended::TimeIsUp
        }
        _ => Ended::ByItself,
    });
    let finished = reap(child, started);
    drop(done);
    let ended = watchdog.join().expect("the watchdog does not panic");
    kill_group(group);
    CURRENT_GROUP.store(NO_GROUP, Ordering::Relaxed);
    kill_strays();
    Ok(Finished { ended, ..finished? })
}

/// Runs a tool that takes a moment, and answers what it has printed; an error ends with what it complained of.
pub fn read(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {program}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}\n{}", output.status, last_lines(&complaint, COMPLAINT_LINES));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

const COMPLAINT_LINES: usize = 10;

pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))
}

fn reap(mut child: Child, started: Instant) -> Result<Finished> {
    let used = child.wait4().context("wait4")?;
    Ok(Finished {
        status: used.status,
        wall: started.elapsed(),
        user: used.rusage.utime,
        peak_rss: Kib(used.rusage.maxrss / 1024),
        ended: Ended::ByItself,
    })
}

/// The largest resident set of this program so far: a child's figure starts from it (the kernel counts the moment
/// between `fork` and `exec`), so a child's peak below it can't be told. Not `getrusage`'s, which has that of `cargo`, of
/// which this program has taken the place.
pub fn own_peak_rss() -> Kib {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
    Kib(peak.and_then(|kib| kib.trim().parse().ok()).unwrap_or_default())
}

/// One that is gone already is as good as killed.
fn kill_group(group: libc::pid_t) {
    let _ = signal::killpg(Pid::from_raw(group), Signal::SIGKILL);
}

/// The group of the bounded child that runs now, for the signal handler.
static CURRENT_GROUP: AtomicI32 = AtomicI32::new(NO_GROUP);
const NO_GROUP: libc::pid_t = 0;

extern "C" fn die_with_the_group(signal: libc::c_int) {
    let group = CURRENT_GROUP.load(Ordering::Relaxed);
    if group != NO_GROUP {
        kill_group(group);
    }
    // SAFETY: `_exit` may be called at any time.
    unsafe { libc::_exit(128 + signal) };
}

fn handle(signals: &[Signal], handler: SigHandler) -> Result<()> {
    for &signal in signals {
        // SAFETY: the handlers call nothing but `kill` and `_exit`, which are async-signal-safe.
        unsafe { signal::signal(signal, handler) }?;
    }
    Ok(())
}

/// Kills every child of this process and what these leave behind.
fn kill_strays() {
    loop {
        let strays = children();
        if strays.is_empty() {
            return;
        }
        for stray in strays {
            // Nobody has waited for it, so its number can't have been reused.
            let _ = signal::kill(stray, Signal::SIGKILL);
            let _ = waitpid(stray, None);
        }
    }
}

fn children() -> Vec<Pid> {
    let me = std::process::id() as libc::pid_t;
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| parent_of(pid) == Some(me)).map(Pid::from_raw).collect()
}

/// The parent's number: the second field after the name in parentheses.
fn parent_of(pid: libc::pid_t) -> Option<libc::pid_t> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}
