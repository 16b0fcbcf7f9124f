//! Free memory: runs of granules, which are split when some is taken, and joined with free neighbours when it comes back.
//!
//! A table has one word per granule from the lowest address on. The first and the last word of a free run say so, and how
//! long it is ([`FREE`]); so a run that comes back finds its neighbours. Words of what is in use have that bit clear, where it counts:
//! the first and the last. Free runs are in lists, one for each range of lengths; their links lie in the runs themselves. A bit for each list
//! says whether it is empty.
//!
//! The table is memory of the source, too, and moves when it grows. Page 0 is never anybody's: it begins with the first table, which stays.

use core::ptr;

use crate::sizes::*;
use crate::source::Source;

/// In a word: the granule is the first or the last of a free run, whose length the other bits are.
const FREE: u32 = 1 << 31;

/// Lengths below this have a list each.
const LINEAR_LISTS: usize = 8;
/// Above, so many per doubling.
const PER_DOUBLING: usize = 4;
const FIELDS: usize = 3;
const LISTS: usize = 32 * FIELDS;
/// How many runs of a list are looked at, as long as there is more memory to be had.
const LOOKS: usize = 8;

/// What the words of a granule of the table describe.
const WORDS_PER_GRANULE: usize = GRANULE_BYTES / size_of::<u32>();

const _: () = assert!(LINEAR_LISTS.is_power_of_two() && size_of::<FreeRun>() <= GRANULE_BYTES);

struct FreeRun {
    next: *mut FreeRun,
    previous: *mut FreeRun,
}

/// So many granules, the first at a multiple of so many, a power of two.
#[derive(Clone, Copy)]
pub struct Want {
    pub granules: usize,
    pub align: usize,
}

pub struct Runs {
    table: *mut u32,
    /// The address of granule 0.
    base: usize,
    /// How many granules there are.
    end: usize,
    /// How many the table has words for.
    room: usize,
    lists: [*mut FreeRun; LISTS],
    occupied: [u32; FIELDS],
}

/// A free run that was found: where it is, and what is before the part that is wanted.
struct Found {
    first: usize,
    granules: usize,
    head: usize,
}

impl Runs {
    pub const fn new() -> Runs {
        let lists = [ptr::null_mut(); LISTS];
        Runs { table: ptr::null_mut(), base: 0, end: 0, room: 0, lists, occupied: [0; FIELDS] }
    }

    /// The number of the granule at an address.
    #[inline(always)]
    pub fn granule_at(&self, address: usize) -> usize {
        (address - self.base) / GRANULE_BYTES
    }

    #[inline(always)]
    pub fn start_of<T>(&self, granule: usize) -> *mut T {
        ptr::with_exposed_provenance_mut(self.base + granule * GRANULE_BYTES)
    }

    /// The words of a page's granules.
    #[inline(always)]
    pub fn words_of_page<T>(&self, page: usize) -> *mut T {
        self.table.wrapping_add(page * PAGE_GRANULES).cast()
    }

    /// Granules, by the number of the first; from the source, if there is no free run for them.
    pub fn take(&mut self, want: Want, source: &impl Source) -> Option<usize> {
        let all = want.granules + want.align - 1;
        self.take_present(want)
            .or_else(|| self.extend(all, source).then(|| self.take_present(want))?)
            // What came may not lie behind what was there.
            .or_else(|| self.add_from(all, source).then(|| self.take_present(want))?)
            .or_else(|| self.take_within(want, usize::MAX))
    }

    /// The same, of what there is and is soon found.
    pub fn take_present(&mut self, want: Want) -> Option<usize> {
        self.take_within(want, LOOKS)
    }

    /// The same, looking at so many runs of each list.
    fn take_within(&mut self, want: Want, looks: usize) -> Option<usize> {
        let found = self.find(want, looks)?;
        self.remove(found.first, found.granules);
        let first = found.first + found.head;
        self.add(found.first, found.head);
        self.add(first + want.granules, found.granules - found.head - want.granules);
        self.mark_used(first, want.granules);
        Some(first)
    }

    /// Gives granules back, which are joined with free ones around them.
    pub fn put(&mut self, mut first: usize, mut granules: usize) {
        if granules == 0 {
            return;
        }
        let behind = self.free_at(first + granules);
        if behind != 0 {
            self.remove(first + granules, behind);
            granules += behind;
        }
        let before = if first == 0 { 0 } else { self.free_at(first - 1) };
        if before != 0 {
            first -= before;
            granules += before;
            self.remove(first, before);
        }
        self.add(first, granules);
    }

    /// Leaves what begins there `fewer` granules.
    pub fn shrink(&mut self, first: usize, granules: usize, fewer: usize) {
        self.mark_used(first, fewer);
        self.put(first + fewer, granules - fewer);
    }

    /// Gives what begins there `more` granules, if those behind it are free.
    pub fn grow_in_place(&mut self, first: usize, granules: usize, more: usize) -> bool {
        let (end, wanted) = (first + granules, more - granules);
        let free = self.free_at(end);
        if free < wanted {
            return false;
        }
        self.remove(end, free);
        self.add(end + wanted, free - wanted);
        self.mark_used(first, more);
        true
    }

    /// Adds so many granules to the last free ones; false without memory.
    pub fn extend(&mut self, granules: usize, source: &impl Source) -> bool {
        let last = if self.end == 0 { 0 } else { self.free_at(self.end - 1) };
        self.add_from(granules.saturating_sub(last).max(1), source)
    }

    /// Whether nothing that is used lies behind this granule, where what is added will lie.
    pub fn is_last(&self, end: usize) -> bool {
        end + self.free_at(end) == self.end
    }

    fn add_from(&mut self, granules: usize, source: &impl Source) -> bool {
        let Some((start, came)) = self.ask(granules, self.end, source) else { return false };
        if self.add_memory(start, came) {
            return true;
        }
        // Somebody else's memory lies between, and the table needs more words for it than there came room for: once more, with that room.
        let end = start + came * GRANULE_BYTES;
        match self.ask(granules, self.granule_at(end), source) {
            Some((more, count)) if more == end => self.add_memory(start, came + count),
            Some((more, count)) => self.add_memory(more, count),
            None => false,
        }
    }

    /// Asks for so many granules, and for those of the table that is needed if they begin at granule `from`: an address, and how many.
    fn ask(&self, granules: usize, from: usize, source: &impl Source) -> Option<(usize, usize)> {
        let bytes = (granules + self.for_table(from + granules)).checked_mul(GRANULE_BYTES)?;
        source.grow(bytes).map(|(start, bytes)| (start.expose_provenance(), bytes / GRANULE_BYTES))
    }

    /// How many granules a new table takes, if one is needed for the granules before `end`, its own behind them, and a unit of the source's.
    fn for_table(&self, end: usize) -> usize {
        if end <= self.room {
            return 0;
        }
        let about = self.next_room(end) / WORDS_PER_GRANULE;
        self.next_room(end + 2 * about + WORDS_PER_GRANULE) / WORDS_PER_GRANULE
    }

    /// As many words as a table has that has so many at least.
    fn next_room(&self, least: usize) -> usize {
        // What comes may be more than was asked for, by a unit of the source's.
        (least + least / 4 + 2 * WORDS_PER_GRANULE).max(2 * self.room).next_multiple_of(WORDS_PER_GRANULE)
    }

    /// False, and nothing has happened, if the table that is needed doesn't fit in.
    fn add_memory(&mut self, start: usize, granules: usize) -> bool {
        if self.end == 0 {
            self.base = start;
        }
        if start < self.base {
            return false;
        }
        let first = self.granule_at(start);
        let end = first + granules;
        let room = if end > self.room { self.next_room(end) } else { 0 };
        let for_table = room / WORDS_PER_GRANULE;
        if for_table > granules {
            return false;
        }
        let before = (self.table.addr(), self.room);
        if room != 0 {
            self.move_table(self.start_of(first), room);
        }
        // Somebody else's memory may lie between.
        self.mark_used(self.end, first - self.end);
        self.mark_used(first, for_table);
        self.end = end;
        self.put(first + for_table, granules - for_table);
        self.put_table(before, room);
        true
    }

    fn move_table(&mut self, to: *mut u32, room: usize) {
        if self.end != 0 {
            // SAFETY: memory of ours, of which the words that count fit into what is new.
            unsafe { to.copy_from_nonoverlapping(self.table, self.end) };
        }
        (self.table, self.room) = (to, room);
    }

    /// Gives the table before back, if there is another; the first one stays.
    fn put_table(&mut self, (table, words): (usize, usize), room: usize) {
        if room != 0 && table > self.base {
            self.put(self.granule_at(table), words / WORDS_PER_GRANULE);
        }
    }

    fn find(&self, want: Want, looks: usize) -> Option<Found> {
        let mut from = list_of(want.granules);
        while let Some(list) = self.occupied_from(from) {
            let mut run = self.lists[list];
            for _ in 0..looks {
                if run.is_null() {
                    break;
                }
                let first = self.granule_at(run.addr());
                let (granules, head) = (self.free_at(first), self.unaligned_at(first, want.align));
                if granules >= head + want.granules {
                    return Some(Found { first, granules, head });
                }
                // SAFETY: a free run, which is ours.
                run = unsafe { (*run).next };
            }
            from = list + 1;
        }
        None
    }

    /// From this granule, so many to the next at a multiple of `align`.
    fn unaligned_at(&self, first: usize, align: usize) -> usize {
        (self.base / GRANULE_BYTES + first).wrapping_neg() & (align - 1)
    }

    fn occupied_from(&self, from: usize) -> Option<usize> {
        let mut mask = u32::MAX.checked_shl(from as u32 % u32::BITS)?;
        for field in from / 32..FIELDS {
            let bits = self.occupied[field] & mask;
            if bits != 0 {
                return Some(field * 32 + bits.trailing_zeros() as usize);
            }
            mask = u32::MAX;
        }
        None
    }

    /// How long the free run is that begins or ends with this granule; 0 if it is in use, or none.
    fn free_at(&self, granule: usize) -> usize {
        if granule >= self.end {
            return 0;
        }
        let word = self.word(granule);
        if word & FREE == 0 { 0 } else { (word & !FREE) as usize }
    }

    fn mark_used(&mut self, first: usize, granules: usize) {
        self.mark(first, granules, 0);
    }

    fn mark(&mut self, first: usize, granules: usize, word: u32) {
        if granules != 0 {
            self.set_word(first, word);
            self.set_word(first + granules - 1, word);
        }
    }

    fn word(&self, granule: usize) -> u32 {
        // SAFETY: the table has a word for each granule.
        unsafe { self.table.add(granule).read() }
    }

    fn set_word(&mut self, granule: usize, word: u32) {
        // SAFETY: as above, also for what is just added.
        unsafe { self.table.add(granule).write(word) }
    }

    /// Puts a run into its list. Of no granules, nothing.
    fn add(&mut self, first: usize, granules: usize) {
        if granules == 0 {
            return;
        }
        self.mark(first, granules, FREE | granules as u32);
        let (list, run) = (list_of(granules), self.start_of::<FreeRun>(first));
        let next = self.lists[list];
        // SAFETY: memory of ours that nobody uses, and the list's first.
        unsafe {
            run.write(FreeRun { next, previous: ptr::null_mut() });
            if !next.is_null() {
                (*next).previous = run;
            }
        }
        self.lists[list] = run;
        self.occupied[list / 32] |= 1 << (list % 32);
    }

    /// Takes it out.
    fn remove(&mut self, first: usize, granules: usize) {
        if granules == 0 {
            return;
        }
        let (list, run) = (list_of(granules), self.start_of::<FreeRun>(first));
        // SAFETY: a run in that list, and its neighbours there.
        unsafe {
            let FreeRun { next, previous } = run.read();
            if !next.is_null() {
                (*next).previous = previous;
            }
            if previous.is_null() {
                self.lists[list] = next;
            } else {
                (*previous).next = next;
            }
        }
        if self.lists[list].is_null() {
            self.occupied[list / 32] &= !(1 << (list % 32));
        }
    }
}

/// The list of free runs of this length.
fn list_of(granules: usize) -> usize {
    if granules < LINEAR_LISTS {
        return granules;
    }
    let doubling = granules.ilog2();
    let step = granules >> (doubling - PER_DOUBLING.ilog2());
    let list = LINEAR_LISTS + PER_DOUBLING * (doubling - LINEAR_LISTS.ilog2()) as usize + step - PER_DOUBLING;
    list.min(LISTS - 1)
}
