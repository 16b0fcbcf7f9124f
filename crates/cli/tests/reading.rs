//! Heaps of other processes, against what those say of themselves.

mod support;

use ferrimalloc_cli::heap::reader::{self, Depth};
use ferrimalloc_cli::heap::{Analysis, Certainty, Owner, Snapshot};
use ferrimalloc_cli::process::{CoreFile, Live};
use std::process::Command;
use support::Patient;

const STEADY: [(u64, u64); 6] = [(16, 5000), (112, 3000), (1024, 700), (5120, 300), (20480, 60), (114_688, 20)];
const BIG_BLOCKS: u64 = 3;
const STAYS: u64 = 3584;

fn look(patient: &Patient, depth: Depth) -> Snapshot {
    reader::read(&Live::attach(patient.pid()).unwrap(), depth).unwrap()
}

/// Blocks of a size in the heap that has the highest number: that of `steady`.
fn blocks_of(snapshot: &Snapshot, block_bytes: u64) -> u64 {
    let newest = snapshot.heaps.len() as u16 - 1;
    let its = snapshot.pages.iter().filter(|page| page.heap == newest && !page.is_single());
    its.filter(|page| page.block_bytes == block_bytes).map(|page| u64::from(page.used)).sum()
}

fn assert_steady(snapshot: &Snapshot) {
    for (block_bytes, count) in STEADY {
        assert_eq!(blocks_of(snapshot, block_bytes), count, "blocks of {block_bytes}");
    }
    let newest = snapshot.heaps.len() as u16 - 1;
    let singles = snapshot.pages.iter().filter(|page| page.heap == newest && page.is_single());
    assert_eq!(singles.count() as u64, BIG_BLOCKS);
    assert!(snapshot.pages.iter().all(|page| page.certainty == Certainty::Exact));
    assert_eq!((snapshot.trouble.moving, snapshot.trouble.unreadable), (0, 0));
}

#[test]
fn a_quiet_process_is_seen_exactly() {
    let patient = Patient::start(&["steady"]);
    let snapshot = look(&patient, Depth::Lists);
    assert_steady(&snapshot);
    assert_eq!(snapshot.heaps.len(), 2);
    let thread = snapshot.threads.iter().find(|thread| thread.tid == Some(patient.pid())).expect("the first thread");
    assert!(snapshot.pages.iter().any(|page| page.owner == Owner::Thread(thread.number)));
    // Big blocks have not been touched.
    let mut shared = snapshot.pages.iter().filter(|page| page.used > 0 && !page.is_single());
    assert!(shared.all(|page| page.resident.is_some_and(|bytes| bytes > 0)));
    assert_eq!(look(&patient, Depth::Lists).pages, snapshot.pages, "looking changes nothing");
}

#[test]
fn without_lists_a_count_is_said_to_be_a_bound() {
    let patient = Patient::start(&["steady"]);
    let (rough, exact) = (look(&patient, Depth::Descriptions), look(&patient, Depth::Lists));
    assert_eq!(rough.pages.len(), exact.pages.len());
    for (rough, exact) in rough.pages.iter().zip(&exact.pages) {
        match rough.certainty {
            Certainty::Exact => assert_eq!(rough.used, exact.used),
            _ => assert!(rough.used >= exact.used),
        }
    }
    assert!(rough.pages.iter().any(|page| page.certainty == Certainty::AtMost));
}

#[test]
fn a_stripped_program_is_found_by_the_table_s_words() {
    let folder = tempfile::tempdir().unwrap();
    let stripped = folder.path().join("stripped");
    std::fs::copy(support::patient(), &stripped).unwrap();
    match Command::new("strip").arg(&stripped).status() {
        Ok(status) => assert!(status.success()),
        // No binutils: the copy has symbols, and the test says less.
        Err(_) => return,
    }
    assert_steady(&look(&Patient::start_program(&stripped, &["steady"]), Depth::Lists));
}

#[test]
fn a_core_file_holds_what_the_process_held() {
    let patient = Patient::start(&["steady"]);
    let folder = tempfile::tempdir().unwrap();
    let Some(path) = support::core_of(&patient, folder.path()) else { return };
    let snapshot = reader::read(&CoreFile::open(&path).unwrap(), Depth::Lists).unwrap();
    assert_steady(&snapshot);
    assert!(!snapshot.source.is_live);
    assert_eq!(snapshot.source.pid, patient.pid());
}

/// Pages lie in arenas, none in another, and say nothing that can't be.
fn assert_consistent(snapshot: &Snapshot) {
    let mut end = 0;
    for page in &snapshot.pages {
        assert!(page.address >= end && page.address.is_multiple_of(snapshot.slice_bytes), "{page:?}");
        end = page.address + u64::from(page.slices) * snapshot.slice_bytes;
        assert!(page.used <= page.capacity && page.capacity <= page.reserved, "{page:?}");
        assert!(page.block_bytes > 0 && page.slices > 0);
        if let Some((arena, slice)) = snapshot.slice_of(page) {
            let arena = &snapshot.arenas[arena];
            assert!(slice >= arena.info_slices as usize && slice + page.slices as usize <= arena.slices as usize);
        }
    }
    let analysis = Analysis::of(snapshot);
    assert_eq!(analysis.classes.iter().map(|class| class.blocks).sum::<u64>(), analysis.blocks);
}

#[test]
fn a_thousand_looks_at_a_busy_process_are_none_torn() {
    let patient = Patient::start(&["busy"]);
    let stay: u64 = patient.facts.parse().unwrap();
    let live = Live::attach(patient.pid()).unwrap();
    let (mut moving, mut unreadable, mut pages) = (0, 0, 0);
    // The stage `insight` looks a thousand times.
    let looks = if std::env::var_os("FERRIMALLOC_SO").is_some() { 1000 } else { 100 };
    for _ in 0..looks {
        let snapshot = match reader::read(&live, Depth::Lists) {
            Ok(snapshot) => snapshot,
            Err(failure) => panic!("{failure}"),
        };
        assert_consistent(&snapshot);
        let its = || snapshot.pages.iter().filter(|page| page.block_bytes == STAYS && !page.is_single());
        let seen: u64 = its().map(|page| u64::from(page.used)).sum();
        assert_eq!(seen, stay, "of blocks that nobody touches");
        assert!(its().all(|page| page.certainty == Certainty::Exact));
        moving += u64::from(snapshot.trouble.moving);
        unreadable += u64::from(snapshot.trouble.unreadable);
        pages += snapshot.pages.len() as u64;
    }
    // Others did move: else the test would show nothing. Most of the heap is seen clearly all the same.
    assert!(moving > 0 && moving * 2 < pages, "{moving} of {pages} pages moved");
    // A page that is just being made, by a thread that has to wait for a processor.
    assert!(unreadable * 20 < pages, "{unreadable} of {pages} pages could not be read");
}

#[test]
fn a_process_without_the_library_is_told_from_none() {
    let mut other = Command::new("sleep").arg("30").spawn().unwrap();
    // It may not have begun its program yet.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let failure = reader::read(&Live::attach(other.id()).unwrap(), Depth::Lists).unwrap_err();
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(failure.what.contains("does not use ferrimalloc"), "{failure}");
    assert!(failure.next.contains("ferrimalloc run -- sleep"), "{failure}");
}
