//! Gives the shared library its soname: programs that are linked with it ask for `libferrimalloc.so.0`, whatever
//! the file was called. The number grows when the C interface changes incompatibly.
//!
//! And it is never unloaded: `dlclose` leaves it where it is. The C library calls us at thread ends and forks, and blocks of
//! ours may be in use, whatever the program that opened us thinks.

const SONAME: &str = "libferrimalloc.so.0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| is_elf(&os)) {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{SONAME},-z,nodelete");
    }
}

fn is_elf(os: &str) -> bool {
    !matches!(os, "windows" | "macos" | "ios" | "wasi" | "none" | "unknown")
}
