//! The disassembly of a shared library by `objdump`, and the straight path through one of its functions.
//!
//! The straight path starts at the function's entry, takes no conditional jump, follows unconditional ones within the
//! function, and ends at the first `ret`. Every instruction on it counts, padding (`nop`) too.

use crate::process;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

pub struct Disassembly {
    instructions: BTreeMap<u64, String>,
    functions: BTreeMap<String, Range<u64>>,
}

/// One instruction on a path, as `objdump` writes it: "mov    %fs:0x0,%rax".
pub struct Step {
    pub address: u64,
    pub text: String,
}

/// A path longer than this does not end.
const LONGEST: usize = 200;

impl Disassembly {
    pub fn of(library: &Path) -> Result<Self> {
        let listing =
            process::read(Command::new("objdump").args(["--disassemble", "--no-show-raw-insn"]).arg(library))?;
        let symbols =
            process::read(Command::new("nm").args(["--dynamic", "--defined-only", "--print-size"]).arg(library))?;
        Ok(Disassembly {
            instructions: listing.lines().filter_map(instruction).collect(),
            functions: symbols.lines().filter_map(function).collect(),
        })
    }

    pub fn straight_path(&self, function: &str) -> Result<Vec<Step>> {
        let body = self.functions.get(function).with_context(|| format!("no symbol {function}"))?;
        let mut steps = Vec::new();
        let mut address = body.start;
        while steps.len() < LONGEST {
            let step = self.step(address)?;
            let next = self.after(&step, body);
            steps.push(step);
            match next? {
                Some(next) => address = next,
                None => return Ok(steps),
            }
        }
        bail!("{function}: no ret within {LONGEST} instructions")
    }

    /// Where a function begins.
    pub fn start_of(&self, function: &str) -> Option<u64> {
        self.functions.get(function).map(|body| body.start)
    }

    /// The instructions that lock memory.
    pub fn locked(&self) -> impl Iterator<Item = u64> {
        let locks = |(&address, text): (&u64, &String)| Step { address, text: text.clone() }.locks().then_some(address);
        self.instructions.iter().filter_map(locks)
    }

    fn step(&self, address: u64) -> Result<Step> {
        let text = self.instructions.get(&address).with_context(|| format!("no instruction at {address:x}"))?;
        Ok(Step { address, text: text.clone() })
    }

    /// Where the path goes on; `None` after a `ret`.
    fn after(&self, step: &Step, body: &Range<u64>) -> Result<Option<u64>> {
        match step.mnemonic() {
            "ret" | "retq" => Ok(None),
            "jmp" | "jmpq" => step.target(body).map(Some),
            _ => Ok(self.instructions.range(step.address + 1..).next().map(|(&next, _)| next)),
        }
    }
}

impl Step {
    /// The operation without its prefixes.
    fn mnemonic(&self) -> &str {
        let is_prefix =
            |word: &&str| !["cs", "ds", "data16", "rep", "repz", "repnz", "bnd", "notrack", "lock"].contains(word);
        self.text.split_whitespace().find(is_prefix).unwrap_or_default()
    }

    /// The target of a direct jump inside `body`.
    fn target(&self, body: &Range<u64>) -> Result<u64> {
        let operand = self.text.split_whitespace().skip_while(|word| !word.starts_with("jmp")).nth(1);
        let target = operand.and_then(|operand| u64::from_str_radix(operand, 16).ok());
        match target.filter(|target| body.contains(target)) {
            Some(target) => Ok(target),
            None => bail!("the straight path leaves the function: {}", self.text),
        }
    }

    /// What a fast path must not contain: a call, a locked operation, any use of the stack but for the return address.
    pub fn fault(&self) -> Option<String> {
        let mnemonic = self.mnemonic();
        let calls = mnemonic.starts_with("call");
        let locks = self.locks();
        let stacks = mnemonic.starts_with("push") || mnemonic.starts_with("pop") || self.text.contains("%rsp");
        (calls || locks || stacks).then(|| format!("`{}` on the fast path", self.text))
    }

    /// Whether it is a locked operation; `xchg` with memory is one without a prefix.
    fn locks(&self) -> bool {
        let swaps_memory = self.mnemonic().starts_with("xchg") && self.text.contains('(');
        swaps_memory || self.text.split_whitespace().any(|word| word == "lock")
    }
}

/// `    1234:\tmov    %rax,%rbx  # comment`
fn instruction(line: &str) -> Option<(u64, String)> {
    let (address, text) = line.split_once(":\t")?;
    let address = u64::from_str_radix(address.trim(), 16).ok()?;
    Some((address, text.trim().to_owned()))
}

/// `0000000000001234 000000000000002f T malloc`
fn function(line: &str) -> Option<(String, Range<u64>)> {
    let [start, size, _kind, name] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    let (start, size) = (number(start)?, number(size)?);
    Some((name.split('@').next()?.to_owned(), start..start + size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(lines: &[&str]) -> Disassembly {
        let instructions: BTreeMap<u64, String> = lines.iter().copied().filter_map(instruction).collect();
        Disassembly { instructions, functions: [("f".to_owned(), 0..0x20)].into() }
    }

    #[test]
    fn the_path_follows_jumps_and_ends_at_ret() {
        let code = code(&[
            "  0:\tcmp    $0x1,%rax",
            "  4:\tjne    30 <slow>",
            "  6:\tjmp    10 <f+0x10>",
            "  8:\tud2",
            "  10:\tret",
        ]);
        let addresses: Vec<u64> = code.straight_path("f").unwrap().iter().map(|step| step.address).collect();
        assert_eq!(addresses, [0, 4, 6, 0x10]);
    }

    #[test]
    fn a_tail_jump_is_an_error() {
        assert!(code(&["  0:\tjmp    40 <g>"]).straight_path("f").is_err());
    }

    #[test]
    fn dear_instructions_are_faults() {
        let fault = |text: &str| Step { address: 0, text: text.into() }.fault().is_some();
        for dear in
            ["push   %rbx", "call   40 <g>", "lock cmpxchg %rcx,(%rdx)", "xchg   %rax,(%rdi)", "sub    $0x8,%rsp"]
        {
            assert!(fault(dear), "{dear}");
        }
        for cheap in ["xchg   %ax,%ax", "mov    %fs:0x0,%rax", "cs nopw 0x0(%rax,%rax,1)", "dec    %ecx"] {
            assert!(!fault(cheap), "{cheap}");
        }
    }

    #[test]
    fn symbols_lose_their_version() {
        assert_eq!(function("0000000000000010 0000000000000005 T malloc@@V1"), Some(("malloc".into(), 0x10..0x15)));
    }
}
