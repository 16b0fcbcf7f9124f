//! NUMA nodes, as many as option `use_numa_nodes` has it: 0 means those that the machine has.

use ferrimalloc_prim::numa;

use crate::options::{self, OptionId};

/// How many nodes are used; at least 1.
pub fn numa_nodes() -> usize {
    match usize::try_from(options::get(OptionId::UseNumaNodes)) {
        Ok(0) | Err(_) => numa::node_count(),
        Ok(nodes) => nodes,
    }
}

/// The node that this thread runs on; 0 where there is one.
pub fn current_numa_node() -> usize {
    match numa_nodes() {
        1 => 0,
        nodes => numa::current_node() % nodes,
    }
}
