//! A page to allocate from where addresses are few (`ArenaSet::is_narrow`): a limit of 24 MiB has no room for a page of
//! each class in each thread.
//!
//! A class *borrows*: it takes a block of a page of a larger class, which wastes a part of the block and saves a page. The
//! block is the larger class' in every respect, and each costs a slow path. So a class borrows until it has wasted as much
//! as a page of its own would take, whether these blocks are still in use or not. Classes without any page near begin a
//! *common* one. And before another arena is reserved, the pages that are kept empty go.
//!
//! A file of its own, as nothing of it happens in most processes.

use super::theap::Theap;
use crate::arena::Reserve;
use crate::base::*;
use crate::page::Owned;

/// How much a class may waste by borrowing while there is room for a page of its own. Bytes.
const MAX_WASTE: usize = SLICE_BYTES / 2;
/// And before another arena is reserved.
const MAX_WASTE_FULL: usize = 2 * SLICE_BYTES;
/// Blocks up to this have one common page; above there is one for each doubling. Bytes.
const COMMON_MIN: usize = 256;
/// Common pages have blocks up to this. Bytes.
const COMMON_MAX: usize = SLICE_BYTES;
/// A class takes blocks up to so many times as large as its own, or up to [`NEAR_BYTES`].
const NEAR: usize = 2;
const NEAR_BYTES: usize = 512;

impl Theap {
    /// Where [`find_page`](Theap::find_page) has found nothing. The page may be of a larger class; its `free` list has a block.
    pub(super) fn find_sparingly(&'static self, bin: Bin) -> Option<&'static Owned> {
        let near_bytes = (NEAR * bin.block_bytes()).max(NEAR_BYTES);
        self.borrow(bin, near_bytes, MAX_WASTE)
            .or_else(|| self.begin_common(bin))
            .or_else(|| self.fresh(bin, Reserve::Never))
            .or_else(|| {
                self.collect(Force::All);
                self.fresh(bin, Reserve::Never)
            })
            .or_else(|| self.borrow(bin, NEAR * near_bytes, MAX_WASTE_FULL))
            .or_else(|| self.fresh(bin, Reserve::IfFull))
            .or_else(|| self.borrow_last(bin))
    }

    /// A page of this theap with a block of at most `most_bytes`, unless the class would have wasted more than `most_waste`.
    fn borrow(&self, bin: Bin, most_bytes: usize, most_waste: usize) -> Option<&'static Owned> {
        if self.is_hardened() {
            return None;
        }
        let bytes = bin.block_bytes();
        let most_bytes = most_bytes.min(bytes + most_waste.saturating_sub(self.queue(bin).wasted()));
        let page = lenders(bin)
            .take_while(|larger| larger.block_bytes() <= most_bytes)
            .find_map(|larger| self.first_refilled(larger))?;
        self.queue(bin).note_wasted(page.block_bytes() - bytes);
        Some(page)
    }

    /// There is nothing else: a block of any page.
    fn borrow_last(&'static self, bin: Bin) -> Option<&'static Owned> {
        if self.is_hardened() { None } else { lenders(bin).find_map(|larger| self.search_queue(larger)) }
    }

    /// The first page of blocks that this class and its neighbours may borrow.
    fn begin_common(&'static self, bin: Bin) -> Option<&'static Owned> {
        let bytes = bin.block_bytes().next_power_of_two().max(COMMON_MIN);
        let waste = bytes - bin.block_bytes();
        if self.is_hardened() || bytes > COMMON_MAX || self.queue(bin).wasted() + waste > MAX_WASTE {
            return None;
        }
        let page = self.fresh(Bin::of(bytes), Reserve::Never)?;
        self.queue(bin).note_wasted(waste);
        Some(page)
    }
}

/// Larger classes whose blocks are at least as aligned as those of class `bin`, which is what callers rely on.
fn lenders(bin: Bin) -> impl Iterator<Item = Bin> {
    let align = 1 << bin.block_bytes().trailing_zeros();
    let larger = (bin.index() + 1..Bin::COUNT).filter_map(Bin::from_index);
    larger.filter(move |larger| larger.block_bytes().is_multiple_of(align))
}
