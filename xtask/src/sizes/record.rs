//! Records what sizes programs ask for.

use super::{Histogram, Sizes, folder};
use crate::{process, tables, workspace};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Deserialize)]
struct Program {
    name: String,
    /// For `sh`, in an empty folder. `$ROOT` is the repository.
    command: String,
}

pub fn record_all() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let library = build(scratch.path())?;
    fs::create_dir_all(folder())?;
    let programs: Vec<Program> = tables::list("sizes", "program")?;
    for Program { name, command } in programs {
        match record(&library, &name, &command) {
            Ok(histogram) => {
                let file = folder().join(format!("{name}.json"));
                fs::write(file, serde_json::to_string(&histogram)? + "\n")?;
                println!("  {name}: {} sizes", histogram.sizes.len());
            }
            Err(error) => println!("  {name} left as it was: {error:#}"),
        }
    }
    Ok(())
}

fn build(folder: &Path) -> Result<PathBuf> {
    let library = folder.join("record.so");
    let source = workspace::root().join("xtask/programs/sizes/record.c");
    let arguments = ["-O2", "-shared", "-fPIC", "-ftls-model=initial-exec", "-o"];
    process::read(Command::new("cc").args(arguments).args([&library, &source]))?;
    Ok(library)
}

/// Of all processes that the command has started, the one with the most bytes at its peak.
fn record(library: &Path, program: &str, command: &str) -> Result<Histogram> {
    let scratch = tempfile::tempdir()?;
    let status = Command::new("sh")
        .args(["-c", command])
        .current_dir(scratch.path())
        .env("ROOT", workspace::root())
        .env("SIZES", scratch.path().join("sizes"))
        .env("LD_PRELOAD", library)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "{status}");
    let files = fs::read_dir(scratch.path())?.flatten().map(|entry| entry.path());
    let of_sizes = files.filter(|path| path.file_stem().is_some_and(|stem| stem == "sizes"));
    let histograms = of_sizes.map(|path| parse(&fs::read_to_string(path)?)).collect::<Result<Vec<_>>>()?;
    let bytes = |sizes: &Sizes| sizes.iter().map(|(size, _, peak)| *size as u64 * peak).sum::<u64>();
    let sizes = histograms.into_iter().max_by_key(bytes).context("no process has written its sizes")?;
    Ok(Histogram { program: program.into(), command: command.into(), sizes })
}

fn parse(text: &str) -> Result<Sizes> {
    let line = |line: &str| {
        let mut numbers = line.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next().context("three numbers are expected")?.map_err(anyhow::Error::from);
        Ok((next()? as usize, next()?, next()?))
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_what_was_asked_for() {
        let scratch = tempfile::tempdir().unwrap();
        let library = build(scratch.path()).unwrap();
        // Nobody else asks for 12,345 bytes.
        let command = "/usr/bin/python3 -c 'import ctypes; c = ctypes.CDLL(None); c.malloc.restype = ctypes.c_void_p; \
                       x = [c.malloc(12345) for _ in range(7)]; y = c.malloc(300000); c.free(ctypes.c_void_p(x[0]))'";
        let sizes = record(&library, "python", command).unwrap().sizes;
        assert!(sizes.iter().any(|&(size, total, peak)| size == 12345 && total == 7 && peak == 7));
        assert!(sizes.is_sorted());
    }
}
