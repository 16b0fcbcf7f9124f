//! The heap profiler in programs of which is known what they allocate: files appear, functions have their names, and what is said of
//! them is near what there was.
//!
//! Sums of samples are random: the tolerance is six standard deviations.

use super::{Testbed, Verdict, Workbench};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const RATE: f64 = 32768.0;
const SIGMAS: f64 = 6.0;

/// So many blocks of so many bytes, as in `known.c`.
struct Known {
    function: &'static str,
    blocks: f64,
    bytes: f64,
}

const SMALL: Known = Known { function: "site_of_small", blocks: 60_000.0, bytes: 112.0 };
const LARGE: Known = Known { function: "site_of_large", blocks: 40.0, bytes: 1_048_576.0 };

pub fn check(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("profile", LIMIT)?;
    let include = format!("-I{}", crate::workspace::root().join("include").display());
    let library = testbed.library()?.display().to_string();
    for frames in ["-fno-omit-frame-pointer", "-fomit-frame-pointer"] {
        let program = bench.compile("profile/known.c", &["-O2", frames, &include, &library])?;
        by_environment(&bench, &program)?;
        by_interface(&bench, &program)?;
        in_a_child(&bench, &program)?;
        leaks(&bench, &program)?;
    }
    let program = bench.compile("profile/known.cpp", &["-O2", "-fomit-frame-pointer"])?;
    run(&bench, &program, &[], &[("MIMALLOC_PROFILE", &name(&bench.folder, "cxx.folded"))])?;
    let text = fs::read_to_string(bench.folder.join("cxx.0001.folded"))?;
    let strings = bytes_of(&text, "site_of_strings");
    ensure!(strings > 5e6 && text.contains("main;"), "C++: {strings} bytes of strings\n{text}");
    Ok("C with and without frame pointers, C++; by environment and interface; forks, leaks".into())
}

fn name(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn run(bench: &Workbench, program: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Result<()> {
    let mut command = bench.preloaded(program)?;
    command.args(arguments).env("MIMALLOC_PROFILE_SAMPLE_RATE", "32768").envs(env.iter().copied());
    bench.run(&mut command).map(drop)
}

fn by_environment(bench: &Workbench, program: &Path) -> Result<()> {
    let folder = &bench.folder;
    run(bench, program, &[], &[("MIMALLOC_PROFILE", &name(folder, "env.folded"))])?;
    check_collapsed(&folder.join("env.0001.folded"))?;
    run(bench, program, &[], &[("MIMALLOC_PROFILE", &name(folder, "env"))])?;
    let pprof = fs::read(folder.join("env.0001.pb"))?;
    ensure!(holds(&pprof, b"site_of_large") && holds(&pprof, b"inuse_space"), "pprof without names");
    let jemalloc = format!("prof:true,lg_prof_sample:15,prof_prefix:{}", name(folder, "je"));
    run(bench, program, &[], &[("MALLOC_CONF", &jemalloc)])?;
    let text = fs::read_to_string(find(folder, "je.", ".heap")?)?;
    ensure!(text.starts_with("heap profile: ") && text.contains("@ heap_v2/32768"), "heap_v2: {text}");
    let intervals =
        [("MIMALLOC_PROFILE", &*name(folder, "often.folded")), ("MIMALLOC_PROFILE_INUSE_INTERVAL", "16MiB")];
    run(bench, program, &[], &intervals)?;
    ensure!(folder.join("often.0003.folded").exists(), "no files at intervals");
    Ok(())
}

fn by_interface(bench: &Workbench, program: &Path) -> Result<()> {
    let folder = &bench.folder;
    run(bench, program, &["api", &name(folder, "api.folded")], &[])?;
    check_collapsed(&folder.join("api.0001.folded"))?;
    ensure!(!folder.join("api.0002.folded").exists(), "a detached profiler has written");
    let text = fs::read_to_string(folder.join("api.0001.folded"))?;
    ensure!(bytes_of(&text, "mi_heap_malloc") + bytes_of(&text, "by_ourselves") < 4e6, "a heap that is not to be seen");
    Ok(())
}

fn in_a_child(bench: &Workbench, program: &Path) -> Result<()> {
    let folder = &bench.folder;
    run(bench, program, &["fork"], &[("MIMALLOC_PROFILE", &name(folder, "fork.folded"))])?;
    check_collapsed(&folder.join("fork.0001.folded"))?;
    let child = find(folder, "fork.", ".0001.folded")?;
    let text = fs::read_to_string(&child)?;
    ensure!(bytes_of(&text, SMALL.function) == 0.0, "the child has freed these: {text}");
    LARGE.check(&text)?;
    fs::remove_file(child)?;
    Ok(())
}

fn leaks(bench: &Workbench, program: &Path) -> Result<()> {
    let output = bench.preloaded(program)?.env("MIMALLOC_PROFILE_LEAKS", "1").output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let (first, rest) = text.split_once('\n').context("no list of leaks")?;
    ensure!(first.contains("in use at exit") && rest.contains("site_of_large"), "leaks: {text}");
    Ok(())
}

/// The file whose name begins and ends so, and has something in between.
fn find(folder: &Path, start: &str, end: &str) -> Result<PathBuf> {
    let names = fs::read_dir(folder)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let fits =
        |name: &String| name.starts_with(start) && name.ends_with(end) && name.len() > start.len() + end.len() - 1;
    match names.filter(fits).max() {
        Some(name) => Ok(folder.join(name)),
        None => bail!("no file {start}…{end}"),
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn check_collapsed(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    SMALL.check(&text)?;
    LARGE.check(&text)?;
    ensure!(bytes_of(&text, "site_of_passing") == 0.0, "blocks that were freed are in use: {text}");
    let line = text.lines().find(|line| line.contains(LARGE.function)).unwrap_or("");
    ensure!(line.contains("start_thread;work;site_of_large ") || line.contains(";work;site_of_large "), "{line}");
    Ok(())
}

/// The sum of the lines with a function.
fn bytes_of(text: &str, function: &str) -> f64 {
    let lines = text.lines().filter(|line| line.contains(function));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

impl Known {
    fn check(&self, text: &str) -> Result<()> {
        let p = 1.0 - (-self.bytes / RATE).exp();
        let (exact, found) = (self.blocks * self.bytes, bytes_of(text, self.function));
        let tolerance = SIGMAS * (self.blocks * (1.0 - p) / p).sqrt() * self.bytes + 1.0;
        ensure!((found - exact).abs() <= tolerance, "{}: {found} bytes, not {exact}: {text}", self.function);
        Ok(())
    }
}
