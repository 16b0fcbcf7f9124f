//! Gives the shared library its soname: programs that are linked with it ask for `libferrimalloc.so.0`, whatever
//! the file was called. The number grows when the C interface changes incompatibly. So that they find the library where
//! it was built, too, a link of that name is put beside it.
//!
//! And it is never unloaded: `dlclose` leaves it where it is. The C library calls us at thread ends and forks, and blocks of
//! ours may be in use, whatever the program that opened us thinks.
//!
//! And it is initialised before all other libraries: its fork handlers must be registered before anybody else's.
//!
//! And it has a `dlopen`, which the static archive has not: `src/dlopen.rs`.
//!
//! And what runs at a process's start lies together in it: `start.ld` says why.

use std::env;
use std::path::Path;

const LIBRARY: &str = "libferrimalloc.so";
const SONAME: &str = "libferrimalloc.so.0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=start.ld");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| is_elf(&os)) {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{SONAME},-z,nodelete,-z,initfirst");
        link_by_soname();
    }
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--defsym=dlopen=ferrimalloc_forward_dlopen");
    }
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") && linker_takes_scripts() {
        let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo:rustc-cdylib-link-arg=-Wl,-T,{folder}/start.ld,-z,separate-loadable-segments");
    }
}

/// GNU's and LLVM's linkers do; others that somebody may have chosen would fail.
fn linker_takes_scripts() -> bool {
    let others = ["mold", "gold", "wild"];
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let linker = env::var("RUSTC_LINKER").unwrap_or_default();
    // `mold -run` sets it.
    env::var_os("MOLD_PATH").is_none() && !others.iter().any(|other| flags.contains(other) || linker.contains(other))
}

/// The library appears in the profile's folder, of which ours is `build/<package>/out`. Where that is not so, or there are
/// no links, only this convenience is missing.
fn link_by_soname() {
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    let Some(folder) = Path::new(&out).ancestors().nth(3) else { return };
    #[cfg(unix)]
    let _ = std::os::unix::fs::symlink(LIBRARY, folder.join(SONAME));
    #[cfg(not(unix))]
    let _ = (folder, LIBRARY);
}

fn is_elf(os: &str) -> bool {
    !matches!(os, "windows" | "macos" | "ios" | "wasi" | "none" | "unknown")
}
