//! A list that only grows, read without waiting while others add to it.
//!
//! Invariants:
//! 1. A node's link is written before the node can be seen, and never again.
//! 2. Nodes are never removed one by one, so an address on the list can't come back as another node (no ABA).

use super::{AtomicPtr, Ordering, const_unless_loom};
use core::ptr;

/// What can be on a [`GrowingList`]: holds the link.
pub trait Node: Sized + 'static {
    /// Where the list keeps the node's link.
    fn link(&self) -> &AtomicPtr<Self>;
}

/// Newest first. Zeroed memory is an empty one.
#[repr(transparent)]
pub struct GrowingList<T>(AtomicPtr<T>);

impl<T: Node> GrowingList<T> {
    const_unless_loom! {
        /// An empty list. `const` except under loom.
        pub const fn new() -> Self {
            GrowingList(AtomicPtr::new(ptr::null_mut()))
        }
    }

    /// Adds a node. One compare-and-swap when undisturbed.
    pub fn push(&self, node: &'static T) {
        let mut head = self.0.load(Ordering::Relaxed);
        loop {
            node.link().store(head, Ordering::Relaxed);
            let node = ptr::from_ref(node).cast_mut();
            // ORDERING: release publishes the node and its link to `iter`.
            match self.0.compare_exchange_weak(head, node, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// The nodes that were there at the first step.
    pub fn iter(&self) -> impl Iterator<Item = &'static T> + use<T> {
        // ORDERING: acquire pairs with `push`: the newest node is visible. So are the others: each push that follows
        // another's continues its release.
        let mut next = self.0.load(Ordering::Acquire);
        core::iter::from_fn(move || {
            // SAFETY: nodes are 'static.
            let node = unsafe { next.as_ref() }?;
            next = node.link().load(Ordering::Relaxed);
            Some(node)
        })
    }

    /// Forgets all nodes; by the last user.
    pub fn forget(&self) {
        self.0.store(ptr::null_mut(), Ordering::Relaxed);
    }
}
