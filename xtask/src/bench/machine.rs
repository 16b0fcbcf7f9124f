//! What the figures were measured on.

use crate::process::Kib;
use serde::{Deserialize, Serialize};
use std::fs;
use std::process::Command;

#[derive(Clone, Serialize, Deserialize)]
pub struct Machine {
    pub target: String,
    pub processor: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
    pub system: String,
    pub compiler: String,
    /// `/sys/kernel/mm/transparent_hugepage/enabled`, the chosen word.
    pub transparent_huge_pages: String,
    pub overcommit: String,
    /// The average number of runnable tasks over the last minute, before the run.
    pub load: String,
}

pub fn describe() -> Machine {
    Machine {
        target: target(),
        processor: field_of_file("/proc/cpuinfo", "model name"),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mib: memory_mib(),
        kernel: first_line_of("/proc/sys/kernel/osrelease"),
        system: field_of_file("/etc/os-release", "PRETTY_NAME").trim_matches('"').to_owned(),
        compiler: first_line_printed("gcc", "--version"),
        transparent_huge_pages: chosen_word(&first_line_of("/sys/kernel/mm/transparent_hugepage/enabled")),
        overcommit: first_line_of("/proc/sys/vm/overcommit_memory"),
        load: first_line_of("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
    }
}

pub fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

pub fn today() -> String {
    first_line_printed("date", "+%Y-%m-%d")
}

/// What a measured program may use before it is killed: 12 GiB, or 6 tenths of a smaller machine's memory.
pub fn most_memory() -> Kib {
    const MOST: Kib = Kib(12 * 1024 * 1024);
    Kib(memory_mib() * 1024 * 6 / 10).min(MOST)
}

fn first_line_of(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

pub fn first_line_printed(program: &str, argument: &str) -> String {
    let printed = Command::new(program).arg(argument).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&printed).lines().next().unwrap_or_default().to_owned()
}

/// The value of the first line `name : value` or `name=value`.
fn field_of_file(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once([':', '=']).map_or("unknown", |(_, value)| value.trim()).to_owned()
}

fn memory_mib() -> u64 {
    let total = field_of_file("/proc/meminfo", "MemTotal");
    total.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// `always [madvise] never` → `madvise`.
fn chosen_word(line: &str) -> String {
    line.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("none", |(word, _)| word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_in_brackets_is_the_chosen_one() {
        assert_eq!(chosen_word("always [madvise] never"), "madvise");
        assert_eq!(chosen_word(""), "none");
    }
}
