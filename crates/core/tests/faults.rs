//! Whole scenarios on the in-memory operating system, each with the k-th call of a kind refused, for every k.
//!
//! While the fault lasts: what can't be had is null with `errno` set, nothing that is allocated is damaged, memory that
//! must be zero is, nothing aborts. After it: everything works again, and when all is freed no page is left.
//!
//! Each try is a process of its own, forked before the allocator has done anything, because its state is one per process; so
//! a try may begin with the very first call. A process that hangs is killed by its alarm.
//!
//! `cargo test -p ferrimalloc-core --features sim --test faults [-- SCENARIO…]`

#[path = "faults/child.rs"]
mod child;
#[path = "faults/machine.rs"]
mod machine;
#[path = "faults/scenarios.rs"]
mod scenarios;
mod support;
#[path = "faults/world.rs"]
mod world;

use child::{Outcome, Try};
use ferrimalloc_prim::sim::{Fault, Kind};
use machine::MACHINES;
use scenarios::{SCENARIOS, Scenario};
use std::process::ExitCode;

/// The calls that are refused. `DontDump` can't be, and nothing here maps huge pages or binds to nodes.
const KINDS: [Kind; 8] =
    [Kind::Map, Kind::Unmap, Kind::Commit, Kind::Protect, Kind::Discard, Kind::Reset, Kind::Thp, Kind::MovePages];

/// Every k up to here, and above so many more, evenly spread. `FERRIMALLOC_TEST_TIMES` multiplies it.
const EVERY: usize = 3;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted =
        |scenario: &&Scenario| filters.is_empty() || filters.iter().any(|name| scenario.name.contains(name));
    let mut tally = Tally::default();
    for scenario in SCENARIOS.iter().filter(is_wanted) {
        let before = tally;
        MACHINES.iter().for_each(|machine| tally.add(try_all(scenario, machine)));
        println!("test {} ... {}", scenario.name, tally.since(before));
    }
    println!("\ntest result: {}. {} passed; {} failed", tally.verdict(), tally.passed, tally.failed);
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Clone, Copy, Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    fn add(&mut self, more: Tally) {
        self.passed += more.passed;
        self.failed += more.failed;
    }

    fn count(&mut self, outcome: &Outcome) {
        if outcome.passed { self.passed += 1 } else { self.failed += 1 }
    }

    fn since(self, before: Tally) -> String {
        let (passed, failed) = (self.passed - before.passed, self.failed - before.failed);
        let verdict = if failed == 0 { "ok" } else { "FAILED" };
        format!("{verdict} ({passed} schedules survived, {failed} not)")
    }

    fn verdict(self) -> &'static str {
        if self.failed == 0 { "ok" } else { "FAILED" }
    }
}

/// A scenario on a machine: first undisturbed, then with every fault.
fn try_all(scenario: &'static Scenario, machine: &'static machine::Machine) -> Tally {
    let mut tally = Tally::default();
    let undisturbed = child::run(Try { scenario, machine, kind: Kind::Map, fault: Fault::Never });
    tally.count(&undisturbed);
    for kind in KINDS {
        let calls = undisturbed.calls[kind as usize];
        for fault in faults(calls).into_iter().filter(|fault| !is_beyond_simulation(machine, kind, *fault)) {
            tally.count(&child::run(Try { scenario, machine, kind, fault }));
        }
    }
    tally
}

/// A program that goes on asking while memory is out and every other mapping stays behind has more mappings in the end
/// than the simulated system has room for.
fn is_beyond_simulation(machine: &machine::Machine, kind: Kind, fault: Fault) -> bool {
    machine.is_tight && kind == Kind::Unmap && matches!(fault, Fault::Every(_))
}

/// One call refused, all from one on refused, every few refused.
fn faults(calls: usize) -> Vec<Fault> {
    let every = EVERY * support::times();
    let single = (1..=calls).filter(|&k| k <= every || k % (calls / every + 1) == 0).map(Fault::At);
    let lasting = [1, 5, 50].into_iter().filter(|&k| k <= calls).map(Fault::From);
    let repeated = [2].into_iter().filter(|&k| k <= calls).map(Fault::Every);
    single.chain(lasting).chain(repeated).collect()
}
