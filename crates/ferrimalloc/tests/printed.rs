//! What a program prints when it starts and ends, if its environment asks for it: this one, run again.

use std::env;
use std::process::Command;

use ferrimalloc::MiMalloc;

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

/// What this program says on standard error when it runs no test.
fn printed(variable: &str) -> String {
    let mut program = Command::new(env::current_exe().unwrap());
    let output = program.args(["--exact", "none"]).env(variable, "1").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn statistics_at_the_end() {
    let text = printed("MIMALLOC_SHOW_STATS");
    assert!(text.starts_with("subproc 0 (main)\n blocks"), "{text}");
    assert!(text.contains("\n  committed  ") && text.contains("\n process\n  numa nodes: "), "{text}");
}

#[test]
fn options_at_the_start() {
    let text = printed("MIMALLOC_VERBOSE");
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in {text}"));
    assert!(at("process started, ") < at("\nferrimalloc "));
    assert!(at("\nferrimalloc ") < at("\noption 'verbose': 1 (set)\n"));
}
