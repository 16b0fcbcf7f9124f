//! The JSON of statistics, read by a parser that is not ours.

use ferrimalloc_core::stats::{FieldVisitor, RawCount, RawCounter, RawStats, Stats};
use ferrimalloc_prim::process::{self, ProcessInfo};
use ferrimalloc_report::{stats_json, stats_json_bytes, stats_json_into};
use serde_json::Value;

fn sample() -> RawStats {
    let stats = Stats::new();
    stats.committed.increase(4096);
    stats.mmap_calls.add(3);
    stats.malloc_bins[5].increase(2);
    stats.chunk_bins[0].increase(1);
    stats.pages.decrease(5);
    stats.snapshot()
}

fn parsed(stats: &RawStats) -> Value {
    let mut text = Vec::new();
    stats_json(stats, &ProcessInfo::default(), &mut |piece| text.extend_from_slice(piece));
    serde_json::from_slice(&text).expect("valid JSON")
}

#[test]
fn it_parses_and_has_the_numbers() {
    let json = parsed(&sample());
    assert_eq!(json["stat_version"], 5);
    assert_eq!(json["mimalloc_version"], 30403);
    assert_eq!(json["process"]["commit_peak"], 4096);
    assert_eq!(json["committed"]["current"], 4096);
    assert_eq!(json["pages"]["current"], -5);
    assert_eq!(json["mmap_calls"], 3);
    assert_eq!(json["malloc_bins"][5]["total"], 2);
    assert_eq!(json["malloc_bins"][5]["block_size"], 40);
    assert_eq!(json["malloc_bins"][5]["page_size"], 65536);
    assert_eq!(json["chunk_bins"][0]["bin"], "S");
}

/// Looks up the fields it visits, and counts them.
struct InJson {
    json: Value,
    fields: usize,
}

impl FieldVisitor<RawCount, RawCounter> for InJson {
    fn count(&mut self, name: &'static str, count: &RawCount) {
        assert_eq!(self.json[name]["total"], count.total, "{name}");
        assert_eq!(self.json[name]["peak"], count.peak, "{name}");
        assert_eq!(self.json[name]["current"], count.current, "{name}");
        self.fields += 1;
    }

    fn counter(&mut self, name: &'static str, counter: &RawCounter) {
        assert_eq!(self.json[name], counter.total, "{name}");
        self.fields += 1;
    }
}

#[test]
fn every_field_and_bin_is_there() {
    let stats = sample();
    let mut in_json = InJson { json: parsed(&stats), fields: 0 };
    stats.visit(&mut in_json);
    assert_eq!(in_json.fields, 36);
    for (bins, count) in [("malloc_bins", 74), ("page_bins", 74), ("chunk_bins", 6)] {
        assert_eq!(in_json.json[bins].as_array().unwrap().len(), count);
    }
}

#[test]
fn extreme_numbers_are_numbers() {
    let mut stats = RawStats::new();
    stats.committed = RawCount { total: i64::MAX, peak: i64::MIN, current: -1 };
    assert_eq!(parsed(&stats)["committed"]["peak"], i64::MIN);
}

#[test]
fn what_is_in_a_buffer_parses_too() {
    let (stats, process) = (sample(), process::info());
    let mut buffer = vec![b'x'; stats_json_bytes(&stats, &process)];
    stats_json_into(&stats, &process, &mut buffer);
    assert_eq!(buffer.pop(), Some(0));
    let json: Value = serde_json::from_slice(&buffer).expect("valid JSON");
    assert!(json["process"]["rss_peak"].as_i64() > Some(0));
}
