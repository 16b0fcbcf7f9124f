//! The library's symbols: every one of the override is exported, and nothing but the C library is imported.

use super::{Testbed, Verdict};
use crate::install::exported_symbols;
use crate::process;
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const C_FUNCTIONS: &str = "malloc free calloc realloc reallocf malloc_size malloc_usable_size valloc vfree \
    malloc_good_size posix_memalign aligned_alloc cfree pvalloc memalign _aligned_malloc reallocarr";

const GLIBC_NAMES: &str = "__libc_malloc __libc_calloc __libc_realloc __libc_free __libc_cfree __libc_valloc __libc_pvalloc \
    __libc_memalign __posix_memalign";

const GLIBC_EXTRAS: &str =
    "mallinfo mallinfo2 malloc_trim malloc_info malloc_stats mallopt free_sized free_aligned_sized dlopen";

const OPERATOR_NEW: &str = "_Znwm _Znam _ZnwmRKSt9nothrow_t _ZnamRKSt9nothrow_t _ZnwmSt11align_val_t _ZnamSt11align_val_t \
    _ZnwmSt11align_val_tRKSt9nothrow_t _ZnamSt11align_val_tRKSt9nothrow_t";

const OPERATOR_DELETE: &str = "_ZdlPv _ZdaPv _ZdlPvm _ZdaPvm _ZdlPvSt11align_val_t _ZdaPvSt11align_val_t \
    _ZdlPvmSt11align_val_t _ZdaPvmSt11align_val_t _ZdlPvRKSt9nothrow_t _ZdaPvRKSt9nothrow_t \
    _ZdlPvSt11align_val_tRKSt9nothrow_t _ZdaPvSt11align_val_tRKSt9nothrow_t";

/// What the C library implements on top of `malloc` is left to it: the process may have another `malloc` than ours.
const LEFT_TO_C: &str = "strdup strndup reallocarray __strdup __strndup wcsdup realpath getline asprintf";

/// Libraries that the dynamic linker may be asked for.
const MAY_NEED: [&str; 2] = ["libc.so.6", "ld-linux-x86-64.so.2"];

pub fn check(testbed: &Testbed) -> Verdict {
    let library = testbed.library()?;
    let exported: BTreeSet<String> = exported_symbols(library)?.into_iter().collect();
    let wanted = || {
        [C_FUNCTIONS, GLIBC_NAMES, GLIBC_EXTRAS, OPERATOR_NEW, OPERATOR_DELETE]
            .into_iter()
            .flat_map(str::split_whitespace)
    };
    let missing: Vec<&str> = wanted().filter(|name| !exported.contains(*name)).collect();
    if !missing.is_empty() {
        bail!("not exported: {}", missing.join(" "));
    }
    let taken: Vec<&str> = LEFT_TO_C.split_whitespace().filter(|name| exported.contains(*name)).collect();
    if !taken.is_empty() {
        bail!("exported, and not left to the C library: {}", taken.join(" "));
    }
    demand_libc_only(library)?;
    Ok(format!("all {} of the override, {} in all, libc alone imported", wanted().count(), exported.len()))
}

fn demand_libc_only(library: &Path) -> Result<()> {
    let headers = process::read(Command::new("objdump").arg("--private-headers").arg(library))?;
    let needed = headers.lines().filter_map(|line| line.trim().strip_prefix("NEEDED")).map(str::trim);
    let foreign: Vec<&str> = needed.filter(|name| !MAY_NEED.contains(name)).collect();
    if !foreign.is_empty() {
        bail!("needs {}", foreign.join(" "));
    }
    Ok(())
}
