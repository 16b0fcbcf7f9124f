//! The engines: what they are called, and how each is fetched or built into `target/bench-engines/`.
//!
//! Every engine comes from a package under its own name; nothing is installed into the system. An engine that can't be
//! had is left out with a line that says why, so that a missing package doesn't stop a run.

mod sources;

use crate::{process, tables, workspace};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use sources::Sources;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    pub name: String,
    pub title: String,
    #[serde(default)]
    when: When,
    origin: Origin,
}

/// Whether an engine is measured when nobody names any.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum When {
    #[default]
    Always,
    Asked,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Origin {
    /// What the program has without preloading: the C library's own.
    System,
    Ours,
    /// A Python wheel with the library in it.
    Wheel {
        requirement: String,
        libraries: Vec<String>,
    },
    /// A Debian package, unpacked beside the system, not installed.
    Debian {
        package: String,
        libraries: Vec<String>,
    },
    /// C or C++ sources that a crate carries, compiled as their authors compile the library to preload.
    Sources(Sources),
    /// A crate in Rust, wrapped in a small shared library of ours, `bench/engines/<name>`.
    Shim {
        library: String,
        /// Of the crate, besides its defaults.
        #[serde(default)]
        features: String,
    },
    /// `engine+variant`: built as `engine`, with more.
    Variant(Variant),
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Variant {
    /// What an engine from sources has besides.
    more: String,
    files: Vec<String>,
    /// A crate's.
    features: String,
}

/// All engines that we know, in the order of the tables.
pub fn catalogue() -> Result<Vec<Recipe>> {
    let mut recipes: Vec<Recipe> = tables::list("engines", "engine")?;
    for at in 0..recipes.len() {
        let name = &recipes[at].name;
        if let Origin::Variant(variant) = &recipes[at].origin {
            let engine = recipes.iter().find(|recipe| recipe.name == folder_of(name));
            let engine = engine.with_context(|| format!("of what is {name} a variant?"))?;
            recipes[at].origin = engine.origin.with(variant).context(name.clone())?;
        }
    }
    Ok(recipes)
}

impl Origin {
    fn with(&self, variant: &Variant) -> Result<Origin> {
        let Variant { more, files, features } = variant.clone();
        Ok(match self.clone() {
            Origin::Sources(sources) => Origin::Sources(sources.with(&more, files)),
            Origin::Shim { library, .. } => Origin::Shim { library, features },
            _ => bail!("only engines from sources and crates have variants"),
        })
    }
}

pub const OURS: &str = "ferrimalloc";
/// What every ratio is relative to.
pub const BASELINE: &str = "mimalloc3";
/// The newest mimalloc that can be had, the second reference.
pub const NEWEST: &str = "mimalloc362";

/// An engine that is there.
#[derive(Clone)]
pub struct Engine {
    pub name: String,
    pub title: String,
    /// What `LD_PRELOAD` becomes; `None` for the C library's own.
    pub preload: Option<String>,
}

/// The engines asked for (all when `wanted` is empty), fetched and built as needed.
pub fn prepare(wanted: &[String]) -> Result<Vec<Engine>> {
    let catalogue = catalogue()?;
    if let Some(name) = wanted.iter().find(|name| catalogue.iter().all(|recipe| recipe.name != **name)) {
        bail!("no engine is called {name}; see --list");
    }
    let asked = catalogue.into_iter().filter(|recipe| recipe.is_among(wanted));
    Ok(asked.filter_map(prepare_or_explain).collect())
}

impl Recipe {
    fn is_among(&self, wanted: &[String]) -> bool {
        let named = wanted.contains(&self.name);
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
            Origin::Variant(_) => unreachable!("the catalogue has none left"),
            Origin::Shim { features, .. } => {
                let folder = folder_of(&self.name);
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
    Ok(Engine { name: name.into(), title: name.into(), preload: preload_words(&[PathBuf::from(file)])? })
}

fn prepare_or_explain(recipe: Recipe) -> Option<Engine> {
    let found = libraries(&recipe).and_then(|libraries| preload_words(&libraries));
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
        Origin::Wheel { requirement, libraries } => fetched(&recipe.name, libraries, |to| fetch_wheel(requirement, to)),
        Origin::Debian { package, libraries } => fetched(&recipe.name, libraries, |to| fetch_debian(package, to)),
        Origin::Sources(sources) => Ok(vec![sources.build(&recipe.name)?]),
        Origin::Variant(_) => unreachable!("the catalogue has none left"),
        Origin::Shim { library, features } => build_shim(&recipe.name, library, features),
    }
}

/// Where the library of this name comes from.
pub fn told(name: &str) -> Result<String> {
    let catalogue = catalogue()?;
    let recipe = catalogue.iter().find(|recipe| recipe.name == name);
    recipe.map(Recipe::told).with_context(|| format!("no engine is called {name}"))
}

/// Where the sources of an engine that is compiled here lie.
pub fn sources_of(name: &str) -> Result<PathBuf> {
    match catalogue()?.into_iter().find(|recipe| recipe.name == name).map(|recipe| recipe.origin) {
        Some(Origin::Sources(sources)) => sources.folder(name),
        _ => bail!("{name} is no engine with sources"),
    }
}

/// The folder of an engine that comes as a wheel, fetched if need be.
pub fn wheel_of(name: &str) -> Result<PathBuf> {
    match catalogue()?.iter().find(|recipe| recipe.name == name) {
        Some(recipe @ Recipe { origin: Origin::Wheel { .. }, .. }) => libraries(recipe).map(|_| store().join(name)),
        _ => bail!("{name} is no engine in a wheel"),
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

fn fetched(name: &str, inside: &[String], fetch: impl Fn(&Path) -> Result<()>) -> Result<Vec<PathBuf>> {
    let folder = store().join(name);
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let local = |path: &String| path.replace("MULTIARCH", &multiarch).replace("ARCH", std::env::consts::ARCH);
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
    process::read(Command::new("python3").args(download).current_dir(folder))?;
    let wheel = only_file(folder, "whl")?;
    process::read(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(folder))?;
    Ok(())
}

fn fetch_debian(package: &str, folder: &Path) -> Result<()> {
    process::read(Command::new("apt-get").args(["-q", "download", package]).current_dir(folder))?;
    process::read(Command::new("dpkg-deb").arg("-x").arg(only_file(folder, "deb")?).arg(folder))?;
    Ok(())
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
    process::read(cargo.arg(manifest(name)).args(["--features", features]).arg("--target-dir").arg(target))?;
    Ok(vec![built])
}
