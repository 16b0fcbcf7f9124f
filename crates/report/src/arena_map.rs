//! Arenas drawn slice by slice, one character each.

use super::amount::put_line;
use ferrimalloc_core::base::SLICE_BYTES;
use ferrimalloc_core::diag::{Message, Output};
use ferrimalloc_core::heap::Subproc;
use ferrimalloc_core::runtime::{PageShape, PageStanding, SliceKind, slice_kind};

/// An arena to be drawn.
struct ArenaShape {
    /// Its number.
    index: usize,
    /// Where it begins.
    start: *const u8,
    /// How many slices it has.
    slices: usize,
    /// The NUMA node it belongs to, if to one.
    numa_node: Option<usize>,
}

const MIB: usize = 1 << 20;

/// Slices on a line.
const LINE_SLICES: usize = 128;
/// Slices between blanks.
const GROUP_SLICES: usize = 64;

/// Draws all arenas of a sub-process.
#[doc(alias = "mi_arenas_print")]
pub fn print_arenas(out: &mut dyn Output, subproc: &Subproc) {
    draw_legend(out);
    for arena in subproc.arenas().arenas() {
        let shape =
            ArenaShape { index: arena.index(), start: arena.start(), slices: arena.slices(), numa_node: arena.numa() };
        draw_arena(out, &shape, &|slice| slice_kind(arena, slice));
    }
}

/// The character that stands for a slice.
const fn symbol(kind: SliceKind) -> u8 {
    match kind {
        SliceKind::Info => b'i',
        SliceKind::Meta => b'm',
        SliceKind::Page(_, PageStanding::Full) => b'f',
        SliceKind::Page(shape, PageStanding::Owned) => symbol_of_shape(shape),
        SliceKind::Page(shape, PageStanding::Abandoned) => symbol_of_shape(shape).to_ascii_uppercase(),
        SliceKind::Inside => b'-',
        SliceKind::FreePurgeable => b'~',
        SliceKind::FreeCommitted => b'_',
        SliceKind::FreeReserved => b'.',
    }
}

const fn symbol_of_shape(shape: PageShape) -> u8 {
    match shape {
        PageShape::Small => b'p',
        PageShape::Medium => b'q',
        PageShape::Large => b'l',
        PageShape::Singleton => b's',
    }
}

/// Explains the characters.
fn draw_legend(out: &mut dyn Output) {
    put_line(out, |line| {
        line.text("each character is a slice of ").size(SLICE_BYTES / 1024);
        line.text(" KiB: i arena, m metadata, - more of the one before; ");
        line.text("free: ~ to be purged, _ committed, . reserved");
    });
    put_line(out, |line| {
        line.text("pages by block size: p small, q medium, l large, s single; ");
        line.text("f full; capitals: abandoned");
    });
}

/// Draws an arena whose slice number `n` is a `kind_of(n)`. A line of equal slices stands for those like it that
/// follow.
fn draw_arena(out: &mut dyn Output, arena: &ArenaShape, kind_of: &dyn Fn(usize) -> SliceKind) {
    put_line(out, |line| write_heading(line, arena));
    let mut start = 0;
    while start < arena.slices {
        let end = line_end(start, arena.slices);
        put_line(out, |line| write_slices(line, start..end, kind_of));
        let next = repeated_until(start..end, arena.slices, kind_of);
        if next > end {
            put_line(out, |line| _ = line.text("        ... the same up to slice ").size(next - 1));
        }
        start = next;
    }
    put_line(out, |line| write_summary(line, arena, kind_of));
}

fn line_end(start: usize, slices: usize) -> usize {
    (start + LINE_SLICES).min(slices)
}

fn write_heading(line: &mut Message, arena: &ArenaShape) {
    let mib = arena.slices / (MIB / SLICE_BYTES);
    line.text("arena ").size(arena.index).text(" at ").address(arena.start).text(": ");
    line.size(arena.slices).text(" slices (").size(mib).text(" MiB)");
    if let Some(node) = arena.numa_node {
        line.text(", NUMA node ").size(node);
    }
}

fn write_slices(line: &mut Message, slices: core::ops::Range<usize>, kind_of: &dyn Fn(usize) -> SliceKind) {
    line.size(slices.start).right_align(0, 7);
    for slice in slices {
        if slice % GROUP_SLICES == 0 {
            line.text(" ");
        }
        line.character(symbol(kind_of(slice)));
    }
}

/// The end of the whole lines from `line` on that are all of one kind of free slice; the end of `line` if it is not.
fn repeated_until(line: core::ops::Range<usize>, slices: usize, kind_of: &dyn Fn(usize) -> SliceKind) -> usize {
    let first = kind_of(line.start);
    let mut end = line.end;
    if !line.clone().all(|slice| kind_of(slice) == first) {
        return end;
    }
    while end < slices && (end..line_end(end, slices)).all(|slice| kind_of(slice) == first) {
        end = line_end(end, slices);
    }
    end
}

fn write_summary(line: &mut Message, arena: &ArenaShape, kind_of: &dyn Fn(usize) -> SliceKind) {
    let of = |wanted: fn(SliceKind) -> bool| (0..arena.slices).filter(|&slice| wanted(kind_of(slice))).count();
    line.text("  ").size(of(|kind| matches!(kind, SliceKind::Page(..)))).text(" pages; free slices: ");
    line.size(of(|kind| kind == SliceKind::FreePurgeable)).text(" to be purged, ");
    line.size(of(|kind| kind == SliceKind::FreeCommitted)).text(" committed, ");
    line.size(of(|kind| kind == SliceKind::FreeReserved)).text(" reserved");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lines;
    use core::ptr;
    use std::string::String;
    use std::vec::Vec;

    fn drawn(slices: usize, kind_of: &dyn Fn(usize) -> SliceKind) -> Vec<String> {
        let start = ptr::without_provenance(0x4000_0000);
        let mut lines = Lines::default();
        draw_arena(&mut lines, &ArenaShape { index: 3, start, slices, numa_node: Some(1) }, kind_of);
        lines.0
    }

    #[test]
    fn the_beginning_of_an_arena() {
        let kinds = |slice| match slice {
            0 => SliceKind::Info,
            1 => SliceKind::Page(PageShape::Small, PageStanding::Owned),
            2 => SliceKind::Page(PageShape::Medium, PageStanding::Abandoned),
            3..10 => SliceKind::Inside,
            10 => SliceKind::Page(PageShape::Large, PageStanding::Full),
            11 => SliceKind::FreePurgeable,
            12 => SliceKind::FreeCommitted,
            _ => SliceKind::FreeReserved,
        };
        let lines = drawn(70, &kinds);
        assert_eq!(lines[0], "arena 3 at 0x40000000: 70 slices (4 MiB), NUMA node 1\n");
        assert_eq!(lines[1].trim_start(), std::format!("0 ipQ-------f~_{} ......\n", ".".repeat(51)));
        assert_eq!(lines[2], "  3 pages; free slices: 1 to be purged, 1 committed, 57 reserved\n");
    }

    #[test]
    fn lines_of_one_kind_are_drawn_once() {
        let free = |slice| {
            if slice < 500 { SliceKind::FreeReserved } else { SliceKind::Meta }
        };
        let lines = drawn(1000, &free);
        assert!(lines[2].contains("the same up to slice 383"));
        assert!(lines[3].contains("384") && lines[3].contains(".m"));
        assert!(lines[5].contains("the same up to slice 999"));
        assert_eq!(lines.len(), 7);
    }

    #[test]
    fn every_slice_is_drawn_or_covered() {
        for slices in [0, 1, 63, 64, 127, 128, 129, 300] {
            let checkered = |slice| {
                if slice % 2 == 0 { SliceKind::Meta } else { SliceKind::Inside }
            };
            let drawn = drawn(slices, &checkered);
            let symbols: usize = drawn[1..drawn.len() - 1].iter().map(|l| l.matches(['m', '-']).count()).sum();
            assert_eq!(symbols, slices);
        }
    }

    #[test]
    fn symbols_differ() {
        let mut symbols = Vec::new();
        for shape in [PageShape::Small, PageShape::Medium, PageShape::Large, PageShape::Singleton] {
            symbols.push(symbol(SliceKind::Page(shape, PageStanding::Owned)));
            symbols.push(symbol(SliceKind::Page(shape, PageStanding::Abandoned)));
        }
        use SliceKind::*;
        let others = [Info, Meta, Inside, FreePurgeable, FreeCommitted, FreeReserved];
        symbols.extend(others.map(symbol));
        symbols.push(symbol(Page(PageShape::Small, PageStanding::Full)));
        let all = symbols.len();
        symbols.sort_unstable();
        symbols.dedup();
        assert_eq!(symbols.len(), all);
    }

    #[test]
    fn the_legend_explains_the_symbols() {
        let mut lines = Lines::default();
        draw_legend(&mut lines);
        let text = lines.0.concat();
        let symbols = ["i ", "m ", "- ", "~ ", "_ ", ". ", "p ", "q ", "l ", "s ", "f "];
        assert!(symbols.iter().all(|symbol| text.contains(symbol)));
    }
}
