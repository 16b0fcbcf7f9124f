//! The fast paths are inlined into programs without link-time optimisation: read from the listing of one.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the program in `no-lto/` and answers where it is.
fn build() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/no-lto/Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-lto");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status();
    assert!(status.unwrap().success());
    target.join("release/no-lto")
}

/// The instructions of a function up to its first return; `None` where there is no `objdump`.
fn fast_path(program: &Path, function: &str) -> Option<Vec<String>> {
    let output = Command::new("objdump")
        .args(["-d", "--no-show-raw-insn", "-M", "intel"])
        .arg(format!("--disassemble={function}"))
        .arg(program)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, listing) = text.split_once(&format!("<{function}>:\n")).expect("the function is there");
    let instructions = listing.lines().map(|line| line.split_once('\t').map_or("", |(_, text)| text));
    let mut until_return: Vec<String> = Vec::new();
    for instruction in instructions {
        until_return.push(instruction.to_string());
        if instruction.starts_with("ret") {
            return Some(until_return);
        }
    }
    panic!("{function} does not return:\n{listing}");
}

fn check(program: &Path, function: &str, limit: usize) {
    let Some(instructions) = fast_path(program, function) else {
        return eprintln!("no objdump: {function} not checked");
    };
    let is_slow = |text: &String| ["call", "push", "lock"].iter().any(|word| text.starts_with(word));
    assert!(!instructions.iter().any(is_slow), "{function}: {instructions:#?}");
    assert!(instructions.len() <= limit, "{function}: {instructions:#?}");
}

#[test]
fn fast_paths_are_inlined_without_lto() {
    let program = build();
    assert!(Command::new(&program).status().unwrap().success());
    check(&program, "allocate_block", 12);
    check(&program, "drop_box", 18);
}
