//! ELF with addresses of 64 bits, and relocations with addends, as all such machines have them.

pub(crate) use libc::{Elf64_Phdr as Phdr, Elf64_Sym as Sym};

pub(crate) const DT_RELOCATIONS: usize = 7;
pub(crate) const DT_RELOCATIONS_SIZE: usize = 8;
pub(crate) const ADDENDS: usize = 1;
/// The bits of a relocation's `info` that lie below the number of its symbol.
pub(crate) const SYMBOL_SHIFT: u32 = 32;
