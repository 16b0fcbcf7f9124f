//! Real programs as workloads: scripts in `bench/real/`, each run with the engine preloaded.
//!
//! A script prints `checksum=…` of what the program computed, and may print figures of its own (`p99_us=…`). A program
//! that is not installed is left out of the list with a line; the page names the package.

use super::cases::{Case, Program};
use crate::{packages, tables, workspace};
use anyhow::Result;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Real {
    name: String,
    script: String,
    /// The program that must be there.
    need: String,
    about: String,
}

pub fn cases(scale: f64) -> Result<Vec<Case>> {
    let mut programs: Vec<Real> = tables::list("real", "program")?;
    programs.retain(Real::is_there);
    Ok(programs.iter().map(|real| real.case(scale)).collect())
}

impl Real {
    fn is_there(&self) -> bool {
        let is_there = packages::is_there(&self.need);
        if !is_there {
            println!("  real program {} left out: {} is not installed", self.name, self.need);
        }
        is_there
    }

    fn case(&self, scale: f64) -> Case {
        let script = workspace::root().join("bench/real").join(&self.script).display().to_string();
        let environment =
            vec![("SCALE".to_owned(), scale.to_string()), ("PYTHONMALLOC".to_owned(), "malloc".to_owned())];
        let command = vec!["sh".into(), script];
        let program = Program::Preloaded { command, environment };
        Case { name: self.name.clone(), group: "real".into(), source: self.about.clone(), program }
    }
}
