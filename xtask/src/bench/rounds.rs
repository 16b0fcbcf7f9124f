//! Interleaved rounds: A B C A B C …, so that what the machine does meanwhile hits all engines alike. The first round
//! warms up and is thrown away; each round begins with another engine.

use super::cases::{self, Case};
use super::engines::Engine;
use super::results::Timing;
use super::sample::{Runner, Sample};
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// The measured rounds of every case.
pub fn run(cases: &[Case], engines: &[Engine], rounds: usize) -> Result<Vec<Timing>> {
    let runner = Runner::new(cases::build_measure()?)?;
    let progress = progress(cases.len() * engines.len() * (rounds + 1))?;
    let all = cases.iter().map(|case| run_case(&runner, case, engines, rounds, &progress)).collect();
    progress.finish_and_clear();
    Ok(all)
}

fn progress(steps: usize) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("  {bar:30} {pos}/{len} {eta_precise} left  {msg}")?;
    Ok(ProgressBar::new(steps as u64).with_style(style))
}

fn run_case(runner: &Runner, case: &Case, engines: &[Engine], rounds: usize, progress: &ProgressBar) -> Timing {
    let mut timing = Timing::new(case);
    for round in 0..=rounds {
        for turn in 0..engines.len() {
            let engine = &engines[(turn + round) % engines.len()];
            progress.set_message(format!("{} {}", case.name, engine.name));
            run_once(runner, case, engine, Round::numbered(round), &mut timing);
            progress.inc(1);
        }
    }
    timing
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    WarmUp,
    Measured,
}

impl Round {
    fn numbered(round: usize) -> Self {
        if round == 0 { Round::WarmUp } else { Round::Measured }
    }
}

/// An engine that failed once in a case is not tried in it again.
fn run_once(runner: &Runner, case: &Case, engine: &Engine, round: Round, timing: &mut Timing) {
    if timing.failures.contains_key(&engine.name) {
        return;
    }
    match runner.run(case, engine) {
        None => {}
        Some(Ok(sample)) => accept(engine, sample, round, timing),
        Some(Err(error)) => fail(engine, format!("{error:#}"), timing),
    }
}

fn accept(engine: &Engine, sample: Sample, round: Round, timing: &mut Timing) {
    if *timing.checksum.get_or_insert_with(|| sample.checksum.clone()) != sample.checksum {
        let expected = timing.checksum.clone().unwrap_or_default();
        fail(engine, format!("wrong checksum {} (others: {expected})", sample.checksum), timing);
    } else if round == Round::Measured {
        timing.samples.entry(engine.name.clone()).or_default().push(sample);
    }
}

fn fail(engine: &Engine, why: String, timing: &mut Timing) {
    eprintln!("  FAILED {}: {}: {why}", timing.case, engine.name);
    timing.samples.remove(&engine.name);
    timing.failures.insert(engine.name.clone(), why);
}
