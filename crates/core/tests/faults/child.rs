//! One try in a process of its own.

use crate::machine::Machine;
use crate::scenarios::Scenario;
use crate::support;
use crate::world::{Weather, World};
use ferrimalloc_prim::sim::{self, Fault, Kind, Limits};
use std::fmt;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::ptr;

/// A scenario, where, and with which calls refused.
#[derive(Clone, Copy)]
pub struct Try {
    pub scenario: &'static Scenario,
    pub machine: &'static Machine,
    pub kind: Kind,
    pub fault: Fault,
    seed: u64,
}

const KINDS: usize = Kind::BindNuma as usize + 1;
const SECONDS: u32 = 120;

/// How many calls of each kind a scenario made.
type Calls = [usize; KINDS];

impl Try {
    pub fn new(scenario: &'static Scenario, machine: &'static Machine, kind: Kind, fault: Fault) -> Try {
        Try { scenario, machine, kind, fault, seed: support::seed() }
    }

    /// Whether its name has one of the filters in it, if there are any.
    pub fn is_wanted(&self, filters: &[String]) -> bool {
        filters.is_empty() || filters.iter().any(|filter| self.to_string().contains(filter))
    }

    /// Whether it, or the same with a fault, might be wanted.
    pub fn may_lead_to(&self, filters: &[String]) -> bool {
        let place = format!("{} ({},", self.scenario.name, self.machine.name);
        self.is_wanted(filters) || filters.iter().any(|filter| filter.starts_with(&place))
    }

    /// A number that only follows from its name.
    fn number(&self) -> u64 {
        self.to_string().bytes().fold(0, |number, byte| support::mix(number ^ u64::from(byte)))
    }
}

impl fmt::Display for Try {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Try { scenario, machine, kind, fault, seed } = self;
        write!(out, "{} ({}, {kind:?} {fault:?}, seed {seed})", scenario.name, machine.name)
    }
}

/// A try that has ended.
pub struct Outcome {
    pub attempt: Try,
    pub calls: Calls,
    status: libc::c_int,
}

impl Outcome {
    pub fn passed(&self) -> bool {
        self.status == 0
    }

    /// The try and how it ended.
    pub fn story(&self) -> String {
        match libc::WIFSIGNALED(self.status) {
            true => format!("{}: died of signal {}", self.attempt, libc::WTERMSIG(self.status)),
            false => format!("{}: exit code {}", self.attempt, libc::WEXITSTATUS(self.status)),
        }
    }
}

/// A try that is running.
pub struct Child {
    pub pid: libc::pid_t,
    attempt: Try,
    calls: *mut Calls,
}

impl Child {
    pub fn start(attempt: Try) -> Child {
        let calls = shared_calls();
        // SAFETY: this process has one thread.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork");
        if pid == 0 {
            live(attempt, calls);
        }
        Child { pid, attempt, calls }
    }

    /// It has ended with this status.
    pub fn ended(self, status: libc::c_int) -> Outcome {
        // SAFETY: the shared page, whose writer has ended.
        let outcome = Outcome { attempt: self.attempt, calls: unsafe { self.calls.read() }, status };
        // SAFETY: mapped for this child.
        unsafe { libc::munmap(self.calls.cast(), size_of::<Calls>()) };
        outcome
    }
}

/// Memory for the counts, shared with the child.
fn shared_calls() -> *mut Calls {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh mapping.
    let page = unsafe { libc::mmap(ptr::null_mut(), size_of::<Calls>(), access, flags, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    page.cast()
}

/// The child: never returns.
fn live(attempt: Try, calls: *mut Calls) -> ! {
    // SAFETY: no handler is installed: the alarm ends the process.
    unsafe { libc::alarm(SECONDS) };
    panic::set_hook(Box::new(move |panic| tell(attempt, panic)));
    let lived = panic::catch_unwind(AssertUnwindSafe(|| endure(attempt, calls)));
    // SAFETY: ends the process without its parent's exit handlers.
    unsafe { libc::_exit(if lived.is_ok() { 0 } else { 101 }) }
}

/// On one line, so that whoever looks for panics in a log finds all of it.
fn tell(attempt: Try, panic: &PanicHookInfo) {
    eprintln!("{attempt}: {}", panic.to_string().replace('\n', " "));
}

fn endure(attempt: Try, calls: *mut Calls) {
    attempt.machine.start(attempt.number());
    sim::refuse(attempt.kind, attempt.fault);
    let may_fail = attempt.fault != Fault::Never || attempt.machine.is_tight;
    let mut world = World::new(if may_fail { Weather::Stormy } else { Weather::Fair });
    (attempt.scenario.run)(&mut world);
    world.check();
    // SAFETY: the shared page, which the parent reads when we have ended.
    unsafe { calls.write(count_calls()) };
    recover(attempt, world);
}

fn count_calls() -> Calls {
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
