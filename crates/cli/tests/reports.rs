//! `symbolise`: reports of misuse name the functions that have allocated the block, and freed it.

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::ferrimalloc;

const PROGRAM: &str = r#"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
__attribute__((noinline)) char *makes_block(void) { char *volatile p = malloc(100); return p; }
__attribute__((noinline)) void frees_first(char *p) { free(p); __asm__ volatile(""); }
__attribute__((noinline)) void frees_again(char *p) { free(p); __asm__ volatile(""); }
__attribute__((noinline)) int reads_beyond(volatile char *p, size_t at) { return p[at]; }
static void handler(int signal) { write(2, "handled\n", 8); _exit(3); }
int main(int argc, char **argv) {
    if (!strcmp(argv[1], "handled")) signal(SIGSEGV, handler);
    if (argc > 2) {
        size_t bytes = atol(argv[2]);
        char *volatile p = malloc(bytes);
        if (!strcmp(argv[1], "freed")) {
            frees_first(p);
            return reads_beyond(p, bytes / 2);
        }
        size_t into_page = (size_t)p % sysconf(_SC_PAGESIZE);
        return reads_beyond(p, !strcmp(argv[1], "before") ? -into_page - 1 : bytes);
    }
    char *p = makes_block();
    if (!strcmp(argv[1], "overflow")) *(volatile char *)(p + 100) ^= 1;
    frees_first(p);
    if (!strcmp(argv[1], "double")) frees_again(p);
    return 0;
}
"#;

struct Built {
    _folder: tempfile::TempDir,
    program: PathBuf,
}

impl Built {
    /// Without the library or a C compiler there is nothing to run; the tests' machine has both.
    fn new() -> Option<Built> {
        ferrimalloc_cli::library::find().ok()?;
        let folder = tempfile::tempdir().unwrap();
        let (source, program) = (folder.path().join("misuse.c"), folder.path().join("misuse"));
        fs::write(&source, PROGRAM).unwrap();
        let built = Command::new("gcc").args(["-g", "-O1", "-w", "-o"]).arg(&program).arg(&source).status().ok()?;
        assert!(built.success());
        Some(Built { _folder: folder, program })
    }
}

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

/// Runs the program with every block of 5,000 bytes and more guarded; its status, and what was said.
fn hit_guard(program: &Path, how: &str, bytes: &str, options: &[&str]) -> (std::process::ExitStatus, String) {
    let mut run = ferrimalloc();
    run.args(["run", "--quiet"]).args(options).arg("--").arg(program).args([how, bytes]);
    let output = run.output().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

/// Each ends exactly at the guard behind it.
const GUARDED: [&str; 6] =
    ["--option", "guarded_sample_rate=1", "--option", "guarded_min=5000", "--option", "unsafe_guarded_precise=1"];

#[test]
fn a_guard_that_is_hit_names_the_block_and_the_program_ends_as_before() {
    let Some(built) = Built::new() else { return };
    for (bytes, options) in
        [("5008", &GUARDED[..]), ("200000", &GUARDED), ("3000000", &GUARDED), ("3145728", &["--secure", "5"])]
    {
        let (status, said) = hit_guard(&built.program, "plain", bytes, options);
        assert!(
            said.contains("access beyond the block") && said.contains(&format!("block of {bytes} bytes")),
            "{said}"
        );
        assert!(said.contains("allocated by thread 0x") && said.contains("accessed by thread 0x"), "{said}");
        assert_eq!(status.code(), Some(128 + 11), "by the signal: {said}");
    }
    // What the program does about the signal it does behind that.
    let (status, said) = hit_guard(&built.program, "handled", "5008", &GUARDED);
    assert!(said.contains("access beyond the block") && said.ends_with("handled\n"), "{said}");
    assert_eq!(status.code(), Some(3));
    let (status, said) = hit_guard(&built.program, "plain", "5008", &[]);
    assert!(status.success() && said.is_empty(), "nothing is guarded: {said}");
}

#[test]
fn a_block_that_is_used_after_it_was_freed_or_before_its_start_is_named() {
    let Some(built) = Built::new() else { return };
    for (bytes, level) in [("5008", "0"), ("5008", "4"), ("200000", "0"), ("3145728", "5")] {
        let options = [&GUARDED[..], &["--secure", level]].concat();
        let (status, said) = hit_guard(&built.program, "freed", bytes, &options);
        assert!(said.contains("use after free") && said.contains(&format!("block of {bytes} bytes")), "{said}");
        let calls = ["allocated by thread 0x", "freed by thread 0x", "accessed by thread 0x"];
        assert!(calls.iter().all(|call| said.contains(call)), "{said}");
        assert_eq!(status.code(), Some(128 + 11), "by the signal: {said}");
        let (status, said) = hit_guard(&built.program, "before", bytes, &options);
        assert!(said.contains("access before the block") && said.contains(", offset -"), "{said}");
        assert_eq!(status.code(), Some(128 + 11), "by the signal: {said}");
    }
}

#[test]
fn reports_name_who_allocated_and_who_freed() {
    let Some(Built { program, .. }) = &Built::new() else { return };
    let made = ("allocated by thread 0x", " makes_block ");
    let double = [made, ("freed by thread 0x", " frees_first "), ("noticed by thread 0x", " frees_again ")];
    assert_calls(&report(program, "double", "2", "0"), "double free", &double);
    assert_calls(&report(program, "overflow", "2", "0"), "buffer overflow", &[made, ("noticed", " frees_first ")]);
    // A guarded block's stacks are kept at every level.
    assert_calls(&report(program, "overflow", "1", "1"), "buffer overflow", &[made, ("noticed", "misuse.c:7 ")]);
    assert_calls(&report(program, "double", "0", "1"), "double free", &double);
    let plain = report(program, "double", "1", "0");
    assert!(plain.contains("double free") && !plain.contains("allocated by"), "{plain}");
}
