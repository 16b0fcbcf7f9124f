//! Ways to choose size classes, and what they cost a program.

/// Larger blocks have pages of their own. Bytes.
const LARGE_BLOCK_MAX: usize = 512 << 10;
/// How far a page is extended at a time: on average half of it is memory that no block has yet.
const EXTEND_BYTES: usize = 4096;
/// What C's `max_align_t` asks for: block sizes from here on are multiples of it.
const ALIGN: usize = 16;

/// Block sizes, ascending.
pub struct Table {
    pub name: String,
    pub blocks: Vec<usize>,
}

/// What a table costs a program when it has most in use. Bytes.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    pub requested: u64,
    /// By rounding up.
    pub rounding: u64,
    /// Classes with a block in use: each has a page in a thread, at least.
    pub classes: usize,
    /// In the last block or OS page of each class.
    pub begun: u64,
}

impl Cost {
    /// Of what blocks take, the share that nobody asked for.
    pub fn waste(self) -> f64 {
        share(self.rounding, self.requested + self.rounding)
    }

    /// The same with what is begun in each class.
    pub fn together(self) -> f64 {
        share(self.rounding + self.begun, self.requested + self.rounding + self.begun)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Table {
    /// Multiples of 16 (and 8) up to `linear`, from there on `per_doubling` sizes in each doubling.
    fn of(linear: usize, per_doubling: usize) -> Table {
        let mut blocks: Vec<usize> = [8].into_iter().chain((1..=linear / ALIGN).map(|step| ALIGN * step)).collect();
        let mut from = linear;
        while from < LARGE_BLOCK_MAX {
            blocks.extend((1..=per_doubling).map(|step| from + from * step / per_doubling));
            from *= 2;
        }
        Table { name: format!("16 to {linear}, {per_doubling} per doubling"), blocks }
    }

    /// Nothing is rounded further than blocks of 16 bytes and more must be aligned.
    fn bound() -> Table {
        let blocks = [8].into_iter().chain((1..=LARGE_BLOCK_MAX / ALIGN).map(|step| ALIGN * step)).collect();
        Table { name: "all multiples of 16: the bound".into(), blocks }
    }

    /// The one that the allocator has. Said once more, so that the chores don't depend on what they test; a test compares.
    fn ours() -> Table {
        Table { name: "ours".into(), ..Table::of(256, 8) }
    }

    fn class(&self, bytes: usize) -> usize {
        self.blocks.partition_point(|block| *block < bytes)
    }

    pub fn cost(&self, sizes: &[(usize, u64, u64)]) -> Cost {
        let mut cost = Cost::default();
        let mut used = vec![false; self.blocks.len()];
        for &(bytes, _, blocks) in sizes.iter().filter(|(.., blocks)| *blocks > 0) {
            let class = self.class(bytes);
            used[class] = true;
            cost.requested += bytes as u64 * blocks;
            cost.rounding += (self.blocks[class] - bytes) as u64 * blocks;
        }
        let begun = |class: usize| self.blocks[class].min(EXTEND_BYTES) as u64 / 2 + EXTEND_BYTES as u64 / 2;
        let classes = (0..used.len()).filter(|class| used[*class]);
        cost.classes = classes.clone().count();
        cost.begun = classes.map(begun).sum();
        cost
    }
}

/// Ours first, then the bound. Of the others those whose blocks are aligned.
pub fn all() -> Vec<Table> {
    let all = [64, 128, 256, 512, 1024].into_iter().flat_map(|linear| [4, 8, 16].map(|per| (linear, per)));
    let aligned = all.filter(|(linear, per)| linear / per >= ALIGN);
    let others = aligned.map(|(linear, per)| Table::of(linear, per));
    [Table::ours(), Table::bound()].into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrimalloc_core::base::Bin;

    #[test]
    fn ours_is_what_the_allocator_has() {
        let blocks: Vec<usize> = (0..Bin::COUNT).filter_map(Bin::from_index).map(Bin::block_bytes).collect();
        assert_eq!(Table::ours().blocks, blocks);
        assert_eq!(Table::ours().blocks, Table::of(256, 8).blocks);
        assert_eq!(*Table::ours().blocks.last().unwrap(), ferrimalloc_core::base::LARGE_BLOCK_MAX);
    }

    #[test]
    fn every_size_has_the_smallest_block_that_holds_it() {
        for table in all() {
            assert!(table.blocks.is_sorted_by(|a, b| a < b), "{}", table.name);
            assert!(table.blocks[1..].iter().all(|block| block.is_multiple_of(ALIGN)), "{}", table.name);
            for bytes in [0, 1, 8, 9, 16, 100, 257, 5000, LARGE_BLOCK_MAX] {
                let class = table.class(bytes);
                assert!(table.blocks[class] >= bytes && (class == 0 || table.blocks[class - 1] < bytes));
            }
        }
    }

    #[test]
    fn costs_are_summed_over_blocks_in_use() {
        let cost = Table::of(256, 8).cost(&[(10, 5, 2), (16, 9, 1), (300, 1, 0)]);
        assert_eq!((cost.requested, cost.rounding, cost.classes), (36, 12, 1));
        assert_eq!(cost.begun, 8 + 2048);
        assert!((cost.waste() - 0.25).abs() < 1e-9);
    }
}
