//! Claiming within the process's limit: where it leaves no room, what is unused is purged first. A file of its own, since it is above
//! both `arenas` and `purge`.

use super::arenas::{ArenaSet, LEAST_INFO_SLICES, Want};
use super::claim::Claim;
use super::process_limit::process_limit;

/// How often is purged for a claim, at most, if others take the room before it does.
const TRIES: usize = 8;

impl ArenaSet {
    /// Claims slices, committed; reserves another arena if there is no room. What would exceed the process's limit is purged
    /// first. `None`: out of memory.
    pub fn claim(&self, want: &Want) -> Option<Claim> {
        let claim =
            self.claim_at_once(want).or_else(|| self.after_purging(want.slices, || self.claim_at_once(want)))?;
        self.purge_for_group();
        Some(claim)
    }

    /// Charges slices outside of arenas, which are to be mapped. False if the process's limit has no room for them.
    pub fn charge_mapping(&self, slices: usize) -> bool {
        let charge = || process_limit().try_charge(slices).then_some(());
        charge().or_else(|| self.after_purging(slices, charge)).is_some()
    }

    /// Tries again as long as the process's limit is what is in the way of `slices`, and something can be purged for them.
    #[cold]
    fn after_purging<T>(&self, slices: usize, attempt: impl Fn() -> Option<T>) -> Option<T> {
        let purge = || self.purge_shortage(process_limit().shortage(slices.saturating_add(LEAST_INFO_SLICES)));
        (0..TRIES).take_while(|_| purge()).find_map(|_| attempt())
    }
}
