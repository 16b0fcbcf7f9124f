//! Ground for the unit tests of this floor and those above it: they share one operating system, one page map and one set
//! of options, so they run one at a time, and leave the options as they found them.

use super::region::reserve;
use super::{Region, numa_nodes, os_page_bytes, release};
use crate::base::SLICE_BYTES;
use crate::options::{self, OptionId};
use ferrimalloc_prim::mem::{Access, config};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The right to be the only test that uses memory. Ends with the options as they were.
pub(crate) struct Alone {
    /// Their values, and whether anybody had chosen them.
    before: Vec<(OptionId, i64, bool)>,
    #[cfg(feature = "sim")]
    _session: ferrimalloc_prim::sim::Session,
    _turn: MutexGuard<'static, ()>,
}

/// Whether a slice has several OS pages. Where it is one, a page of one slice goes as a whole or not at all: it has no holes.
pub(crate) fn slices_are_divided() -> bool {
    os_page_bytes() < SLICE_BYTES
}

pub(crate) fn alone() -> Alone {
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    Alone {
        before: Vec::new(),
        #[cfg(feature = "sim")]
        _session: ferrimalloc_prim::sim::session(),
        _turn: turn,
    }
}

impl Alone {
    /// Sets an option until the test ends.
    pub fn set(&mut self, option: OptionId, value: i64) {
        self.before.push((option, options::get(option), options::is_chosen(option)));
        options::set(option, value);
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        for (option, value, was_chosen) in self.before.drain(..).rev() {
            if was_chosen { options::set(option, value) } else { options::unset(option, value) }
        }
    }
}

#[test]
fn as_many_nodes_as_the_option_says() {
    let mut alone = alone();
    let machine = numa_nodes();
    assert!(machine >= 1);
    alone.set(OptionId::UseNumaNodes, 3);
    assert_eq!(numa_nodes(), 3);
    assert!(super::current_numa_node() < 3);
    alone.set(OptionId::UseNumaNodes, -1);
    assert_eq!(numa_nodes(), machine, "nonsense is no number of nodes");
    drop(alone);
    assert_eq!(options::get(OptionId::UseNumaNodes), 0, "the test has put it back");
    assert!(!options::is_chosen(OptionId::UseNumaNodes), "as nobody's choice");
}

#[test]
fn the_page_size_is_the_systems() {
    assert_eq!(super::os_page_bytes(), config().os_page_bytes);
    assert_eq!(super::overcommits(), config().overcommits);
}

#[test]
fn a_region_that_is_refused_where_the_system_puts_it_is_had_at_a_hint() {
    let _alone = alone();
    const BYTES: usize = 1 << 20;
    let taken = reserve(BYTES, BYTES, Access::None, |_| true, core::iter::empty()).unwrap();
    let hint = taken.start as usize;
    // SAFETY: ours, unused.
    unsafe { release(taken) };
    let at_hint = reserve(BYTES, BYTES, Access::None, |start| start == hint, core::iter::once(hint));
    let region = at_hint.expect("these addresses have just been given back");
    assert_eq!((region.start as usize, region.bytes), (hint, BYTES));
    // SAFETY: ours, unused.
    unsafe { release(region) };
}

#[test]
fn nothing_is_released_without_a_call() {
    // SAFETY: no bytes.
    unsafe { release(Region { start: core::ptr::null_mut(), bytes: 0 }) };
}

/// With the simulated system, which tells what was asked of it.
#[cfg(feature = "sim")]
mod on_sim {
    use super::*;
    use ferrimalloc_prim::sim::{self, Fault, Kind};

    const MIB: usize = 1 << 20;

    #[test]
    fn what_is_cut_off_an_aligned_region_is_given_back() {
        let _alone = alone();
        let before = sim::mapped_bytes();
        let region = reserve(MIB, 64 * MIB, Access::ReadWrite, |_| true, core::iter::empty()).unwrap();
        assert_eq!(sim::mapped_bytes() - before, MIB);
        // SAFETY: ours, unused.
        unsafe { release(region) };
        assert_eq!(sim::mapped_bytes(), before);
    }

    #[test]
    fn refused_places_are_given_back() {
        let _alone = alone();
        let before = sim::mapped_bytes();
        assert!(reserve(MIB, 4 * MIB, Access::None, |_| false, [1 << 29, 1 << 30].into_iter()).is_none());
        assert_eq!(sim::mapped_bytes(), before);
    }

    #[test]
    fn a_region_that_cannot_be_unmapped_loses_its_memory_at_least() {
        let _alone = alone();
        let region = reserve(MIB, MIB, Access::ReadWrite, |_| true, core::iter::empty()).unwrap();
        let mapped = sim::mapped_bytes();
        sim::refuse(Kind::Unmap, Fault::At(1));
        // SAFETY: ours, unused, and still mapped after the refusal.
        unsafe {
            region.start.write(1);
            release(region);
            assert_eq!(region.start.read(), 0);
        }
        assert_eq!((sim::calls(Kind::Discard), sim::mapped_bytes()), (1, mapped));
        let next = reserve(MIB, MIB, Access::ReadWrite, |_| true, core::iter::empty()).unwrap();
        assert_eq!(sim::mapped_bytes(), mapped, "it is offered again before the next reservation");
        // SAFETY: ours, unused.
        unsafe { release(next) };
    }
}

/// Whether the kernel names memory: it is asked, as its version doesn't tell.
#[cfg(not(feature = "sim"))]
fn lists_names(memory: super::PrivateMemory) -> Option<bool> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let start = std::format!("{:x}-", memory.region().start.addr());
    maps.lines().find(|line| line.starts_with(&start)).map(|line| line.ends_with("[anon:ferrimalloc]"))
}

#[test]
fn memory_is_named_if_that_is_wanted() {
    let mut alone = alone();
    let bytes = 16 * config().os_page_bytes;
    for wanted in [0, 1] {
        alone.set(OptionId::NameMaps, wanted);
        #[cfg(feature = "sim")]
        let before = ferrimalloc_prim::sim::calls(ferrimalloc_prim::sim::Kind::SetName);
        let memory = super::reserve_near(0, bytes, Access::Read).unwrap();
        #[cfg(feature = "sim")]
        assert_eq!(ferrimalloc_prim::sim::calls(ferrimalloc_prim::sim::Kind::SetName) - before, wanted as usize);
        // Not every kernel does it; none does it unasked.
        #[cfg(not(feature = "sim"))]
        assert!(wanted == 1 || lists_names(memory) != Some(true));
        // SAFETY: ours, and unused.
        unsafe { release(memory.region()) };
    }
}
