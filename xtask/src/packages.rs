//! Debian packages that the tests need: finds what is missing and installs only that.
//!
//! What is needed is named by a program: a command, or a file by its full path. `tables/packages.toml` has the packages.

use crate::{process, tables};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where programs are looked for besides `PATH`: servers live in `sbin`.
pub const MORE_FOLDERS: [&str; 5] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/bin"];

const APT_LIMIT: Duration = Duration::from_secs(600);

/// Whether a program is installed.
pub fn is_there(program: &str) -> bool {
    search_path().iter().any(|folder| folder.join(program).exists())
}

/// `PATH` and [`MORE_FOLDERS`].
pub fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(MORE_FOLDERS.map(PathBuf::from)).collect()
}

/// Installs the packages of all programs that are missing; an error names what is still missing afterwards.
pub fn install<S: AsRef<str>>(programs: &[S], log: &Path) -> Result<String> {
    let missing = missing(programs)?;
    if missing.is_empty() {
        return Ok("nothing to install".into());
    }
    demand_root(&missing)?;
    let _services_stay_off = NoServices::enter()?;
    apt_install(&missing, log)?;
    let still = self::missing(programs)?;
    if !still.is_empty() {
        bail!("could not be installed: {} (see {})", words(&still), log.display());
    }
    Ok(format!("installed {}", words(&missing)))
}

/// The packages of those programs that are not installed.
pub fn missing<S: AsRef<str>>(programs: &[S]) -> Result<BTreeSet<String>> {
    let packages: BTreeMap<String, String> = tables::read("packages")?;
    let missing = programs.iter().map(AsRef::as_ref).filter(|program| !is_there(program));
    Ok(missing.map(|program| packages.get(program).map_or(program, String::as_str).to_owned()).collect())
}

fn words(packages: &BTreeSet<String>) -> String {
    packages.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn demand_root(missing: &BTreeSet<String>) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("not root; please run: sudo apt-get install --no-install-recommends {}", words(missing));
    }
    Ok(())
}

/// All at once; if that fails, one by one, so that one bad package doesn't keep out the others.
fn apt_install(packages: &BTreeSet<String>, log: &Path) -> Result<()> {
    apt_get(&["update"], log)?;
    let all: Vec<&str> = packages.iter().map(String::as_str).collect();
    if apt_get(&install_arguments(&all), log)? {
        return Ok(());
    }
    for package in all {
        apt_get(&install_arguments(&[package]), log)?;
    }
    Ok(())
}

fn install_arguments<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    [&["install", "--yes", "--no-install-recommends"], packages].concat()
}

/// Whether `apt-get` succeeded.
fn apt_get(args: &[&str], log: &Path) -> Result<bool> {
    let output = File::options().create(true).append(true).open(log)?;
    let mut command = Command::new("apt-get");
    command.args(["-q", "-o", "DPkg::Lock::Timeout=120"]).args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    Ok(process::bounded(&mut command, APT_LIMIT)?.succeeded())
}

/// While this lives, Debian's packages don't start the servers that they bring. A policy that is there already stays.
struct NoServices {
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    fn enter() -> Result<Self> {
        let ours = !Path::new(POLICY).exists();
        if ours {
            write_policy().context(POLICY)?;
        }
        Ok(NoServices { ours })
    }
}

fn write_policy() -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(POLICY)?;
    std::io::Write::write_all(&mut file, b"#!/bin/sh\nexit 101\n")
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            // A policy that somebody else removed already is gone, as wanted.
            let _ = fs::remove_file(POLICY);
        }
    }
}
