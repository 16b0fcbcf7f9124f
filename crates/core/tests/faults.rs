//! Whole scenarios on the in-memory operating system, each with the k-th call of a kind refused, for every k.
//!
//! While the fault lasts: what can't be had is null with `errno` set, nothing that is allocated is damaged, memory that
//! must be zero is, nothing aborts. After it: everything works again, and when all is freed no page is left.
//!
//! Each try is a process of its own, forked before the allocator has done anything, because its state is one per process; so
//! a try may begin with the very first call. A process that hangs is killed by its alarm. As many run at once as there are
//! processors.
//!
//! A try does the same whenever and wherever it is run: addresses and time are the simulated system's, and both follow
//! from the try's name and the seed. (Scenario `threads` alone depends on the machine's scheduling.) A failure prints that
//! name; the same is an argument to try it again:
//!
//! `cargo test -p ferrimalloc-core --features sim --test faults [-- PART-OF-A-NAME…]`
//!
//! The variable `FERRIMALLOC_TEST_SEED` gives other addresses and times, `FERRIMALLOC_TEST_TIMES` more faults.

#[path = "faults/child.rs"]
mod child;
#[path = "faults/crew.rs"]
mod crew;
#[path = "faults/machine.rs"]
mod machine;
#[path = "faults/scenarios.rs"]
mod scenarios;
mod support;
#[path = "faults/world.rs"]
mod world;

use child::{Outcome, Try};
use ferrimalloc_prim::sim::{Fault, Kind};
use machine::{MACHINES, Machine};
use scenarios::{SCENARIOS, Scenario};
use std::process::ExitCode;

/// The calls that are refused. `DontDump` can't be, and nothing here maps huge pages or binds to nodes.
const KINDS: [Kind; 8] =
    [Kind::Map, Kind::Unmap, Kind::Commit, Kind::Protect, Kind::Discard, Kind::Reset, Kind::Thp, Kind::MovePages];

/// Every k up to here, and above so many more, evenly spread. `FERRIMALLOC_TEST_TIMES` multiplies it.
const EVERY: usize = 3;

fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let undisturbed = crew::run(undisturbed_tries(&filters));
    let disturbed = undisturbed.iter().flat_map(|outcome| disturbed_tries(outcome, &filters)).collect();
    let mut outcomes = crew::run(disturbed);
    outcomes.extend(undisturbed);
    SCENARIOS.iter().for_each(|scenario| print_scenario(scenario, &outcomes));
    conclude(&outcomes)
}

/// Every scenario on every machine, if anything of it is asked for: the others' faults follow from these calls.
fn undisturbed_tries(filters: &[String]) -> Vec<Try> {
    let pairs = SCENARIOS.iter().flat_map(|scenario| MACHINES.iter().map(move |machine| (scenario, machine)));
    let tries = pairs.map(|(scenario, machine)| Try::new(scenario, machine, Kind::Map, Fault::Never));
    tries.filter(|attempt| attempt.may_lead_to(filters)).collect()
}

/// What an undisturbed try is tried with again: every fault that its calls give room for.
fn disturbed_tries(outcome: &Outcome, filters: &[String]) -> Vec<Try> {
    let Try { scenario, machine, .. } = outcome.attempt;
    let faults = |kind: Kind| {
        faults(outcome.calls[kind as usize], every(machine, kind)).into_iter().map(move |fault| (kind, fault))
    };
    let possible = KINDS.into_iter().flat_map(faults);
    let tries = possible.filter(|&(kind, fault)| !is_beyond_simulation(machine, kind, fault));
    let tries = tries.map(|(kind, fault)| Try::new(scenario, machine, kind, fault));
    tries.filter(|attempt| attempt.is_wanted(filters)).collect()
}

/// A program that goes on asking while memory is out and every other mapping stays behind has more mappings in the end
/// than the simulated system has room for.
fn is_beyond_simulation(machine: &Machine, kind: Kind, fault: Fault) -> bool {
    machine.is_tight && kind == Kind::Unmap && matches!(fault, Fault::Every(_))
}

/// How often a call is refused repeatedly: every second time, but not where that may mean that no arena can be had for ever.
/// Reserving one takes two commits there, of its part of the page map and of its structures, and each of thousands of attempts
/// leaves its part of the page map behind: more than the simulated system has room for.
fn every(machine: &Machine, kind: Kind) -> usize {
    if machine.commits_arenas() && kind == Kind::Commit { 3 } else { 2 }
}

/// One call refused, all from one on refused, every few refused.
fn faults(calls: usize, repeated: usize) -> Vec<Fault> {
    let every = EVERY * support::times();
    let single = (1..=calls).filter(|&k| k <= every || k % (calls / every + 1) == 0).map(Fault::At);
    let lasting = [1, 5, 50].into_iter().filter(|&k| k <= calls).map(Fault::From);
    let repeated = [repeated].into_iter().filter(|&k| k <= calls).map(Fault::Every);
    single.chain(lasting).chain(repeated).collect()
}

fn print_scenario(scenario: &Scenario, outcomes: &[Outcome]) {
    let of_scenario = || outcomes.iter().filter(|outcome| outcome.attempt.scenario.name == scenario.name);
    let failed = of_scenario().filter(|outcome| !outcome.passed()).count();
    let survived = of_scenario().count() - failed;
    if survived + failed > 0 {
        println!("test {} ... {} ({survived} schedules survived, {failed} not)", scenario.name, verdict(failed));
    }
}

fn conclude(outcomes: &[Outcome]) -> ExitCode {
    let failures: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    failures.iter().for_each(|outcome| println!("{} ... FAILED", outcome.story()));
    let (passed, failed) = (outcomes.len() - failures.len(), failures.len());
    println!("\ntest result: {}. {passed} passed; {failed} failed", verdict(failed));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn verdict(failed: usize) -> &'static str {
    if failed == 0 { "ok" } else { "FAILED" }
}
