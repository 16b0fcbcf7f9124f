//! What each slice is, for pictures.

use crate::heap::snapshot::Snapshot;

/// What a slice is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slice {
    /// Nobody's, without memory worth giving back.
    Free,
    /// Nobody's, with memory that a purge would give back.
    Unused,
    /// The allocator's own structures.
    Own,
    /// Not known: it changed hands while the heap was read, or its description could not be read.
    Changing,
    /// Of the page with this number.
    Page(u32),
}

/// The slices of an arena in order.
pub fn slices(snapshot: &Snapshot, arena: usize) -> Vec<Slice> {
    let description = &snapshot.arenas[arena];
    let state = |slice: usize| {
        if description.is_changing(slice) {
            Slice::Changing
        } else if !description.is_free(slice) {
            Slice::Own
        } else if description.is_purgeable(slice) {
            Slice::Unused
        } else {
            Slice::Free
        }
    };
    let mut all: Vec<Slice> = (0..description.slices as usize).map(state).collect();
    for number in snapshot.pages_of(arena) {
        let page = &snapshot.pages[number];
        let Some((_, slice)) = snapshot.slice_of(page) else { continue };
        let end = (slice + page.slices as usize).min(all.len());
        all[slice.min(end)..end].fill(Slice::Page(number as u32));
    }
    all
}

/// How many slices from the first on are worth drawing: behind the last that isn't free.
pub fn drawn(slices: &[Slice]) -> usize {
    slices.iter().rposition(|slice| *slice != Slice::Free).map_or(0, |last| last + 1)
}
