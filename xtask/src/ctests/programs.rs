//! Compiles each program of `tests/c` against the reference, runs it there, and runs the same file on ours.

use super::{Bench, Row, our_headers, output_of, run, stem, tests};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const COMPILE_LIMIT: Duration = Duration::from_secs(120);
const RUN_LIMIT: Duration = Duration::from_secs(180);

/// `-fno-builtin`: the compiler must not see through pairs of allocating and freeing. `-rdynamic`: the library may look for
/// functions of the program.
const FLAGS: [&str; 8] = ["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-pthread", "-rdynamic"];

/// The name by which programs built against mimalloc ask for it.
const REFERENCE_SONAME: &str = "libmimalloc.so.3";

/// Sets in the environment which library a program runs on.
const ENGINE_VARIABLE: &str = "CHECK_ENGINE";

/// What programs are compiled against and run on.
struct Reference<'a> {
    headers: PathBuf,
    libraries: &'a Path,
}

pub fn check(bench: &Bench) -> Result<Vec<Row>> {
    let ours = bench.library.as_deref().map(|library| folder_with(library, bench)).transpose()?;
    let established = Reference { headers: bench.reference_headers(), libraries: &bench.reference_libraries() };
    let newest = Reference { headers: bench.newest.headers.clone(), libraries: &bench.newest.libraries };
    let mut rows = Vec::new();
    for (folder, reference) in [("", &established), ("examples", &established), ("newest", &newest)] {
        let sources = sources(&tests().join(folder))?;
        let wanted = sources.iter().filter(|source| bench.wants(&name_of(source)));
        rows.extend(wanted.map(|source| check_program(source, bench, reference, ours.as_deref())));
    }
    Ok(rows)
}

/// A folder that has our library under the reference's name.
fn folder_with(library: &Path, bench: &Bench) -> Result<PathBuf> {
    let folder = bench.scratch.path().join("ours");
    fs::create_dir(&folder)?;
    symlink(library, folder.join(REFERENCE_SONAME))?;
    Ok(folder)
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut sources: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| is_program(path)).collect();
    sources.sort();
    Ok(sources)
}

fn is_program(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "c" || end == "cpp") && stem(path) != "prototypes"
}

/// "heaps", or "examples/visiting.cpp": an example comes in both languages.
fn name_of(source: &Path) -> String {
    let relative = source.strip_prefix(tests()).unwrap_or(source);
    if relative.components().count() > 1 { relative.display().to_string() } else { stem(relative) }
}

fn check_program(source: &Path, bench: &Bench, against: &Reference, ours: Option<&Path>) -> Row {
    let name = name_of(source);
    eprintln!("  {name}");
    let program = match compile(source, bench, against) {
        Ok(program) => program,
        Err(error) => return Row::new(name, vec![String::new(); 2], Err(error)),
    };
    let reference = closing_line(&program, "reference", against.libraries);
    let ours = ours.map_or(Ok(String::new()), |folder| closing_line(&program, "ours", folder));
    let cells = [&reference, &ours].map(|line| line.as_deref().unwrap_or("failed").to_owned());
    let outcome = reference.context("on the reference").and(ours.context("on ours")).map(drop);
    Row::new(name, cells.to_vec(), outcome)
}

fn compile(source: &Path, bench: &Bench, against: &Reference) -> Result<PathBuf> {
    let with_ours = run(compiler(source).arg("-fsyntax-only").arg("-I").arg(our_headers()), COMPILE_LIMIT);
    with_ours.context("does not compile with our headers")?;
    let program = bench.scratch.path().join(name_of(source).replace('/', "-"));
    let mut command = compiler(source);
    command.arg("-o").arg(&program).arg("-I").arg(&against.headers);
    command.arg("-L").arg(against.libraries).arg("-lmimalloc");
    run(&mut command, COMPILE_LIMIT).context("does not compile")?;
    Ok(program)
}

/// The compiler with everything but where mimalloc is; the source comes first, libraries after it.
fn compiler(source: &Path) -> Command {
    let is_cxx = source.extension().is_some_and(|end| end == "cpp");
    let (program, standard) = if is_cxx { ("g++", "-std=c++17") } else { ("gcc", "-std=gnu11") };
    let mut command = Command::new(program);
    command.arg(standard).args(FLAGS).arg("-I").arg(tests()).arg(source);
    command
}

/// Runs a program on the library in `folder`: its last line, "N passed, 0 failed".
fn closing_line(program: &Path, engine: &str, folder: &Path) -> Result<String> {
    let mut command = Command::new(program);
    let text = output_of(command.env("LD_LIBRARY_PATH", folder).env(ENGINE_VARIABLE, engine), RUN_LIMIT)?;
    match text.lines().rfind(|line| line.ends_with(" failed")) {
        Some(line) => Ok(line.to_owned()),
        None => bail!("ended without a count"),
    }
}
