//! `cargo xtask install --prefix P`: what a C or C++ developer expects below `/usr/local`.
//!
//! ```text
//! P/include/mimalloc*.h
//! P/lib/libferrimalloc.so.0.1.0        the shared library; libferrimalloc.so.0, .so, libmimalloc.so.3, .so point to it
//! P/lib/libferrimalloc-checks.so.0.1.0 checks copies; libferrimalloc-checks.so.0 and .so point to it; with --from, only if that folder has it
//! P/lib/ferrimalloc.o                  all of it in one object file; mimalloc.o is the same
//! P/lib/libferrimalloc.a               that object in an archive; libmimalloc.a is the same
//! P/lib/pkgconfig/{ferrimalloc,mimalloc}.pc
//! P/lib/cmake/{ferrimalloc,mimalloc}/
//! ```
//! The tree may be moved: nothing in it names `P`. In the object file and the archive only the symbols that the shared
//! library exports are global (and what a static library has besides), so that they don't meet those of another Rust library in
//! the same program. C++'s operators are weak there: a program may have some of its own.

use crate::{process, workspace};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(clap::Args)]
pub struct Args {
    /// Where to install: gets `include` and `lib`.
    #[arg(long, value_name = "FOLDER")]
    prefix: PathBuf,
    /// Install the libferrimalloc.so and .a of this folder in place of building them.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
}

pub const SONAME: &str = "libferrimalloc.so.0";
const SHARED: &str = concat!("libferrimalloc.so.", env!("CARGO_PKG_VERSION"));
const CHECKS: &str = concat!("libferrimalloc-checks.so.", env!("CARGO_PKG_VERSION"));
const CHECKS_NAMES: [&str; 2] = ["libferrimalloc-checks.so.0", "libferrimalloc-checks.so"];
const SHARED_NAMES: [&str; 4] = [SONAME, "libferrimalloc.so", "libmimalloc.so.3", "libmimalloc.so"];

/// A name under which the library is found by pkg-config and CMake, with the version that it is asked for by.
struct Package {
    name: &'static str,
    variable: &'static str,
    version: &'static str,
}

const PACKAGES: [Package; 2] = [
    Package { name: "ferrimalloc", variable: "FERRIMALLOC", version: env!("CARGO_PKG_VERSION") },
    Package { name: "mimalloc", variable: "MIMALLOC", version: "3.6.2" },
];

pub fn execute(args: Args) -> Result<ExitCode> {
    match args.from {
        Some(folder) => install(&folder, &args.prefix)?,
        None => install_built(&args.prefix)?,
    }
    println!("installed in {}", args.prefix.display());
    Ok(ExitCode::SUCCESS)
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().map(Path::to_owned).unwrap_or_default()
}

/// Builds both libraries and installs them below `prefix`.
pub fn install_built(prefix: &Path) -> Result<()> {
    let library = workspace::build_library()?;
    workspace::build_checks()?;
    install(&folder_of(&library), prefix)
}

/// Installs the libraries of the folder `from` below `prefix`.
pub fn install(from: &Path, prefix: &Path) -> Result<()> {
    let lib = prefix.join("lib");
    fs::create_dir_all(&lib).with_context(|| lib.display().to_string())?;
    install_headers(&prefix.join("include"))?;
    install_shared(from, &lib)?;
    install_checks(from, &lib)?;
    install_object(from, &lib)?;
    install_archive(&lib)?;
    PACKAGES.iter().try_for_each(|package| package.install(&lib))
}

fn install_headers(include: &Path) -> Result<()> {
    fs::create_dir_all(include)?;
    for entry in fs::read_dir(workspace::root().join("include"))? {
        let header = entry?;
        copy(&header.path(), &include.join(header.file_name()))?;
    }
    Ok(())
}

fn install_shared(from: &Path, lib: &Path) -> Result<()> {
    // Not over the old one: a program may be running on it.
    remove(&lib.join(SHARED))?;
    copy(&from.join("libferrimalloc.so"), &lib.join(SHARED))?;
    SHARED_NAMES.iter().try_for_each(|name| link(SHARED, &lib.join(name)))
}

/// A build of the library alone has not the one that checks copies.
fn install_checks(from: &Path, lib: &Path) -> Result<()> {
    let built = from.join("libferrimalloc_checks.so");
    if !built.exists() {
        return Ok(());
    }
    remove(&lib.join(CHECKS))?;
    copy(&built, &lib.join(CHECKS))?;
    CHECKS_NAMES.iter().try_for_each(|name| link(CHECKS, &lib.join(name)))
}

/// Functions that the archive has and the shared library leaves to the C library; weak.
const ARCHIVE_ONLY: [&str; 3] = ["strdup", "strndup", "reallocarray"];

/// How the names of C++'s `operator new` and `operator delete` begin, of all their forms.
const OPERATORS: [&str; 4] = ["_Znwm", "_Znam", "_ZdlPv", "_ZdaPv"];

/// Takes from the archive what the exported functions need and makes everything else local.
fn install_object(from: &Path, lib: &Path) -> Result<()> {
    let exported = exported_symbols(&from.join("libferrimalloc.so"))?;
    let scratch = tempfile::tempdir()?;
    let wanted = scratch.path().join("wanted");
    fs::write(&wanted, exported.iter().map(|name| format!("--undefined={name}\n")).collect::<String>())?;
    let keep = scratch.path().join("keep");
    let global: Vec<&str> = exported.iter().map(String::as_str).chain(ARCHIVE_ONLY).collect();
    fs::write(&keep, global.join("\n"))?;
    let object = lib.join("ferrimalloc.o");
    let mut ld = Command::new("ld");
    ld.arg("-r").arg(at_file(&wanted)).arg(from.join("libferrimalloc.a")).arg("-o").arg(&object);
    process::read(&mut ld)?;
    let mut objcopy = Command::new("objcopy");
    // Embedded bitcode would be offered to linker plugins of other LLVM versions, which then see no symbols at all.
    objcopy.args(["--remove-section=.llvmbc", "--remove-section=.llvmcmd"]);
    let is_operator = |name: &&String| OPERATORS.iter().any(|beginning| name.starts_with(beginning));
    objcopy.args(exported.iter().filter(is_operator).map(|name| format!("--weaken-symbol={name}")));
    process::read(objcopy.arg(format!("--keep-global-symbols={}", keep.display())).arg(&object))?;
    link("ferrimalloc.o", &lib.join("mimalloc.o"))
}

fn at_file(list: &Path) -> String {
    format!("@{}", list.display())
}

/// The functions and variables that a shared library defines for others.
pub fn exported_symbols(library: &Path) -> Result<Vec<String>> {
    let mut nm = Command::new("nm");
    let names = process::read(nm.args(["--dynamic", "--defined-only", "--format=just-symbols"]).arg(library))?;
    Ok(names.lines().filter_map(|name| name.split('@').next()).map(str::to_owned).collect())
}

fn install_archive(lib: &Path) -> Result<()> {
    let archive = lib.join("libferrimalloc.a");
    remove(&archive)?;
    process::read(Command::new("ar").arg("rcs").arg(&archive).arg(lib.join("ferrimalloc.o")))?;
    link("libferrimalloc.a", &lib.join("libmimalloc.a"))
}

impl Package {
    fn install(&self, lib: &Path) -> Result<()> {
        let Package { name, .. } = self;
        self.fill_in("package.pc.in", &lib.join(format!("pkgconfig/{name}.pc")))?;
        self.fill_in("package-config.cmake.in", &lib.join(format!("cmake/{name}/{name}-config.cmake")))?;
        self.fill_in("package-config-version.cmake.in", &lib.join(format!("cmake/{name}/{name}-config-version.cmake")))
    }

    fn fill_in(&self, template: &str, to: &Path) -> Result<()> {
        let template = workspace::root().join("packaging").join(template);
        let text = fs::read_to_string(&template).with_context(|| template.display().to_string())?;
        fs::create_dir_all(folder_of(to))?;
        fs::write(to, self.substitute(&text)).with_context(|| to.display().to_string())
    }

    fn substitute(&self, text: &str) -> String {
        let major = self.version.split('.').next().unwrap_or_default();
        let text = text.replace("@PACKAGE@", self.name).replace("@VARIABLE@", self.variable);
        text.replace("@VERSION@", self.version).replace("@MAJOR@", major).replace("@SONAME@", SONAME)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("copying {} to {}", from.display(), to.display()))
}

/// A relative link, in place of what was there.
fn link(target: &str, name: &Path) -> Result<()> {
    remove(name)?;
    symlink(target, name).with_context(|| name.display().to_string())
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context(file.display().to_string()),
        _ => Ok(()),
    }
}
