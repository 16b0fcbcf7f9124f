//! A table of statistics as JSON.
//!
//! The keys are mimalloc's, so that programs that read its output read ours.
//! `tests/report_json.rs` reads it with a parser.

use super::version::{INTERFACE_VERSION, VERSION};
use ferrimalloc_core::diag::Message;
use ferrimalloc_core::stats::{
    CHUNK_BINS, FieldVisitor, RawCount, RawCounter, RawStats, STAT_VERSION, STATS_BINS, page_bytes_of, stats_bin_size,
};
use ferrimalloc_prim::process::ProcessInfo;

/// In the order of [`ChunkBin`](ferrimalloc_core::stats::ChunkBin).
const CHUNK_KEYS: [&str; CHUNK_BINS] = ["S", "X", "M", "L", "H", " "];

/// Takes the text piece by piece.
type Sink<'a> = &'a mut dyn FnMut(&[u8]);

/// Whether the text fit a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JsonFit {
    /// All of it did: so many bytes, and a zero behind them.
    Whole {
        /// Of the text, without the zero.
        bytes: usize,
    },
    /// It was cut, ends with a zero all the same, and is no valid JSON. So many bytes would do, the zero included.
    Cut {
        /// Of a buffer that would do.
        needed_bytes: usize,
    },
}

/// Writes `stats` and `process` to `sink` as one JSON object.
#[cold]
#[inline(never)]
pub fn stats_json(stats: &RawStats, process: &ProcessInfo, sink: &mut dyn FnMut(&[u8])) {
    let mut json = Json { sink, separator: "" };
    json.object(|json| {
        json.field("stat_version", STAT_VERSION as i64);
        json.field("mimalloc_version", INTERFACE_VERSION.into());
        json.text_field("allocator", "ferrimalloc");
        json.text_field("ferrimalloc_version", VERSION);
        json.key("process");
        json.object(|json| write_process(json, stats, process));
        stats.visit(json);
        json.key("malloc_bins");
        json.array(|json| write_bins(json, &stats.malloc_bins));
        json.key("page_bins");
        json.array(|json| write_bins(json, &stats.page_bins));
        json.key("chunk_bins");
        json.array(|json| write_chunks(json, &stats.chunk_bins));
    });
    json.put("\n");
}

/// The bytes of buffer that [`stats_json_into`] needs for the same arguments.
pub fn stats_json_bytes(stats: &RawStats, process: &ProcessInfo) -> usize {
    let mut bytes = 1;
    stats_json(stats, process, &mut |piece| bytes += piece.len());
    bytes
}

/// Writes the JSON to `buffer`, with a zero behind it; as much as fits.
pub fn stats_json_into(stats: &RawStats, process: &ProcessInfo, buffer: &mut [u8]) -> JsonFit {
    let room = buffer.len().saturating_sub(1);
    let mut bytes = 0;
    stats_json(stats, process, &mut |piece| {
        let start = bytes.min(room);
        let fitting = piece.len().min(room - start);
        buffer[start..start + fitting].copy_from_slice(&piece[..fitting]);
        bytes += piece.len();
    });
    if let Some(end) = buffer.get_mut(bytes.min(room)) {
        *end = 0;
    }
    if bytes < buffer.len() { JsonFit::Whole { bytes } } else { JsonFit::Cut { needed_bytes: bytes + 1 } }
}

fn write_process(json: &mut Json, stats: &RawStats, process: &ProcessInfo) {
    json.field("elapsed_msecs", process.elapsed_msecs as i64);
    json.field("user_msecs", process.user_msecs as i64);
    json.field("system_msecs", process.system_msecs as i64);
    json.field("page_faults", process.page_faults as i64);
    json.field("minor_page_faults", process.minor_page_faults as i64);
    json.field("rss_current", process.current_rss as i64);
    json.field("rss_peak", process.peak_rss as i64);
    json.field("commit_current", stats.committed.current);
    json.field("commit_peak", stats.committed.peak);
}

fn write_bins(json: &mut Json, bins: &[RawCount; STATS_BINS]) {
    for (bin, count) in bins.iter().enumerate() {
        let block_bytes = stats_bin_size(bin);
        json.element(|json| {
            json.count_fields(count);
            json.field("block_size", block_bytes as i64);
            json.field("page_size", page_bytes_of(block_bytes) as i64);
        });
    }
}

fn write_chunks(json: &mut Json, bins: &[RawCount; CHUNK_BINS]) {
    for (key, count) in CHUNK_KEYS.iter().zip(bins) {
        json.element(|json| {
            json.count_fields(count);
            json.text_field("bin", key);
        });
    }
}

/// Writes JSON. Names and texts are our own and need no escapes.
struct Json<'a> {
    sink: Sink<'a>,
    /// What stands before the next member of the object or array that is being written.
    separator: &'static str,
}

impl Json<'_> {
    fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.nest("{", "}", members);
    }

    fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.nest("[", "]", elements);
    }

    /// An object as an element of an array.
    fn element(&mut self, members: impl FnOnce(&mut Self)) {
        self.separate();
        self.object(members);
    }

    fn nest(&mut self, open: &str, close: &str, members: impl FnOnce(&mut Self)) {
        self.put(open);
        self.separator = "";
        members(self);
        self.put(close);
        self.separator = ",\n";
    }

    #[cold]
    #[inline(never)]
    fn key(&mut self, name: &str) {
        self.separate();
        self.put("\"");
        self.put(name);
        self.put("\": ");
    }

    #[cold]
    #[inline(never)]
    fn field(&mut self, name: &str, number: i64) {
        self.key(name);
        self.put_bytes(Message::new().decimal(number).as_bytes());
    }

    #[cold]
    #[inline(never)]
    fn text_field(&mut self, name: &str, text: &str) {
        self.key(name);
        self.put("\"");
        self.put(text);
        self.put("\"");
    }

    #[cold]
    #[inline(never)]
    fn count_fields(&mut self, count: &RawCount) {
        self.field("total", count.total);
        self.field("peak", count.peak);
        self.field("current", count.current);
    }

    fn separate(&mut self) {
        self.put(self.separator);
        self.separator = ", ";
    }

    fn put(&mut self, text: &str) {
        self.put_bytes(text.as_bytes());
    }

    fn put_bytes(&mut self, text: &[u8]) {
        (self.sink)(text);
    }
}

impl FieldVisitor<RawCount, RawCounter> for Json<'_> {
    #[inline(never)]
    fn count(&mut self, name: &'static str, count: &RawCount) {
        self.key(name);
        self.object(|json| json.count_fields(count));
    }

    fn counter(&mut self, name: &'static str, counter: &RawCounter) {
        self.field(name, counter.total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_of_the_right_size_holds_it() {
        let (stats, process) = (RawStats::new(), ProcessInfo::default());
        let needed_bytes = stats_json_bytes(&stats, &process);
        let mut buffer = std::vec![b'x'; needed_bytes];
        let fit = stats_json_into(&stats, &process, &mut buffer);
        assert_eq!(fit, JsonFit::Whole { bytes: needed_bytes - 1 });
        assert!(buffer.starts_with(b"{") && buffer.ends_with(b"}\n\0"));
        buffer.pop();
        assert_eq!(stats_json_into(&stats, &process, &mut buffer), JsonFit::Cut { needed_bytes });
    }

    #[test]
    fn a_buffer_too_small_holds_the_beginning() {
        let (stats, process) = (RawStats::new(), ProcessInfo::default());
        for room in 0..200 {
            let mut buffer = std::vec![b'x'; room];
            assert!(matches!(stats_json_into(&stats, &process, &mut buffer), JsonFit::Cut { .. }));
            assert!(room == 0 || buffer[room - 1] == 0);
            assert!(room < 2 || buffer[0] == b'{');
        }
    }
}
