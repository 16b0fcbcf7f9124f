//! `symbolise`: reports of misuse name the functions that have allocated the block, and freed it.

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use support::ferrimalloc;

const PROGRAM: &str = r#"
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) char *makes_block(void) { char *volatile p = malloc(100); return p; }
__attribute__((noinline)) void frees_first(char *p) { free(p); __asm__ volatile(""); }
__attribute__((noinline)) void frees_again(char *p) { free(p); __asm__ volatile(""); }
int main(int argc, char **argv) {
    char *p = makes_block();
    if (!strcmp(argv[1], "overflow")) *(volatile char *)(p + 100) ^= 1;
    frees_first(p);
    if (!strcmp(argv[1], "double")) frees_again(p);
    return 0;
}
"#;

/// The report on a run of the program, with names; at a level, with every allocation guarded or none.
fn report(program: &Path, misuse: &str, level: &str, guarded: &str) -> String {
    let options = ["--option", &format!("guarded_sample_rate={guarded}"), "--option", "abort=1"];
    let mut run = ferrimalloc();
    run.args(["run", "--quiet", "--debug", level]).args(options).arg("--").arg(program).arg(misuse);
    let said = run.output().unwrap().stderr;
    let mut child = ferrimalloc().arg("symbolise").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&said).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// The first call below a heading.
fn first_call<'r>(report: &'r str, heading: &str) -> &'r str {
    let mut lines = report.lines().skip_while(|line| !line.trim_start().starts_with(heading));
    lines.nth(1).unwrap_or_else(|| panic!("{heading}: {report}"))
}

fn assert_calls(report: &str, words: &str, calls: &[(&str, &str)]) {
    assert!(report.contains(words), "{report}");
    for (heading, call) in calls {
        let line = first_call(report, heading);
        assert!(line.contains("    #0 0x") && line.contains(call), "{line}\n{report}");
    }
}

#[test]
fn reports_name_who_allocated_and_who_freed() {
    // Without the library or a C compiler there is nothing to run; the tests' machine has both.
    if ferrimalloc_cli::library::find().is_err() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("misuse.c"), folder.path().join("misuse"));
    fs::write(&source, PROGRAM).unwrap();
    let Ok(built) = Command::new("gcc").args(["-g", "-O1", "-w", "-o"]).arg(&program).arg(&source).status() else {
        return;
    };
    assert!(built.success());
    let made = ("allocated by thread 0x", " makes_block ");
    let double = [made, ("freed by thread 0x", " frees_first "), ("noticed by thread 0x", " frees_again ")];
    assert_calls(&report(&program, "double", "2", "0"), "double free", &double);
    assert_calls(&report(&program, "overflow", "2", "0"), "buffer overflow", &[made, ("noticed", " frees_first ")]);
    // A guarded block's stacks are kept at every level.
    assert_calls(&report(&program, "overflow", "1", "1"), "buffer overflow", &[made, ("noticed", "misuse.c:5 ")]);
    assert_calls(&report(&program, "double", "0", "1"), "not a block", &double);
    let plain = report(&program, "double", "1", "0");
    assert!(plain.contains("double free") && !plain.contains("allocated by"), "{plain}");
}
