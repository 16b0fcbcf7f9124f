//! Gives the shared library its soname: programs that are linked with it ask for `libferrimalloc.so.0`, whatever
//! the file was called. The number grows when the C interface changes incompatibly.

const SONAME: &str = "libferrimalloc.so.0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| has_sonames(&os)) {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{SONAME}");
    }
}

fn has_sonames(os: &str) -> bool {
    !matches!(os, "windows" | "macos" | "ios" | "wasi" | "none" | "unknown")
}
