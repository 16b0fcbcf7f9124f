//! What a heap shows: memory that is held for nobody, and the option that would help.

use super::patient::Variables;
use super::{Finding, Level};
use crate::heap::{Analysis, Snapshot};
use crate::view::amount::{bytes, count, percent};
use crate::view::explain::class_name;

/// Less is not worth a word.
const LEAST_BYTES: u64 = 8 << 20;
/// This share of what pages hold, in percent, is much to be idle.
const MUCH_IDLE: u64 = 40;

pub fn look(snapshot: &Snapshot, variables: &Variables) -> Vec<Finding> {
    let analysis = Analysis::of(snapshot);
    let found = [unused(&analysis, variables), idle(&analysis), abandoned(&analysis)];
    let mut findings: Vec<Finding> = found.into_iter().flatten().collect();
    if findings.is_empty() {
        let (live, held) = (analysis.live_bytes, analysis.held_bytes);
        findings.push(Finding::good("heap", format!("the heap: {} live in {} of pages", bytes(live), bytes(held))));
    }
    findings
}

fn unused(analysis: &Analysis, variables: &Variables) -> Option<Finding> {
    let unused = analysis.gains.purge_bytes;
    if unused < LEAST_BYTES || unused * 4 < analysis.held_bytes {
        return None;
    }
    let never = variables.iter().find(|(name, value)| name.ends_with("MALLOC_PURGE_DELAY") && value.starts_with('-'));
    Some(match never {
        Some((name, value)) => Finding::new(
            Level::Warning,
            "never-purged",
            format!("{} of free memory are kept, as {name}={value} says", bytes(unused)),
            "MIMALLOC_PURGE_DELAY=1000, the default, gives it back after a second.",
        ),
        None => Finding::new(
            Level::Note,
            "unused-memory",
            format!("{} of free memory have not been given back", bytes(unused)),
            "An idle process gives nothing back by itself: MIMALLOC_SCAVENGE=1 has a thread do it, MIMALLOC_PURGE_DELAY=0 each free.",
        ),
    })
}

fn idle(analysis: &Analysis) -> Option<Finding> {
    let idle = analysis.held_bytes.saturating_sub(analysis.live_bytes);
    if idle < LEAST_BYTES || idle * 100 < analysis.held_bytes * MUCH_IDLE {
        return None;
    }
    let worst = analysis.by_waste();
    let class = worst.first()?;
    Some(Finding::new(
        Level::Warning,
        "fragmented",
        format!(
            "{} of what pages hold is idle ({}); {} of it in pages of {} ({} sparse pages for {} blocks)",
            percent(idle, analysis.held_bytes),
            bytes(idle),
            bytes(class.idle_bytes),
            class_name(class),
            count(class.sparse_pages),
            count(class.sparse_blocks)
        ),
        "`ferrimalloc map PID -o map.html` shows where. Blocks that live long beside many that don't: give them a heap of their \
         own (mi_heap_new, ferrimalloc::Heap).",
    ))
}

fn abandoned(analysis: &Analysis) -> Option<Finding> {
    let share = analysis.abandoned;
    (share.held_bytes > LEAST_BYTES && share.held_bytes * 2 > analysis.held_bytes).then(|| {
        Finding::new(
            Level::Note,
            "abandoned",
            format!("{} are in {} pages of threads that have ended", bytes(share.held_bytes), count(share.pages)),
            "Others take them when they need such blocks. If they don't: MIMALLOC_PAGE_RECLAIM_ON_FREE=1.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::{Arena, Page};

    fn ids(snapshot: &Snapshot, variables: &Variables) -> Vec<&'static str> {
        look(snapshot, variables).iter().map(|finding| finding.id).collect()
    }

    /// 1,024 pages of which so many of 64 blocks are in use, and free slices with memory.
    fn heap(used: u16, unused: u32) -> Snapshot {
        let page = |index: u64| Page {
            address: index * 65536,
            slices: 1,
            block_bytes: 1024,
            reserved: 64,
            capacity: 64,
            used,
            owner: crate::heap::Owner::Thread(1),
            resident: Some(65536),
            ..Page::default()
        };
        let all = vec![u64::MAX; unused.div_ceil(64) as usize];
        let arena = Arena { address: 1 << 40, slices: unused, free: all.clone(), purge: all, ..Arena::default() };
        let pages = (0..1024).map(page).collect();
        Snapshot { slice_bytes: 65536, os_page_bytes: 4096, pages, arenas: vec![arena], ..Snapshot::default() }
    }

    #[test]
    fn fragmentation_and_kept_memory_are_found() {
        let never = vec![("MIMALLOC_PURGE_DELAY".to_owned(), "-1".to_owned())];
        assert_eq!(ids(&heap(60, 0), &never), ["heap"]);
        assert_eq!(ids(&heap(4, 0), &never), ["fragmented"]);
        assert_eq!(ids(&heap(60, 1024), &never), ["never-purged"]);
        assert_eq!(ids(&heap(60, 1024), &Vec::new()), ["unused-memory"]);
    }
}
