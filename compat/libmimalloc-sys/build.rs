//! Says where mimalloc's headers are, for crates that compile C code against them (`DEP_MIMALLOC_INCLUDE_DIR`).

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let headers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include");
    println!("cargo:INCLUDE_DIR={}", headers.display());
}
