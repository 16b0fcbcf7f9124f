//! A Rust compiler with standard libraries for several targets, out of Debian's packages, unpacked into a folder of the target
//! directory: nothing that is installed changes.
//!
//! The compiler is this release's `rustc-web`, which is newer than its `rustc`. The same version's libraries for other processors
//! are packages of the next release. Rust's libraries go with any compiler of exactly the same version.

use super::Workbench;
use crate::{process, workspace};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Debian's release after the one that has the compiler.
const NEXT_RELEASE: &str = "trixie";
const STD: &str = "libstd-rust-web-dev";

pub struct Toolchain {
    root: PathBuf,
}

impl Toolchain {
    /// The compiler alone, unless it is there already.
    pub fn unpack(bench: &Workbench) -> Result<Toolchain> {
        let root = workspace::target().join("platforms/toolchain");
        let toolchain = Toolchain { root };
        if toolchain.version().is_err() {
            let _ = fs::remove_dir_all(&toolchain.root);
            fs::create_dir_all(&toolchain.root)?;
            bench.run(&mut apt_get(&["update"]))?;
            toolchain.add(&["rustc-web", STD], bench)?;
            // What these two depend on has its version in its name.
            let std = dependency(STD, "libstd-rust-web-")?;
            let llvm = dependency(&std, "libllvm")?;
            toolchain.add(&[&std, &llvm], bench)?;
            toolchain.version()?;
        }
        Ok(toolchain)
    }

    /// Cargo's target folder for everything that is built with it.
    pub fn target(&self) -> PathBuf {
        workspace::target().join("platforms/target")
    }

    /// Has a cargo command use it.
    pub fn apply(&self, command: &mut Command) {
        command.env("RUSTC", self.root.join("rustc")).env("CARGO_TARGET_DIR", self.target());
        command.env_remove("RUSTFLAGS").env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO_BUILD_TARGET");
    }

    /// The standard library of a target, of the same version; `architecture` is Debian's name of it.
    pub fn add_std(&self, architecture: &str, triple: &str, bench: &Workbench) -> Result<()> {
        let library = self.rustlib().join(triple);
        if library.exists() {
            return Ok(());
        }
        let foreign = Foreign::of(&self.root, architecture)?;
        bench.run(&mut foreign.apt_get(&["update"]))?;
        let package = format!("{STD}:{architecture}");
        bench.run(foreign.apt_get(&["download", &package]).current_dir(&self.root))?;
        let (ours, theirs) = (self.version()?, foreign.version(&package)?);
        ensure!(theirs.starts_with(&format!("{ours}+")), "it is that of Rust {theirs}, and the compiler is {ours}");
        self.unpack_downloads(bench)?;
        ensure!(library.exists(), "{package} has no {}", library.display());
        Ok(())
    }

    /// The folder of what a C library brings for a target, in which the compiler looks for it.
    pub fn self_contained(&self, triple: &str) -> PathBuf {
        self.rustlib().join(triple).join("lib/self-contained")
    }

    /// The source of the standard library, for targets of which Debian has none built.
    pub fn add_source(&self, bench: &Workbench) -> Result<()> {
        if self.rustlib().join("src/rust/library").exists() {
            return Ok(());
        }
        self.add(&["rust-web-src"], bench)
    }

    /// A script that calls a program with arguments before others.
    pub fn script(&self, name: &str, words: &[String]) -> Result<PathBuf> {
        let path = std::path::absolute(self.root.join(format!("link-{name}")))?;
        write_script(&path, &format!("exec {} \"$@\"", words.join(" ")))?;
        Ok(path)
    }

    fn rustlib(&self) -> PathBuf {
        self.root.join("usr/lib/rustlib")
    }

    fn add(&self, names: &[&str], bench: &Workbench) -> Result<()> {
        bench.run(apt_get(&[&["download"], names].concat()).current_dir(&self.root))?;
        self.unpack_downloads(bench)
    }

    fn unpack_downloads(&self, bench: &Workbench) -> Result<()> {
        for file in fs::read_dir(&self.root)? {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extension == "deb") {
                bench.run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&self.root))?;
                fs::remove_file(file)?;
            }
        }
        Ok(())
    }

    /// The compiler's version, such as `1.96.0`, if it runs.
    fn version(&self) -> Result<String> {
        let root = std::path::absolute(&self.root)?;
        let root = root.display();
        let script = self.root.join("rustc");
        write_script(
            &script,
            &format!("export LD_LIBRARY_PATH={root}/usr/lib/x86_64-linux-gnu\nexec {root}/usr/bin/rustc \"$@\""),
        )?;
        let said = process::read(Command::new(&script).arg("--version"))?;
        said.split(' ').nth(1).map(str::to_string).context("the unpacked compiler has no version")
    }
}

fn write_script(path: &Path, body: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, format!("#!/bin/sh\n{body}\n")).with_context(|| path.display().to_string())?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

/// Lists of another architecture in the next release, in a folder of their own.
struct Foreign {
    configuration: PathBuf,
}

impl Foreign {
    fn of(root: &Path, architecture: &str) -> Result<Foreign> {
        let folder = std::path::absolute(root.join(format!("apt-{architecture}")))?;
        fs::create_dir_all(folder.join("lists/partial"))?;
        fs::create_dir_all(folder.join("cache/archives/partial"))?;
        let registry = registry()?;
        let sources = folder.join("sources.list");
        fs::write(&sources, format!("deb [arch={architecture} signed-by={KEYRING}] {registry} {NEXT_RELEASE} main\n"))?;
        let configuration = folder.join("apt.conf");
        let place = folder.display();
        fs::write(
            &configuration,
            format!(
                "Dir::Etc::sourcelist \"{}\";\nDir::Etc::sourceparts \"-\";\nDir::State::lists \"{place}/lists\";\n\
                 Dir::Cache \"{place}/cache\";\nAPT::Architectures {{ \"amd64\"; \"{architecture}\"; }};\n\
                 Acquire::Languages \"none\";\nAcquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n",
                sources.display()
            ),
        )?;
        Ok(Foreign { configuration })
    }

    fn apt_get(&self, arguments: &[&str]) -> Command {
        let mut command = apt_get(arguments);
        command.env("APT_CONFIG", &self.configuration);
        command
    }

    /// The version of what would be downloaded.
    fn version(&self, package: &str) -> Result<String> {
        let mut command = Command::new("apt-cache");
        let show = ["show", "--no-all-versions", package];
        let text = process::read(command.args(show).env("APT_CONFIG", &self.configuration))?;
        let version = text.lines().find_map(|line| line.strip_prefix("Version: "));
        version.map(str::to_string).with_context(|| format!("{package} is not in {NEXT_RELEASE}"))
    }
}

/// Where this machine has its packages of Debian's main part from.
fn registry() -> Result<String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI) $(COMPONENT) $(LABEL)", "Created-By: Packages"]);
    let text = process::read(&mut command)?;
    let mut places = text.lines().filter_map(|line| line.strip_suffix(" main Debian"));
    places.next().map(str::to_string).context("this machine has no packages of Debian's")
}

/// What a package depends on whose name begins so.
fn dependency(package: &str, beginning: &str) -> Result<String> {
    let text = process::read(Command::new("apt-cache").args(["depends", package]))?;
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let mut fitting = names.filter(|name| name.starts_with(beginning));
    fitting.next().map(str::to_string).with_context(|| format!("{package} depends on no {beginning}…"))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-o", "APT::Sandbox::User=root"]).args(arguments);
    command
}
