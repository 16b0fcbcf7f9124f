//! Sub-processes: heaps and arenas that share nothing with another's. Blocks may be freed from anywhere.

use core::ffi::c_void;
use core::ptr;

use ferrimalloc_core::diag::{self, Detail, ErrorKind};
use ferrimalloc_core::heap::Subproc;
use ferrimalloc_core::runtime::{self, Undestroyed};

use super::export;
use super::types::{HeapVisitFn, SubprocId};

/// The live sub-process with this id.
pub fn find(id: SubprocId) -> Option<&'static Subproc> {
    runtime::find_subproc(id.subproc.cast())
}

#[cold]
fn refuse(id: SubprocId, why: &'static str) {
    diag::error(ErrorKind::InvalidHandle, id.subproc.cast(), Detail::Named(why));
}

export! {
    /// The one that the process starts with.
    fn mi_subproc_main() -> SubprocId {
        SubprocId::of(runtime::main_subproc())
    }

    /// The one that this thread allocates in.
    fn mi_subproc_current() -> SubprocId {
        SubprocId::of(runtime::current_subproc())
    }

    /// A new one, with a main heap and an arena; its id is null without memory.
    fn mi_subproc_new() -> SubprocId {
        runtime::subproc_new().map_or(SubprocId::NONE, SubprocId::of)
    }

    /// Ends a sub-process with all heaps, blocks and arenas in it. Refused, with a message, for the main one, for this
    /// thread's, and as long as threads in it have not ended; null is fine.
    fn mi_subproc_destroy(subproc: SubprocId) {
        if subproc.subproc.is_null() {
            return;
        }
        match find(subproc).map(|subproc| runtime::subproc_destroy(subproc)) {
            Some(Ok(())) => (),
            Some(Err(Undestroyed::InUse)) => refuse(subproc, "mi_subproc_destroy of the main sub-process, or of the current one"),
            Some(Err(Undestroyed::HasThreads)) => refuse(subproc, "mi_subproc_destroy while threads use it"),
            None => refuse(subproc, "mi_subproc_destroy"),
        }
    }

    /// From now on this thread allocates in another sub-process; what it has allocated stays where it is. Best called
    /// first thing in a thread.
    fn mi_subproc_add_current_thread(subproc: SubprocId) {
        match find(subproc) {
            Some(found) if ptr::eq(found, runtime::current_subproc()) => (),
            Some(found) => _ = runtime::join_subproc(found),
            None => refuse(subproc, "mi_subproc_add_current_thread"),
        }
    }

    /// Shows `visitor` each heap of a sub-process; it may make and end heaps. False without a visitor or sub-process,
    /// and if the visitor ended the visit.
    fn mi_subproc_visit_heaps(subproc: SubprocId, visitor: Option<HeapVisitFn>, arg: *mut c_void) -> bool {
        let (Some(subproc), Some(visitor)) = (find(subproc), visitor) else { return false };
        runtime::live_theap();
        runtime::visit_heaps(subproc, |heap| visitor(ptr::from_ref(heap).cast_mut().cast(), arg))
    }
}
