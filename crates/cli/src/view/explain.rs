//! Fragmentation in words and tables.

use super::amount::{bytes, count, percent, table};
use crate::heap::analysis::{Analysis, Class, worst_pages};
use crate::heap::snapshot::{Certainty, Owner, Page, Snapshot};

/// The rows of the picture of all memory: name, bytes, what it is.
pub fn parts(snapshot: &Snapshot, analysis: &Analysis) -> Vec<(&'static str, u64, &'static str)> {
    let mut parts = vec![
        ("live", analysis.live_bytes, "blocks in use"),
        (
            "idle in pages",
            analysis.held_bytes.saturating_sub(analysis.live_bytes),
            "memory of pages that no block uses",
        ),
        (
            "unused",
            analysis.unused_resident_bytes.unwrap_or(analysis.unused_bytes),
            "free slices that have not been purged",
        ),
        ("own", analysis.own_resident_bytes.unwrap_or(analysis.own_bytes), "the allocator's structures in arenas"),
    ];
    if let Some(resident) = snapshot.source.resident_bytes {
        let ours: u64 = parts.iter().map(|part| part.1).sum();
        parts.push((
            "the rest",
            resident.saturating_sub(ours),
            "code, stacks, page map, memory that is not from malloc",
        ));
        parts.push(("resident", resident, "all of the process, as the system counts"));
    }
    parts
}

pub fn class_name(class: &Class) -> String {
    if class.block_bytes == 0 { "big blocks".into() } else { block_name(class.block_bytes) }
}

fn block_name(block_bytes: u64) -> String {
    if block_bytes < 10_240 { format!("{block_bytes} B") } else { bytes(block_bytes) }
}

/// Classes by what they hold for nobody, with a heading; at most so many.
pub fn class_rows(analysis: &Analysis, most: usize) -> Vec<Vec<String>> {
    let heading =
        ["block", "pages", "blocks", "live", "held", "idle", "in use", "sparse pages", "they hold", "for blocks"];
    let row = |class: &&Class| {
        vec![
            class_name(class),
            count(class.pages),
            count(class.blocks),
            bytes(class.live_bytes),
            bytes(class.held_bytes),
            bytes(class.idle_bytes),
            percent(class.live_bytes, class.held_bytes),
            count(class.sparse_pages),
            bytes(class.sparse_held_bytes),
            count(class.sparse_blocks),
        ]
    };
    let classes = analysis.by_waste();
    let rows = classes.iter().take(most).map(row);
    std::iter::once(heading.map(String::from).to_vec()).chain(rows).collect()
}

pub fn owner_name(snapshot: &Snapshot, owner: Owner) -> String {
    match owner {
        Owner::Thread(number) => match snapshot.thread(number) {
            Some((_, thread)) => thread_name(thread.tid, &thread.name, number),
            None => format!("thread {number:#x}"),
        },
        Owner::GivenUp(_) => "given up when it was full".into(),
        Owner::Abandoned => "its thread has ended".into(),
        Owner::Single => "a block with a page of its own".into(),
        Owner::Samples => "the profiler's samples share it".into(),
    }
}

pub fn thread_name(tid: Option<u32>, name: &str, number: u64) -> String {
    match tid {
        Some(tid) if !name.is_empty() => format!("{name} ({tid})"),
        Some(tid) => format!("thread {tid}"),
        None => format!("thread {number:#x}"),
    }
}

/// How a page's number of blocks is to be read.
pub fn used_text(page: &Page) -> String {
    match page.certainty {
        Certainty::Exact => page.used.to_string(),
        Certainty::AtMost => format!("at most {}", page.used),
        Certainty::Moving => format!("about {}", page.used),
    }
}

/// The pages that hold most for nobody, with a heading.
pub fn page_rows(snapshot: &Snapshot, most: usize) -> Vec<Vec<String>> {
    let heading = ["page", "block", "in use", "of", "holds", "idle", "owner"].map(String::from).to_vec();
    let row = |index: usize| {
        let page = &snapshot.pages[index];
        vec![
            format!("{:#x}", page.address),
            block_name(page.block_bytes),
            used_text(page),
            page.reserved.to_string(),
            bytes(page.held_bytes()),
            bytes(page.idle_bytes()),
            owner_name(snapshot, page.owner),
        ]
    };
    std::iter::once(heading).chain(worst_pages(snapshot, most).into_iter().map(row)).collect()
}

/// What could be given back, and how.
pub fn gains(analysis: &Analysis) -> Vec<String> {
    let gains = analysis.gains;
    let mut lines = vec![
        format!(
            "A purge gives {}: memory of free slices. It comes by itself after MIMALLOC_PURGE_DELAY, or now by \
             mi_collect(true) or malloc_trim(0) in the program.",
            bytes(gains.purge_bytes)
        ),
        format!(
            "Empty pages that threads keep hold {}: those threads give them up when they collect.",
            bytes(gains.retired_bytes)
        ),
    ];
    lines.push(match gains.hole_bytes {
        Some(holes) => format!(
            "Holes, whole OS pages inside pages in use that no block touches, are {}: malloc_trim(0) gives them back \
             where the page is the caller's or nobody's.",
            bytes(holes)
        ),
        None => "Holes inside pages were not looked for.".into(),
    });
    lines
}

/// What fragmentation there is, in sentences.
pub fn sentences(analysis: &Analysis) -> Vec<String> {
    let mut lines = vec![format!(
        "{} blocks of {} live in {} pages, which hold {}: {} of that is in use.",
        count(analysis.blocks),
        bytes(analysis.live_bytes),
        count(analysis.pages),
        bytes(analysis.held_bytes),
        percent(analysis.live_bytes, analysis.held_bytes)
    )];
    let worst = analysis.by_waste();
    if let Some(class) = worst.first().filter(|class| class.idle_bytes > 1 << 20) {
        lines.push(format!(
            "Most is idle in pages of {}: {}. {} of these {} pages are less than a quarter full: they hold {} for {} blocks.",
            if class.block_bytes == 0 { "big blocks".into() } else { format!("{} blocks", block_name(class.block_bytes)) },
            bytes(class.idle_bytes),
            count(class.sparse_pages),
            count(class.pages),
            bytes(class.sparse_held_bytes),
            count(class.sparse_blocks)
        ));
    }
    let unsure = analysis.moving_pages + analysis.at_most_pages;
    if unsure > 0 {
        lines.push(format!(
            "Of {} pages the number of blocks is about right only: threads were allocating there, or their lists were not followed.",
            count(unsure)
        ));
    }
    if analysis.changing_bytes > 0 {
        lines.push(format!("Of {} it is not known what they are: they changed hands while the heap was read, or their descriptions could not be read.", bytes(analysis.changing_bytes)));
    }
    lines
}

/// All of it as text.
pub fn text(snapshot: &Snapshot, analysis: &Analysis) -> String {
    let mut text = String::new();
    let mut put = |part: String| {
        text.push_str(&part);
        text.push('\n');
    };
    let rows: Vec<Vec<String>> = parts(snapshot, analysis)
        .into_iter()
        .map(|(name, amount, what)| vec![name.into(), bytes(amount), format!("  {what}")])
        .collect();
    put(aligned_notes(&rows));
    sentences(analysis).into_iter().for_each(&mut put);
    put(String::new());
    put(table(&class_rows(analysis, 12)));
    put(table(&page_rows(snapshot, 8)));
    gains(analysis).into_iter().for_each(&mut put);
    text
}

/// Name, amount, note: the note to the left.
fn aligned_notes(rows: &[Vec<String>]) -> String {
    let (numbers, notes): (Vec<Vec<String>>, Vec<&String>) =
        rows.iter().map(|row| (row[..2].to_vec(), &row[2])).unzip();
    table(&numbers).lines().zip(notes).map(|(line, note)| format!("{line}{note}\n")).collect()
}
