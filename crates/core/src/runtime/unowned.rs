//! Pages that no thread owns: who collects them.
//!
//! A full page is given up, and a thread's pages are left behind at its end. Nobody's collection comes to them, so what
//! becomes empty in them stays until somebody asks for everything.

use super::subprocs::visit_heaps;
use super::thread::heap_ends;
use crate::heap::{Heap, Subproc, adopt_orphans_first};
use crate::theap::punch_unowned;

/// Gives back what is empty of all pages of a sub-process that no thread owns; only of the main heap's if a heap is ending now.
pub fn collect_unowned(subproc: &'static Subproc) {
    adopt_orphans_first();
    let no_heap_ends = heap_ends().unless_now();
    visit_heaps(subproc, |heap| {
        if no_heap_ends.is_some() || heap.is_main() {
            collect_in(heap);
        }
        true
    });
}

fn collect_in(heap: &'static Heap) {
    heap.for_each_own_page(|page| {
        punch_unowned(heap, page);
        true
    });
}
