//! Floor 6: heaps, the sub-process they belong to, and their pages wherever these are.
//!
//! * `subproc`: a set of heaps and arenas that shares nothing with another.
//! * `heap`: a first-class heap; `count`: what it counts of its pages.
//! * `registry`: which pages a heap has, and which of them any thread may take: bitmaps per arena.
//! * `ending`: a page's heap for those who may meet it at its end.
//! * `supply`: making and releasing a heap's pages, `color`: where in them blocks start; `checking`: what checked and guarded
//!   pages have besides.
//! * `visit`: a heap's pages and blocks, shown to a visitor.
//! * `orphans`: whether a fork has left pages behind that nobody has looked after yet.
//! * `unowned`: what becomes of a page that nobody owns when blocks are freed into it.

mod checking;
mod color;
mod count;
mod ending;
#[expect(clippy::module_inception, reason = "the floor is named after the type it exists for")]
mod heap;
mod orphans;
mod registry;
mod subproc;
mod supply;
#[cfg(test)]
pub(crate) mod tests;
mod unowned;
mod visit;

pub use checking::{check_page, forget_guard, guard_single, may_guard};
pub use count::stats_bin;
pub use ending::{close_gate, gates, heap_of_page};
pub use heap::Heap;
pub use orphans::{Adopt, adopt_orphans_first, do_orphans_wait, no_orphans_wait, orphans_wait};
pub use subproc::{Cached, Subproc, unlock};
pub use supply::{SingleRequest, release_page, release_page_of};
pub use unowned::settle;
pub use visit::{Area, Depth, Visitor, visit_page, walk_of};
