//! A snapshot's pages and slices for a browser: columns of small numbers, deflated, as text.
//!
//! Each column stands alone, numbers in groups of seven bits, so that a million pages are a few bytes each, before they
//! are deflated. Where that is still too much, numbers of blocks are rounded to a fifteenth of what fits.

use super::cells::{Slice, slices};
use crate::heap::snapshot::{Certainty, Owner, Page, Snapshot};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::collections::HashMap;
use std::io::Write;

/// Whether numbers are as they were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Precision {
    Exact,
    /// Blocks to a fifteenth, resident memory to a quarter.
    Rounded,
}

/// What the packed text may be at most.
const MOST_BYTES: usize = 2_700_000;
/// Owners that are no thread.
const OWNERS: u64 = 3;
/// A rounded page's blocks are told in parts of this.
pub const PARTS: u64 = 15;

/// The text, and how precise it is.
pub fn pack(snapshot: &Snapshot, classes: &[u64]) -> (String, Precision) {
    let exact = text(snapshot, classes, Precision::Exact);
    if exact.len() <= MOST_BYTES {
        return (exact, Precision::Exact);
    }
    (text(snapshot, classes, Precision::Rounded), Precision::Rounded)
}

fn text(snapshot: &Snapshot, classes: &[u64], precision: Precision) -> String {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::new(5));
    let columns = columns(snapshot, classes, precision);
    // Writing to memory doesn't fail.
    let packed = packer.write_all(&columns).and_then(|()| packer.finish()).unwrap_or_default();
    STANDARD.encode(packed)
}

fn columns(snapshot: &Snapshot, classes: &[u64], precision: Precision) -> Vec<u8> {
    let mut out = Vec::new();
    let usual = usual_rooms(snapshot, classes);
    let classes = numbered(classes.iter().copied());
    let threads = numbered(snapshot.threads.iter().map(|thread| thread.number));
    runs(snapshot, &mut out);
    put(&mut out, snapshot.pages.len() as u64);
    let mut end = 0;
    column(&mut out, snapshot, |page| {
        // From the last page's end; arenas ascend by number, not by address.
        let start = page.address / snapshot.slice_bytes;
        let gap = start.wrapping_sub(end);
        end = start + u64::from(page.slices);
        gap
    });
    column(&mut out, snapshot, |page| page.slices.into());
    column(&mut out, snapshot, |page| page.arena.map_or(0, |arena| u64::from(arena) + 1));
    column(&mut out, snapshot, |page| classes.get(&key(page)).copied().unwrap_or(0));
    column(&mut out, snapshot, |page| {
        let is_usual = classes.get(&key(page)).is_some_and(|class| usual[*class as usize] == page.reserved);
        if is_usual { 0 } else { page.reserved.into() }
    });
    column(&mut out, snapshot, |page| match precision {
        Precision::Exact => page.used.into(),
        Precision::Rounded => (u64::from(page.used) * PARTS).div_ceil(u64::from(page.reserved.max(1))),
    });
    column(&mut out, snapshot, |page| match page.owner {
        Owner::Single | Owner::Samples => 0,
        Owner::Abandoned => 1,
        Owner::GivenUp(_) => 2,
        Owner::Thread(number) => OWNERS + threads.get(&number).copied().unwrap_or(0),
    });
    column(&mut out, snapshot, |page| {
        let certainty = match page.certainty {
            Certainty::Exact => 0,
            Certainty::AtMost => 1,
            Certainty::Moving => 2,
        };
        certainty | u64::from(page.is_retired) << 2 | u64::from(page.is_hardened) << 3
    });
    column(&mut out, snapshot, |page| match page.resident {
        None => 0,
        Some(bytes) if precision == Precision::Exact => 1 + bytes / snapshot.os_page_bytes,
        Some(bytes) => 1 + (bytes * 4).div_ceil(u64::from(page.slices) * snapshot.slice_bytes),
    });
    column(&mut out, snapshot, |page| page.heap.into());
    column(&mut out, snapshot, |page| match precision {
        Precision::Exact => u64::from((page.handed / u64::from(page.reserved.max(1)) + 1).ilog2()),
        Precision::Rounded => 0,
    });
    blocks(snapshot, &mut out);
    out
}

fn numbered(keys: impl Iterator<Item = u64>) -> HashMap<u64, u64> {
    keys.zip(0..).collect()
}

/// A page's class in the list of classes.
fn key(page: &Page) -> u64 {
    if page.is_single() { 0 } else { page.block_bytes }
}

/// How many blocks fit into most pages of each class.
pub fn usual_rooms(snapshot: &Snapshot, classes: &[u64]) -> Vec<u16> {
    let mut rooms: HashMap<(u64, u16), usize> = HashMap::new();
    snapshot.pages.iter().for_each(|page| *rooms.entry((key(page), page.reserved)).or_default() += 1);
    let usual = |class: &u64| {
        let its = rooms.iter().filter(|((key, _), _)| key == class);
        its.max_by_key(|((_, room), count)| (**count, *room)).map_or(0, |((_, room), _)| *room)
    };
    classes.iter().map(usual).collect()
}

/// Per arena: how many runs, then what each is and how long.
fn runs(snapshot: &Snapshot, out: &mut Vec<u8>) {
    for arena in 0..snapshot.arenas.len() {
        let codes: Vec<u8> = slices(snapshot, arena).into_iter().map(code).collect();
        let runs: Vec<&[u8]> = codes.chunk_by(|one, two| one == two).collect();
        put(out, runs.len() as u64);
        for run in runs {
            put(out, run[0].into());
            put(out, run.len() as u64);
        }
    }
}

fn code(slice: Slice) -> u8 {
    match slice {
        Slice::Free => 0,
        Slice::Unused => 1,
        Slice::Own => 2,
        Slice::Changing => 3,
        Slice::Page(_) => 4,
    }
}

fn blocks(snapshot: &Snapshot, out: &mut Vec<u8>) {
    put(out, snapshot.blocks.len() as u64);
    for (page, bits) in &snapshot.blocks {
        put(out, (*page).into());
        let blocks = usize::from(snapshot.pages[*page as usize].capacity);
        let bytes: Vec<u8> = bits.iter().flat_map(|word| word.to_le_bytes()).take(blocks.div_ceil(8)).collect();
        put(out, blocks as u64);
        out.extend(bytes);
    }
}

fn column(out: &mut Vec<u8>, snapshot: &Snapshot, mut value: impl FnMut(&Page) -> u64) {
    snapshot.pages.iter().for_each(|page| put(out, value(page)));
}

/// Seven bits at a time, the lowest first; the highest bit of a byte says that more follow.
fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
