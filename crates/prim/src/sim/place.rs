//! Where mappings go: as the machine likes, or by a rule that gives the same calls the same addresses.
//!
//! The rule is the kernel's own, without its randomness: a hint if there is room, else the highest gap that is large enough.
//! In the modes whose unmapped addresses never come back, mappings only ever go below all that there were.

use super::Mode;
use super::os_page;
use super::regions::Regions;

/// The addresses that mappings get.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    /// Mappings end here or below; 0: the machine chooses.
    top: usize,
    /// The lowest address that was ever mapped.
    lowest: usize,
}

impl Places {
    /// The machine chooses.
    pub(crate) const MACHINE: Places = Places { top: 0, lowest: 0 };

    pub(crate) fn below(top: usize) -> Places {
        Places { top, lowest: top }
    }

    /// Where `bytes` go; 0: the machine chooses.
    pub(crate) fn choose(&self, regions: &Regions, mode: Mode, hint: usize, bytes: usize) -> usize {
        if self.top == 0 || hint != 0 && is_free(regions, hint, bytes) {
            return hint;
        }
        let bytes = bytes.next_multiple_of(os_page::bytes());
        match mode {
            Mode::Plain => highest_gap(regions, self.top, bytes),
            Mode::Poison | Mode::PoisonDiscarded => self.lowest.saturating_sub(bytes),
        }
    }

    /// Something has been mapped at `start`.
    pub(crate) fn note(&mut self, start: usize) {
        self.lowest = self.lowest.min(start);
    }
}

fn is_free(regions: &Regions, start: usize, bytes: usize) -> bool {
    start.checked_add(bytes).is_some_and(|end| regions.parts(start..end).next().is_none())
}

/// The start of the highest free range of `bytes` that ends at `top` or below.
fn highest_gap(regions: &Regions, top: usize, bytes: usize) -> usize {
    let mut end = top;
    for region in regions.all().iter().rev().filter(|region| region.start < top) {
        if end.saturating_sub(region.end) >= bytes {
            break;
        }
        end = end.min(region.start);
    }
    end.saturating_sub(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::Access;
    use std::sync::Mutex;

    /// A whole number of OS pages, whatever their size.
    const PAGE: usize = 1 << 16;

    #[test]
    fn the_highest_gap_is_found() {
        // Too large for a thread's stack.
        static REGIONS: Mutex<Regions> = Mutex::new(Regions::new());
        let mut regions = REGIONS.lock().unwrap();
        assert_eq!(highest_gap(&regions, 100 * PAGE, 3 * PAGE), 97 * PAGE);
        regions.add(97 * PAGE..100 * PAGE, Access::None);
        regions.add(90 * PAGE..95 * PAGE, Access::None);
        assert_eq!(highest_gap(&regions, 100 * PAGE, 2 * PAGE), 95 * PAGE);
        assert_eq!(highest_gap(&regions, 100 * PAGE, 3 * PAGE), 87 * PAGE);
        assert_eq!(highest_gap(&regions, 96 * PAGE, PAGE), 95 * PAGE);
    }

    #[test]
    fn the_machine_chooses_unless_it_is_told() {
        // Too large for a thread's stack.
        static REGIONS: Mutex<Regions> = Mutex::new(Regions::new());
        let mut regions = REGIONS.lock().unwrap();
        assert_eq!(Places::MACHINE.choose(&regions, Mode::Plain, 0, PAGE), 0);
        let mut places = Places::below(100 * PAGE);
        assert_eq!(places.choose(&regions, Mode::Poison, 0, 1), 100 * PAGE - os_page::bytes());
        assert_eq!(places.choose(&regions, Mode::Poison, 7 * PAGE, PAGE), 7 * PAGE);
        regions.add(7 * PAGE..8 * PAGE, Access::None);
        places.note(7 * PAGE);
        assert_eq!(places.choose(&regions, Mode::Poison, 7 * PAGE, PAGE), 6 * PAGE, "addresses do not come back");
        assert_eq!(places.choose(&regions, Mode::Plain, 7 * PAGE, PAGE), 99 * PAGE);
    }
}
