//! A sequence of operations of one thread, on several heaps, against the model of the core's own tests.

#![no_main]

mod common;
#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use common::{Bytes, operations_so_far};
use libfuzzer_sys::fuzz_target;
use support::model::{MAX_ALIGN_BITS, Model, Op, Raw, op};
use support::{Books, Shadow};

/// As many operations as make a sequence worth its overhead, and short enough to be shrunk.
const MOST: usize = 400;

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let shadow = Shadow::new();
    let mut model = Model::new(&shadow, 1);
    let mut done = 0;
    while !bytes.is_empty() && done < MOST {
        model.apply(next(&mut bytes));
        done += 1;
    }
    model.finish();
    drop(model);
    assert!(shadow.is_empty());
    assert_eq!(Books::collected().pages, 0);
    operations_so_far(support::operations());
});

fn next(bytes: &mut Bytes) -> Op {
    let kind = bytes.byte() % 100;
    let pick = u16::from(bytes.byte()) << 3;
    let flags = bytes.byte();
    let align_bits = u32::from(bytes.byte()) % if flags & 12 == 0 { MAX_ALIGN_BITS - 4 } else { 8 };
    let raw: Raw = (kind, pick, bytes.size(), align_bits, flags & 3);
    op(raw)
}
