//! The fast paths of `malloc` and `free` in the built library: few instructions, nothing dear among them.

use super::disassembly::{Disassembly, Step};
use super::{Testbed, Verdict};
use anyhow::{Result, bail};

struct FastPath {
    function: &'static str,
    most_instructions: usize,
}

const fn at_most(most_instructions: usize, function: &'static str) -> FastPath {
    FastPath { function, most_instructions }
}

/// `operator new` and `operator delete` are as short as `malloc` and `free`, and so are frees that are told the size.
const FAST_PATHS: [FastPath; 11] = [
    at_most(15, "malloc"),
    at_most(16, "free"),
    at_most(15, "_Znwm"),
    at_most(16, "_ZdlPv"),
    at_most(16, "mi_free"),
    at_most(16, "mi_free_size"),
    at_most(16, "mi_free_csize"),
    at_most(16, "mi_free_small"),
    at_most(16, "mi_free_small_local_nonnull"),
    at_most(16, "mi_wmalloc_small"),
    at_most(20, "mi_theap_malloc"),
];

pub fn check(testbed: &Testbed) -> Verdict {
    if !cfg!(target_arch = "x86_64") {
        return Ok("not checked: the limits are for x86-64".into());
    }
    let code = Disassembly::of(testbed.library()?)?;
    let counts: Vec<String> = FAST_PATHS.iter().map(|path| path.check(&code)).collect::<Result<_>>()?;
    Ok(counts.join(", "))
}

impl FastPath {
    fn check(&self, code: &Disassembly) -> Result<String> {
        let steps = code.straight_path(self.function)?;
        let faults = self.faults(&steps);
        if !faults.is_empty() {
            bail!("{}: {}\n{}", self.function, faults.join("; "), listing(&steps));
        }
        Ok(format!("{} {} of at most {}", self.function, steps.len(), self.most_instructions))
    }

    fn faults(&self, steps: &[Step]) -> Vec<String> {
        let mut faults: Vec<String> = steps.iter().filter_map(Step::fault).collect();
        if steps.len() > self.most_instructions {
            faults.insert(0, format!("{} instructions, at most {}", steps.len(), self.most_instructions));
        }
        faults
    }
}

fn listing(steps: &[Step]) -> String {
    let lines = steps.iter().map(|step| format!("      {:x}: {}", step.address, step.text));
    lines.collect::<Vec<_>>().join("\n")
}
