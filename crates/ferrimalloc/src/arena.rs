//! Arenas that the program asks for.

use core::fmt;
use core::mem::MaybeUninit;

use ferrimalloc_core::arena::{self, Commit, LargePages, UserMemory};
use ferrimalloc_core::base::Zero;
use ferrimalloc_core::runtime;

pub use ferrimalloc_core::arena::{Refusal, Sharing};

/// A stretch of memory from which heaps take theirs. Arenas live as long as the process.
///
/// The allocator makes arenas when it needs some. Ask for one to have memory in advance, to have the blocks of some heaps in a
/// place of their own ([`Sharing::Exclusive`] and [`Heap::new_in`](crate::Heap::new_in)), or to have them in memory that the program has.
#[doc(alias = "mi_arena_id_t")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Arena(&'static arena::Arena);

impl Arena {
    /// Reserves `bytes` of address space, rounded up to 64 KiB; memory comes when it is touched. `None` if there is no such
    /// space, or it is less than 2 MiB.
    ///
    /// ```
    /// use ferrimalloc::{Heap, arena::{Arena, Sharing}};
    /// use std::alloc::Layout;
    ///
    /// let arena = Arena::reserve(64 << 20, Sharing::Exclusive).unwrap();
    /// let heap = Heap::new_in(arena).unwrap();
    /// let block = heap.alloc(Layout::new::<[u8; 1000]>()).unwrap();
    /// assert!(arena.contains(block.as_ptr()));
    /// ```
    #[doc(alias = "mi_reserve_os_memory_ex")]
    pub fn reserve(bytes: usize, sharing: Sharing) -> Option<Arena> {
        let arenas = runtime::current_subproc().arenas();
        runtime::live_theap()?;
        arenas.reserve_arena(bytes, Commit::Now, LargePages::Never, sharing).map(Arena)
    }

    /// Makes an arena of memory that the program has: of the whole 64 KiB slices in it, 2 MiB at least. It stays resident.
    #[doc(alias = "mi_manage_memory")]
    pub fn manage(memory: &'static mut [MaybeUninit<u8>], sharing: Sharing) -> Result<Arena, Refusal> {
        if runtime::live_theap().is_none() {
            return Err(Refusal::Refused);
        }
        let user = UserMemory {
            start: memory.as_mut_ptr().cast(),
            bytes: memory.len(),
            commit_state: Commit::Now,
            pinned: true,
            zero: Zero::Any,
            numa: None,
            sharing,
            commit: None,
        };
        // SAFETY: the memory is borrowed exclusively and for ever.
        unsafe { runtime::current_subproc().arenas().manage(&user) }.map(Arena)
    }

    /// Whether `p` lies in the arena.
    #[doc(alias = "mi_arena_contains")]
    pub fn contains(&self, p: *const u8) -> bool {
        self.0.contains(p)
    }

    /// How large it is, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    pub(crate) fn core(self) -> &'static arena::Arena {
        self.0
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arena of {} bytes at {:p}", self.bytes(), self.0.start())
    }
}
