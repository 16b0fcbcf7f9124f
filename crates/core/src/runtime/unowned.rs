//! Pages that no thread owns: who collects them.
//!
//! A full page is given up, and a thread's pages are left behind at its end. Nobody's collection comes to them, so what
//! becomes empty in them stays until somebody asks for everything, or a tick finds them quiet. (A file of its own: what threads
//! and sub-processes do knows nothing of it.)

use super::subprocs::visit_heaps;
use super::thread::ENDS;
use crate::base::*;
use crate::heap::{Heap, Subproc, adopt_orphans_first};
use crate::theap::punch_unowned;

/// Gives back what is empty of the pages that no thread owns: with `Force::All` of all heaps of a sub-process, or only of the
/// main heap's if a heap is ending now; else of a few quiet ones of the main heap, if it is time to look for some.
pub fn collect_unowned(subproc: &'static Subproc, force: Force) {
    if force == Force::Routine {
        return look(subproc);
    }
    adopt_orphans_first();
    let no_heap_ends = ENDS.unless_now();
    visit_heaps(subproc, |heap| {
        if no_heap_ends.is_some() || heap.is_main() {
            collect_in(heap, force, usize::MAX);
        }
        true
    });
}

fn look(subproc: &'static Subproc) {
    if let Some(main) = subproc.main_heap()
        && let Some(most) = subproc.arenas().begin_look()
    {
        adopt_orphans_first();
        collect_in(main, Force::Routine, most);
    }
}

/// In at most so many pages.
fn collect_in(heap: &'static Heap, force: Force, most: usize) {
    let mut left = most;
    heap.for_each_own_page(|page| {
        if left > 0 {
            left -= usize::from(punch_unowned(heap, page, force));
        }
    });
}
