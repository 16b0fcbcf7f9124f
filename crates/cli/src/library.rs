//! Where the library is: named by the user, beside the command, in a build folder, or carried by the command itself.

use crate::failure::{Exit, Failure, Result, file_failure};
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The library, if this build carries it.
const CARRIED: Option<&[u8]> = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
const NAME: &str = "libferrimalloc.so";
const CHECKS: &str = "libferrimalloc-checks.so";
/// Names another library.
pub const VARIABLE: &str = "FERRIMALLOC_SO";

pub fn find() -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        return fs::canonicalize(&named).map_err(|error| file_failure(&named, &error));
    }
    let beside = env::current_exe().ok().and_then(|exe| beside(&exe));
    if let Some(path) = beside {
        return Ok(path);
    }
    match CARRIED {
        Some(bytes) => unpack(bytes),
        None => Err(Failure::new(
            Exit::System,
            format!("{NAME} is neither beside this command nor in it"),
            format!("Build it by `cargo build --release`, or name it: {VARIABLE}=/path/to/{NAME}."),
        )),
    }
}

/// The library that checks copies, which lies beside the first.
pub fn checks_beside(library: &Path) -> Result<PathBuf> {
    let path = library.with_file_name(CHECKS);
    fs::canonicalize(&path).map_err(|error| {
        Failure::new(
            Exit::System,
            format!("{}: {error}", path.display()),
            "Build it by `cargo build --release -p ferrimalloc-checks`, or install it beside libferrimalloc.so.",
        )
    })
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

/// Writes the library to the user's cache, unless it is there.
fn unpack(bytes: &[u8]) -> Result<PathBuf> {
    let folder = cache().join("ferrimalloc");
    let path = folder.join(format!("libferrimalloc-{:016x}.so", digest(bytes)));
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
}
