//! Children: measured, bounded in time, and never left behind.
//!
//! A [`bounded`] child leads a process group of its own; when its time is up the whole group is killed. Whatever escapes
//! from the group (a server's daemon) is adopted by this process, a "child subreaper", and killed by [`kill_strays`].
//! Ctrl-C kills the group too, by [`die_with_the_group`].
//! Children run one after another, never two at a time: every other child of this process is then a stray.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

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
    let pid = spawn(command)?;
    ignore_keyboard_signals();
    reap(pid, started)
}

/// Runs a child in its own process group for at most `limit`, then kills what is left of it.
pub fn bounded(command: &mut Command, limit: Duration) -> Result<Finished> {
    adopt_orphans();
    let started = Instant::now();
    let pid = spawn(command.process_group(0))?;
    take_the_group_along(pid);
    let (done, watch) = channel();
    let watchdog = thread::spawn(move || kill_group_after(pid, limit, &watch));
    let finished = reap(pid, started);
    let ended = stop_watchdog(done, watchdog);
    kill_group(pid);
    take_the_group_along(NO_GROUP);
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

fn spawn(command: &mut Command) -> Result<libc::pid_t> {
    let child = command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    Ok(child.id() as libc::pid_t)
}

fn stop_watchdog(done: Sender<()>, watchdog: thread::JoinHandle<Ended>) -> Ended {
    drop(done);
    watchdog.join().expect("the watchdog does not panic")
}

fn kill_group_after(group: libc::pid_t, limit: Duration, watch: &Receiver<()>) -> Ended {
    if watch.recv_timeout(limit) != Err(RecvTimeoutError::Timeout) {
        return Ended::ByItself;
    }
    kill_group(group);
    Ended::TimeIsUp
}

fn reap(pid: libc::pid_t, started: Instant) -> Result<Finished> {
    let (status, usage) = wait4(pid)?;
    Ok(Finished {
        status,
        wall: started.elapsed(),
        user: duration(usage.ru_utime),
        peak_rss: Kib(usage.ru_maxrss as u64),
        ended: Ended::ByItself,
    })
}

fn wait4(pid: libc::pid_t) -> Result<(ExitStatus, libc::rusage)> {
    let mut status = 0;
    // SAFETY: an all-zero `rusage` is a valid value of this plain C struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live locals; `pid` is a child of ours that nobody else waits for.
        if unsafe { libc::wait4(pid, &mut status, 0, &mut usage) } == pid {
            return Ok((ExitStatus::from_raw(status), usage));
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error).context("wait4");
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}

/// The largest resident set of this program so far: a child's figure starts from it (the kernel counts the moment
/// between `fork` and `exec`), so a child's peak below it can't be told. Not `getrusage`'s, which has that of `cargo`, of
/// which this program has taken the place.
pub fn own_peak_rss() -> Kib {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
    Kib(peak.and_then(|kib| kib.trim().parse().ok()).unwrap_or_default())
}

fn kill_group(group: libc::pid_t) {
    // SAFETY: `kill` has no memory preconditions; the group is led by a child of ours.
    unsafe { libc::kill(-group, libc::SIGKILL) };
}

/// The group of the bounded child that runs now, for the signal handler.
static CURRENT_GROUP: AtomicI32 = AtomicI32::new(NO_GROUP);
const NO_GROUP: libc::pid_t = 0;

fn take_the_group_along(group: libc::pid_t) {
    CURRENT_GROUP.store(group, Ordering::Relaxed);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler calls nothing but `kill` and `_exit`, which are async-signal-safe.
        unsafe { libc::signal(signal, die_with_the_group as *const () as libc::sighandler_t) };
    }
}

extern "C" fn die_with_the_group(signal: libc::c_int) {
    let group = CURRENT_GROUP.load(Ordering::Relaxed);
    if group != NO_GROUP {
        kill_group(group);
    }
    // SAFETY: `_exit` may be called at any time.
    unsafe { libc::_exit(128 + signal) };
}

fn ignore_keyboard_signals() {
    // SAFETY: SIG_IGN is a valid disposition for both signals.
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        libc::signal(libc::SIGQUIT, libc::SIG_IGN);
    }
}

fn adopt_orphans() {
    // SAFETY: this `prctl` takes plain numbers.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// Kills every child of this process and what these leave behind.
fn kill_strays() {
    loop {
        let strays = children();
        if strays.is_empty() {
            return;
        }
        strays.into_iter().for_each(kill_and_reap);
    }
}

fn kill_and_reap(pid: libc::pid_t) {
    // SAFETY: `pid` is a child of ours that nobody has waited for, so its number can't have been reused.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    // A child that was reaped in the meantime is as good as killed.
    let _ = wait4(pid);
}

fn children() -> Vec<libc::pid_t> {
    let me = std::process::id() as libc::pid_t;
    let Ok(folder) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| parent_of(pid) == Some(me)).collect()
}

/// The parent's number: the second field after the name in parentheses.
fn parent_of(pid: libc::pid_t) -> Option<libc::pid_t> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}
