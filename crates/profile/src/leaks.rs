//! What is still in use at the process's end, on standard error. Whether the program could still reach it is not known, and not
//! claimed.

use ferrimalloc_core::profile;
use ferrimalloc_prim::output;

use crate::output::Buffered;
use crate::stacks::{Measure, Stacks};
use crate::symbols::Symbols;

/// How many stacks are listed, the largest first.
const STACKS: usize = 10;
/// How many calls of each.
const CALLS: usize = 12;

/// Writes the list.
pub fn list() {
    let mut out = |bytes: &[u8]| output::write_stderr(bytes);
    let mut text = Buffered::new(&mut out);
    let (_, in_use) = profile::totals();
    let amount = in_use.estimate();
    text.text("ferrimalloc: in use at exit: about ").number(amount.bytes).text(" bytes in ").number(amount.count);
    text.text(" blocks, by ").number(in_use.sampled.count).text(" samples\n");
    let (stacks, mut symbols) = (Stacks::new(), Symbols::new());
    let mut before = (u64::MAX, 0);
    for _ in 0..STACKS {
        let next = largest(&stacks, &mut symbols, before);
        if next.0 == 0 {
            break;
        }
        show(&mut text, &stacks, &mut symbols, next);
        before = next;
    }
}

/// The largest stack that comes after `before`: its bytes, and its number.
fn largest(stacks: &Stacks, symbols: &mut Symbols, before: (u64, usize)) -> (u64, usize) {
    let (mut best, mut index) = ((0, 0), 0);
    stacks.for_each(symbols, |_, _, counts| {
        index += 1;
        let bytes = Measure::InUse.of(counts).estimate().bytes;
        let is_after = bytes < before.0 || bytes == before.0 && index > before.1;
        if is_after && bytes > best.0 {
            best = (bytes, index);
        }
        true
    });
    best
}

fn show(text: &mut Buffered<'_>, stacks: &Stacks, symbols: &mut Symbols, (bytes, wanted): (u64, usize)) {
    let mut index = 0;
    stacks.for_each(symbols, |symbols, calls, counts| {
        index += 1;
        if index == wanted {
            let count = Measure::InUse.of(counts).estimate().count;
            text.text("  ").number(bytes).text(" bytes in ").number(count).text(" blocks, allocated by\n");
            for &call in calls.iter().take(CALLS) {
                text.text("    ").address(call);
                if let Some(found) = symbols.name(call) {
                    text.text(" ").bytes(found.name);
                }
                text.text("\n");
            }
        }
        index < wanted
    });
}
