//! Where the libraries are: named by the user, beside the command, in a build folder, or carried by the command itself.

use crate::failure::{Exit, Failure, Result, file_failure};
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What this build carries.
struct Carried {
    library: Option<&'static [u8]>,
    checks: Option<&'static [u8]>,
}

const CARRIED: Carried = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
const NAME: &str = "libferrimalloc.so";
const CHECKS: &str = "libferrimalloc-checks.so";
const BUILD_CHECKS: &str =
    "Build it by `cargo build --release -p ferrimalloc-checks`, or install it beside libferrimalloc.so.";
/// Names another library.
pub const VARIABLE: &str = "FERRIMALLOC_SO";

pub fn find() -> Result<PathBuf> {
    match outside()? {
        Some(path) => Ok(path),
        None => CARRIED.unpack_library(&cache()),
    }
}

/// The library, and the one that checks copies: of one build, as they know each other by names alone.
pub fn find_with_checks() -> Result<Vec<PathBuf>> {
    both(outside()?, &CARRIED, &cache())
}

fn both(outside: Option<PathBuf>, carried: &Carried, cache: &Path) -> Result<Vec<PathBuf>> {
    let (library, checks) = match outside {
        Some(library) => (library.clone(), checks_beside(&library)?),
        None => (carried.unpack_library(cache)?, carried.unpack_checks(cache)?),
    };
    Ok(vec![library, checks])
}

/// A library that somebody named, or that is beside the command.
fn outside() -> Result<Option<PathBuf>> {
    match env::var_os(VARIABLE).map(PathBuf::from) {
        Some(named) => fs::canonicalize(&named).map(Some).map_err(|error| file_failure(&named, &error)),
        None => Ok(env::current_exe().ok().and_then(|exe| beside(&exe))),
    }
}

impl Carried {
    fn unpack_library(&self, cache: &Path) -> Result<PathBuf> {
        let advice = || format!("Build it by `cargo build --release`, or name it: {VARIABLE}=/path/to/{NAME}.");
        let bytes = self.library.ok_or_else(|| nowhere(NAME, advice()))?;
        unpack(bytes, NAME, cache)
    }

    fn unpack_checks(&self, cache: &Path) -> Result<PathBuf> {
        let bytes = self.checks.ok_or_else(|| nowhere(CHECKS, BUILD_CHECKS.into()))?;
        unpack(bytes, CHECKS, cache)
    }
}

fn nowhere(name: &str, advice: String) -> Failure {
    Failure::new(Exit::System, format!("{name} is neither beside this command nor in it"), advice)
}

/// The library that checks copies, which lies beside the first.
fn checks_beside(library: &Path) -> Result<PathBuf> {
    let path = library.with_file_name(CHECKS);
    fs::canonicalize(&path)
        .map_err(|error| Failure::new(Exit::System, format!("{}: {error}", path.display()), BUILD_CHECKS))
}

/// In the command's folder, in `lib` beside that, or in the release folder of the same build.
fn beside(exe: &Path) -> Option<PathBuf> {
    let folder = exe.parent()?;
    let places = [
        folder.join(NAME),
        folder.join("../lib").join(NAME),
        folder.join("../release").join(NAME),
        folder.join("../../release").join(NAME),
    ];
    places.into_iter().find_map(|path| fs::canonicalize(path).ok())
}

/// Writes a library to the user's cache, unless it is there.
fn unpack(bytes: &[u8], name: &str, cache: &Path) -> Result<PathBuf> {
    let folder = cache.join("ferrimalloc");
    let path = folder.join(format!("{}-{:016x}.so", name.trim_end_matches(".so"), digest(bytes)));
    if fs::read(&path).is_ok_and(|there| there == bytes) {
        return Ok(path);
    }
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(&folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(bytes)?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(|error| file_failure(&path, &error))?;
    Ok(path)
}

fn cache() -> PathBuf {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).unwrap_or_else(env::temp_dir)
}

/// FNV-1a: to tell versions apart.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_beside_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let (bin, lib) = (folder.path().join("bin"), folder.path().join("lib"));
        fs::create_dir(&bin).unwrap();
        fs::create_dir(&lib).unwrap();
        assert_eq!(beside(&bin.join("ferrimalloc")), None);
        fs::write(lib.join(NAME), "x").unwrap();
        let found = beside(&bin.join("ferrimalloc")).unwrap();
        assert_eq!(found, fs::canonicalize(lib.join(NAME)).unwrap());
    }

    #[test]
    fn carried_libraries_are_unpacked_and_the_two_are_of_one_build() {
        let folder = tempfile::tempdir().unwrap();
        let carried = Carried { library: Some(b"allocator"), checks: Some(b"checks") };
        let there = both(None, &carried, folder.path()).unwrap();
        let contents: Vec<_> = there.iter().map(|path| fs::read(path).unwrap()).collect();
        assert_eq!(contents, [&b"allocator"[..], b"checks"]);
        // A library of another build has its own beside it, or none.
        let other = folder.path().join(NAME);
        fs::write(&other, "x").unwrap();
        assert!(both(Some(other.clone()), &carried, folder.path()).is_err());
        fs::write(folder.path().join(CHECKS), "y").unwrap();
        let there = both(Some(other.clone()), &carried, folder.path()).unwrap();
        assert_eq!(there, [other, fs::canonicalize(folder.path().join(CHECKS)).unwrap()]);
        assert!(both(None, &Carried { checks: None, ..carried }, folder.path()).is_err());
    }
}
