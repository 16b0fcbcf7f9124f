//! `top`: a heap, again and again.

use super::Top;
use crate::failure::{Exit, Failure, Result};
use crate::heap::reader::{self, Depth};
use crate::heap::{Analysis, Snapshot};
use crate::process::Live;
use crate::view::amount::{bytes, count, percent};
use crate::view::{explain, html, stats};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table};
use ratatui::{DefaultTerminal, Frame};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// A look that takes longer is followed by ones that read less.
const LONG_LOOK: Duration = Duration::from_millis(15);
const HISTORY: usize = 240;

/// What the table shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tab {
    Classes,
    Threads,
    Arenas,
}

/// By what rows are sorted, most first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Idle,
    Held,
    Live,
    Pages,
}

struct Screen {
    pid: u32,
    depth: Depth,
    snapshot: Snapshot,
    analysis: Analysis,
    history: Vec<u64>,
    tab: Tab,
    order: Order,
    is_paused: bool,
    message: String,
}

pub fn execute(top: &Top) -> Result<()> {
    let mut screen = Screen::open(top.pid)?;
    if top.once || !io::stdout().is_terminal() {
        print!("{}", stats::text(&screen.snapshot));
        return Ok(());
    }
    let delay = Duration::from_secs_f64(top.delay.clamp(0.1, 3600.0));
    let mut terminal = ratatui::init();
    let ended = screen.run(&mut terminal, delay);
    ratatui::restore();
    ended
}

impl Screen {
    fn open(pid: u32) -> Result<Screen> {
        let snapshot = reader::read(&Live::attach(pid)?, Depth::Lists)?;
        let analysis = Analysis::of(&snapshot);
        Ok(Screen {
            pid,
            depth: Depth::Lists,
            history: vec![analysis.held_bytes],
            snapshot,
            analysis,
            tab: Tab::Classes,
            order: Order::Idle,
            is_paused: false,
            message: String::new(),
        })
    }

    fn run(&mut self, terminal: &mut DefaultTerminal, delay: Duration) -> Result<()> {
        let failed =
            |error: io::Error| Failure::new(Exit::System, error.to_string(), "Try `ferrimalloc top --once PID`.");
        let mut next = Instant::now() + delay;
        loop {
            terminal.draw(|frame| self.draw(frame)).map_err(failed)?;
            if event::poll(next.saturating_duration_since(Instant::now())).map_err(failed)?
                && let Event::Key(key) = event::read().map_err(failed)?
                && key.kind == KeyEventKind::Press
                && !self.key(key.code)?
            {
                return Ok(());
            }
            if Instant::now() >= next {
                next = Instant::now() + delay;
                if !self.is_paused {
                    self.look()?;
                }
            }
        }
    }

    fn look(&mut self) -> Result<()> {
        let started = Instant::now();
        self.snapshot = reader::read(&Live::attach(self.pid)?, self.depth)?;
        if started.elapsed() > LONG_LOOK {
            self.depth = Depth::Descriptions;
        }
        self.analysis = Analysis::of(&self.snapshot);
        self.history.push(self.analysis.held_bytes);
        let excess = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..excess);
        Ok(())
    }

    /// False: the user has had enough.
    fn key(&mut self, key: KeyCode) -> Result<bool> {
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Ok(false),
            KeyCode::Tab => {
                self.tab = match self.tab {
                    Tab::Classes => Tab::Threads,
                    Tab::Threads => Tab::Arenas,
                    Tab::Arenas => Tab::Classes,
                }
            }
            KeyCode::Char('s') => {
                self.order = match self.order {
                    Order::Idle => Order::Held,
                    Order::Held => Order::Live,
                    Order::Live => Order::Pages,
                    Order::Pages => Order::Idle,
                }
            }
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            KeyCode::Char('m') => {
                let name = format!("ferrimalloc-{}.html", self.pid);
                self.message = match std::fs::write(&name, html::map(&self.snapshot)) {
                    Ok(()) => format!("{name} written"),
                    Err(error) => format!("{name}: {error}"),
                };
            }
            _ => {}
        }
        Ok(true)
    }

    fn draw(&self, frame: &mut Frame) {
        let parts = explain::parts(&self.snapshot, &self.analysis);
        let areas = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(parts.len() as u16 + 1),
            Constraint::Length(4),
            Constraint::Min(3),
            Constraint::Length(1),
        ])
        .split(frame.area());
        let bold = Style::new().add_modifier(Modifier::BOLD);
        frame.render_widget(Line::styled(crate::view::terminal::title(&self.snapshot), bold), areas[0]);
        let lines: Vec<Line> = parts
            .iter()
            .map(|(name, amount, what)| Line::raw(format!("{name:<14} {:>10}  {what}", bytes(*amount))))
            .collect();
        frame.render_widget(Paragraph::new(lines), areas[1]);
        let title = format!("held by pages, now {}", bytes(self.analysis.held_bytes));
        frame.render_widget(Sparkline::default().block(Block::new().title(title)).data(&self.history), areas[2]);
        self.draw_table(frame, areas[3]);
        let keys = format!(
            "Tab: {:?}   s: sorted by {:?}   p: {}   m: map   q: quit   {}",
            self.tab,
            self.order,
            if self.is_paused { "go on" } else { "pause" },
            self.message
        );
        frame.render_widget(Line::styled(keys, bold), areas[4]);
    }

    fn draw_table(&self, frame: &mut Frame, area: Rect) {
        let rows = self.rows();
        let Some((heading, rest)) = rows.split_first() else { return };
        let row = |cells: &Vec<String>| Row::new(cells.iter().cloned().map(Cell::from));
        let widths =
            std::iter::once(Constraint::Length(26)).chain(heading.iter().skip(1).map(|_| Constraint::Length(11)));
        let heading = row(heading).style(Style::new().add_modifier(Modifier::UNDERLINED));
        frame.render_widget(Table::new(rest.iter().map(row), widths).header(heading), area);
    }

    /// With a heading, sorted.
    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows: Vec<([u64; 4], Vec<String>)> = match self.tab {
            Tab::Classes => self.class_rows(),
            Tab::Threads => self.thread_rows(),
            Tab::Arenas => self.arena_rows(),
        };
        rows.sort_by_key(|(keys, _)| std::cmp::Reverse(keys[self.order as usize]));
        let heading = match self.tab {
            Tab::Classes => ["block", "pages", "blocks", "live", "held", "idle", "in use"].as_slice(),
            Tab::Threads => &["thread", "pages", "blocks", "live", "held", "idle"],
            Tab::Arenas => &["arena", "reserved", "accessible", "resident"],
        };
        let heading = heading.iter().map(ToString::to_string).collect();
        std::iter::once(heading).chain(rows.into_iter().map(|(_, row)| row)).collect()
    }

    fn class_rows(&self) -> Vec<([u64; 4], Vec<String>)> {
        let row = |class: &crate::heap::analysis::Class| {
            let keys = [class.idle_bytes, class.held_bytes, class.live_bytes, class.pages];
            let cells = vec![
                explain::class_name(class),
                count(class.pages),
                count(class.blocks),
                bytes(class.live_bytes),
                bytes(class.held_bytes),
                bytes(class.idle_bytes),
                percent(class.live_bytes, class.held_bytes),
            ];
            (keys, cells)
        };
        self.analysis.classes.iter().map(row).collect()
    }

    fn thread_rows(&self) -> Vec<([u64; 4], Vec<String>)> {
        let threads = self.snapshot.threads.iter().map(|thread| {
            let share = self.analysis.threads.get(&thread.number).copied().unwrap_or_default();
            (explain::thread_name(thread.tid, &thread.name, thread.number), share)
        });
        let others = [
            ("(big blocks)", self.analysis.singles),
            ("(given up when full)", self.analysis.given_up),
            ("(thread ended)", self.analysis.abandoned),
        ];
        let row = |(name, share): (String, crate::heap::analysis::Share)| {
            let idle = share.held_bytes.saturating_sub(share.live_bytes);
            let keys = [idle, share.held_bytes, share.live_bytes, share.pages];
            let cells = vec![
                name,
                count(share.pages),
                count(share.blocks),
                bytes(share.live_bytes),
                bytes(share.held_bytes),
                bytes(idle),
            ];
            (keys, cells)
        };
        threads.chain(others.map(|(name, share)| (name.to_owned(), share))).map(row).collect()
    }

    fn arena_rows(&self) -> Vec<([u64; 4], Vec<String>)> {
        let slice_bytes = self.snapshot.slice_bytes;
        let row = |(number, arena): (usize, &crate::heap::Arena)| {
            let accessible = (0..arena.slices as usize).filter(|slice| arena.is_committed(*slice)).count() as u64;
            let resident: u64 =
                arena.resident.iter().map(|parts| u64::from(*parts) * self.snapshot.os_page_bytes).sum();
            let cells = vec![
                format!("{number} at {:#x}", arena.address),
                bytes(arena.bytes(slice_bytes)),
                bytes(accessible * slice_bytes),
                bytes(resident),
            ];
            ([resident; 4], cells)
        };
        self.snapshot.arenas.iter().enumerate().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn a_screen_shows_what_there_is_and_obeys_keys() {
        let page = crate::heap::Page {
            block_bytes: 64,
            used: 10,
            reserved: 1000,
            capacity: 500,
            slices: 1,
            ..Default::default()
        };
        let snapshot = Snapshot { slice_bytes: 65536, os_page_bytes: 4096, pages: vec![page], ..Snapshot::default() };
        let analysis = Analysis::of(&snapshot);
        let mut screen = Screen {
            pid: 1,
            depth: Depth::Lists,
            history: vec![1, 2],
            snapshot,
            analysis,
            tab: Tab::Classes,
            order: Order::Idle,
            is_paused: false,
            message: String::new(),
        };
        let mut terminal = Terminal::new(TestBackend::new(100, 24)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let shown = terminal.backend().to_string();
        assert!(shown.contains("64 B") && shown.contains("31.2 KiB") && shown.contains("sorted by Idle"), "{shown}");
        assert!(screen.key(KeyCode::Tab).unwrap() && screen.tab == Tab::Threads);
        assert!(screen.key(KeyCode::Char('s')).unwrap() && screen.order == Order::Held);
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        assert!(terminal.backend().to_string().contains("(thread ended)"));
        assert!(!screen.key(KeyCode::Char('q')).unwrap());
    }
}
