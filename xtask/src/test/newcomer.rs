//! README's first commands for C, C++, Rust, Python and node, run as they stand there.
//!
//! A block of commands behind `<!-- newcomer: NAME -->` is one path. It starts in the checkout, in a home of its own, and its last line of output
//! must be `ferrimalloc: yes`. A path whose programs are missing is skipped and named.

use super::{Testbed, Verdict, Workbench};
use crate::{packages, workspace};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(600);
const MARK: &str = "<!-- newcomer: ";
const ANSWER: &str = "ferrimalloc: yes";
/// More would not be a newcomer's path.
const MOST_COMMANDS: usize = 2;
/// Paths that must be there, and the programs without which one can't be tried.
const PATHS: [(&str, &[&str]); 5] = [
    ("C", &["cc", "pkg-config"]),
    ("C++", &["c++", "cmake"]),
    ("Rust", &[]),
    ("Python", &["python3"]),
    ("node", &["node", "npm", "npx"]),
];

pub fn check(testbed: &Testbed) -> Verdict {
    if workspace::foreign_library().is_some() {
        return Ok("not of another library".into());
    }
    let readme = fs::read_to_string(workspace::root().join("README.md"))?;
    let bench = testbed.workbench("newcomer", LIMIT)?;
    let mut said = Vec::new();
    for (name, programs) in PATHS {
        let commands = commands(&readme, name)?;
        said.push(match programs.iter().find(|program| !packages::is_there(program)) {
            Some(missing) => format!("{name} skipped ({missing} is missing)"),
            None => follow(&bench, name, &commands).map(|()| name.to_string())?,
        });
    }
    Ok(said.join(", "))
}

/// The commands of one path: a line each.
fn commands(readme: &str, name: &str) -> Result<Vec<String>> {
    let (_, rest) = readme.split_once(&format!("{MARK}{name} -->")).with_context(|| format!("no path for {name}"))?;
    let block = rest.trim_start().strip_prefix("```sh\n").and_then(|rest| rest.split_once("```"));
    let (block, _) = block.with_context(|| format!("no commands for {name}"))?;
    let commands: Vec<String> = block.lines().map(str::to_owned).collect();
    ensure!(!commands.is_empty() && commands.len() <= MOST_COMMANDS, "{name}: {} commands", commands.len());
    Ok(commands)
}

fn follow(bench: &Workbench, name: &str, commands: &[String]) -> Result<()> {
    let mut shell = Command::new("sh");
    shell.args(["-ec", &commands.join("\n")]).current_dir(workspace::root());
    shell.env("HOME", &bench.folder).env("CARGO_TERM_QUIET", "true");
    for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        shell.env(variable, std::env::var_os(variable).map_or_else(|| real_home().join(folder), PathBuf::from));
    }
    let said = bench.run(&mut shell).with_context(|| format!("the path for {name}"))?;
    let last = said.lines().next_back().unwrap_or_default();
    ensure!(last == ANSWER, "the path for {name} ends with {last:?}, not {ANSWER:?}");
    Ok(())
}

fn real_home() -> PathBuf {
    std::env::home_dir().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_behind_the_mark() {
        let readme = "```sh\nother\n```\n<!-- newcomer: C -->\n```sh\none\ntwo\n```\n";
        assert_eq!(commands(readme, "C").unwrap(), ["one", "two"]);
        assert!(commands(readme, "C++").is_err());
        assert!(commands("<!-- newcomer: C -->\n```sh\n1\n2\n3\n```", "C").is_err());
    }
}
