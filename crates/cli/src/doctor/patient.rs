//! A process: whether it uses the library, and if not, why.

use super::{Finding, Level, heap, of_environment, program};
use crate::failure::Result;
use crate::heap::find::{self, Found};
use crate::heap::reader::{self, Depth};
use crate::process::{Live, Memory};
use crate::view::amount::bytes;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The C library keeps so much for itself whatever is preloaded.
const OTHERS_HEAP_BYTES: u64 = 4 << 20;

pub fn look(pid: u32) -> Result<Vec<Finding>> {
    let live = Live::attach(pid)?;
    let variables = variables(pid);
    let mut findings = of_environment(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    match find::look(&live) {
        Found::InUse(library) => {
            let (path, version) = (library.path.display(), library.table.library_version());
            findings.push(Finding::good("in-use", format!("ferrimalloc {version} is in use, from {path}")));
            findings.extend(other_heap(pid));
            let snapshot = reader::read(&live, Depth::Lists)?;
            findings.extend(heap::look(&snapshot, &variables));
        }
        Found::Idle(path) => findings.extend(idle(&live, &path)),
        Found::Other { path, version } => findings.push(Finding::new(
            Level::Note,
            "other-version",
            format!("{} describes itself in version {version}, which this tool can't read", path.display()),
            "Use the `ferrimalloc` of the library's own version.",
        )),
        Found::Absent => findings.extend(absent(pid, &variables)),
    }
    Ok(findings)
}

pub type Variables = Vec<(String, String)>;

/// As the process was started.
fn variables(pid: u32) -> Variables {
    let text = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let pair = |variable: &str| variable.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.split('\0').filter_map(pair).collect()
}

fn idle(live: &Live, path: &Path) -> Vec<Finding> {
    let mut findings = vec![Finding::new(
        Level::Problem,
        "loaded-but-idle",
        format!("{} is loaded, and nothing has been allocated by it", path.display()),
        "Another malloc comes first in the process, or it has not allocated yet.",
    )];
    let paths: BTreeSet<&PathBuf> = live.mappings().iter().filter_map(|mapping| mapping.path.as_ref()).collect();
    let others = paths.into_iter().filter(|other| *other != path && !is_c_library(other));
    let others = others.filter(|path| fs::read(path).is_ok_and(|bytes| program::defines_malloc(&bytes)));
    findings.extend(others.map(|other| {
        Finding::new(
            Level::Problem,
            "second-malloc",
            format!("{} has a malloc, too", other.display()),
            "Take it out of LD_PRELOAD, or put ferrimalloc before it; if the program itself has it, build it without.",
        )
    }));
    findings
}

fn is_c_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("libc.so") || name.starts_with("libc-2") || name.starts_with("ld-")
}

/// Memory of the C library's `malloc` in a process that has ours.
fn other_heap(pid: u32) -> Option<Finding> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let range = maps.lines().find(|line| line.ends_with("[heap]"))?.split(' ').next()?;
    let (start, end) = range.split_once('-')?;
    let size = u64::from_str_radix(end, 16).ok()? - u64::from_str_radix(start, 16).ok()?;
    (size > OTHERS_HEAP_BYTES).then(|| {
        Finding::new(
            Level::Warning,
            "other-heap",
            format!("{} are on the C library's own heap, beside ferrimalloc's", bytes(size)),
            "A library that has the C library's malloc by dlmopen, by RTLD_DEEPBIND in a program that ferrimalloc is linked into \
             statically, or by name; or a program that calls sbrk itself. Blocks of both must not be mixed: README, Limits.",
        )
    })
}

fn absent(pid: u32, variables: &Variables) -> Vec<Finding> {
    let mut findings = Vec::new();
    let preload = variables.iter().find(|(name, _)| name == "LD_PRELOAD").map(|(_, value)| value.as_str());
    let ours = preload.into_iter().flat_map(|text| text.split([':', ' '])).filter(|path| path.contains("ferrimalloc"));
    let ours: Vec<&str> = ours.collect();
    for path in &ours {
        if path.contains('/') && !Path::new(&format!("/proc/{pid}/root{path}")).exists() {
            findings.push(Finding::new(
                Level::Problem,
                "preload-missing",
                format!("LD_PRELOAD names {path}, and there is no such file for the process"),
                "Give the full path of the library as the process sees it (in its container).",
            ));
        }
    }
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let of_program = program.map_or(Vec::new(), |path| program::look(path.as_os_str()));
    findings.extend(of_program.into_iter().filter(|finding| finding.level > Level::Good));
    if findings.is_empty() {
        findings.push(Finding::new(
            Level::Problem,
            "not-loaded",
            format!(
                "process {pid} does not have the library{}",
                if ours.is_empty() { ": LD_PRELOAD does not name it" } else { "" }
            ),
            "Start it by `ferrimalloc run -- PROGRAM`, or with LD_PRELOAD=/path/to/libferrimalloc.so.",
        ));
    }
    findings
}
