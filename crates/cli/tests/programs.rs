//! The command, as a user has it, on programs that run with the preloaded library.
//!
//! The library is the one that `FERRIMALLOC_SO` names, else one that stands beside the command; `cargo xtask test` names it.
//! Without any, what needs it is left out.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::{Patient, ferrimalloc};

fn library() -> Option<PathBuf> {
    ferrimalloc_cli::library::find().ok()
}

/// A shell that has the library, and waits.
fn shell(library: &Path) -> Patient {
    Patient::start_command(Command::new("sh").args(["-c", "echo ready; read line"]).env("LD_PRELOAD", library))
}

fn run(arguments: &[&str]) -> Output {
    ferrimalloc().args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(arguments: &[&str]) -> i32 {
    run(arguments).status.code().unwrap()
}

#[test]
fn a_run_ends_as_its_program_does() {
    let Some(_) = library() else { return };
    assert_eq!(code(&["run", "--", "sh", "-c", "exit 7"]), 7);
    assert_eq!(code(&["run", "--", "sh", "-c", "kill -9 $$"]), 137);
    assert_eq!(code(&["run", "--", "no-such-program-anywhere"]), 127);
    assert_eq!(code(&["run", "--", "/"]), 126);
    let shown = run(&["run", "--secure", "4", "--option", "purge_delay=0", "--", "sh", "-c", "env"]);
    assert!(out(&shown).contains("MIMALLOC_SECURE=4") && out(&shown).contains("MIMALLOC_PURGE_DELAY=0"));
    assert!(out(&shown).contains("LD_PRELOAD=") && err(&shown).contains("peak memory"));
    // A program that ends by `exit`, and leaves standard error open.
    let shown = err(&run(&["run", "--stats", "--quiet", "--", "awk", "BEGIN {}"]));
    assert!(shown.contains("in shared pages") && !shown.contains("peak memory"), "{shown}");
}

#[test]
fn a_run_with_checked_copies_has_both_libraries() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("libferrimalloc.so");
    fs::copy(&library, &named).unwrap();
    let shown = || {
        let line = ["run", "--quiet", "--checks", "--", "sh", "-c", "echo $LD_PRELOAD"];
        ferrimalloc().env("FERRIMALLOC_SO", &named).args(line).output().unwrap()
    };
    let refused = shown();
    assert!(!refused.status.success() && err(&refused).contains("libferrimalloc-checks.so"), "{}", err(&refused));
    // Whichever library it is, it is preloaded.
    let checks = folder.path().join("libferrimalloc-checks.so");
    fs::copy(&library, &checks).unwrap();
    let both = format!("{}:{}", named.display(), checks.display());
    assert!(out(&shown()).contains(&both), "{}", out(&shown()));
}

#[test]
fn a_run_has_the_limit_and_the_profile_that_it_is_given() {
    let Some(_) = library() else { return };
    let grow = |limit: &[&str]| {
        let line = [&["run", "--quiet"], limit, &["--", "python3", "-c", "bytearray(200 << 20)"]].concat();
        run(&line)
    };
    let refused = grow(&["--limit", "64MiB"]);
    assert!(err(&refused).contains("MemoryError") && refused.status.code() == Some(1), "{}", err(&refused));
    assert_eq!(grow(&["--limit", "1GiB"]).status.code(), Some(0));
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("profile");
    assert_eq!(code(&["run", "--quiet", "--profile", name.to_str().unwrap(), "--", "awk", "BEGIN {}"]), 0);
    assert!(folder.path().join("profile.0001.pb").metadata().unwrap().len() > 0);
}

#[test]
fn a_comparison_has_both_columns() {
    let Some(_) = library() else { return };
    let shown = out(&run(&["run", "--compare", "2", "--", "true"]));
    assert!(shown.contains("system") && shown.contains("ferrimalloc") && shown.contains("peak memory"), "{shown}");
}

#[test]
fn a_process_can_be_seen_kept_and_drawn() {
    let Some(library) = library() else { return };
    let patient = shell(&library);
    let (folder, pid) = (tempfile::tempdir().unwrap(), patient.pid().to_string());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let kept = file("heap.ferrimalloc");
    assert_eq!(code(&["snapshot", &pid, "-o", &kept]), 0);
    let of_process: serde_json::Value = serde_json::from_str(&out(&run(&["stats", &pid, "--json"]))).unwrap();
    let of_file: serde_json::Value = serde_json::from_str(&out(&run(&["stats", &kept, "--json"]))).unwrap();
    assert!(of_process["live_bytes"].as_u64().unwrap() > 0);
    for name in ["live_bytes", "live_blocks", "pages", "classes", "arenas", "pid"] {
        assert_eq!(of_process[name], of_file[name], "{name}");
    }
    let metrics = out(&run(&["stats", &pid, "--prometheus"]));
    assert!(metrics.ends_with("# EOF\n") && metrics.contains("ferrimalloc_purged_bytes_total "), "{metrics}");
    assert!(out(&run(&["map", &kept])).contains("arena 0 at 0x"));
    assert!(out(&run(&["top", &pid, "--once"])).contains("live_blocks"));
    for (name, beginning) in [("map.html", "<!doctype html>"), ("map.svg", "<svg")] {
        assert_eq!(code(&["map", &kept, "-o", &file(name)]), 0);
        let text = fs::read_to_string(file(name)).unwrap();
        assert!(text.starts_with(beginning));
        let addresses = text.matches("http").count() - text.matches("http://www.w3.org/2000/svg").count();
        assert_eq!(addresses, 0, "nothing is loaded");
    }
    assert_browser_draws(Path::new(&file("map.html")), of_process["pages"].as_u64().unwrap());
}

/// Where there is a browser, its script has to find as many pages.
fn assert_browser_draws(map: &Path, pages: u64) {
    let arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"];
    let Ok(output) = Command::new("chromium").args(arguments).arg(format!("file://{}", map.display())).output() else {
        return;
    };
    let page = out(&output);
    assert!(page.contains(&format!("data-ready=\"{pages} pages\"")), "{} {}", page.len(), err(&output));
}

#[test]
fn errors_have_codes_and_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage");
    fs::write(&garbage, "nothing").unwrap();
    let me = std::process::id().to_string();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["stats", "4194303"], 3, "pgrep"),
        (&["stats", &me], 4, "ferrimalloc run --"),
        (&["stats", garbage.to_str().unwrap()], 5, "ferrimalloc snapshot"),
        (&["stats", "/no/such/file"], 6, "Check the name"),
        (&["frobnicate"], 2, "--help"),
        (&["run", "--option", "purge_dealy=0", "--", "true"], 2, "no option purge_dealy"),
        (&["stats"], 2, "Usage"),
    ];
    for (arguments, code, advice) in cases {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(advice), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn completions_and_the_manual_are_printed() {
    let all = <ferrimalloc_cli::command::Cli as clap::CommandFactory>::command();
    let names: Vec<&str> = all.get_subcommands().map(clap::Command::get_name).collect();
    assert!(names.contains(&"profile") && names.contains(&"bench"));
    for shell in ["bash", "zsh", "fish"] {
        let text = out(&run(&["completions", shell]));
        assert!(names.iter().all(|name| text.contains(name)) && text.contains("rate"), "{shell}");
    }
    let manual = out(&run(&["man"]));
    for name in &names {
        assert!(manual.contains(&format!("FERRIMALLOC {}", name.to_uppercase())), "{name}");
    }
    assert!(
        manual.contains(".TH ferrimalloc 1")
            && manual.contains("flame graph")
            && manual.contains("FERRIMALLOC MAP")
            && manual.contains("Exit codes")
    );
}

/// Copies a program of this machine and lets `change` work on its bytes.
fn changed(folder: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = fs::read("/bin/true").unwrap();
    change(&mut bytes);
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Where the program header of the given kind begins.
fn program_header(bytes: &[u8], kind: u32) -> usize {
    let word =
        |at: usize, width: usize| bytes[at..at + width].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let (table, step, count) = (word(32, 8), word(54, 2), word(56, 2));
    let all = (0..count).map(|index| table + index * step);
    all.into_iter().find(|at| word(*at, 4) == kind as usize).unwrap()
}

fn assert_doctor_finds(patient: &str, problem: &str, words: &str) {
    let output = run(&["doctor", patient]);
    assert_eq!(output.status.code(), Some(1), "{problem}: {}", out(&output));
    let found = out(&output).lines().any(|line| line.starts_with(problem) && line.contains(words));
    assert!(found, "{words}: {}", out(&output));
}

#[test]
fn doctor_finds_what_keeps_the_library_out_of_a_program() {
    const INTERPRETER: u32 = 3;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let linked = changed(folder.path(), "static", |bytes| {
        let header = program_header(bytes, INTERPRETER);
        bytes[header] = 0;
    });
    let musl = changed(folder.path(), "musl", |bytes| {
        let header = program_header(bytes, INTERPRETER);
        let name = u64::from_le_bytes(bytes[header + 8..header + 16].try_into().unwrap()) as usize;
        bytes[name..name + 17].copy_from_slice(b"/lib/ld-musl.so.1");
        bytes[name + 17] = 0;
    });
    let other = changed(folder.path(), "other", |bytes| bytes[18] = 8);
    let set_id = changed(folder.path(), "set-id", |_| {});
    fs::set_permissions(&set_id, fs::Permissions::from_mode(0o4755)).unwrap();
    fs::write(at("text"), "hello").unwrap();
    fs::write(at("script"), format!("#!{}\n", linked.display())).unwrap();
    let cases = [
        (linked.as_path(), "statically linked"),
        (&musl, "uses musl"),
        (&other, "another machine"),
        (&set_id, "ignores LD_PRELOAD"),
        (&at("text"), "no program of this system"),
        (&at("script"), "statically linked"),
        (&at("missing"), "there is no program"),
    ];
    for (program, words) in cases {
        assert_doctor_finds(program.to_str().unwrap(), "PROBLEM", words);
    }
    // One that is well is said to be.
    assert!(out(&run(&["doctor", "/bin/true"])).contains("can be run with the library preloaded"));
}

#[test]
fn doctor_finds_a_malloc_of_the_program_s_own() {
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("own.c"), folder.path().join("own"));
    let text = "#include <stddef.h>\nchar room[65536]; size_t at; void *malloc(size_t n) { void *p = room + at; \
                at += (n + 15) / 16 * 16; return p; }\nvoid free(void *p) { (void)p; }\nint main(void) { return !malloc(8); }\n";
    fs::write(&source, text).unwrap();
    // Without a C compiler there is no such program; the tests' machine has one.
    let Ok(built) = Command::new("gcc").args(["-rdynamic", "-o"]).arg(&program).arg(&source).status() else { return };
    assert!(built.success());
    assert_doctor_finds(program.to_str().unwrap(), "PROBLEM", "has a malloc of its own");
}

#[test]
fn doctor_finds_why_a_process_has_no_library() {
    let missing = "/no/such/libferrimalloc.so";
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo ready; read line"]).stderr(std::process::Stdio::null());
    let patient = Patient::start_command(shell.env("LD_PRELOAD", missing));
    assert_doctor_finds(&patient.pid().to_string(), "PROBLEM", "there is no such file");
    let patient = Patient::start_command(shell.env_remove("LD_PRELOAD"));
    assert_doctor_finds(&patient.pid().to_string(), "PROBLEM", "LD_PRELOAD does not name it");
}

#[test]
fn doctor_finds_what_is_wrong_in_a_process_that_has_it() {
    let Some(library) = library() else { return };
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo ready; read line"]).env("LD_PRELOAD", &library).env("MIMALLOC_PURGE_DEALY", "0");
    let patient = Patient::start_command(&mut shell);
    assert_doctor_finds(&patient.pid().to_string(), "WARNING", "MIMALLOC_PURGE_DEALY=0 is no option");
    assert!(out(&run(&["doctor", &patient.pid().to_string()])).contains("is in use, from"));
}
