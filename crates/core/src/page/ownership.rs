//! Who owns a page: every word of that protocol, in one type.
//!
//! # Why one atomic word decides
//! A block freed by a thread that doesn't own the page is pushed on the page's *remote list*. The push must also
//! learn whether a thread looks after the page, and if none does, whether this was the free that makes looking
//! after it worthwhile: the last block of the page, or enough blocks for another thread to allocate from. With head,
//! count, threshold and ownership in one word, all that is one compare-and-swap; a push that crosses the threshold
//! becomes the owner by the same compare-and-swap.
//!
//! # The remote word
//! ```text
//!  63                33 32            17 16             1       0
//! +--------------------+----------------+----------------+-----------+
//! | head: offset / 8   |   threshold    |     count      | unowned   |
//! +--------------------+----------------+----------------+-----------+
//! ```
//! | unowned | meaning | who may touch the page's lists |
//! |---|---|---|
//! | 0 | owned, or no page at all (zeroed metadata) | the owner |
//! | 1 | nobody's | nobody, until a compare-and-swap clears the bit |
//!
//! ```text
//!             take                  let_go(threshold)
//!           +------+        ------------------------------->
//!           |      v       /                                \
//!          [ owned ] -----+                                  [ unowned ] --+ push below the threshold
//!           ^      |       \                                /     ^        |
//!           +------+        <-------------------------------      +--------+
//!             push            push reaching the threshold: the pusher owns it
//!                             claim: the claimer owns it and has the list
//! ```
//!
//! # All words
//! The owner word tells the fast path of `free` whose page it is, and everybody else whose it was. `used` and `listed`
//! are the owner's; in an unowned page they are those of the last owner, and wait for the next.
//!
//! | state | unowned | owner word | used | listed | ends when |
//! |---|---|---|---|---|---|
//! | no page | 0 | 0, or a stub | – | no | a page is described there |
//! | owned, in a queue | 0 | the thread | – | no | its owner gives it up, abandons or releases it |
//! | given up (it was full) | 1 | the thread + UNOWNED: a hint | its blocks | no | its last owner takes it back, or others have freed the threshold |
//! | listed | 1 | a hint or none, + UNOWNED | its blocks | yes | a thread in need takes it, or its last block is freed |
//! | abandoned (its thread ended) | 1 | UNOWNED | its blocks | if it has free blocks | as listed, or given up |
//! | claimed | 0 | as before | as before | as before | the claimer has decided, at once |
//! | singleton | 1 | the thread + UNOWNED | 1 | never | its block is freed |
//! | at rest | 1 | the thread + UNOWNED + GUARDED | 0 | never | others have taken turns (`heap::resting`) |
//! | of samples | 1 | SAMPLES | its blocks | never | its last block is freed (`sampled`) |
//!
//! # Invariants
//! 1. At most one thread owns a page: only a successful compare-and-swap that clears `unowned` makes an owner, and
//!    only the owner sets it.
//! 2. `count` is the length of the list at `head`; both change in the same compare-and-swap. An unowned word never
//!    has `count >= threshold`: `let_go` refuses, and the push that would reach it claims.
//! 3. Every block pushed is found by exactly one `take` or `claim`.
//! 4. The links of the blocks of a taken list, and everything the last owner wrote, `used` and `listed` among it, are
//!    visible to the taker.
//!
//! Idea: mimalloc v3's `xthread_free` with its owned bit; count and threshold in the word are ours.

use core::mem::offset_of;
use core::ops::Deref;

use crate::sync::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering, Relaxed, const_unless_loom, pin};

/// The owner word: a thread's id with flags in its low bits.
///
/// | word | meaning |
/// |---|---|
/// | 0 | no page (untouched or released metadata) |
/// | tid | owned by that thread, ordinary: the fast path of `free` compares with this |
/// | tid + INTERIOR | owned by that thread; blocks may be known by addresses inside them |
/// | … + HARDENED | … and hardened: no fast path takes such a page for an ordinary one |
/// | tid + UNOWNED (+ INTERIOR) | nobody's; that thread owned it last (a hint) |
/// | UNOWNED (+ INTERIOR) | nobody's; its last owner has ended |
/// | … + GUARDED | … and its last OS page, or all but those of its only block, are inaccessible |
/// | SAMPLES | nobody's, for the profiler's samples (`sampled`): UNOWNED and INTERIOR, of a thread that there is not |
/// | STUB | not the first slice of its page |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner(usize);

impl Owner {
    /// No page: metadata that was never touched, or that of a released page.
    pub const NONE: Owner = Owner(0);
    /// A slice of a page, but not the first.
    pub const STUB: Owner = Owner(2);
    const UNOWNED: usize = 1;
    const GUARDED: usize = 2;
    const INTERIOR: usize = 4;
    const HARDENED: usize = 8;
    const FLAGS: usize = 15;
    /// A page that the profiler's samples share. No thread has such an id.
    pub const SAMPLES: Owner = Owner(!Self::FLAGS | Self::UNOWNED | Self::INTERIOR);

    /// The word of a page owned by thread `tid`.
    #[inline]
    pub const fn thread(tid: usize) -> Owner {
        Owner(tid)
    }

    /// The thread that owns the page, or owned it last; 0 if none is known.
    #[inline]
    pub const fn tid(self) -> usize {
        self.0 & !Self::FLAGS
    }

    /// Whether nobody owns the page. The id is then a hint, or 0.
    #[inline]
    pub const fn is_unowned(self) -> bool {
        self.0 & Self::UNOWNED != 0
    }

    /// Whether blocks may be known by addresses inside them.
    #[inline]
    pub const fn has_interior(self) -> bool {
        self.0 & Self::INTERIOR != 0
    }

    /// Whether the page is hardened: its blocks are on no list.
    #[inline]
    pub const fn is_hardened(self) -> bool {
        self.0 & Self::HARDENED != 0
    }

    /// Whether the profiler's samples share the page.
    #[inline]
    pub const fn is_samples(self) -> bool {
        self.0 == Self::SAMPLES.0
    }

    /// Whether the page's last OS page, or what surrounds its only block, is inaccessible. Not to be asked of
    /// [`Owner::STUB`], which has this bit, too.
    #[inline]
    pub const fn is_guarded(self) -> bool {
        self.0 & Self::GUARDED != 0
    }

    /// Whether it is the word of a page without inner addresses whose blocks are on lists, owned or not.
    #[inline]
    pub const fn has_plain_blocks(self) -> bool {
        self.0 & (Self::FLAGS & !Self::UNOWNED) == 0 && self.0 != 0
    }

    /// Whether the entry is a page's first.
    #[inline]
    pub fn is_page(self) -> bool {
        self != Owner::NONE && self != Owner::STUB
    }

    /// The same word, of a hardened page.
    #[inline]
    pub const fn hardened(self) -> Owner {
        Owner(self.0 | Self::HARDENED)
    }

    /// The same word, of a page that has an inaccessible OS page at its end, or has none.
    #[inline]
    pub const fn guarded(self, is_guarded: bool) -> Owner {
        Owner(if is_guarded { self.0 | Self::GUARDED } else { self.0 & !Self::GUARDED })
    }

    /// Whether it is the word of a hardened page owned by thread `tid`, an OS page of which may be inaccessible.
    #[inline(always)]
    pub const fn is_hardened_of(self, tid: usize) -> bool {
        (self.0 ^ tid) & !Self::GUARDED == Self::HARDENED
    }

    /// The same word, of a page whose blocks may be known by addresses inside them.
    #[inline]
    pub const fn interior(self) -> Owner {
        Owner(self.0 | Self::INTERIOR)
    }

    const fn with_tid(self, tid: usize) -> Owner {
        Owner(self.0 & (Self::GUARDED | Self::INTERIOR | Self::HARDENED) | tid)
    }

    pub(super) const fn unowned(self, hint: usize) -> Owner {
        Owner(self.with_tid(hint).0 | Self::UNOWNED)
    }
}

/// A block's distance from the start of its page's area, in units of 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockOffset(u32);

impl BlockOffset {
    /// From a distance in bytes, below 16 GiB (a page's last block starts below 4 MiB).
    #[inline]
    pub const fn from_bytes(bytes: usize) -> Self {
        Self((bytes / 8) as u32)
    }

    /// The distance in bytes.
    #[inline]
    pub const fn bytes(self) -> usize {
        self.0 as usize * 8
    }
}

/// A list of blocks taken from a page's remote word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chain {
    /// The first block; meaningless when `count` is 0.
    pub head: BlockOffset,
    /// How many blocks.
    pub count: usize,
}

/// What a push found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Push {
    /// Somebody owns the page, or nobody needs to.
    Left,
    /// The push reached the threshold: the caller owns the page now, the list still in the word.
    Claimed,
}

/// What [`Remote::push_or_claim`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushOrClaim {
    /// The block is in the remote list, and nothing else happened.
    Left,
    /// The block is in the remote list and made it reach the threshold: the caller owns the page.
    Due,
    /// The caller owns the page and has its list; the block is not in it.
    Claimed(Chain),
}

/// `let_go` found that the page already has as many remote blocks as its threshold; the caller still owns it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// How many blocks wait in the remote list.
    pub count: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

const UNOWNED: u64 = 1;
const COUNT_SHIFT: u32 = 1;
const THRESHOLD_SHIFT: u32 = 17;
const HEAD_SHIFT: u32 = 33;
const FIELD_MASK: u64 = 0xFFFF;

impl Word {
    /// Owned, empty list; also what zeroed metadata holds.
    const OWNED: Word = Word(0);

    #[inline]
    fn is_unowned(self) -> bool {
        self.0 & UNOWNED != 0
    }

    #[inline]
    fn count(self) -> usize {
        (self.0 >> COUNT_SHIFT & FIELD_MASK) as usize
    }

    #[inline]
    fn threshold(self) -> usize {
        (self.0 >> THRESHOLD_SHIFT & FIELD_MASK) as usize
    }

    #[inline]
    fn chain(self) -> Chain {
        Chain { head: BlockOffset((self.0 >> HEAD_SHIFT) as u32), count: self.count() }
    }

    /// With a list of `count` blocks that starts at `head`. The count sticks at its limit, so that blocks freed more
    /// than once can't disturb its neighbours in the word.
    #[inline]
    fn with_list(self, head: BlockOffset, count: usize) -> Word {
        let count = (count as u64).min(FIELD_MASK);
        let rest = self.0 & (UNOWNED | FIELD_MASK << THRESHOLD_SHIFT);
        Word(rest | count << COUNT_SHIFT | u64::from(head.0) << HEAD_SHIFT)
    }

    #[inline]
    fn unowned(self, threshold: usize) -> Word {
        let rest = self.0 & !(FIELD_MASK << THRESHOLD_SHIFT);
        Word(rest | UNOWNED | (threshold as u64 & FIELD_MASK) << THRESHOLD_SHIFT)
    }

    #[inline]
    fn owned(self) -> Word {
        Word(self.0 & !(UNOWNED | FIELD_MASK << THRESHOLD_SHIFT))
    }

    /// After a push: owned as soon as the threshold is reached.
    #[inline]
    fn pushed(self, head: BlockOffset, blocks: usize) -> Word {
        let next = self.with_list(head, self.count() + blocks);
        if next.is_unowned() && next.count() >= next.threshold() { next.owned() } else { next }
    }
}

/// The atomic word. Zeroed memory is a valid one: owned, with an empty list.
#[repr(transparent)]
pub struct Remote(AtomicU64);

impl Remote {
    const_unless_loom! {
        /// Owned by the caller, with an empty list. `const` except under loom.
        pub const fn new() -> Self {
            Self(AtomicU64::new(Word::OWNED.0))
        }
    }

    #[inline]
    fn load(&self) -> Word {
        Word(self.0.load(Ordering::Relaxed))
    }

    #[inline]
    fn swap_if(&self, current: Word, next: Word) -> Result<(), Word> {
        // ORDERING: release publishes the pushed blocks' links and, in `let_go`, everything that the owner wrote;
        // acquire makes the same visible to whoever becomes the owner (Invariant 4).
        let swapped = self.0.compare_exchange_weak(current.0, next.0, Ordering::AcqRel, Ordering::Relaxed);
        match swapped {
            Ok(_) => Ok(()),
            Err(now) => Err(Word(now)),
        }
    }

    /// Pushes a chain of `blocks` blocks that starts at `head`. `link` is told what must follow the chain's last
    /// block (`None`: nothing) before each attempt. One compare-and-swap when undisturbed.
    #[inline]
    pub fn push(&self, head: BlockOffset, blocks: usize, mut link: impl FnMut(Option<BlockOffset>)) -> Push {
        let mut current = self.load();
        loop {
            let chain = current.chain();
            link((chain.count > 0).then_some(chain.head));
            let next = current.pushed(head, blocks);
            match self.swap_if(current, next) {
                Ok(()) if current.is_unowned() && !next.is_unowned() => return Push::Claimed,
                Ok(()) => return Push::Left,
                Err(now) => current = now,
            }
        }
    }

    /// Becomes the owner of an unowned page and takes its list; `None` if somebody owns it. One compare-and-swap.
    #[inline]
    pub fn claim(&self) -> Option<Chain> {
        let mut current = self.load();
        while current.is_unowned() {
            match self.swap_if(current, Word::OWNED) {
                Ok(()) => return Some(current.chain()),
                Err(now) => current = now,
            }
        }
        None
    }

    /// Frees one block of an unowned page that the caller would take back: once `wanted` blocks are free, this one
    /// among them, it owns the page and has the others' list; before that, and if somebody owns the page, the block
    /// is pushed. One compare-and-swap when undisturbed; `link` as for [`Remote::push`].
    #[inline]
    pub fn push_or_claim(
        &self,
        block: BlockOffset,
        wanted: usize,
        mut link: impl FnMut(Option<BlockOffset>),
    ) -> PushOrClaim {
        let mut current = self.load();
        loop {
            let chain = current.chain();
            let claims = current.is_unowned() && chain.count + 1 >= wanted;
            let next = if claims { Word::OWNED } else { current.pushed(block, 1) };
            if !claims {
                link((chain.count > 0).then_some(chain.head));
            }
            match self.swap_if(current, next) {
                Ok(()) if claims => return PushOrClaim::Claimed(chain),
                Ok(()) if current.is_unowned() && !next.is_unowned() => return PushOrClaim::Due,
                Ok(()) => return PushOrClaim::Left,
                Err(now) => current = now,
            }
        }
    }

    /// Becomes the owner of an unowned page and leaves its list in the word; answers the threshold that it had, to be
    /// let go with again. `None` if somebody owns it.
    pub fn claim_in_place(&self) -> Option<usize> {
        let mut current = self.load();
        while current.is_unowned() {
            match self.swap_if(current, current.owned()) {
                Ok(()) => return Some(current.threshold()),
                Err(now) => current = now,
            }
        }
        None
    }

    /// The owner takes the list. No atomic read-modify-write when it is empty.
    #[inline]
    pub fn take(&self) -> Chain {
        if self.load() == Word::OWNED {
            return Chain { head: BlockOffset(0), count: 0 };
        }
        // ORDERING: acquire pairs with the pushes' release: the links are visible (Invariant 4).
        Word(self.0.swap(Word::OWNED.0, Ordering::Acquire)).chain()
    }

    /// The owner gives the page up; from now on the push that brings the list to `threshold` blocks claims it.
    /// Refused, and still owned, if the list is that long already.
    #[inline]
    pub fn let_go(&self, threshold: usize) -> Result<(), Due> {
        let mut current = self.load();
        loop {
            if current.count() >= threshold {
                return Err(Due { count: current.count() });
            }
            match self.swap_if(current, current.unowned(threshold)) {
                Ok(()) => return Ok(()),
                Err(now) => current = now,
            }
        }
    }

    /// The list as it is now, for a look that takes nothing: a hint.
    pub fn peek(&self) -> Chain {
        // ORDERING: acquire pairs with the pushes' release: links of the blocks seen are visible.
        Word(self.0.load(Ordering::Acquire)).chain()
    }

    /// How many blocks wait in the list, for an owner who will release the page if these are all.
    #[inline]
    pub fn arrived(&self) -> usize {
        // ORDERING: acquire pairs with the pushes' release: whoever freed a block is done with it.
        Word(self.0.load(Ordering::Acquire)).count()
    }

    /// How many blocks wait in the list: a hint unless the caller owns the page and no block is left to free.
    #[inline]
    pub fn count(&self) -> usize {
        self.load().count()
    }

    /// Whether nobody owns the page: a hint.
    #[inline]
    pub fn is_unowned(&self) -> bool {
        self.load().is_unowned()
    }

    /// Makes the word that of an owned page with an empty list, whatever it was.
    pub fn reset(&self) {
        self.0.store(Word::OWNED.0, Ordering::Relaxed);
    }
}

/// The words of a page. Zeroed memory is valid: no page.
#[repr(C)]
pub struct Ownership {
    owner: AtomicUsize,
    remote: Remote,
    used: AtomicU16,
    listed: AtomicBool,
}

impl Ownership {
    /// Where the owner word lies.
    pub const OWNER_AT: usize = offset_of!(Ownership, owner);
    /// Where the remote word lies.
    pub const REMOTE_AT: usize = offset_of!(Ownership, remote);
    /// Where the count of blocks in use lies.
    pub const USED_AT: usize = offset_of!(Ownership, used);
    /// Where the listed flag lies.
    pub const LISTED_AT: usize = offset_of!(Ownership, listed);

    const_unless_loom! {
        /// Of no page. `const` except under loom.
        pub const fn new() -> Self {
            Self {
                owner: AtomicUsize::new(0),
                remote: Remote::new(),
                used: AtomicU16::new(0),
                listed: AtomicBool::new(false),
            }
        }
    }

    /// A new page, owned by thread `tid`.
    pub fn begin(&self, tid: usize) {
        self.remote.reset();
        self.listed.set(false);
        self.set_owner(Owner(tid));
    }

    /// The owner word, by one relaxed load: a hint to all but the owner.
    #[inline(always)]
    pub fn owner(&self) -> Owner {
        Owner(self.owner.get())
    }

    /// The owner word itself, to be compared with a thread's id.
    #[inline(always)]
    pub fn owner_word(&self) -> &AtomicUsize {
        &self.owner
    }

    /// The same for somebody who may know no block of the page: what describes it is at least as new as the answer.
    #[inline]
    pub fn published_owner(&self) -> Owner {
        // ORDERING: acquire pairs with the release of `set_owner`.
        Owner(self.owner.load(Ordering::Acquire))
    }

    /// By the page's owner, or the holder of its only block.
    #[inline]
    pub fn set_owner(&self, owner: Owner) {
        // ORDERING: release publishes what describes the page to `published_owner`. A later owner has acquired it with the
        // remote word or with its block, so its own release publishes it as well.
        self.owner.store(owner.0, Ordering::Release);
    }

    /// The page is a thread's; by that thread, which owns it.
    #[inline]
    pub fn keep(&self, tid: usize) {
        self.set_owner(self.owner().with_tid(tid));
    }

    /// The owner gives the page up, `used` blocks of which are in use or in the remote list, with a hint at the thread that
    /// would have it back (0: none): see [`Remote::let_go`].
    #[inline]
    pub fn let_go(&self, hint: usize, used: usize, threshold: usize) -> Result<(), Due> {
        self.used.set(used as u16);
        pin();
        self.set_owner(self.owner().unowned(hint));
        pin();
        self.remote.let_go(threshold)
    }

    /// The claimer gives the page up again, the other words as they were.
    #[inline]
    pub fn put_back(&self, threshold: usize) -> Result<(), Due> {
        self.remote.let_go(threshold)
    }

    /// While nobody owns the page, or its claimer has not decided: how many of its blocks are in use, counting those in
    /// the remote list. A hint to others.
    #[inline]
    pub fn used(&self) -> usize {
        self.used.get() as usize
    }

    /// The same has changed in a page of samples, which nobody owns; by whoever has their lock.
    pub fn set_used(&self, used: usize) {
        self.used.set(used as u16);
    }

    /// Whether the page is in its heap's bitmap of pages that any thread may take; by its owner.
    #[inline]
    pub fn is_listed(&self) -> bool {
        self.listed.get()
    }

    /// By the page's owner, together with the bit in the heap's bitmap.
    #[inline]
    pub fn set_listed(&self, listed: bool) {
        self.listed.set(listed);
    }
}

/// The remote word's operations are the protocol's.
impl Deref for Ownership {
    type Target = Remote;

    #[inline(always)]
    fn deref(&self) -> &Remote {
        &self.remote
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn at(index: usize) -> BlockOffset {
        BlockOffset::from_bytes(index * 16)
    }

    #[test]
    fn pushes_link_to_the_previous_head() {
        let remote = Remote::new();
        let mut seen = std::vec::Vec::new();
        for index in [3, 1, 2] {
            assert_eq!(remote.push(at(index), 1, |next| seen.push(next)), Push::Left);
        }
        assert_eq!(seen, [None, Some(at(3)), Some(at(1))]);
        assert_eq!(remote.take(), Chain { head: at(2), count: 3 });
        assert_eq!(remote.take().count, 0);
    }

    #[test]
    fn the_push_that_reaches_the_threshold_claims() {
        let remote = Remote::new();
        remote.let_go(3).unwrap();
        assert_eq!(remote.push(at(0), 1, |_| {}), Push::Left);
        assert!(remote.is_unowned());
        assert_eq!(remote.push(at(1), 2, |_| {}), Push::Claimed);
        assert!(!remote.is_unowned());
        assert_eq!(remote.push(at(5), 1, |_| {}), Push::Left, "owned pages have no threshold");
        assert_eq!(remote.take(), Chain { head: at(5), count: 4 });
    }

    #[test]
    fn letting_go_is_refused_when_the_threshold_is_reached() {
        let remote = Remote::new();
        remote.push(at(0), 2, |_| {});
        assert_eq!(remote.let_go(2), Err(Due { count: 2 }));
        assert!(!remote.is_unowned());
        assert_eq!(remote.let_go(3), Ok(()));
        assert_eq!(remote.claim(), Some(Chain { head: at(0), count: 2 }));
    }

    #[test]
    fn zeroed_and_owned_words_cannot_be_claimed() {
        assert_eq!(Remote::new().claim(), None);
    }

    #[test]
    fn the_count_saturates() {
        let remote = Remote::new();
        for _ in 0..3 {
            remote.push(at(1), 40_000, |_| {});
        }
        assert_eq!(remote.take(), Chain { head: at(1), count: 0xFFFF });
    }
}
