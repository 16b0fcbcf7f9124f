//! Sizes: granules, pages, and the classes of small blocks: by 8 bytes up to 64, above four per doubling.

/// The unit of blocks that are larger than any class. Bytes.
pub const GRANULE_BYTES: usize = 512;
/// A page of small blocks, and its alignment. Bytes.
pub const PAGE_BYTES: usize = 4096;
pub const PAGE_GRANULES: usize = PAGE_BYTES / GRANULE_BYTES;
/// The largest block that shares a page. Bytes.
pub const SMALL_MAX: usize = PAGE_BYTES / 4;

const LINEAR_STEP: usize = 8;
const LINEAR_SHIFT: u32 = 6;
const LINEAR_COUNT: usize = (1 << LINEAR_SHIFT) / LINEAR_STEP;
const PER_DOUBLING_SHIFT: u32 = 2;
const PER_DOUBLING: usize = 1 << PER_DOUBLING_SHIFT;

/// How many classes there are.
pub const CLASSES: usize = LINEAR_COUNT + PER_DOUBLING * (SMALL_MAX.ilog2() - LINEAR_SHIFT) as usize;

/// The class for blocks of `bytes`, from 1 to [`SMALL_MAX`].
#[inline(always)]
pub const fn class_of(bytes: usize) -> usize {
    if bytes <= 1 << LINEAR_SHIFT {
        return (bytes - 1) / LINEAR_STEP;
    }
    let last = bytes - 1;
    let doubling = last.ilog2();
    let step = last >> (doubling - PER_DOUBLING_SHIFT);
    LINEAR_COUNT + PER_DOUBLING * (doubling - LINEAR_SHIFT) as usize + step - PER_DOUBLING
}

/// What blocks of a class have.
pub const fn class_bytes(class: usize) -> usize {
    if class < LINEAR_COUNT {
        return (class + 1) * LINEAR_STEP;
    }
    let geometric = class - LINEAR_COUNT;
    (PER_DOUBLING + geometric % PER_DOUBLING + 1) << (geometric / PER_DOUBLING + 4)
}

/// How many blocks a page of a class has.
pub const fn blocks_per_page(class: usize) -> usize {
    PAGE_BYTES / class_bytes(class)
}

/// How many granules a block of `bytes` takes, which is larger than any class. Those of whole pages have one more: else blocks of a power of
/// two would all begin in the same lines of a processor's cache.
pub const fn granules_of(bytes: usize) -> usize {
    let granules = bytes.div_ceil(GRANULE_BYTES);
    if granules.is_multiple_of(PAGE_GRANULES) { granules + 1 } else { granules }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_has_the_smallest_class_that_holds_it() {
        for bytes in 1..=SMALL_MAX {
            let class = class_of(bytes);
            assert!(class < CLASSES && class_bytes(class) >= bytes, "{bytes}");
            assert!(class == 0 || class_bytes(class - 1) < bytes, "{bytes}");
        }
        assert_eq!(class_bytes(CLASSES - 1), SMALL_MAX);
    }

    #[test]
    fn multiples_of_an_alignment_have_classes_that_are() {
        for align in (0..=10).map(|shift| 1 << shift) {
            for bytes in (align..=SMALL_MAX).step_by(align) {
                assert!(class_bytes(class_of(bytes)).is_multiple_of(align), "{bytes} of {align}");
            }
        }
    }
}
