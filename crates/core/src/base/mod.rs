//! Floor 1: sizes, size classes, small value types, a list.

mod bins;
mod build;
mod consts;
mod list;

pub use bins::{Bin, good_size};
pub use build::{BUILD, GUARDED_SAMPLE_RATE};
pub use consts::*;
pub use list::{Linked, Links, List};

/// Where the fields of a structure lie, for a reader in another process: a table of offsets in bytes, and what they are in
/// this build.
macro_rules! offsets {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $at:expr,)* }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name {
            $($(#[$doc])* pub $field: u32,)*
        }

        impl $name {
            /// The offsets of this build, in bytes.
            pub const HERE: $name = $name { $($field: ($at) as u32,)* };
        }
    };
}
pub(crate) use offsets;

/// Whether memory handed out must read as zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Zero {
    /// The caller will overwrite it.
    Any,
    /// Every byte must be zero.
    Zeroed,
}

/// How a block is to lie: `block + offset` is a multiple of `align`, a power of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alignment {
    /// A power of two, in bytes.
    pub align: usize,
    /// How far behind the block's start the aligned address lies, in bytes.
    pub offset: usize,
}

impl Alignment {
    /// No more than every block has.
    pub const NATURAL: Alignment = Alignment { align: 1, offset: 0 };

    /// Whether it is one, and a block at `p` lies so.
    #[inline]
    pub fn is_met(self, p: *const u8) -> bool {
        self.align.is_power_of_two() && (p as usize).wrapping_add(self.offset) & (self.align - 1) == 0
    }

    /// Whether only a page of its own can hold a block of `size` bytes that lies so.
    pub fn takes_a_page(self, size: usize) -> bool {
        if self.offset & (self.align - 1) == 0 {
            return Bin::of_aligned(size, self.align).is_none();
        }
        size.checked_add(self.align).is_none_or(|larger| larger > LARGE_BLOCK_MAX)
    }
}

/// How thoroughly a collection works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Force {
    /// Routine upkeep: expired things only.
    Routine,
    /// Everything that can be given back, now.
    All,
}

/// Rounds `n` up to a multiple of `unit`, a power of two; `None` on overflow.
#[inline]
pub const fn align_up(n: usize, unit: usize) -> Option<usize> {
    match n.checked_add(unit - 1) {
        Some(sum) => Some(sum & !(unit - 1)),
        None => None,
    }
}

/// Rounds `n` down to a multiple of `unit`, a power of two.
#[inline]
pub const fn align_down(n: usize, unit: usize) -> usize {
    n & !(unit - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligning_rounds_and_reports_overflow() {
        assert_eq!(align_up(0, 64), Some(0));
        assert_eq!(align_up(1, 64), Some(64));
        assert_eq!(align_up(64, 64), Some(64));
        assert_eq!(align_up(usize::MAX, 64), None);
        assert_eq!(align_down(127, 64), 64);
    }
}
