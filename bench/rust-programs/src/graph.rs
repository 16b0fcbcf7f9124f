//! Boxed trees and reference-counted graphs: built, rewired, dropped.

use crate::random::Random;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

pub fn run(rounds: u64) -> u64 {
    (0..rounds).map(|seed| tree_round(seed) + graph_round(seed)).fold(0, u64::wrapping_add)
}

// --- boxes: an unbalanced search tree ---------------------------------------------------------------------------------

struct Tree {
    key: u64,
    left: Option<Box<Tree>>,
    right: Option<Box<Tree>>,
}

fn insert(slot: &mut Option<Box<Tree>>, key: u64) {
    match slot {
        None => *slot = Some(Box::new(Tree { key, left: None, right: None })),
        Some(tree) if key < tree.key => insert(&mut tree.left, key),
        Some(tree) => insert(&mut tree.right, key),
    }
}

fn depth(tree: &Option<Box<Tree>>) -> u64 {
    tree.as_ref().map_or(0, |tree| 1 + depth(&tree.left).max(depth(&tree.right)))
}

fn tree_round(seed: u64) -> u64 {
    let mut random = Random::new(seed + 1);
    let mut root = None;
    (0..10_000).for_each(|_| insert(&mut root, random.next()));
    depth(&root)
}

// --- reference counts: nodes with links to others and a weak one back ----------------------------------------------------

#[derive(Default)]
struct Node {
    links: RefCell<Vec<Rc<Node>>>,
    from: RefCell<Weak<Node>>,
    text: String,
}

fn node(random: &mut Random) -> Rc<Node> {
    Rc::new(Node { text: "x".repeat(random.below(60)), ..Node::default() })
}

/// Links go to later nodes only, so that there is no cycle and everything is dropped.
fn link(nodes: &[Rc<Node>], random: &mut Random) {
    let from = random.below(nodes.len() - 1);
    let to = from + 1 + random.below(nodes.len() - from - 1);
    nodes[from].links.borrow_mut().push(Rc::clone(&nodes[to]));
    *nodes[to].from.borrow_mut() = Rc::downgrade(&nodes[from]);
}

fn graph_round(seed: u64) -> u64 {
    let mut random = Random::new(seed + 2);
    let mut nodes: Vec<Rc<Node>> = (0..10_000).map(|_| node(&mut random)).collect();
    (0..30_000).for_each(|_| link(&nodes, &mut random));
    nodes.truncate(5_000);
    nodes.iter().filter_map(|node| node.from.borrow().upgrade()).map(|from| from.text.len() as u64).sum()
}
