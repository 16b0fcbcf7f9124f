//! The tests of a file once more, each time in a process whose environment asks for checked or guarded blocks.

use std::env;
use std::process::Command;

/// What is tried: every kind of hardened page, and guarded blocks in ordinary and in hardened theaps.
const LEVELS: [&[(&str, &str)]; 5] = [
    &[("MIMALLOC_SECURE", "2")],
    &[("MIMALLOC_SECURE", "4")],
    &[("MIMALLOC_SECURE", "5"), ("MIMALLOC_GUARDED_SAMPLE_RATE", "50")],
    &[("MIMALLOC_DEBUG", "3")],
    &[("MIMALLOC_GUARDED_SAMPLE_RATE", "20")],
];

/// The variables that choose a level.
const VARIABLES: [&str; 3] = ["MIMALLOC_SECURE", "MIMALLOC_DEBUG", "MIMALLOC_GUARDED_SAMPLE_RATE"];

/// Whether this process runs at a level.
pub fn has_level() -> bool {
    VARIABLES.into_iter().any(|name| env::var_os(name).is_some())
}

/// By how much the repetitions of a long test are divided when a level is on, as there are many.
pub fn share() -> usize {
    if has_level() { 3 } else { 1 }
}

/// What this process was asked to skip.
fn skipped_here() -> Vec<String> {
    let arguments: Vec<String> = env::args().collect();
    arguments.windows(2).filter(|pair| pair[0] == "--skip").flatten().cloned().collect()
}

/// Runs the file's tests but those to `skip`, and those to `skip_guarded` where blocks are guarded, at every level. Error messages end up in the output, and would mean that
/// something right was taken for wrong.
pub fn at_every_level(skip: &[&str], skip_guarded: &[&str]) {
    if has_level() {
        return;
    }
    for levels in LEVELS {
        let mut tests = Command::new(env::current_exe().expect("a test program"));
        tests.args(skip.iter().flat_map(|name| ["--skip", name])).args(["--test-threads", "1"]).args(skipped_here());
        // Debug levels guard some blocks, too.
        if levels.iter().any(|(name, _)| *name != "MIMALLOC_SECURE") {
            tests.args(skip_guarded.iter().flat_map(|name| ["--skip", name]));
        }
        let output = tests.envs(levels.iter().copied()).output().expect("the same program again");
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{levels:?}: {}\n{text}", output.status);
        let complaint = text.lines().find(|line| line.contains("error: 0x"));
        assert_eq!(complaint, None, "{levels:?}");
    }
}
