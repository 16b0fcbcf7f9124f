//! The probes for tracers (`crates/prim/src/trace.rs`): notes in the library that lead to `nop`s, in slow paths alone.

use super::disassembly::Disassembly;
use super::{Testbed, Verdict};
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const PROVIDER: &str = "ferrimalloc";
const PROBES: [&str; 4] = ["arena_reserved", "page_made", "page_stolen", "purged"];
const ARGUMENTS: usize = 3;
const FAST: [&str; 4] = ["malloc", "free", "_Znwm", "_ZdlPv"];

pub fn check(testbed: &Testbed) -> Verdict {
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return Ok("not checked: there are none on this machine".into());
    }
    let library = testbed.library()?;
    let probes = probes(&notes(library)?)?;
    let names: Vec<&str> = probes.keys().map(String::as_str).collect();
    ensure!(names == PROBES, "the library has the probes {names:?}");
    documented(&fs::read_to_string(workspace::root().join("docs/TRACING.md"))?)?;
    let places: Vec<u64> = probes.values().flatten().copied().collect();
    for &place in &places {
        let text = instruction(library, place)?;
        ensure!(text.split_whitespace().last() == Some("nop"), "at {place:#x} is no nop: {text}");
    }
    if cfg!(target_arch = "x86_64") {
        let code = Disassembly::of(library)?;
        for function in FAST {
            let steps = code.straight_path(function)?;
            ensure!(steps.iter().all(|step| !places.contains(&step.address)), "{function} has a probe");
        }
    }
    Ok(format!("{} probes in {} places, each a nop", probes.len(), places.len()))
}

fn notes(library: &Path) -> Result<String> {
    let output = Command::new("readelf").args(["--wide", "--notes"]).arg(library).output().context("readelf")?;
    ensure!(output.status.success(), "readelf: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Places by name, of what readelf says:
/// ```text
/// …  Provider: ferrimalloc
/// Name: purged
/// Location: 0x1234, Base: 0x5678, Semaphore: 0x0
/// Arguments: 8@%rax 8@%rcx 8@%rdx
/// ```
fn probes(text: &str) -> Result<BTreeMap<String, Vec<u64>>> {
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let provider = format!("Provider: {PROVIDER}");
    for at in lines.iter().enumerate().filter(|(_, line)| line.ends_with(&provider)).map(|(at, _)| at) {
        let field = |index: usize, key: &str| {
            let line = lines.get(at + index).copied().unwrap_or_default();
            line.strip_prefix(key).map(str::trim).with_context(|| format!("{key} is missing: {line}"))
        };
        let name = field(1, "Name:")?;
        let place = field(2, "Location: 0x")?.split(',').next().unwrap_or_default();
        let arguments: Vec<&str> = field(3, "Arguments:")?.split(' ').collect();
        let are_words = arguments.iter().all(|argument| argument.starts_with("8@"));
        ensure!(arguments.len() == ARGUMENTS && are_words, "{name} has the arguments {arguments:?}");
        found.entry(name.into()).or_default().push(u64::from_str_radix(place, 16)?);
    }
    Ok(found)
}

/// The document has a row for each probe, and asks for no others.
fn documented(text: &str) -> Result<()> {
    for name in PROBES {
        ensure!(text.contains(&format!("\n| `{name}` |")), "docs/TRACING.md has no row for {name}");
    }
    for (at, _) in text.match_indices(":ferrimalloc:") {
        let rest = &text[at + ":ferrimalloc:".len()..];
        let name = rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default();
        ensure!(PROBES.contains(&name), "docs/TRACING.md asks for {name}, which is no probe");
    }
    Ok(())
}

/// The instruction at an address.
fn instruction(library: &Path, place: u64) -> Result<String> {
    let range = [format!("--start-address={place:#x}"), format!("--stop-address={:#x}", place + 4)];
    let output = Command::new("objdump").args(["-d", "--no-show-raw-insn"]).args(range).arg(library).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let at = format!("{place:x}:");
    let line = text.lines().find(|line| line.trim_start().starts_with(&at));
    Ok(line.with_context(|| format!("there is no code at {place:#x}"))?.trim().to_owned())
}
