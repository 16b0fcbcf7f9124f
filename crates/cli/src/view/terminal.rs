//! A map for terminals.

use super::amount::bytes;
use super::cells::{Slice, drawn, slices};
use super::explain;
use crate::heap::analysis::Analysis;
use crate::heap::snapshot::Snapshot;

const COLUMNS: usize = 64;
/// Rows of an arena, at most; more slices share a character then.
const ROWS: usize = 24;

/// The arenas as characters, and what they say.
pub fn map(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let analysis = Analysis::of(snapshot);
    text.push_str(&format!("{}\n\n", title(snapshot)));
    for (number, arena) in snapshot.arenas.iter().enumerate() {
        let all = slices(snapshot, number);
        let used = drawn(&all);
        let per_cell = used.div_ceil(COLUMNS * ROWS).max(1);
        text.push_str(&format!(
            "arena {number} at {:#x}: {} reserved, {} drawn, a character is {}\n",
            arena.address,
            bytes(arena.bytes(snapshot.slice_bytes)),
            bytes(used as u64 * snapshot.slice_bytes),
            bytes(per_cell as u64 * snapshot.slice_bytes)
        ));
        for row in all[..used].chunks(COLUMNS * per_cell) {
            text.push_str("  ");
            text.extend(row.chunks(per_cell).map(|cell| character(snapshot, cell)));
            text.push('\n');
        }
        text.push('\n');
    }
    text.push_str("█▓▒░ pages, full to nearly empty   · free   ~ free with memory that a purge gives back   # the allocator's own\n\n");
    text.push_str(&explain::text(snapshot, &analysis));
    text
}

pub fn title(snapshot: &Snapshot) -> String {
    let source = &snapshot.source;
    let how = if source.is_live { "process" } else { "core file of process" };
    format!("{how} {}: {} (ferrimalloc {})", source.pid, source.command, source.library_version)
}

fn character(snapshot: &Snapshot, cell: &[Slice]) -> char {
    let mut pages = cell.iter().filter_map(|slice| match slice {
        Slice::Page(number) => snapshot.pages.get(*number as usize),
        _ => None,
    });
    let (count, used) = pages.by_ref().fold((0, 0.0), |(count, used), page| (count + 1, used + page.occupancy()));
    if count * 2 >= cell.len() {
        return match used / count as f64 {
            share if share > 0.75 => '█',
            share if share > 0.5 => '▓',
            share if share > 0.25 => '▒',
            _ => '░',
        };
    }
    let most = |kind: Slice| cell.iter().filter(|slice| **slice == kind).count();
    let kinds = [(Slice::Free, '·'), (Slice::Unused, '~'), (Slice::Own, '#'), (Slice::Changing, '?')];
    kinds.into_iter().max_by_key(|(kind, _)| most(*kind)).map_or('·', |(_, character)| character)
}
