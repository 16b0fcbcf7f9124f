//! What is looked at: a process, a core file, or a snapshot.

use crate::failure::{Result, file_failure};
use crate::heap::analysis::worst_pages;
use crate::heap::reader::{self, Depth};
use crate::heap::snapshot::{Snapshot, is_snapshot};
use crate::process::{CoreFile, Live, Memory};
use std::convert::Infallible;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;

/// Pages whose blocks are looked at one by one.
const DETAILED_PAGES: usize = 200;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    Process(u32),
    File(PathBuf),
}

impl FromStr for Target {
    type Err = Infallible;

    /// A number is a process's.
    fn from_str(text: &str) -> Result<Target, Infallible> {
        Ok(text.parse().map_or_else(|_| Target::File(text.into()), Target::Process))
    }
}

/// What there is to see of a target.
pub fn load(target: &Target) -> Result<Snapshot> {
    match target {
        Target::Process(pid) => of_memory(&Live::attach(*pid)?),
        Target::File(path) => {
            let mut beginning = [0; 64];
            let failed = |error| file_failure(path, &error);
            let mut file = File::open(path).map_err(failed)?;
            let read = file.read(&mut beginning).map_err(failed)?;
            if is_snapshot(&beginning[..read]) {
                return Snapshot::decode(&std::fs::read(path).map_err(failed)?, path);
            }
            of_memory(&CoreFile::open(path)?)
        }
    }
}

fn of_memory(memory: &dyn Memory) -> Result<Snapshot> {
    let mut snapshot = reader::read(memory, Depth::Lists)?;
    let pages = worst_pages(&snapshot, DETAILED_PAGES);
    reader::add_blocks(memory, &mut snapshot, &pages)?;
    Ok(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_processes() {
        assert_eq!("17".parse(), Ok(Target::Process(17)));
        assert_eq!("core.17".parse(), Ok(Target::File("core.17".into())));
    }
}
