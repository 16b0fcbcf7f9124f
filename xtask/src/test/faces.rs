//! One C program on the library in each way that a program can get it: preloaded, linked, linked statically, `dlopen`.
//!
//! The program asks the dynamic linker whose `malloc` it calls, so that a silent fall back to glibc is noticed.

use super::{Testbed, Verdict, Workbench};
use crate::{process, workspace};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// What every face needs at hand.
struct Faces<'a> {
    bench: Workbench<'a>,
    library: &'a Path,
}

pub fn check(testbed: &Testbed) -> Verdict {
    let faces = Faces { bench: testbed.workbench("faces", LIMIT)?, library: testbed.library()? };
    faces.preloaded().context("preloaded")?;
    faces.linked().context("linked")?;
    faces.by_dlopen().context("dlopen")?;
    if workspace::foreign_library().is_some() {
        return Ok("preloaded, linked, dlopen".into());
    }
    faces.linked_where_built().context("linked where it was built")?;
    faces.linked_statically().context("static")?;
    Ok("preloaded, linked, linked where it was built, dlopen, static".into())
}

impl Faces<'_> {
    fn preloaded(&self) -> Result<String> {
        let program = self.bench.compile("faces/owner.c", &[])?;
        self.bench.run(self.bench.preloaded(&program)?.arg(self.library))
    }

    /// By its full path, so that no soname has to be found.
    fn linked(&self) -> Result<String> {
        let library = self.library.to_str().context("the library's path is not UTF-8")?;
        let here = format!("-Wl,-rpath,{}", self.library.parent().context("the library has no folder")?.display());
        let program = self.bench.compile("faces/owner.c", &["-Wl,--no-as-needed", library, &here])?;
        self.provide_soname()?;
        self.bench.run(Command::new(program).arg(self.library))
    }

    /// As somebody does who has just built it: a plain build leaves a link of the soname beside the library.
    fn linked_where_built(&self) -> Result<String> {
        let library = workspace::build_library()?;
        let folder = library.parent().context("the library has no folder")?.display();
        let (search, here) = (format!("-L{folder}"), format!("-Wl,-rpath,{folder}"));
        let program = self.bench.compile("faces/owner.c", &["-Wl,--no-as-needed", &search, "-lferrimalloc", &here])?;
        self.bench.run(Command::new(program).arg(library))
    }

    /// The linked program asks for the library by its soname, wherever the library has one.
    fn provide_soname(&self) -> Result<()> {
        let headers = process::read(Command::new("objdump").arg("-p").arg(self.library))?;
        let soname = headers.lines().find_map(|line| line.trim().strip_prefix("SONAME")).map(str::trim);
        let link = soname.map(|soname| self.library.with_file_name(soname));
        match link.filter(|link| !link.exists()) {
            Some(link) => Ok(fs::hard_link(self.library, link)?),
            None => Ok(()),
        }
    }

    fn by_dlopen(&self) -> Result<String> {
        let program = self.bench.compile("faces/dlopen.c", &["-ldl"])?;
        self.bench.run(Command::new(program).arg(self.library))
    }

    /// The program's own `malloc` is then the library's: it is told its own path.
    fn linked_statically(&self) -> Result<String> {
        let archive = workspace::target().join("release/libferrimalloc.a");
        let archive = archive.to_str().context("the archive's path is not UTF-8")?;
        let program = self.bench.compile("faces/owner.c", &[archive])?;
        self.bench.run(Command::new(&program).arg(&program))
    }
}
