//! What the process used of the machine.

use super::amount::{Amount, put_line, title};
use ferrimalloc_core::diag::{Message, Output};
use ferrimalloc_prim::process::ProcessInfo;

/// Writes time, memory and faults of the process, how many bytes this allocator has committed at most, and how many
/// NUMA nodes it uses.
#[doc(alias = "mi_process_info_print")]
pub fn print_process(out: &mut dyn Output, process: &ProcessInfo, peak_committed: i64, numa_nodes: usize) {
    title(out, "process", &[]);
    put_line(out, |line| _ = line.text("  numa nodes:     ").size(numa_nodes));
    put_line(out, |line| write_time(line, process));
    put_line(out, |line| write_memory(line, process, peak_committed));
}

fn write_time(line: &mut Message, process: &ProcessInfo) {
    line.text("  elapsed: ");
    Amount::Millis(process.elapsed_msecs as u64).write(line);
    line.text(", user: ");
    Amount::Millis(process.user_msecs as u64).write(line);
    line.text(", system: ");
    Amount::Millis(process.system_msecs as u64).write(line);
    line.text(", faults: ").size(process.page_faults).text(" major, ");
    line.size(process.minor_page_faults).text(" minor");
}

fn write_memory(line: &mut Message, process: &ProcessInfo, peak_committed: i64) {
    line.text("  rss: ");
    Amount::Bytes(process.current_rss as i64).write(line);
    line.text(", peak rss: ");
    Amount::Bytes(process.peak_rss as i64).write(line);
    line.text(", peak commit: ");
    Amount::Bytes(peak_committed).write(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lines;

    #[test]
    fn says_time_and_memory() {
        let process = ProcessInfo {
            elapsed_msecs: 1005,
            user_msecs: 25,
            current_rss: 1 << 20,
            peak_rss: 3 << 20,
            ..ProcessInfo::default()
        };
        let mut lines = Lines::default();
        print_process(&mut lines, &process, 2048, 3);
        let text = lines.0.concat();
        assert!(text.contains("elapsed: 1.005 s, user: 0.025 s") && text.contains("numa nodes:     3\n"));
        assert!(text.contains("rss: 1.0 MiB, peak rss: 3.0 MiB, peak commit: 2.0 KiB\n"));
    }
}
