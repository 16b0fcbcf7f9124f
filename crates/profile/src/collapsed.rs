//! Collapsed stacks, which flame graphs are made of: a line per stack, the outermost function first, and the estimated bytes.
//!
//! ```text
//! worker;main;parse;read_line 1048576
//! ```
//! The first is the thread's name. Names are as the linker has them: `c++filt` or `rustfilt` makes them readable. Where a file has
//! none, the place in it stands for the function.
//!
//! Source: Brendan Gregg's FlameGraph, `stackcollapse`.

use ferrimalloc_prim::modules;

use crate::output::{Buffered, Output};
use crate::stacks::{Measure, Stacks};
use crate::symbols::Symbols;

/// Writes the bytes of each stack.
pub fn collapsed(out: &mut dyn Output, measure: Measure) {
    let mut text = Buffered::new(out);
    Stacks::new().for_each(&mut Symbols::new(), |symbols, calls, counts| {
        let bytes = measure.of(counts).estimate().bytes;
        if bytes > 0 {
            frame(&mut text, until_zero(&counts.who.thread));
            for &call in calls.iter().rev() {
                text.text(";");
                match symbols.name(call) {
                    Some(found) => frame(&mut text, found.name),
                    None => place(&mut text, call),
                }
            }
            text.text(" ").number(bytes).text("\n");
        }
        true
    });
}

/// The bytes before the first zero.
pub fn until_zero(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or(&[])
}

/// A name without what has a meaning of its own.
fn frame(text: &mut Buffered<'_>, name: &[u8]) {
    for &byte in name {
        let is_plain = byte != b';' && !byte.is_ascii_control();
        text.bytes(&[if is_plain { byte } else { b'_' }]);
    }
}

/// `file+0x1234`.
fn place(text: &mut Buffered<'_>, call: usize) {
    let mut is_known = false;
    modules::for_each(&mut |module| {
        is_known = module.contains(call);
        if is_known {
            let name = module.name.to_bytes();
            let file = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
            frame(text, if file.is_empty() { b"program" } else { file });
            text.text("+").address(call - module.base);
        }
        !is_known
    });
    if !is_known {
        text.address(call);
    }
}
