//! What the programs of `xtask/programs/jobs` print, with the system's allocator and with ours.

use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// What ended threads may leave behind, once a first round has warmed everything: half as much again, and some.
const SPARE_KIB: usize = 8 << 10;

/// What a run prints: a line. Ours gives back what is unused after `purge_delay` milliseconds.
pub fn line(mut jobs: Command, purge_delay: &str) -> Result<String> {
    let output = jobs.env("MIMALLOC_PURGE_DELAY", purge_delay).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {:?}", jobs.get_program()))?;
    if !output.status.success() {
        bail!("{jobs:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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

/// A line per allocator: ours and the system's, called `system`. The answers must be the same.
pub fn compare(lines: &[String; 2], system: &str) -> Result<String> {
    let [ours, theirs] = lines.each_ref().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let answers = |line: &[&str]| [1, 4, 7, 10, 13].map(|at| line.get(at).map(ToString::to_string));
    if ours.len() != 19 || theirs.len() != 19 || answers(&ours) != answers(&theirs) {
        bail!("the answers differ: {lines:?}");
    }
    let times = [0, 3, 6, 9, 12].map(|at| format!("{} {} ms, {system}'s {}", ours[at], ours[at + 2], theirs[at + 2]));
    Ok(format!("5 jobs: {}; working set {} KiB, {system}'s {}", times.join(", "), ours[18], theirs[18]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(answer: u32, last: u32) -> String {
        format!("a 1 2.0 b {answer} 3.0 c 5 4.0 d 6 7.0 e 7 8.0 kib 9 10000 {last}\n")
    }

    #[test]
    fn answers_must_be_the_same() {
        let text = compare(&[printed(7, 100), printed(7, 90_000)], "HeapAlloc").unwrap();
        assert!(text.ends_with("100 KiB, HeapAlloc's 90000"));
        assert!(compare(&[printed(7, 100), printed(8, 100)], "").is_err());
        assert!(compare(&[printed(7, 100), String::new()], "").is_err());
    }

    #[test]
    fn threads_must_leave_nothing() {
        assert!(check_left(&printed(7, 20_000)).is_ok());
        assert!(check_left(&printed(7, 90_000)).is_err());
        assert!(check_left("nonsense").is_err());
    }
}
