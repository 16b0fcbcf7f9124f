//! Projects that look for mimalloc the way existing ones do, built and run on an install tree of ours.

use super::{Bench, Row, output_of, tests};
use crate::install;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);

struct Project {
    name: &'static str,
    build_and_run: fn(&Path, &Path) -> Result<String>,
}

const PROJECTS: [Project; 3] = [
    Project { name: "project-cmake", build_and_run: with_cmake },
    Project { name: "project-pkgconfig", build_and_run: with_pkg_config },
    Project { name: "project-static", build_and_run: with_object },
];

pub fn check(bench: &Bench) -> Result<Vec<Row>> {
    let wanted: Vec<&Project> = PROJECTS.iter().filter(|project| bench.wants(project.name)).collect();
    let (Some(library), false) = (&bench.library, wanted.is_empty()) else {
        return Ok(Vec::new());
    };
    let tree = match install_tree(library, bench) {
        Ok(tree) => tree,
        Err(error) => {
            return Ok(vec![Row::new("install", vec![String::new(); 2], Err(error))]);
        }
    };
    Ok(wanted.into_iter().map(|project| project.check(&tree, bench)).collect())
}

/// Installs, and moves the tree: nothing in it may depend on where it was made.
fn install_tree(library: &Path, bench: &Bench) -> Result<PathBuf> {
    let made = bench.scratch.path().join("made");
    install::install(library.parent().context("the library has no folder")?, &made)?;
    let tree = bench.scratch.path().join("tree");
    fs::rename(&made, &tree)?;
    Ok(tree)
}

impl Project {
    fn check(&self, tree: &Path, bench: &Bench) -> Row {
        eprintln!("  {}", self.name);
        let outcome = self.copy(bench).and_then(|folder| (self.build_and_run)(&folder, tree));
        Row::new(self.name, vec!["built and run".into(), String::new()], outcome.map(drop))
    }

    /// A copy to build in.
    fn copy(&self, bench: &Bench) -> Result<PathBuf> {
        let folder = bench.scratch.path().join(self.name);
        fs::create_dir(&folder)?;
        for entry in fs::read_dir(tests().join(self.name))? {
            let file = entry?;
            fs::copy(file.path(), folder.join(file.file_name()))?;
        }
        Ok(folder)
    }
}

fn with_cmake(project: &Path, tree: &Path) -> Result<String> {
    let build = project.join("build");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(project).arg("-B").arg(&build).arg(format!("-DCMAKE_PREFIX_PATH={}", tree.display()));
    output_of(&mut configure, LIMIT)?;
    output_of(Command::new("cmake").arg("--build").arg(&build), LIMIT)?;
    demand_soname(&build.join("wordcount"))?;
    output_of(Command::new("ctest").arg("--output-on-failure").current_dir(&build), LIMIT)
}

fn with_pkg_config(project: &Path, tree: &Path) -> Result<String> {
    let mut make = Command::new("make");
    make.arg("check").current_dir(project).env("PKG_CONFIG_PATH", tree.join("lib/pkgconfig"));
    output_of(&mut make, LIMIT)
}

fn with_object(project: &Path, tree: &Path) -> Result<String> {
    let mut make = Command::new("make");
    output_of(make.arg("check").arg(format!("PREFIX={}", tree.display())).current_dir(project), LIMIT)
}

/// A program that was linked with `libmimalloc.so` asks for our soname.
fn demand_soname(program: &Path) -> Result<()> {
    let headers = output_of(Command::new("objdump").arg("--private-headers").arg(program), LIMIT)?;
    if !headers.lines().any(|line| line.contains("NEEDED") && line.ends_with(install::SONAME)) {
        bail!("{} does not ask for {}", program.display(), install::SONAME);
    }
    Ok(())
}
