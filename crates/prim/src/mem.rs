//! Address space and memory: the contract between the allocator and the operating system.
//!
//! Ranges are whole OS pages ([`MemConfig::os_page_bytes`]), private and anonymous. Memory from [`map`] is reserved without a
//! promise of memory (`MAP_NORESERVE`): reserving 256 GiB costs nothing until it is touched. States of an OS page:
//!
//! ```text
//!            map(None)            map(ReadWrite)
//!                │                      │
//!                v     protect          v           touch
//!          inaccessible <────────> zero, no memory ───────> backed
//!                                       ^                     │
//!                                       └───── discard ───────┘   (reset: at the kernel's leisure, contents undefined until then)
//! ```
//!
//! Every function is thread-safe, allocates nothing and leaves `errno` alone. With the feature `sim` the functions are those of
//! the in-memory operating system in `sim`.

use crate::errno::Errno;
use crate::once::Detected;
use crate::platform;
use core::ffi::CStr;

/// Whether the kernel backs memory with transparent huge pages of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThpMode {
    /// Never, or there is no such thing.
    Never,
    /// Only where advised ([`Thp::Advise`]).
    Madvise,
    /// Everywhere but where refused ([`Thp::Refuse`]).
    Always,
}

/// What the machine and the process' limits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemConfig {
    /// The unit of access and of memory; a power of two.
    pub os_page_bytes: usize,
    /// Mappings begin at multiples of this: an OS page, or more of them (a power of two).
    pub map_unit_bytes: usize,
    /// The unit that one entry of the page directory maps (2 MiB on x86-64); 0 if unknown.
    pub large_page_bytes: usize,
    /// Memory of the machine.
    pub physical_bytes: usize,
    /// User addresses are below `1 << va_bits`.
    pub va_bits: u32,
    /// False if the kernel accounts strictly for private writable mappings, so that big reservations must be inaccessible.
    pub overcommits: bool,
    /// The least of the limits on address space and on data; `usize::MAX` if there is none.
    pub address_limit_bytes: usize,
    /// Transparent huge pages.
    pub thp: ThpMode,
    /// Whether addresses can be had without memory, and memory be given back. If not, what is mapped takes memory for ever.
    pub reserves_addresses: bool,
}

/// What may be done with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Any access is a fault.
    None,
    /// Reading; writing is a fault. Costs no promise of memory under strict accounting.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// Advice about transparent huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thp {
    /// Use them here.
    Advise,
    /// Never use them here.
    Refuse,
}

/// Sizes of explicitly reserved huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugeSize {
    /// 2 MiB.
    TwoMiB,
    /// 1 GiB.
    OneGiB,
}

impl HugeSize {
    /// The size of one such page.
    pub const fn bytes(self) -> usize {
        match self {
            HugeSize::TwoMiB => 2 << 20,
            HugeSize::OneGiB => 1 << 30,
        }
    }
}

/// The machine's and the process' facts: detected at the first call (a few system calls), the same ever after.
#[inline]
pub fn config() -> &'static MemConfig {
    static CONFIG: Detected<MemConfig> = Detected::new();
    platform::mem::replaced_config().unwrap_or_else(|| CONFIG.get(platform::real_mem::detect_config))
}

/// Maps `bytes` of fresh private memory, which reads as zero, at a multiple of the OS page size.
///
/// `hint` is an address where the mapping would be welcome (0: anywhere); the kernel may choose another.
/// Takes no memory until it is touched, but counts against the limits on address space. `EINVAL` if `bytes` is 0.
pub fn map(hint: usize, bytes: usize, access: Access) -> Result<*mut u8, Errno> {
    platform::mem::map(hint, bytes, access)
}

/// The same at a multiple of `align`, a power of two. `ENOTSUP` where mappings can be cut, so that a part of a larger one is
/// aligned: [`unmap`] of the ends gives their addresses back there.
pub fn map_aligned(bytes: usize, align: usize, access: Access) -> Result<*mut u8, Errno> {
    platform::mem::map_aligned(bytes, align, access)
}

/// Gives addresses and memory back. Where mappings can't be cut, the addresses of a part are kept until the first part of what
/// was mapped goes: that one goes last, unless nothing behind it is accessible or needed. Fails, having done nothing, if the kernel would have to split a mapping and may not
/// (`vm.max_map_count`).
///
/// # Safety
/// The range was mapped through this module and nobody uses it any more.
pub unsafe fn unmap(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::unmap(p, bytes) }
}

/// Changes what may be done with memory; its contents stay. Under strict accounting, becoming [`Access::ReadWrite`] is what
/// takes memory from the kernel's budget, and fails with `ENOMEM` if there is none left.
///
/// # Safety
/// The range was mapped through this module; with [`Access::None`], nobody touches it until it is made accessible again.
pub unsafe fn protect(p: *mut u8, bytes: usize, access: Access) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::protect(p, bytes, access) }
}

/// Makes memory inaccessible whose contents nobody needs, until [`protect`] opens it again: it then reads as it did, or as zero.
/// Where the kernel accounts for what is accessible, it no longer does for this, as far as it can.
///
/// # Safety
/// As for [`protect`] with [`Access::None`]; and nobody needs the contents.
pub unsafe fn close(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::close(p, bytes) }
}

/// Whether what [`close`] has closed gave its memory back, and reads as zero when it is opened again.
pub const CLOSING_CLEARS: bool = platform::mem::CLOSING_CLEARS;

/// Gives the memory back at once and keeps the addresses: the range stays accessible as it was and reads as zero.
/// Fails on locked memory (`mlockall`), having done nothing or a part.
///
/// # Safety
/// The range was mapped through this module and nobody needs its contents.
pub unsafe fn discard(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::discard(p, bytes) }
}

/// Lets the kernel take the memory when it is short of it. Until then, or until the page is written, the contents may be the
/// old ones or zero. Cheaper than [`discard`], but the memory counts as resident until it is taken.
///
/// # Safety
/// The range was mapped through this module and nobody needs its contents.
pub unsafe fn reset(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::reset(p, bytes) }
}

/// Advises about transparent huge pages for the range. An error means that the advice is not taken, and no more.
///
/// # Safety
/// The range was mapped through this module.
pub unsafe fn thp(p: *mut u8, bytes: usize, mode: Thp) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::thp(p, bytes, mode) }
}

/// Turns transparent huge pages off for the whole process, and for the programs that it starts.
pub fn thp_disable_process() {
    platform::mem::thp_disable_process();
}

/// Leaves the range out of core dumps, where that can be asked for.
///
/// # Safety
/// The range was mapped through this module.
pub unsafe fn dont_dump(p: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::dont_dump(p, bytes) }
}

/// The opposite of [`dont_dump`].
///
/// # Safety
/// The range was mapped through this module.
pub unsafe fn dump(p: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::dump(p, bytes) }
}

/// Has listings of the process's memory show the range as `[anon:name]`, where that can be asked for.
///
/// # Safety
/// The range was mapped through this module.
pub unsafe fn set_name(p: *mut u8, bytes: usize, name: &'static CStr) {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::set_name(p, bytes, name) }
}

/// Moves the memory behind `from` to the addresses at `to` without copying: afterwards `to` has the contents and `from` is
/// still mapped, accessible, and reads as zero. What `to` had before is lost.
///
/// Where the kernel can't, the answer is an error, `from` is untouched and `to` is mapped and accessible; its contents may be
/// what they were or zero. The advice given for `from` (huge pages, dumping) travels to `to`.
/// Fails in particular if `from` is not one kernel mapping, i.e. if parts of it were advised or protected differently.
///
/// # Safety
/// Both ranges were mapped read-write through this module, do not overlap, and nobody else uses them meanwhile.
pub unsafe fn move_pages(from: *mut u8, to: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::move_pages(from, to, bytes) }
}

/// Maps memory made of huge pages that the administrator has set aside; all of them are reserved at once, so that touching
/// the memory cannot fail later. `bytes` is a multiple of the size. Such memory cannot be discarded in part.
pub fn map_huge(hint: usize, bytes: usize, size: HugeSize) -> Result<*mut u8, Errno> {
    platform::mem::map_huge(hint, bytes, size)
}

/// Prefers memory of NUMA node `node` for the pages of the range that are touched from now on.
///
/// # Safety
/// The range was mapped through this module.
pub unsafe fn bind_numa(p: *mut u8, bytes: usize, node: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::bind_numa(p, bytes, node) }
}

/// Backs the range with memory now, with one call in place of a fault per OS page. Best effort: where the kernel can't, the
/// pages come when they are touched.
///
/// # Safety
/// The range was mapped read-write through this module.
pub unsafe fn populate(p: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::populate(p, bytes) }
}

/// How much of the range has memory behind it, in bytes (`mincore`). For tests and reports: one call per MiB.
///
/// # Safety
/// The range was mapped through this module.
pub unsafe fn resident_bytes(p: *const u8, bytes: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { platform::mem::resident_bytes(p, bytes) }
}

#[cfg(test)]
mod tests;
