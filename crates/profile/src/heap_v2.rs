//! The text format of gperftools and jemalloc: what was sampled, to be scaled by the reader (`heap_v2` with the rate), a line per
//! stack, then the process's mappings, by which the reader finds the files that have the names.
//!
//! ```text
//! heap profile:  N: BYTES [ N: BYTES] @ heap_v2/524288
//! N: BYTES [N: BYTES] @ 0x1234 0x5678
//!
//! MAPPED_LIBRARIES:
//! …
//! ```
//! In use, then in brackets allocated altogether.
//!
//! Source: gperftools, `docs/heapprofile.html`; pprof, `doc/` on legacy formats.

use ferrimalloc_core::profile::{self, Amounts};
use ferrimalloc_prim::modules;

use crate::output::{Buffered, Output};
use crate::stacks::Stacks;
use crate::symbols::Symbols;

/// Writes the profile; `rate_bytes` is what it was taken at.
pub fn heap_v2(out: &mut dyn Output, rate_bytes: usize) {
    let mut text = Buffered::new(out);
    let (allocated, in_use) = profile::totals();
    counts(text.text("heap profile: "), in_use, allocated);
    text.text(" heap_v2/").number(rate_bytes as u64).text("\n");
    Stacks::new().for_each(&mut Symbols::new(), |_, calls, found| {
        counts(&mut text, found.in_use, found.allocated);
        for call in calls {
            // As return addresses, from which readers subtract.
            text.text(" ").address(call + 1);
        }
        text.text("\n");
        true
    });
    text.text("\nMAPPED_LIBRARIES:\n");
    modules::for_each_mapping(&mut |part| _ = text.bytes(part));
}

fn counts(text: &mut Buffered<'_>, in_use: Amounts, allocated: Amounts) {
    text.number(in_use.sampled.count).text(": ").number(in_use.sampled.bytes).text(" [");
    text.number(allocated.sampled.count).text(": ").number(allocated.sampled.bytes).text("] @");
}
