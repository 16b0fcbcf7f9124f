//! Floor 3: address space from the operating system, aligned, and where its users want it; and what may be done with
//! memory by its provenance (`private`).

mod numa;
mod private;
mod region;
#[cfg(test)]
pub(crate) mod tests;
pub mod tool_hooks;
mod unmap_retry;

pub use numa::{current_numa_node, numa_nodes};
pub use private::{PrivateMemory, reserve, reserve_exactly, reserve_near};
pub use region::{release, retry_unmaps};

pub use ferrimalloc_prim::mem::CLOSING_CLEARS;

use ferrimalloc_prim::mem;

/// Address space of ours.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// Its first byte.
    pub start: *mut u8,
    /// Its size in bytes.
    pub bytes: usize,
}

/// Bytes of the machine's smallest unit of memory.
#[inline]
pub fn os_page_bytes() -> usize {
    mem::config().os_page_bytes
}

/// The binary logarithm of [`os_page_bytes`]: dividing by shifting costs a tenth.
#[inline]
pub fn os_page_shift() -> u32 {
    os_page_bytes().trailing_zeros()
}

/// Mappings begin at multiples of this: an OS page, or some of them.
pub fn map_unit_bytes() -> usize {
    mem::config().map_unit_bytes.max(os_page_bytes())
}

/// Whether address space can be had writable without being charged for (the usual case), so that nothing ever has
/// to be committed.
pub fn overcommits() -> bool {
    mem::config().overcommits
}
