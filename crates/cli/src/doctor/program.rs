//! A program's file: whether a preloaded library can have any effect.

use super::{Finding, Level};
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const SET_ID: u32 = 0o6000;
/// Longest first line of a script.
const LINE_BYTES: usize = 256;
/// Machines whose programs this build of the library serves.
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = elf::EM_AARCH64;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MACHINE: u16 = elf::EM_NONE;

/// Looks at a program, or at what a script is run by.
pub fn look(program: &OsStr) -> Vec<Finding> {
    let Some(path) = resolve(program) else {
        return vec![Finding::new(
            Level::Problem,
            "no-program",
            format!("there is no program {}", program.display()),
            "Give its path, or a name that the shell finds.",
        )];
    };
    of_file(&path, 0)
}

/// As a shell finds it.
fn resolve(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return path.exists().then(|| path.to_owned());
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).map(|folder| folder.join(path)).find(|path| path.is_file())
}

fn of_file(path: &Path, depth: usize) -> Vec<Finding> {
    let name = path.display();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            return vec![Finding::new(
                Level::Note,
                "unreadable-program",
                format!("{name} can't be read: {error}"),
                "Nothing can be said about it; look as a user who may read it.",
            )];
        }
    };
    if let Some(interpreter) = interpreter(&bytes)
        && depth < 4
    {
        let mut findings = resolve(interpreter.as_ref()).map_or(Vec::new(), |path| of_file(&path, depth + 1));
        findings.push(Finding::good("script", format!("{name} is a script for {interpreter}: that is what counts")));
        return findings;
    }
    let mut findings = Vec::from_iter(set_id(path));
    findings.extend(of_elf(path, &bytes));
    if findings.iter().all(|finding| !finding.keeps_us_out()) {
        findings.push(Finding::good("preloadable", format!("{name} can be run with the library preloaded")));
    }
    findings
}

/// `#!/usr/bin/env python3` → `python3`.
fn interpreter(bytes: &[u8]) -> Option<String> {
    let line = bytes.strip_prefix(b"#!")?;
    let line = line[..line.len().min(LINE_BYTES)].split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line).into_owned();
    let mut words = line.split_whitespace().filter(|word| !word.starts_with('-'));
    let first = words.next()?;
    if first.ends_with("/env") { words.next().map(str::to_owned) } else { Some(first.to_owned()) }
}

fn set_id(path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.mode();
    (mode & SET_ID != 0).then(|| {
        Finding::new(
            Level::Problem,
            "set-id",
            format!(
                "{} has mode {:o}: it runs as another user or group, and ignores LD_PRELOAD",
                path.display(),
                mode & 0o7777
            ),
            "Link the program with the library, or put the library's path into /etc/ld.so.preload (for all programs).",
        )
    })
}

fn of_elf(path: &Path, bytes: &[u8]) -> Vec<Finding> {
    let problem = |id, what: String, advice: &str| vec![Finding::new(Level::Problem, id, what, advice)];
    let name = path.display();
    if !bytes.starts_with(&elf::ELFMAG) {
        return problem(
            "no-elf",
            format!("{name} is no program of this system"),
            "Give the program that it is run by.",
        );
    }
    let parsed = elf::FileHeader64::<Endianness>::parse(bytes);
    let other = || {
        problem(
            "other-machine",
            format!("{name} is for another machine than the library"),
            "Build the library for that machine: `cargo build --release --target …`, see docs/PORTING.md.",
        )
    };
    let Ok(header) = parsed else { return other() };
    let Ok(endian) = header.endian() else { return other() };
    if header.e_machine(endian) != MACHINE {
        return other();
    }
    let Ok(segments) = header.program_headers(endian, bytes) else { return other() };
    let loader = segments.iter().find(|segment| segment.p_type(endian) == elf::PT_INTERP);
    let loader = loader.and_then(|segment| segment.data(endian, bytes).ok());
    match loader.map(|loader| String::from_utf8_lossy(loader).trim_end_matches('\0').to_owned()) {
        None if has_ours(bytes) => vec![Finding::good("linked", format!("{name} is linked with ferrimalloc"))],
        None => problem(
            "static",
            format!("{name} is statically linked, and ignores LD_PRELOAD"),
            "Link it with libferrimalloc.a (README, In C and C++), or in Rust use the crate ferrimalloc.",
        ),
        Some(loader) if loader.contains("musl") => problem(
            "musl",
            format!("{name} uses musl ({loader}), and the library the GNU C library"),
            "Build the library for a musl target, or link the program with it: docs/PORTING.md.",
        ),
        Some(_) => Vec::from_iter(own_malloc(path, bytes)),
    }
}

/// Whether the file defines our table.
fn has_ours(bytes: &[u8]) -> bool {
    let Ok(file) = object::File::parse(bytes) else { return false };
    file.symbols().any(|symbol| {
        symbol.is_definition() && symbol.name().is_ok_and(|name| name.starts_with("ferrimalloc_descriptor"))
    })
}

/// A program's own `malloc` comes before all libraries'.
fn own_malloc(path: &Path, bytes: &[u8]) -> Option<Finding> {
    defines_malloc(bytes).then(|| {
        if has_ours(bytes) {
            return Finding::good("linked", format!("{} is linked with ferrimalloc", path.display()));
        }
        Finding::new(
            Level::Problem,
            "own-malloc",
            format!("{} has a malloc of its own, which comes before any library's", path.display()),
            "Build it without that allocator (often an option: --disable-jemalloc, -DWITH_TCMALLOC=OFF, USE_JEMALLOC=no).",
        )
    })
}

/// Whether others would be bound to a `malloc` of this file.
pub fn defines_malloc(bytes: &[u8]) -> bool {
    let Ok(file) = object::File::parse(bytes) else { return false };
    file.dynamic_symbols().any(|symbol| symbol.is_definition() && symbol.name() == Ok("malloc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_name_what_they_are_run_by() {
        assert_eq!(interpreter(b"#!/bin/sh\nx"), Some("/bin/sh".into()));
        assert_eq!(interpreter(b"#! /usr/bin/env -S python3 -u\n"), Some("python3".into()));
        assert_eq!(interpreter(b"\x7fELF"), None);
    }
}
