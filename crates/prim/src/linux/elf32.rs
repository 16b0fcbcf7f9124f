//! ELF with addresses of 32 bits, and relocations without addends, as on i386 and ARM.

pub(crate) use libc::{Elf32_Phdr as Phdr, Elf32_Sym as Sym};

pub(crate) const DT_RELOCATIONS: usize = 17;
pub(crate) const DT_RELOCATIONS_SIZE: usize = 18;
pub(crate) const ADDENDS: usize = 0;
/// The bits of a relocation's `info` that lie below the number of its symbol.
pub(crate) const SYMBOL_SHIFT: u32 = 8;
