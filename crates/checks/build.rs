//! Gives the library its soname, and the name that it has in documents: cargo writes no `-` in a library's. It is never
//! unloaded: words of other libraries point into it.

use std::env;
use std::path::Path;

const BUILT: &str = "libferrimalloc_checks.so";
const SONAME: &str = "libferrimalloc-checks.so.0";
const NAMES: [&str; 2] = ["libferrimalloc-checks.so", SONAME];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{SONAME},-z,nodelete");
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    // The profile's folder, of which ours is `build/<package>/out`.
    if let Some(folder) = Path::new(&out).ancestors().nth(3) {
        NAMES.iter().for_each(|name| link(&folder.join(name)));
    }
}

/// Without a link only this convenience is missing.
fn link(name: &Path) {
    #[cfg(unix)]
    let _ = std::os::unix::fs::symlink(BUILT, name);
    #[cfg(not(unix))]
    let _ = (name, BUILT);
}
