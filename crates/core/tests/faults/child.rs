//! One try in a process of its own.

use crate::machine::Machine;
use crate::scenarios::Scenario;
use crate::world::{Weather, World};
use ferrimalloc_prim::sim::{self, Fault, Kind, Limits};
use std::panic::{self, AssertUnwindSafe};
use std::ptr;

/// A scenario, where, and with which calls refused.
#[derive(Clone, Copy)]
pub struct Try {
    pub scenario: &'static Scenario,
    pub machine: &'static Machine,
    pub kind: Kind,
    pub fault: Fault,
}

const KINDS: usize = Kind::BindNuma as usize + 1;
const SECONDS: u32 = 60;

pub struct Outcome {
    pub passed: bool,
    /// How many calls of each kind the scenario makes.
    pub calls: [usize; KINDS],
}

/// Runs a try in a child and reports how it went; tells on stderr if badly.
pub fn run(attempt: Try) -> Outcome {
    let calls = shared_calls();
    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork");
    if child == 0 {
        live(attempt, calls);
    }
    let status = wait(child);
    // SAFETY: the shared page, whose writer has ended.
    let outcome = Outcome { passed: status == 0, calls: unsafe { calls.read() } };
    // SAFETY: mapped above.
    unsafe { libc::munmap(calls.cast(), size_of::<[usize; KINDS]>()) };
    if status != 0 {
        eprintln!("{attempt}: {}", describe(status));
    }
    outcome
}

impl std::fmt::Display for Try {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Try { scenario, machine, kind, fault } = self;
        write!(out, "{} ({}, {kind:?} {fault:?})", scenario.name, machine.name)
    }
}

/// Memory for the counts, shared with the child.
fn shared_calls() -> *mut [usize; KINDS] {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh mapping.
    let page = unsafe { libc::mmap(ptr::null_mut(), size_of::<[usize; KINDS]>(), access, flags, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    page.cast()
}

fn wait(child: libc::pid_t) -> libc::c_int {
    let mut status = 0;
    // SAFETY: a child of ours and a local.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    status
}

fn describe(status: libc::c_int) -> String {
    if libc::WIFSIGNALED(status) {
        return format!("died of signal {}", libc::WTERMSIG(status));
    }
    format!("exit code {}", libc::WEXITSTATUS(status))
}

/// The child: never returns.
fn live(attempt: Try, calls: *mut [usize; KINDS]) -> ! {
    // SAFETY: no handler is installed: the alarm ends the process.
    unsafe { libc::alarm(SECONDS) };
    let lived = panic::catch_unwind(AssertUnwindSafe(|| endure(attempt, calls)));
    // SAFETY: ends the process without its parent's exit handlers.
    unsafe { libc::_exit(if lived.is_ok() { 0 } else { 101 }) }
}

fn endure(attempt: Try, calls: *mut [usize; KINDS]) {
    attempt.machine.start();
    sim::refuse(attempt.kind, attempt.fault);
    let may_fail = attempt.fault != Fault::Never || attempt.machine.is_tight;
    let mut world = World::new(if may_fail { Weather::Stormy } else { Weather::Fair });
    (attempt.scenario.run)(&mut world);
    world.check();
    // SAFETY: the shared page, which the parent reads when we have ended.
    unsafe { calls.write(count_calls()) };
    recover(attempt, world);
}

fn count_calls() -> [usize; KINDS] {
    use Kind::*;
    let mut calls = [0; KINDS];
    for kind in [Map, MapHuge, Unmap, Commit, Protect, Discard, Reset, Thp, DontDump, MovePages, BindNuma] {
        calls[kind as usize] = sim::calls(kind);
    }
    calls
}

/// The fault is over: what was allocated can be freed, and the same can be done again without a failure.
fn recover(attempt: Try, mut world: World) {
    sim::refuse(attempt.kind, Fault::Never);
    if world.nulls == 0 {
        world.weather = Weather::Fair;
    }
    world.finish();
    if attempt.machine.is_tight {
        sim::set_limits(Limits::NONE);
    }
    let mut again = World::new(if attempt.machine.is_tight { Weather::Stormy } else { Weather::Fair });
    (attempt.scenario.run)(&mut again);
    again.finish();
    again.weather = Weather::Fair;
    again.malloc(100);
    again.zalloc(10_000);
    again.malloc(1 << 20);
    again.finish();
}
