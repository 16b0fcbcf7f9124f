//! The probes for tracers (`crates/prim/src/trace.rs`): notes in the library that lead to `nop`s, in slow paths alone.

use super::disassembly::Disassembly;
use super::{Testbed, Verdict};
use crate::{process, workspace};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A probe: its provider, its name, and how many words it is given.
type Probe = (&'static str, &'static str, usize);

const PROBES: [Probe; 6] = [
    ("ferrimalloc", "arena_reserved", 3),
    ("ferrimalloc", "page_made", 3),
    ("ferrimalloc", "page_stolen", 3),
    ("ferrimalloc", "purged", 3),
    ("otel_memory", "alloc", 3),
    ("otel_memory", "free", 1),
];
/// Those of OpenTelemetry have their arguments where a function has its own.
const CALL_REGISTERS: [&str; 3] =
    if cfg!(target_arch = "x86_64") { ["8@%rdi", "8@%rsi", "8@%rdx"] } else { ["8@x0", "8@x1", "8@x2"] };
const FAST: [&str; 4] = ["malloc", "free", "_Znwm", "_ZdlPv"];

pub fn check(testbed: &Testbed) -> Verdict {
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return Ok("not checked: there are none on this machine".into());
    }
    let library = testbed.library()?;
    let probes = probes(&process::read(Command::new("readelf").args(["--wide", "--notes"]).arg(library))?)?;
    let names: Vec<&str> = probes.keys().map(String::as_str).collect();
    let expected: Vec<String> = PROBES.iter().map(full_name).collect();
    ensure!(names == expected, "the library has the probes {names:?}");
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

fn full_name((provider, name, _): &Probe) -> String {
    format!("{provider}:{name}")
}

/// Places by provider and name, of what readelf says:
/// ```text
/// …  Provider: ferrimalloc
/// Name: purged
/// Location: 0x1234, Base: 0x5678, Semaphore: 0x0
/// Arguments: 8@%rax 8@%rcx 8@%rdx
/// ```
fn probes(text: &str) -> Result<BTreeMap<String, Vec<u64>>> {
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (at, line) in lines.iter().enumerate() {
        let Some((_, provider)) = line.split_once("Provider: ") else { continue };
        let field = |index: usize, key: &str| {
            let line = lines.get(at + index).copied().unwrap_or_default();
            line.strip_prefix(key).map(str::trim).with_context(|| format!("{key} is missing: {line}"))
        };
        let name = format!("{provider}:{}", field(1, "Name:")?);
        let place = field(2, "Location: 0x")?.split(',').next().unwrap_or_default();
        are_right(&name, &field(3, "Arguments:")?.split(' ').collect::<Vec<_>>())?;
        found.entry(name).or_default().push(u64::from_str_radix(place, 16)?);
    }
    Ok(found)
}

/// The arguments are as many words as the probe has, and OpenTelemetry's are where it looks for them.
fn are_right(name: &str, arguments: &[&str]) -> Result<()> {
    let probe = PROBES.iter().find(|probe| full_name(probe) == name);
    let &(provider, _, count) = probe.with_context(|| format!("{name} is not known here"))?;
    let are_words = arguments.len() == count && arguments.iter().all(|argument| argument.starts_with("8@"));
    let are_in_place = provider != "otel_memory" || CALL_REGISTERS.starts_with(arguments);
    ensure!(are_words && are_in_place, "{name} has the arguments {arguments:?}");
    Ok(())
}

/// The document has a row for each probe, and asks for no others.
fn documented(text: &str) -> Result<()> {
    let names: Vec<String> = PROBES.iter().map(full_name).collect();
    for (provider, name, _) in PROBES {
        let title = if provider == "ferrimalloc" { name.into() } else { format!("{provider}:{name}") };
        ensure!(text.contains(&format!("\n| `{title}` |")), "docs/TRACING.md has no row for {title}");
    }
    for provider in ["ferrimalloc", "otel_memory"] {
        let asks = format!(":{provider}:");
        for (at, _) in text.match_indices(&asks) {
            let rest = &text[at + 1..];
            let end =
                rest.find(|letter: char| !letter.is_alphanumeric() && !"_:".contains(letter)).unwrap_or(rest.len());
            ensure!(
                names.iter().any(|name| name == &rest[..end]),
                "docs/TRACING.md asks for {}, no probe",
                &rest[..end]
            );
        }
    }
    Ok(())
}

/// The instruction at an address.
fn instruction(library: &Path, place: u64) -> Result<String> {
    let range = [format!("--start-address={place:#x}"), format!("--stop-address={:#x}", place + 4)];
    let text = process::read(Command::new("objdump").args(["-d", "--no-show-raw-insn"]).args(range).arg(library))?;
    let at = format!("{place:x}:");
    let line = text.lines().find(|line| line.trim_start().starts_with(&at));
    Ok(line.with_context(|| format!("there is no code at {place:#x}"))?.trim().to_owned())
}
