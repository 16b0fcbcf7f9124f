//! What the programs of `xtask/programs/jobs` print, with the system's allocator and with ours.

use crate::process;
use anyhow::{Context, Result, bail, ensure};
use std::process::Command;

/// What ended threads may leave behind, once a first round has warmed everything: half as much again, and some.
const SPARE_KIB: usize = 8 << 10;

/// What a run prints: a line. Ours gives back what is unused after `purge_delay` milliseconds.
pub fn line(mut jobs: Command, purge_delay: &str) -> Result<String> {
    process::read(jobs.env("MIMALLOC_PURGE_DELAY", purge_delay))
}

/// A line of ours that gave back at once what was unused.
pub fn check_left(line: &str) -> Result<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [.., first, last] = words[..] else { bail!("the jobs printed: {line}") };
    let (first, last): (usize, usize) = (first.parse()?, last.parse()?);
    if last > first + first / 2 + SPARE_KIB {
        bail!("threads that have ended leave memory behind: {first} KiB after the first, {last} KiB after the last");
    }
    Ok(())
}

/// A line of ours and one of the system's allocator, each five jobs and, last, the working set.
pub fn told(ours: &str, theirs: &str, system: &str) -> Result<String> {
    let times = compare(ours, theirs, 5, system)?;
    let last = |line: &str| line.split_whitespace().next_back().map(str::to_owned).context("an empty line");
    Ok(format!("5 jobs: {times}; working set {} KiB, {system}'s {}", last(ours)?, last(theirs)?))
}

/// The times of two lines that begin with so many jobs: a name, an answer and milliseconds each. The answers must be the same.
pub fn compare(ours: &str, theirs: &str, count: usize, system: &str) -> Result<String> {
    let [ours, theirs] = [ours, theirs].map(|line| line.split_whitespace().collect::<Vec<_>>());
    ensure!(ours.len() == theirs.len() && ours.len() > 3 * count, "the lines are {ours:?} and {theirs:?}");
    let mut times = Vec::new();
    for (ours, theirs) in ours.chunks(3).zip(theirs.chunks(3)).take(count) {
        ensure!(ours[..2] == theirs[..2], "the answers differ: {ours:?}, {system}'s {theirs:?}");
        times.push(format!("{} {} ms, {system}'s {}", ours[0], ours[2], theirs[2]));
    }
    Ok(times.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(answer: u32, last: u32) -> String {
        format!("a 1 2.0 b {answer} 3.0 c 5 4.0 d 6 7.0 e 7 8.0 kib 9 10000 {last}\n")
    }

    #[test]
    fn answers_must_be_the_same() {
        let text = told(&printed(7, 100), &printed(7, 90_000), "HeapAlloc").unwrap();
        assert!(text.ends_with("100 KiB, HeapAlloc's 90000"));
        assert!(told(&printed(7, 100), &printed(8, 100), "").is_err());
        assert!(told(&printed(7, 100), "", "").is_err());
    }

    #[test]
    fn threads_must_leave_nothing() {
        assert!(check_left(&printed(7, 20_000)).is_ok());
        assert!(check_left(&printed(7, 90_000)).is_err());
        assert!(check_left("nonsense").is_err());
    }
}
