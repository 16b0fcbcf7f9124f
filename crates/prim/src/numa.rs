//! NUMA: how many memory nodes the machine has, and which one is near. A machine without NUMA has one node, number 0.

use crate::once::Detected;
use crate::platform;

/// Number of nodes: one more than the highest number of an online node; at least 1. Detected at the first call.
pub fn node_count() -> usize {
    static COUNT: Detected<usize> = Detected::new();
    (*COUNT.get(platform::numa::detect_node_count)).max(1)
}

/// The node of the processor that the caller runs on, below [`node_count`]; a hint, since the thread may move at once.
/// One system call if there are several nodes.
pub fn current_node() -> usize {
    match node_count() {
        1 => 0,
        count => platform::numa::current_node() % count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_node_exists() {
        assert!(node_count() >= 1);
        assert!(current_node() < node_count());
        assert!(platform::numa::current_node() < node_count());
    }
}
