//! Gauges and counters: as text, as JSON, and as metrics with names in OpenMetrics' form. The names are stable
//! (`docs/STATS.md`).

use super::amount::{bytes, count, table};
use super::explain::class_name;
use super::terminal::title;
use crate::heap::analysis::Analysis;
use crate::heap::snapshot::Snapshot;
use serde_json::{Value, json};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
}

struct Metric {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: u64,
}

fn metrics(snapshot: &Snapshot, analysis: &Analysis) -> Vec<Metric> {
    let counters = &snapshot.counters;
    let gauge = |name, value, help| Metric { name, kind: Kind::Gauge, help, value };
    let counter = |name, value: i64, help| Metric { name, kind: Kind::Counter, help, value: positive(value) };
    let mut all = vec![
        gauge("live_bytes", analysis.live_bytes, "Bytes of blocks in use."),
        gauge("live_blocks", analysis.blocks, "Blocks in use."),
        gauge("pages", analysis.pages, "Pages of blocks."),
        gauge("page_held_bytes", analysis.held_bytes, "Memory that pages hold."),
        gauge(
            "page_idle_bytes",
            analysis.held_bytes.saturating_sub(analysis.live_bytes),
            "Memory of pages that no block uses.",
        ),
        gauge("unused_bytes", analysis.gains.purge_bytes, "Memory of free slices, which a purge gives back."),
        gauge("retired_bytes", analysis.gains.retired_bytes, "Memory of empty pages that threads keep."),
        gauge(
            "own_bytes",
            analysis.own_resident_bytes.unwrap_or(analysis.own_bytes),
            "The allocator's structures in arenas.",
        ),
        gauge("reserved_bytes", positive(counters.reserved_bytes), "Address space reserved."),
        gauge("committed_bytes", positive(counters.committed_bytes), "Memory in use or not given back yet."),
        gauge("committed_peak_bytes", positive(counters.committed_peak_bytes), "Its peak."),
        gauge("accessible_bytes", analysis.accessible_bytes, "Address space that may be touched."),
        gauge("abandoned_pages", analysis.abandoned.pages, "Pages whose thread has ended."),
        gauge("given_up_pages", analysis.given_up.pages, "Pages that were full, and nobody's since."),
        gauge("big_blocks", analysis.singles.blocks, "Blocks with a page of their own."),
        gauge("arenas", snapshot.arenas.len() as u64, "Arenas."),
        gauge("heaps", snapshot.heaps.len() as u64, "Heaps."),
        gauge("threads", positive(counters.threads), "Threads that allocate."),
        gauge(
            "uncertain_pages",
            analysis.moving_pages + analysis.at_most_pages,
            "Pages that were changing while they were read.",
        ),
        counter("purged_bytes", counters.purged_bytes, "Memory given back to the system."),
        counter("purge_calls", counters.purge_calls, "Calls of the system to give memory back."),
        counter("map_calls", counters.mmap_calls, "Calls of the system to reserve addresses."),
        counter("commit_calls", counters.commit_calls, "Calls of the system to make memory accessible."),
        counter("pages_made", counters.pages_total, "Pages made."),
        counter("threads_started", counters.threads_total, "Threads that have allocated."),
        counter("big_blocks_allocated", counters.huge_blocks_total, "Blocks with a page of their own, allocated."),
    ];
    all.extend(
        snapshot
            .source
            .resident_bytes
            .map(|resident| gauge("process_resident_bytes", resident, "Resident set of the process.")),
    );
    all.extend(
        analysis
            .gains
            .hole_bytes
            .map(|holes| gauge("hole_bytes", holes, "OS pages inside pages in use that no block touches.")),
    );
    all
}

fn positive(value: i64) -> u64 {
    value.max(0).cast_unsigned()
}

/// For Prometheus, in the text form of OpenMetrics.
pub fn openmetrics(snapshot: &Snapshot) -> String {
    let analysis = Analysis::of(snapshot);
    let mut text = String::new();
    for metric in metrics(snapshot, &analysis) {
        let (kind, suffix) = if metric.kind == Kind::Counter { ("counter", "_total") } else { ("gauge", "") };
        let name = format!("ferrimalloc_{}", metric.name);
        text.push_str(&format!(
            "# TYPE {name} {kind}\n# HELP {name} {}\n{name}{suffix} {}\n",
            metric.help, metric.value
        ));
    }
    for (name, help, value) in [
        ("class_pages", "Pages by block size; 0: blocks with a page of their own.", 0),
        ("class_live_bytes", "Bytes of blocks in use, by block size.", 1),
        ("class_held_bytes", "Memory that pages hold, by block size.", 2),
    ] {
        text.push_str(&format!("# TYPE ferrimalloc_{name} gauge\n# HELP ferrimalloc_{name} {help}\n"));
        for class in &analysis.classes {
            let value = [class.pages, class.live_bytes, class.held_bytes][value];
            text.push_str(&format!("ferrimalloc_{name}{{block_bytes=\"{}\"}} {value}\n", class.block_bytes));
        }
    }
    text + "# EOF\n"
}

pub fn json(snapshot: &Snapshot) -> Value {
    let analysis = Analysis::of(snapshot);
    let values = metrics(snapshot, &analysis).into_iter().map(|metric| (metric.name.to_owned(), json!(metric.value)));
    let classes: Vec<Value> = analysis
        .classes
        .iter()
        .map(|class| {
            json!({
                "block_bytes": class.block_bytes, "pages": class.pages, "blocks": class.blocks, "room": class.room,
                "live_bytes": class.live_bytes, "held_bytes": class.held_bytes, "idle_bytes": class.idle_bytes,
                "sparse_pages": class.sparse_pages, "sparse_held_bytes": class.sparse_held_bytes,
                "sparse_blocks": class.sparse_blocks, "hole_bytes": class.hole_bytes,
            })
        })
        .collect();
    let threads: Vec<Value> = snapshot
        .threads
        .iter()
        .map(|thread| {
            let share = analysis.threads.get(&thread.number).copied().unwrap_or_default();
            json!({
                "tid": thread.tid, "name": thread.name, "pages": share.pages, "blocks": share.blocks,
                "live_bytes": share.live_bytes, "held_bytes": share.held_bytes,
            })
        })
        .collect();
    let mut all = serde_json::Map::from_iter(values);
    all.insert("version".into(), json!(1));
    all.insert("pid".into(), json!(snapshot.source.pid));
    all.insert("command".into(), json!(snapshot.source.command));
    all.insert("library_version".into(), json!(snapshot.source.library_version));
    all.insert("seconds".into(), json!(snapshot.source.seconds));
    all.insert("classes".into(), Value::Array(classes));
    all.insert("thread_list".into(), Value::Array(threads));
    Value::Object(all)
}

pub fn text(snapshot: &Snapshot) -> String {
    let analysis = Analysis::of(snapshot);
    let amount =
        |metric: &Metric| if metric.name.ends_with("bytes") { bytes(metric.value) } else { count(metric.value) };
    let all = metrics(snapshot, &analysis);
    let width = all.iter().map(|metric| metric.name.len()).max().unwrap_or(0);
    let lines = all.iter().map(|metric| format!("{:<width$}  {:>10}  {}\n", metric.name, amount(metric), metric.help));
    let heading = ["block", "pages", "blocks", "live", "held", "idle"].map(String::from).to_vec();
    let classes = analysis.classes.iter().map(|class| {
        vec![
            class_name(class),
            count(class.pages),
            count(class.blocks),
            bytes(class.live_bytes),
            bytes(class.held_bytes),
            bytes(class.idle_bytes),
        ]
    });
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(classes).collect();
    format!("{}\n\n{}\n{}", title(snapshot), lines.collect::<String>(), table(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::Page;
    use std::collections::BTreeSet;

    const DASHBOARD: &str = include_str!("../../../../packaging/grafana-dashboard.json");
    const NAMES: &str = include_str!("../../../../docs/STATS.md");

    /// A heap of which everything is known that can be.
    fn everything() -> Snapshot {
        let page = Page { block_bytes: 64, used: 1, reserved: 1000, capacity: 500, slices: 1, ..Page::default() };
        let mut snapshot =
            Snapshot { slice_bytes: 65536, os_page_bytes: 4096, pages: vec![page], ..Snapshot::default() };
        snapshot.source.resident_bytes = Some(1);
        snapshot
    }

    /// Names of samples, as Prometheus keeps them.
    fn exported() -> BTreeSet<String> {
        let text = openmetrics(&everything());
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.split([' ', '{']).next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn the_dashboard_asks_for_metrics_that_there_are() {
        let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
        let asked: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let words = asked.iter().flat_map(|text| text.split(|letter| !is_name(letter)));
        let used: BTreeSet<String> = words.filter(|word| word.starts_with("ferrimalloc_")).map(String::from).collect();
        let exported = exported();
        let unknown: Vec<&String> = used.difference(&exported).collect();
        assert!(unknown.is_empty(), "{unknown:?} of {exported:?}");
        assert!(panels.len() >= 8 && used.len() >= 15, "{used:?}");
    }

    #[test]
    fn every_metric_is_documented() {
        for name in exported() {
            let name = name.trim_start_matches("ferrimalloc_").trim_end_matches("_total");
            assert!(NAMES.contains(&format!("`{name}`")), "docs/STATS.md does not name {name}");
        }
    }
}
