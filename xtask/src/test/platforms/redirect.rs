//! Windows programs that know nothing of the allocator, started with `ferrimalloc_redirect.dll`: a program of our own that asks
//! whose its blocks are, with libraries that are there when it starts and that come later, on two C runtimes; and Lua and SQLite,
//! as libraries.

use super::variable;
use super::windows::{GCC, TRIPLE, Windows};
use crate::test::Verdict;
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What our program answers where it isn't redirected.
const NOT_REDIRECTED: i32 = 2;
const LATE_ON_UCRT: &[&str] = &["-shared", "-nostdlib", "-nostartfiles", "-Wl,-e,DllMain", "-lucrt", "-lkernel32"];

pub fn check(windows: &Windows) -> Verdict {
    let run = build(windows)?;
    ask(windows, &run)?;
    ask_at_whole_4_gib(windows)?;
    real(windows, &run)
}

/// The library, and the program that starts others with it, which is answered.
fn build(windows: &Windows) -> Result<PathBuf> {
    let arguments = ["build", "-p", "ferrimalloc-redirect", "--features", "run", "--target", TRIPLE];
    let mut command = windows.port.cargo_with_std(&arguments, "core,alloc")?;
    windows.port.bench.run(command.env(variable(TRIPLE, "LINKER"), GCC))?;
    let built = windows.port.toolchain.target().join(TRIPLE).join("debug");
    for file in ["ferrimalloc_redirect.dll", "ferrimalloc-run.exe"] {
        fs::copy(built.join(file), windows.folder.join(file)).with_context(|| file.to_string())?;
    }
    Ok(windows.folder.join("ferrimalloc-run.exe"))
}

fn ask(windows: &Windows, run: &Path) -> Result<()> {
    let library = windows.compile("redirect_library.c", "redirect_library.dll", &["-shared"])?;
    windows.compile("redirect_library.c", "redirect_late.dll", &["-shared"])?;
    windows.compile("redirect_library.c", "redirect_ucrt.dll", LATE_ON_UCRT)?;
    let program = windows.compile("redirect.c", "redirect.exe", &[&library.display().to_string()])?;
    windows.port.bench.run(windows.wine(run)?.arg(&program))?;
    // The test would tell; and what is given to a program gets there, and back.
    let code_of = |command: &mut Command| Ok::<_, anyhow::Error>(command.stdin(Stdio::null()).status()?.code());
    let alone = code_of(&mut windows.wine(&program)?)?;
    let told = code_of(windows.wine(run)?.arg(&program).args(["two  words", "7"]))?;
    let is_right = alone == Some(NOT_REDIRECTED) && told == Some(7);
    ensure!(is_right, "redirect.exe answers {alone:?} by itself, and {told:?} in place of 7");
    Ok(())
}

/// The library at an address whose lower half is 0, which is what a thread that loads it answers.
fn ask_at_whole_4_gib(windows: &Windows) -> Result<()> {
    let arguments = ["rustc", "-p", "ferrimalloc-redirect", "--lib", "--features", "run", "--target", TRIPLE];
    let mut command = windows.port.cargo_with_std(&arguments, "core,alloc")?;
    command.args(["--", "-Clink-arg=-Wl,--image-base=0x700000000,--disable-dynamicbase"]);
    windows.port.bench.run(command.env(variable(TRIPLE, "LINKER"), GCC))?;
    let folder = windows.folder.join("high");
    fs::create_dir_all(&folder)?;
    let built = windows.port.toolchain.target().join(TRIPLE).join("debug");
    fs::copy(built.join("ferrimalloc_redirect.dll"), folder.join("ferrimalloc_redirect.dll"))?;
    fs::copy(windows.folder.join("ferrimalloc-run.exe"), folder.join("ferrimalloc-run.exe"))?;
    let program = windows.folder.join("redirect.exe");
    windows.port.bench.run(windows.wine(&folder.join("ferrimalloc-run.exe"))?.arg(program)).map(drop)
}

/// The same answers with and without.
fn real(windows: &Windows, run: &Path) -> Verdict {
    let Some(sources) = sources(windows) else { return Ok("Lua and SQLite NOT RUN: no sources".into()) };
    let (lua, sqlite) = (sources.join("lua-src/lua-5.4.7"), sources.join("libsqlite3-sys/sqlite3"));
    let lua_library = windows.gcc(&c_files(&lua)?, "lua54.dll", &["-O1", "-shared", "-DLUA_BUILD_AS_DLL"])?;
    let exported = ["-O1", "-shared", "-DSQLITE_API=__declspec(dllexport)"];
    let sqlite_library = windows.gcc(&[sqlite.join("sqlite3.c")], "sqlite3.dll", &exported)?;
    let include = [&lua, &sqlite].map(|folder| format!("-I{}", folder.display()));
    let libraries = [lua_library, sqlite_library].map(|path| path.display().to_string());
    let parts = [&include[0], &include[1], &libraries[0], &libraries[1], "-lpsapi"];
    let program = windows.compile("real.c", "real.exe", &parts)?;
    let scripts = ["lua.lua", "sqlite.sql"].map(|script| workspace::programs().join("matrix").join(script));
    let theirs = answers(windows.wine(&program)?.args(&scripts))?;
    let ours = answers(windows.wine(run)?.arg(&program).args(&scripts))?;
    if ours.answer != theirs.answer || !ours.is_redirected || theirs.is_redirected {
        bail!("Lua and SQLite answer otherwise, or are not redirected:\n{}\n{}", ours.answer, theirs.answer);
    }
    Ok("Lua and SQLite redirected, with the same answers".into())
}

struct Answers {
    answer: String,
    is_redirected: bool,
}

fn answers(command: &mut Command) -> Result<Answers> {
    let output = command.stdin(Stdio::null()).output().context("cannot start wine")?;
    let [answer, told] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    let is_whole = output.status.success() && answer.lines().count() >= 20;
    ensure!(is_whole, "{command:?}: {}\n{answer}{told}", output.status);
    Ok(Answers { answer, is_redirected: told.contains("redirected 1") })
}

/// Where the sources are that `windows/real` names; `None` if they can't be had.
fn sources(windows: &Windows) -> Option<PathBuf> {
    let folder = std::path::absolute(windows.port.toolchain.target().join("sources")).ok()?;
    let mut command = workspace::cargo(&["vendor", "--locked"]);
    command.arg(&folder).current_dir(workspace::programs().join("windows/real"));
    windows.port.bench.run(&mut command).ok().map(|_| folder)
}

fn c_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let files = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    Ok(files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "c")).collect())
}
