//! Builds the library that release builds of the command carry, and the one that checks copies, in a folder of their own.
//!
//! Without the feature `embed`, in debug builds, and where a library can't be built, it is not carried: the command then
//! looks for it beside itself.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for folder in ["library", "checks", "capi", "report", "profile", "core", "prim"] {
        println!("cargo:rerun-if-changed={}", sources.join("crates").join(folder).display());
    }
    println!("cargo:rerun-if-env-changed=FERRIMALLOC_EMBED");
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let is_wanted = env::var_os("CARGO_FEATURE_EMBED").is_some() && env::var("FERRIMALLOC_EMBED").as_deref() != Ok("0");
    let carried = |package, file| {
        let library = (is_release && is_wanted).then(|| build(&sources, &out, package, file)).flatten();
        library.map_or("None".to_owned(), |path| format!("Some(include_bytes!({:?}))", path.display().to_string()))
    };
    let library = carried("ferrimalloc-library", "libferrimalloc.so");
    let checks = carried("ferrimalloc-checks", "libferrimalloc_checks.so");
    let text = format!("Carried {{ library: {library}, checks: {checks} }}");
    fs::write(out.join("embedded.rs"), text).expect("the build's own folder can be written");
}

fn build(sources: &Path, out: &Path, package: &str, file: &str) -> Option<PathBuf> {
    let target = out.join("library");
    let status = Command::new(env::var_os("CARGO")?)
        .args(["build", "--release", "--package", package, "--manifest-path"])
        .arg(sources.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status();
    let library = target.join("release").join(file);
    if status.is_ok_and(|status| status.success()) && library.exists() {
        return Some(library);
    }
    println!("cargo:warning={package} could not be built: `ferrimalloc run` will look for {file} beside itself");
    None
}
