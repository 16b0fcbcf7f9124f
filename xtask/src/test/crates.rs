//! The crates as they would be published: `cargo package` packs each and builds it from its package, with the others' packages as its dependencies;
//! and their documentation.

use super::{Testbed, Verdict};
use crate::{process, workspace};
use anyhow::{Result, ensure};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(600);

/// In the order in which they would be published.
const CRATES: [&str; 6] = [
    "ferrimalloc-prim",
    "ferrimalloc-core",
    "ferrimalloc-report",
    "ferrimalloc-profile",
    "ferrimalloc-capi",
    "ferrimalloc",
];
/// Those whose documentation has no broken link, and says something of every public item (`missing_docs`).
const DOCUMENTED: [&str; 5] =
    ["ferrimalloc-prim", "ferrimalloc-core", "ferrimalloc-report", "ferrimalloc-profile", "ferrimalloc"];
/// What a package must have besides its sources.
const FILES: [&str; 3] = ["Cargo.toml", "LICENSE", "README.md"];
/// What `Cargo.toml` must say for the registry and docs.rs.
const FIELDS: [&str; 7] = [
    "description = ",
    "license = ",
    "readme = ",
    "keywords = ",
    "categories = ",
    "rust-version = ",
    "[package.metadata.docs.rs]",
];

pub fn check(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("crates", LIMIT)?;
    let target = workspace::target().join("packaged");
    forget_unpacked()?;
    let mut package = workspace::cargo(&["package", "--allow-dirty", "--quiet"]);
    package.args(CRATES.iter().flat_map(|name| ["-p", name])).env("CARGO_TARGET_DIR", &target);
    bench.run(&mut package)?;
    let mut documents = workspace::cargo(&["doc", "--quiet", "--no-deps"]);
    documents.args(DOCUMENTED.iter().flat_map(|name| ["-p", name])).env("RUSTDOCFLAGS", "-D warnings");
    bench.run(&mut documents)?;
    for name in CRATES {
        let file = target.join(format!("package/{name}-{}.crate", env!("CARGO_PKG_VERSION")));
        is_complete(name, &file, &bench.folder)?;
    }
    Ok(format!("{} crates packed, and built from their packages", CRATES.len()))
}

/// Cargo keeps what it has unpacked, by name and version; ours change and keep their version.
fn forget_unpacked() -> Result<()> {
    let Some(home) = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))
    else {
        return Ok(());
    };
    for registry in fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten() {
        for name in CRATES {
            let unpacked = registry.path().join(format!("{name}-{}", env!("CARGO_PKG_VERSION")));
            if unpacked.is_dir() {
                fs::remove_dir_all(unpacked)?;
            }
        }
    }
    Ok(())
}

fn is_complete(name: &str, file: &Path, scratch: &Path) -> Result<()> {
    process::read(Command::new("tar").arg("-xzf").arg(file).arg("-C").arg(scratch))?;
    let folder = scratch.join(format!("{name}-{}", env!("CARGO_PKG_VERSION")));
    for wanted in FILES {
        ensure!(folder.join(wanted).is_file(), "{name}'s package has no {wanted}");
    }
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    for wanted in FIELDS {
        ensure!(manifest.contains(wanted), "{name}'s manifest has no {wanted}");
    }
    Ok(())
}
