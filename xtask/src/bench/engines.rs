//! The engines: what they are called, and how each is fetched or built into `target/bench-engines/`.
//!
//! Every engine comes from a package under its own name; nothing is installed into the system. An engine that can't be
//! had is left out with a line that says why, so that a missing package doesn't stop a run.

mod catalogue;
mod sources;

pub use catalogue::CATALOGUE;

use crate::workspace;
use anyhow::{Context, Result, bail};
use sources::Sources;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Recipe {
    pub name: &'static str,
    pub title: &'static str,
    pub when: When,
    origin: Origin,
}

/// Whether an engine is measured when nobody names any.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    Asked,
}

enum Origin {
    /// What the program has without preloading: the C library's own.
    System,
    Ours,
    /// A Python wheel with the library in it.
    Wheel {
        requirement: &'static str,
        libraries: &'static [&'static str],
    },
    /// A Debian package, unpacked beside the system, not installed.
    Debian {
        package: &'static str,
        libraries: &'static [&'static str],
    },
    /// C or C++ sources that a crate carries, compiled as their authors compile the library to preload.
    Sources(Sources),
    /// A crate in Rust, wrapped in a small shared library of ours, `bench/engines/<name>`.
    Shim {
        library: &'static str,
        /// Of the crate, besides its defaults.
        features: &'static str,
    },
}

pub const OURS: &str = "ferrimalloc";
/// What every ratio is relative to.
pub const BASELINE: &str = "mimalloc3";
/// The newest mimalloc that can be had, the second reference.
pub const NEWEST: &str = "mimalloc362";

/// An engine that is there.
#[derive(Clone)]
pub struct Engine {
    pub name: &'static str,
    pub title: &'static str,
    /// What `LD_PRELOAD` becomes; `None` for the C library's own.
    pub preload: Option<String>,
}

/// The engines asked for (all when `wanted` is empty), fetched and built as needed.
pub fn prepare(wanted: &[String]) -> Result<Vec<Engine>> {
    demand_known(wanted)?;
    let asked = CATALOGUE.iter().filter(|recipe| recipe.is_among(wanted));
    Ok(asked.filter_map(prepare_or_explain).collect())
}

impl Recipe {
    fn is_among(&self, wanted: &[String]) -> bool {
        let named = wanted.iter().any(|name| name == self.name);
        named || (wanted.is_empty() && self.when == When::Always)
    }

    /// Where the library comes from, for the page.
    pub fn told(&self) -> String {
        match &self.origin {
            Origin::System => "the C library of the system, nothing preloaded".into(),
            Origin::Ours => "this repository, `cargo build --release`".into(),
            Origin::Wheel { requirement, .. } => format!("the Python wheel `{requirement}`, as it is"),
            Origin::Debian { package, .. } => format!("Debian's package `{package}`, unpacked"),
            Origin::Sources(sources) => sources.told(),
            Origin::Shim { features, .. } => {
                let folder = folder_of(self.name);
                let with = if features.is_empty() { String::new() } else { format!(", features `{features}`") };
                format!("the crate in Rust of this name{with}, in a shared library (`bench/engines/{folder}`)")
            }
        }
    }
}

/// Libraries named on the command line as `name=file`.
pub fn extra(words: &[String]) -> Result<Vec<Engine>> {
    words.iter().map(|word| extra_one(word)).collect()
}

fn extra_one(word: &str) -> Result<Engine> {
    let (name, file) = word.split_once('=').with_context(|| format!("{word} is not NAME=FILE"))?;
    // Engines live as long as the process; their names are constants but for these few.
    let name: &'static str = String::leak(name.to_owned());
    Ok(Engine { name, title: name, preload: preload_words(&[PathBuf::from(file)])? })
}

fn demand_known(wanted: &[String]) -> Result<()> {
    match wanted.iter().find(|name| CATALOGUE.iter().all(|recipe| recipe.name != name.as_str())) {
        Some(name) => bail!("no engine is called {name}; see --list"),
        None => Ok(()),
    }
}

fn prepare_or_explain(recipe: &'static Recipe) -> Option<Engine> {
    let found = libraries(recipe).and_then(|libraries| preload_words(&libraries));
    match found {
        Ok(preload) => Some(Engine { name: recipe.name, title: recipe.title, preload }),
        Err(error) => {
            println!("  engine {} left out: {error:#}", recipe.name);
            None
        }
    }
}

fn preload_words(libraries: &[PathBuf]) -> Result<Option<String>> {
    let absolute = |library: &PathBuf| {
        let path = library.canonicalize().with_context(|| format!("no {}", library.display()))?;
        Ok(path.display().to_string())
    };
    let words: Vec<String> = libraries.iter().map(absolute).collect::<Result<_>>()?;
    Ok((!words.is_empty()).then(|| words.join(":")))
}

fn libraries(recipe: &Recipe) -> Result<Vec<PathBuf>> {
    match &recipe.origin {
        Origin::System => Ok(Vec::new()),
        Origin::Ours => Ok(vec![workspace::build_library()?]),
        Origin::Wheel { requirement, libraries } => fetched(recipe.name, libraries, |to| fetch_wheel(requirement, to)),
        Origin::Debian { package, libraries } => fetched(recipe.name, libraries, |to| fetch_debian(package, to)),
        Origin::Sources(sources) => Ok(vec![sources.build(recipe.name)?]),
        Origin::Shim { library, features } => build_shim(recipe.name, library, features),
    }
}

/// Where the library of this name comes from.
pub fn told(name: &str) -> String {
    CATALOGUE.iter().find(|recipe| recipe.name == name).map_or_else(String::new, Recipe::told)
}

/// Where the sources of an engine that is compiled here lie.
pub fn sources_of(name: &str) -> Result<PathBuf> {
    let recipe = CATALOGUE.iter().find(|recipe| recipe.name == name);
    match recipe.map(|recipe| &recipe.origin) {
        Some(Origin::Sources(sources)) => sources.folder(name),
        _ => bail!("{name} is no engine with sources"),
    }
}

/// Builds of one engine, `engine` and `engine+variant`, have a folder of `bench/engines` in common.
fn folder_of(name: &str) -> &str {
    name.split('+').next().unwrap_or(name)
}

fn manifest(name: &str) -> PathBuf {
    workspace::root().join("bench/engines").join(folder_of(name)).join("Cargo.toml")
}

/// `target/bench-engines`.
fn store() -> PathBuf {
    workspace::root().join("target/bench-engines")
}

fn fetched(name: &str, inside: &[&str], fetch: impl Fn(&Path) -> Result<()>) -> Result<Vec<PathBuf>> {
    let folder = store().join(name);
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let local = |path: &&str| path.replace("MULTIARCH", &multiarch).replace("ARCH", std::env::consts::ARCH);
    let libraries: Vec<PathBuf> = inside.iter().map(|path| folder.join(local(path))).collect();
    if !libraries.iter().all(|library| library.exists()) {
        fs::create_dir_all(&folder)?;
        fetch(&folder)?;
    }
    Ok(libraries)
}

fn fetch_wheel(requirement: &str, folder: &Path) -> Result<()> {
    let download =
        ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", ".", requirement];
    run(Command::new("python3").args(download).current_dir(folder))?;
    let wheel = only_file(folder, "whl")?;
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(folder))
}

fn fetch_debian(package: &str, folder: &Path) -> Result<()> {
    run(Command::new("apt-get").args(["-q", "download", package]).current_dir(folder))?;
    run(Command::new("dpkg-deb").arg("-x").arg(only_file(folder, "deb")?).arg(folder))
}

fn only_file(folder: &Path, extension: &str) -> Result<PathBuf> {
    let files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let mut matching = files.filter(|path| path.extension().is_some_and(|found| found == extension));
    matching.next().with_context(|| format!("no .{extension} file in {}", folder.display()))
}

fn build_shim(name: &str, library: &str, features: &str) -> Result<Vec<PathBuf>> {
    let variant = name.strip_prefix(folder_of(name)).unwrap_or_default();
    let target = store().join(format!("build{variant}"));
    let built = target.join("release").join(library);
    let mut cargo = workspace::cargo(&["build", "--release", "--quiet", "--manifest-path"]);
    run(cargo.arg(manifest(name)).args(["--features", features]).arg("--target-dir").arg(target))?;
    Ok(vec![built])
}

/// Runs a step of a recipe quietly; what it printed is shown only if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().rev().take(3).collect::<Vec<_>>();
        bail!("{program}: {}: {}", output.status, last.into_iter().rev().collect::<Vec<_>>().join(" | "));
    }
    Ok(())
}
