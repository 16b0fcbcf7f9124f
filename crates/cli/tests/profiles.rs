//! `profile`, `leaks`, `diff` and `bench`, as a user has them.
//!
//! Programs get the library as in `programs.rs`; without any, what needs it is left out. Sums of samples are random: the tolerance
//! is six standard deviations and more.

mod support;

use ferrimalloc_cli::profile::symbols::Symbols;
use ferrimalloc_cli::profile::{Measure, Profile, collapsed, pprof};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::{Patient, ferrimalloc, patient};

fn run(arguments: &[&str]) -> Output {
    ferrimalloc().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A program that keeps 48 MiB from one function and 16 MiB from another, and frees what a third one makes; with the argument
/// `wait` it says that it is ready, and does so once a line comes.
const PROGRAM: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *kept[4096];
__attribute__((noinline)) void *much(void) { char *p = malloc(49152); *p = 1; return p; }
__attribute__((noinline)) void *little(void) { char *p = malloc(16384); *p = 1; return p; }
__attribute__((noinline)) void passing(void) { char *volatile p = malloc(30000); *p = 1; free(p); }
__attribute__((noinline)) void work(void) {
    for (int i = 0; i < 1024; i++) { kept[2 * i] = much(); kept[2 * i + 1] = little(); }
    for (int i = 0; i < 1000; i++) passing();
}
int main(int argc, char **argv) {
    char line[8];
    int waits = argc > 1 && !strcmp(argv[1], "wait");
    if (waits) { puts("ready"); fflush(stdout); fgets(line, 8, stdin); }
    work();
    if (waits) { puts("done"); fflush(stdout); fgets(line, 8, stdin); }
    return argc > 1 && !strcmp(argv[1], "three") ? 3 : 0;
}
"#;

struct Ground {
    folder: tempfile::TempDir,
    program: String,
}

/// `None` without the library or a C compiler; the tests' machine has both.
fn ground() -> Option<Ground> {
    ferrimalloc_cli::library::find().ok()?;
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("known.c"), folder.path().join("known"));
    fs::write(&source, PROGRAM).unwrap();
    let built = Command::new("gcc").args(["-g", "-O1", "-o"]).arg(&program).arg(&source).status().ok()?;
    assert!(built.success());
    Some(Ground { folder, program: program.display().to_string() })
}

impl Ground {
    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

fn load(path: &str) -> Profile {
    pprof::read(&fs::read(path).unwrap()).expect(path).resolve(&mut Symbols::of_files())
}

/// Bytes of the stacks that have a function.
fn bytes_of(profile: &Profile, function: &str, measure: Measure) -> f64 {
    let has = |stack: &[usize]| stack.iter().any(|&frame| profile.frames[frame].name == function);
    profile.samples.iter().filter(|s| has(&s.stack)).map(|s| measure.bytes(&s.values) as f64).sum()
}

fn assert_near(found: f64, exact: f64, what: &str) {
    assert!((found / exact - 1.0).abs() < 0.36, "{what}: {found}, not {exact}");
}

#[track_caller]
fn assert_known(profile: &Profile, measure: Measure) {
    assert_near(bytes_of(profile, "much", measure), 48.0 * 1048576.0, "much");
    assert_near(bytes_of(profile, "little", measure), 16.0 * 1048576.0, "little");
    assert_near(bytes_of(profile, "work", measure), 64.0 * 1048576.0, "work");
}

#[test]
fn a_program_becomes_a_flame_graph() {
    let Some(ground) = ground() else { return };
    let output =
        ferrimalloc().args(["profile", "--", &ground.program]).current_dir(ground.folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("in use at the peak: about") && said.contains("much (known.c:6)"), "{said}");
    let picture = fs::read_to_string(ground.file("flame.svg")).unwrap();
    assert!(
        picture.starts_with("<?xml") && ["much", "little", "work", "main"].iter().all(|name| picture.contains(name))
    );
}

#[test]
fn every_form_says_the_same() {
    let Some(ground) = ground() else { return };
    let program = &*ground.program;
    for name in ["a.pb.gz", "a.pb"] {
        let output = run(&["profile", "--rate", "32k", "-o", &ground.file(name), "--", program, "three"]);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        let profile = load(&ground.file(name));
        assert_known(&profile, Measure::InUse);
        assert_near(bytes_of(&profile, "passing", Measure::Allocated), 30_000_000.0, "passing");
        assert_eq!(bytes_of(&profile, "passing", Measure::InUse), 0.0);
        let much = profile.frames.iter().find(|frame| frame.name == "much").unwrap();
        assert_eq!(much.place().as_deref(), Some("known.c:6"));
    }
    let folded = ground.file("a.folded");
    assert!(run(&["profile", "-m", "in-use", "-o", &folded, "--", program]).status.success());
    assert_known(&collapsed::read(&fs::read_to_string(&folded).unwrap()).unwrap(), Measure::InUse);
    let dhat = ground.file("a.json");
    assert!(run(&["profile", "-o", &dhat, "--", program]).status.success());
    let dhat: serde_json::Value = serde_json::from_slice(&fs::read(&dhat).unwrap()).unwrap();
    let table: Vec<&str> = dhat["ftbl"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let much = table.iter().position(|name| *name == "much (known.c:6)").unwrap();
    let points = dhat["pps"].as_array().unwrap().iter();
    let points = points.filter(|point| point["fs"].as_array().unwrap().iter().any(|frame| frame == much));
    assert_near(points.map(|point| point["eb"].as_f64().unwrap()).sum(), 48.0 * 1048576.0, "DHAT's");
    let shown = run(&["profile", "-o", "-", "--", program]);
    assert!(text(&shown.stdout).contains("with callees") && text(&shown.stdout).contains("much (known.c:6)"));
}

#[test]
fn a_running_process_is_profiled_and_left_as_it_was() {
    let Some(ground) = ground() else { return };
    let library = ferrimalloc_cli::library::find().unwrap();
    let mut command = Command::new(&ground.program);
    command.arg("wait").env("LD_PRELOAD", library).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let (pid, file) = (child.id().to_string(), ground.file("live.pb.gz"));
    // Options may come behind the number.
    let mut tool = ferrimalloc();
    let tool = tool.args(["profile", &pid, "--seconds", "60", "--rate", "32k", "-o", &file]).stderr(Stdio::piped());
    let mut tool = tool.spawn().unwrap();
    let mut report = BufReader::new(tool.stderr.take().unwrap());
    line.clear();
    report.read_line(&mut line).unwrap();
    assert!(line.contains("is profiled for 60 s"), "{line}");
    let input = child.stdin.as_mut().unwrap();
    input.write_all(b"go\n").unwrap();
    line.clear();
    said.read_line(&mut line).unwrap();
    // It ends early, as by Ctrl-C.
    assert!(Command::new("kill").args(["-INT", &tool.id().to_string()]).status().unwrap().success());
    assert!(tool.wait().unwrap().success());
    let profile = load(&file);
    assert_known(&profile, Measure::InUse);
    // A second look finds nothing of the first.
    let shown = run(&["profile", &pid, "-s", "0.1", "-o", "-"]);
    assert!(text(&shown.stderr).contains("no sample is in use"), "{}", text(&shown.stderr));
    child.stdin.take();
    assert!(child.wait().unwrap().success(), "the process goes on as before");
}

#[test]
fn a_program_in_rust_is_profiled_too() {
    let Some(ground) = ground() else { return };
    // It has the allocator in it: its own calls, inlined or not, are not shown.
    let subject = Patient::start_program(&patient(), &["busy"]);
    let (pid, file) = (subject.pid().to_string(), ground.file("rust.pb.gz"));
    let output = run(&["profile", &pid, "-s", "1", "--rate", "4k", "-m", "allocated", "-o", &file]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let profile = load(&file);
    assert!(profile.frames.iter().any(|frame| frame.name.starts_with("patient::")), "{:?}", profile.frames);
    let innermost = |stack: &[usize]| profile.frames[stack[0]].name.clone();
    let own = profile.samples.iter().map(|sample| innermost(&sample.stack)).find(|name| name.contains("ferrimalloc_"));
    assert_eq!(own, None);
}

#[test]
fn a_program_that_goes_on_is_looked_at_for_a_while() {
    let Some(ground) = ground() else { return };
    let file = ground.file("some.folded");
    let script = format!("{} & wait; sleep 4", ground.program);
    let output =
        run(&["profile", "--rate", "1k", "-m", "allocated", "-s", "1.5", "-o", &file, "--", "bash", "-c", &script]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("the program goes on"), "{said}");
}

#[test]
fn what_is_not_freed_is_listed() {
    let Some(ground) = ground() else { return };
    let output = run(&["leaks", "--", &ground.program, "three"]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    let (head, stacks) = said.split_once("is not known.\n").unwrap();
    assert!(head.contains("at the end in use: about"), "{said}");
    let first: Vec<&str> = stacks.lines().take(4).collect();
    assert!(
        first[0].contains(" MiB in ") && first[1].contains("much (known.c:6)") && first[3].contains("main"),
        "{said}"
    );
    assert!(!stacks.contains("passing"), "{said}");
    // A program's children are looked at, too.
    let script = format!("{} & wait", ground.program);
    let said = text(&run(&["leaks", "--", "bash", "-c", &script]).stderr);
    assert!(said.contains("much (known.c:6)"), "{said}");
}

#[test]
fn profiles_are_compared() {
    let Some(ground) = ground() else { return };
    let (before, after) = (ground.file("before.folded"), ground.file("after.folded"));
    fs::write(&before, "t;main;grows 1000\nt;main;stays 500\nt;main;goes 4096\n").unwrap();
    fs::write(&after, "t;main;grows 11240\nt;main;stays 500\n").unwrap();
    let shown = text(&run(&["diff", &before, &after]).stdout);
    assert!(shown.contains("+10.0 KiB  main > grows") && shown.contains("-4.0 KiB  main > goes"), "{shown}");
    assert!(!shown.contains("stays"));
    for (name, beginning) in [("d.svg", "<?xml"), ("d.folded", "t;main;grows 1000 11240\n")] {
        assert!(run(&["diff", &before, &after, "-o", &ground.file(name)]).status.success());
        assert!(fs::read_to_string(ground.file(name)).unwrap().starts_with(beginning), "{name}");
    }
    assert!(run(&["diff", &before, &after, "-o", &ground.file("d.pb.gz")]).status.success());
    assert_eq!(bytes_of(&load(&ground.file("d.pb.gz")), "grows", Measure::InUse), 10240.0);
}

#[test]
fn allocators_are_compared() {
    let Some(ground) = ground() else { return };
    let library = ferrimalloc_cli::library::find().unwrap().display().to_string();
    let (chart, numbers) = (ground.file("chart.svg"), ground.file("chart.json"));
    let engines = format!("system,ferrimalloc,mine={library}");
    let arguments = ["bench", "--engines", &engines, "-n", "3"];
    let shown = run(&[&arguments[..], &["-o", &chart, "--", &ground.program]].concat());
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let table = text(&shown.stdout);
    assert!(
        table.contains("3 runs each, in turns") && table.contains("mine") && table.contains("peak memory"),
        "{table}"
    );
    assert!(fs::read_to_string(&chart).unwrap().starts_with("<svg"));
    assert!(run(&[&arguments[..], &["-o", &numbers, "--", &ground.program]].concat()).status.success());
    let numbers: serde_json::Value = serde_json::from_slice(&fs::read(&numbers).unwrap()).unwrap();
    assert_eq!(numbers["engines"][2]["wall_seconds"]["runs"].as_array().unwrap().len(), 3);
    let output = run(&["bench", "--engines", "system", "-n", "1", "--", "sh", "-c", "exit 5"]);
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn errors_say_what_to_do() {
    let Some(ground) = ground() else { return };
    let garbage = ground.file("garbage.pb");
    fs::write(&garbage, [7; 40]).unwrap();
    let me = std::process::id().to_string();
    let program = &*ground.program;
    let cases: [(&[&str], i32, &str); 12] = [
        (&["profile", "-o", "x.png", "--", program], 2, "Name it .svg"),
        (&["profile", &me], 4, "ferrimalloc run --"),
        (&["profile", "4194303"], 3, "pgrep"),
        (&["profile", &me, "--frobnicate"], 2, "--help"),
        (&["profile", "--rate", "5x", "--", "true"], 2, "64KiB"),
        (&["profile"], 2, "Usage"),
        (&["profile", "--", "no-such-program-anywhere"], 127, "Give its path"),
        (&["leaks", "--", "sh", "-c", "kill -9 $$"], 4, "--seconds N"),
        (&["diff", &garbage, &garbage], 5, ".pb.gz or .folded"),
        (&["diff", "/no/such/file", &garbage], 6, "Check the name"),
        (&["bench", "--engines", "nonsense", "--", "true"], 2, "nonsense=/path/to"),
        (&["bench", "-o", "x.png", "--", "true"], 2, ".svg (a chart)"),
    ];
    for (arguments, code, advice) in cases {
        let output = run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(advice), "{arguments:?}: {said}");
    }
    assert!(!Path::new("x.png").exists());
}
