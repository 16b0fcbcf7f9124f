//! Processes to look at.

#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A process that has said that everything is there; it ends with this value.
pub struct Patient {
    child: Child,
    /// What it said.
    pub facts: String,
}

/// The program of `examples/patient.rs`, which cargo builds with the tests.
pub fn patient() -> PathBuf {
    let me = std::env::current_exe().unwrap();
    me.ancestors().nth(2).unwrap().join("examples/patient")
}

impl Patient {
    pub fn start(arguments: &[&str]) -> Patient {
        Self::start_program(&patient(), arguments)
    }

    pub fn start_program(program: &Path, arguments: &[&str]) -> Patient {
        Self::start_command(Command::new(program).args(arguments))
    }

    pub fn start_command(command: &mut Command) -> Patient {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut facts = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut facts).unwrap();
        assert!(!facts.is_empty(), "{command:?} says nothing");
        Patient { child, facts: facts.trim().into() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command, which cargo builds with the tests.
pub fn ferrimalloc() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ferrimalloc"))
}

/// A core file, by `gcore`; `None` where that is not to be had.
pub fn core_of(patient: &Patient, folder: &Path) -> Option<PathBuf> {
    let prefix = folder.join("core");
    let written = Command::new("gcore").arg("-o").arg(&prefix).arg(patient.pid().to_string()).output().ok()?;
    let path = folder.join(format!("core.{}", patient.pid()));
    (written.status.success() && path.exists()).then_some(path)
}
