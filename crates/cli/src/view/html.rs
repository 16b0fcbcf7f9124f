//! The map as one file for a browser: nothing is loaded from elsewhere.

use super::amount::{bytes, count};
use super::explain;
use super::pack::{PARTS, Precision, pack, usual_rooms};
use super::terminal::title;
use crate::heap::analysis::Analysis;
use crate::heap::snapshot::Snapshot;
use serde_json::json;

const TEMPLATE: &str = include_str!("map.html");

pub fn map(snapshot: &Snapshot) -> String {
    let analysis = Analysis::of(snapshot);
    let classes: Vec<u64> = analysis.classes.iter().map(|class| class.block_bytes).collect();
    let (packed, precision) = pack(snapshot, &classes);
    let parts = explain::parts(snapshot, &analysis);
    let data = json!({
        "sliceBytes": snapshot.slice_bytes,
        "osPageBytes": snapshot.os_page_bytes,
        "classes": classes,
        "usual": usual_rooms(snapshot, &classes),
        "parts": if precision == Precision::Rounded { PARTS } else { 0 },
        "arenas": snapshot.arenas.iter().map(|arena| json!([arena.address, arena.slices, arena.subproc])).collect::<Vec<_>>(),
        "threads": snapshot.threads.iter()
            .map(|thread| explain::thread_name(thread.tid, &thread.name, thread.number)).collect::<Vec<_>>(),
        "heaps": snapshot.heaps.iter().map(|heap| heap.id).collect::<Vec<_>>(),
        "bar": parts.iter().filter(|part| part.0 != "resident").map(|(name, bytes, what)| json!([name, bytes, what]))
            .collect::<Vec<_>>(),
    });
    // `<` must not end the script.
    let data = data.to_string().replace('<', "\\u003c");
    TEMPLATE
        .replace("{{title}}", &escaped(&title(snapshot)))
        .replace("{{sentences}}", &paragraphs(&explain::sentences(&analysis)))
        .replace("{{gains}}", &items(&explain::gains(&analysis)))
        .replace("{{classes}}", &table(&explain::class_rows(&analysis, 30)))
        .replace("{{pages}}", &table(&explain::page_rows(snapshot, 20)))
        .replace("{{counts}}", &escaped(&counts(snapshot, &analysis)))
        .replace("{{data}}", &data)
        .replace("{{packed}}", &packed)
}

fn counts(snapshot: &Snapshot, analysis: &Analysis) -> String {
    format!(
        "{} arenas, {} pages, {} threads, {} heaps; {} of addresses reserved",
        snapshot.arenas.len(),
        count(analysis.pages),
        snapshot.threads.len(),
        snapshot.heaps.len(),
        bytes(analysis.reserved_bytes)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn paragraphs(lines: &[String]) -> String {
    lines.iter().map(|line| format!("<p>{}</p>", escaped(line))).collect()
}

fn items(lines: &[String]) -> String {
    format!("<ul>{}</ul>", lines.iter().map(|line| format!("<li>{}</li>", escaped(line))).collect::<String>())
}

fn table(rows: &[Vec<String>]) -> String {
    let row = |cells: &Vec<String>, tag: &str| {
        let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
        format!("<tr>{cells}</tr>")
    };
    let Some((heading, rest)) = rows.split_first() else { return String::new() };
    let body: String = rest.iter().map(|cells| row(cells, "td")).collect();
    format!("<table><thead>{}</thead><tbody>{body}</tbody></table>", row(heading, "th"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::{Arena, Owner, Page, Thread};
    use std::time::Instant;

    /// A heap with a page in each slice, of random sizes, as full as chance has it, of several threads.
    fn heap_of(pages: u64) -> Snapshot {
        const PER_ARENA: u64 = 1 << 18;
        let mut random = 1_u64;
        let mut next = move |most: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % most
        };
        let start = |arena: u64| 0x7000_0000_0000 + arena * PER_ARENA * 65536 * 2;
        let arenas = pages.div_ceil(PER_ARENA);
        let page = |index: u64| {
            let (arena, block_bytes) = (index / PER_ARENA, 16 << next(8));
            let reserved = 65536 / block_bytes;
            Page {
                address: start(arena) + index % PER_ARENA * 65536,
                arena: Some(arena as u16),
                slices: 1,
                block_bytes,
                reserved: reserved as u16,
                capacity: reserved as u16,
                used: next(reserved + 1) as u16,
                owner: Owner::Thread(next(16)),
                handed: next(1 << 20),
                resident: Some((next(16) + 1) * 4096),
                ..Page::default()
            }
        };
        Snapshot {
            slice_bytes: 65536,
            os_page_bytes: 4096,
            pages: (0..pages).map(page).collect(),
            arenas: (0..arenas)
                .map(|arena| Arena { address: start(arena), slices: PER_ARENA as u32, ..Arena::default() })
                .collect(),
            threads: (0..16).map(|number| Thread { number, ..Thread::default() }).collect(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_million_pages_fit_three_megabytes() {
        let snapshot = heap_of(1_000_000);
        let started = Instant::now();
        let text = map(&snapshot);
        println!("{} in {:?}", bytes(text.len() as u64), started.elapsed());
        assert!(text.len() <= 3_000_000, "{}", text.len());
        assert!(text.contains("\"parts\":15"), "rounded, and said to be");
        assert!(map(&heap_of(1000)).contains("\"parts\":0"), "exact where there is room");
    }

    #[test]
    fn names_from_the_process_are_text() {
        let mut snapshot = heap_of(3);
        snapshot.source.command = "a</script><b>&".into();
        snapshot.threads[0].tid = Some(1);
        snapshot.threads[0].name = "</script>".into();
        let text = map(&snapshot);
        assert!(text.contains("a&lt;/script&gt;&lt;b&gt;&amp;"));
        assert_eq!(text.matches("</script>").count(), TEMPLATE.matches("</script>").count());
    }
}
