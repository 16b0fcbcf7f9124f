//! The map as a picture that needs no script.

use super::amount::bytes;
use super::cells::{Slice, drawn, slices};
use super::explain;
use super::terminal::title;
use crate::heap::analysis::Analysis;
use crate::heap::snapshot::Snapshot;
use std::fmt::Write;

/// What colours say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Colour {
    /// The size of blocks.
    Class,
    /// How much of what fits is in use.
    #[default]
    Occupancy,
    /// Whose a page is.
    Owner,
    /// How much of it is resident.
    Resident,
}

const COLUMNS: usize = 128;
/// Cells in all, at most: more slices share one then.
const MOST_CELLS: usize = 24_000;
const CELL: usize = 7;
const MARGIN: usize = 16;
const LINE: usize = 18;

pub fn map(snapshot: &Snapshot, colour: Colour) -> String {
    let analysis = Analysis::of(snapshot);
    let arenas: Vec<Vec<Slice>> = (0..snapshot.arenas.len())
        .map(|arena| {
            let mut all = slices(snapshot, arena);
            all.truncate(drawn(&all));
            all
        })
        .collect();
    let per_cell = arenas.iter().map(Vec::len).sum::<usize>().div_ceil(MOST_CELLS).max(1);
    let (mut body, mut y) = (String::new(), MARGIN);
    y = header(&mut body, snapshot, &analysis, y, per_cell);
    for (number, all) in arenas.iter().enumerate() {
        let arena = &snapshot.arenas[number];
        let heading =
            format!("arena {number} at {:#x}: {} reserved", arena.address, bytes(arena.bytes(snapshot.slice_bytes)));
        y += LINE;
        put_text(&mut body, y, "dim", &heading);
        y += 6;
        y = cells(&mut body, snapshot, all, (per_cell, colour), y);
    }
    y = legend(&mut body, snapshot, &analysis, colour, y + LINE);
    let width = COLUMNS * CELL + 2 * MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui,sans-serif\" font-size=\"12\">\n<style>{STYLE}</style>\n<rect class=\"bg\" width=\"100%\" \
         height=\"100%\"/>\n{body}</svg>\n",
        height = y + MARGIN
    )
}

const STYLE: &str = ".bg{fill:#fff}.fg{fill:#1c2430}.dim{fill:#5d6878}.f{fill:#e9ecf0}.u{fill:#c3b1e6}.o{fill:#8c96a5}.c{fill:#e3a3c4}\
    @media(prefers-color-scheme:dark){.bg{fill:#12161c}.fg{fill:#e4e8ee}.dim{fill:#97a3b3}.f{fill:#1e252f}.u{fill:#5f4f8f}.o{fill:#626d7d}.c{fill:#8f4a6c}}";

fn put_text(body: &mut String, y: usize, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    // Writing to a string doesn't fail.
    let _ = writeln!(body, "<text class=\"{class}\" x=\"{MARGIN}\" y=\"{y}\">{text}</text>");
}

fn header(body: &mut String, snapshot: &Snapshot, analysis: &Analysis, mut y: usize, per_cell: usize) -> usize {
    let title: String = title(snapshot).chars().take(130).collect();
    let each = format!("A cell is {} of addresses.", bytes(per_cell as u64 * snapshot.slice_bytes));
    let sentences = explain::sentences(analysis).into_iter().flat_map(|sentence| wrapped(&sentence, 140));
    let lines = std::iter::once(("fg", title)).chain(sentences.map(|line| ("fg", line))).chain([("dim", each)]);
    for (class, line) in lines {
        y += LINE;
        put_text(body, y, class, &line);
    }
    y
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().map_or(0, |line| line.len());
        if last > 0 && last + word.len() >= width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// Rows of cells; neighbours of one colour are one rectangle.
fn cells(body: &mut String, snapshot: &Snapshot, all: &[Slice], how: (usize, Colour), mut y: usize) -> usize {
    let (per_cell, colour) = how;
    for row in all.chunks(COLUMNS * per_cell) {
        let fills: Vec<String> = row.chunks(per_cell).map(|cell| fill(snapshot, cell, colour)).collect();
        let mut x = MARGIN;
        for run in fills.chunk_by(|one, two| one == two) {
            let width = run.len() * CELL;
            let _ = write!(body, "<rect {} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{}\"/>", run[0], CELL - 1);
            x += width;
        }
        body.push('\n');
        y += CELL;
    }
    y
}

/// That of most slices of the cell.
fn fill(snapshot: &Snapshot, cell: &[Slice], colour: Colour) -> String {
    let is_page = |slice: &&Slice| matches!(slice, Slice::Page(_));
    if cell.iter().filter(is_page).count() * 2 < cell.len() {
        let kinds = [(Slice::Free, "f"), (Slice::Unused, "u"), (Slice::Own, "o"), (Slice::Changing, "c")];
        let most = kinds.into_iter().rev().max_by_key(|(kind, _)| cell.iter().filter(|slice| *slice == kind).count());
        return format!("class=\"{}\"", most.map_or("f", |(_, class)| class));
    }
    let pages: Vec<usize> = cell
        .iter()
        .filter_map(|slice| match slice {
            Slice::Page(number) => Some(*number as usize),
            _ => None,
        })
        .collect();
    format!("fill=\"{}\"", page_fill(snapshot, &pages, colour))
}

fn page_fill(snapshot: &Snapshot, pages: &[usize], colour: Colour) -> String {
    let average =
        |share: &dyn Fn(usize) -> f64| pages.iter().map(|page| share(*page)).sum::<f64>() / pages.len() as f64;
    // So that a picture has few colours.
    let in_steps = |share: f64| ramp((share * 20.0).round() / 20.0);
    let middle = &snapshot.pages[pages[pages.len() / 2]];
    match colour {
        Colour::Occupancy => in_steps(average(&|page| snapshot.pages[page].occupancy())),
        Colour::Resident => in_steps(average(&|page| {
            let page = &snapshot.pages[page];
            page.held_bytes() as f64 / (u64::from(page.slices) * snapshot.slice_bytes) as f64
        })),
        Colour::Class if middle.is_single() => "hsl(330 55% 50%)".into(),
        Colour::Class => class_colour(middle.block_bytes),
        Colour::Owner => match middle.owner {
            crate::heap::Owner::Thread(number) => wheel(snapshot.thread(number).map_or(0, |(index, _)| index)),
            crate::heap::Owner::Single | crate::heap::Owner::Samples => "hsl(330 55% 50%)".into(),
            crate::heap::Owner::Abandoned => "hsl(0 0% 50%)".into(),
            crate::heap::Owner::GivenUp(_) => "hsl(45 25% 55%)".into(),
        },
    }
}

fn ramp(share: f64) -> String {
    let share = share.clamp(0.0, 1.0);
    format!("hsl({:.0} 70% {:.0}%)", 12.0 + 200.0 * share, 58.0 - 13.0 * share)
}

fn class_colour(block_bytes: u64) -> String {
    let doublings = (block_bytes.max(8) as f64 / 8.0).log2();
    format!("hsl({:.0} 60% 50%)", (565.0 - 190.0 * doublings / 16.0) % 360.0)
}

fn wheel(index: usize) -> String {
    format!("hsl({:.0} 58% 50%)", (index as f64 * 137.5 + 210.0) % 360.0)
}

fn legend(body: &mut String, snapshot: &Snapshot, analysis: &Analysis, colour: Colour, y: usize) -> usize {
    let shares =
        |what: &str| [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (ramp(share), format!("{:.0} % {what}", share * 100.0)));
    let mut entries: Vec<(String, String)> = match colour {
        Colour::Occupancy => shares("in use").to_vec(),
        Colour::Resident => shares("resident").to_vec(),
        Colour::Class => analysis
            .classes
            .iter()
            .filter(|class| class.block_bytes > 0)
            .map(|class| (class_colour(class.block_bytes), explain::class_name(class)))
            .collect(),
        Colour::Owner => snapshot
            .threads
            .iter()
            .enumerate()
            .map(|(index, thread)| (wheel(index), explain::thread_name(thread.tid, &thread.name, thread.number)))
            .collect(),
    };
    entries.truncate(48);
    let entries = entries.into_iter().map(|(colour, text)| (format!("fill=\"{colour}\""), text));
    let fixed = [("f", "free"), ("u", "free, with memory to purge"), ("o", "the allocator's own")];
    let fixed = fixed.map(|(class, text)| (format!("class=\"{class}\""), text.to_owned()));
    let (mut x, mut y) = (MARGIN, y);
    for (fill, text) in entries.chain(fixed) {
        let width = 24 + text.chars().count() * 7;
        if x + width > COLUMNS * CELL {
            (x, y) = (MARGIN, y + LINE);
        }
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            body,
            "<rect {fill} x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\"/><text class=\"dim\" x=\"{}\" y=\"{y}\">{text}</text>",
            y - 9,
            x + 14
        );
        x += width;
    }
    y
}
