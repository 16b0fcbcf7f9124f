//! A Rust compiler with standard libraries for several targets, out of Debian's packages, unpacked into a folder of the target
//! directory: nothing that is installed changes.
//!
//! The compiler is this release's `rustc-web`, which is newer than its `rustc`. The same version's libraries for other processors
//! are packages of the next release. Rust's libraries go with any compiler of exactly the same version.

use crate::process;
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Debian's release after the one that has the compiler.
const NEXT_RELEASE: &str = "trixie";
const STD: &str = "libstd-rust-web-dev";

pub struct Toolchain {
    root: PathBuf,
}

impl Toolchain {
    /// The compiler alone, unless it is there already.
    pub fn unpack(log: &Path) -> Result<Toolchain> {
        let root = workspace::target().join("platforms/toolchain");
        let toolchain = Toolchain { root };
        if toolchain.version().is_err() {
            let _ = fs::remove_dir_all(&toolchain.root);
            fs::create_dir_all(&toolchain.root)?;
            apt(&mut apt_get(&["update"]), log)?;
            toolchain.add(&["rustc-web", STD], log)?;
            // What these two depend on has its version in its name.
            let std = dependency(STD, "libstd-rust-web-")?;
            let llvm = dependency(&std, "libllvm")?;
            toolchain.add(&[&std, &llvm], log)?;
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
    pub fn add_std(&self, architecture: &str, triple: &str, log: &Path) -> Result<()> {
        let library = self.rustlib().join(triple);
        if library.exists() {
            return Ok(());
        }
        let foreign = Foreign::of(&self.root, architecture)?;
        apt(&mut foreign.apt_get(&["update"]), log)?;
        let package = format!("{STD}:{architecture}");
        download(&mut foreign.apt_get(&["download", &package]), &self.root, log)?;
        let (ours, theirs) = (self.version()?, foreign.version(&package)?);
        if !theirs.starts_with(&format!("{ours}+")) {
            bail!("it is that of Rust {theirs}, and the compiler is {ours}");
        }
        self.unpack_downloads(log)?;
        if !library.exists() {
            bail!("{package} has no {}", library.display());
        }
        Ok(())
    }

    /// The folder of what a C library brings for a target, in which the compiler looks for it.
    pub fn self_contained(&self, triple: &str) -> PathBuf {
        self.rustlib().join(triple).join("lib/self-contained")
    }

    /// The source of the standard library, for targets of which Debian has none built.
    pub fn add_source(&self, log: &Path) -> Result<()> {
        if self.rustlib().join("src/rust/library").exists() {
            return Ok(());
        }
        self.add(&["rust-web-src"], log)
    }

    /// A script that calls a program with arguments before others.
    pub fn script(&self, name: &str, words: &[&str]) -> Result<PathBuf> {
        let path = std::path::absolute(self.root.join(format!("link-{name}")))?;
        write_script(&path, &format!("exec {} \"$@\"", words.join(" ")))?;
        Ok(path)
    }

    fn rustlib(&self) -> PathBuf {
        self.root.join("usr/lib/rustlib")
    }

    fn add(&self, names: &[&str], log: &Path) -> Result<()> {
        let arguments = [&["download"], names].concat();
        download(&mut apt_get(&arguments), &self.root, log)?;
        self.unpack_downloads(log)
    }

    fn unpack_downloads(&self, log: &Path) -> Result<()> {
        for file in fs::read_dir(&self.root)? {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extension == "deb") {
                apt(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&self.root), log)?;
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
        let output = Command::new(&script).arg("--version").stderr(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split(' ').nth(1).filter(|_| output.status.success());
        version.map(str::to_string).context("the unpacked compiler does not run")
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
        let output =
            command.args(["show", "--no-all-versions", package]).env("APT_CONFIG", &self.configuration).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.lines().find_map(|line| line.strip_prefix("Version: "));
        version.map(str::to_string).with_context(|| format!("{package} is not in {NEXT_RELEASE}"))
    }
}

/// Where this machine has its packages of Debian's main part from.
fn registry() -> Result<String> {
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI) $(COMPONENT) $(LABEL)", "Created-By: Packages"]);
    let text = String::from_utf8_lossy(&command.output()?.stdout).into_owned();
    let mut places = text.lines().filter_map(|line| line.strip_suffix(" main Debian"));
    places.next().map(str::to_string).context("this machine has no packages of Debian's")
}

/// What a package depends on whose name begins so.
fn dependency(package: &str, beginning: &str) -> Result<String> {
    let output = Command::new("apt-cache").args(["depends", package]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let mut fitting = names.filter(|name| name.starts_with(beginning));
    fitting.next().map(str::to_string).with_context(|| format!("{package} depends on no {beginning}…"))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-o", "APT::Sandbox::User=root"]).args(arguments);
    command
}

fn download(command: &mut Command, folder: &Path, log: &Path) -> Result<()> {
    apt(command.current_dir(folder), log)
}

fn apt(command: &mut Command, log: &Path) -> Result<()> {
    let output = File::options().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let finished = process::bounded(command, LIMIT)?;
    if !finished.succeeded() {
        bail!("{:?}: {} (see {})", command.get_program(), finished.describe(), log.display());
    }
    Ok(())
}
