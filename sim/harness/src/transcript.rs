//! A [`Record`] as text for people: a column per store, time on the left, steps across the whole width.
//!
//! [`story`] tells a run top to bottom: what the scenario did, who led, how far commits came. It is made to be
//! short, so that a reviewer reads it and a snapshot of it changes only when the story does:
//!
//! - One row holds the news of several stores where it is the same news within `WINDOW`: two followers that learn
//!   of one leader are one row. News of different kinds has an order that matters, and a row each.
//! - Commits never make a row alone while something else does: they fill the columns that a row leaves empty, and
//!   have a row before each step, or where nothing else happened for `QUIET`.
//! - Candidacies of one store that follow each other are one row with the range of terms.
//! - Where there is more than one region, each cell says which one it is about: `r2 LEADER t6`.
//! - Between two steps, what exceeds `HEAD` and `TAIL` rows is left out, and the transcript says so.
//!
//! [`trace`] shows every line of the record, one below the other, each in its store's column.
//!
//! Both are functions of the record alone: the same run gives the same text, on any machine.

use std::fmt::Write as _;

use raftsim_kernel::{Duration, Time};

use crate::check::Role;
use crate::record::{Line, Place, Record, What};

/// Equal news of several stores is one row if no more than this lies between the first and the last.
const WINDOW: Duration = Duration::millis(50);
/// After so much time without a row, commits get one of their own.
const QUIET: Duration = Duration::secs(2);
/// Rows shown at the start of a stretch between two steps that is too long to show.
const HEAD: usize = 24;
/// Rows shown at the end of one.
const TAIL: usize = 8;

/// The story of a run.
#[must_use]
pub fn story(record: &Record) -> String {
    let mut teller = Teller::new(record);
    for line in record.lines() {
        teller.hear(line);
    }
    teller.close();
    teller.sheet.print(record.stores())
}

/// Everything in the record, one line each.
#[must_use]
pub fn trace(record: &Record) -> String {
    let stores = record.stores();
    let column = match stores {
        0..=3 => 24,
        4..=5 => 18,
        _ => 12,
    };
    let time_width = record.lines().back().map_or(0, |line| micros(line.time).len());
    let mut text = format!("{:>time_width$}", "time");
    for place in (1..=stores).map(|store| format!("store {store}")).chain(["clients".to_owned()]) {
        let _ = write!(text, "  {place:<0$}", column - 2);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    for line in record.lines() {
        let (slot, prefix) = match line.place {
            Place::Scenario => (None, String::new()),
            Place::Store(store) => (Some(store - 1), String::new()),
            Place::Client(client) => (Some(stores), format!("c{client} ")),
            Place::Placement => (Some(stores), "placement ".to_owned()),
        };
        let time = micros(line.time);
        let Some(slot) = slot else {
            let What::Step(words) = &line.what else { continue };
            banner(&mut text, &format!("{time:>time_width$}"), words);
            continue;
        };
        let indent = column * usize::try_from(slot).unwrap_or(0);
        let _ =
            writeln!(text, "{time:>time_width$}  {:indent$}{prefix}{}", "", told(line, record.has_regions()));
    }
    text
}

/// One line of a record by itself, without its time: `store 2: candidate t7`.
#[must_use]
pub fn sentence(record: &Record, line: &Line) -> String {
    let place = match line.place {
        Place::Scenario => "scenario".to_owned(),
        Place::Store(store) => format!("store {store}"),
        Place::Client(client) => format!("client {client}"),
        Place::Placement => "placement".to_owned(),
    };
    format!("{place}: {}", told(line, record.has_regions()))
}

/// A line's news, and where there are several the region that it is about.
fn told(line: &Line, has_regions: bool) -> String {
    format!("{}{}", prefix(line.region, has_regions), words(&line.what))
}

fn prefix(region: u64, has_regions: bool) -> String {
    if has_regions && region > 0 { format!("r{region} ") } else { String::new() }
}

/// A replica's news as a cell says it.
fn words(what: &What) -> String {
    match what {
        What::Step(text) | What::Event(text) => text.clone(),
        What::Role { role: Role::Leader, term, .. } => format!("LEADER t{term}"),
        What::Role { role: Role::Candidate, term, .. } => format!("candidate t{term}"),
        What::Role { role: Role::Follower, term, leader: None } => format!("follower t{term}"),
        What::Role { role: Role::Follower, term, leader: Some(leader) } => {
            format!("follower t{term} of {leader}")
        }
        What::Role { role: Role::PreCandidate, term, .. } => format!("pre-candidate t{term}"),
        What::Commit(index) => format!("commit {index}"),
        What::Members(members) => members.clone(),
        What::Split(left) => format!("split {left}"),
        What::Created(range) => format!("created {range}").trim_end().to_owned(),
        What::Destroyed => "destroyed".to_owned(),
        What::Sends(to) => format!("sends {to} a snapshot"),
        What::Snapshot(index) => format!("snapshot to {index}"),
        What::Ingested => "snapshot applied".to_owned(),
        What::Order(order) => format!("ordered: {order}"),
        What::Up => "up".to_owned(),
        What::Down(lost) if lost.is_empty() => "down".to_owned(),
        What::Down(lost) => format!("down (lost {lost})"),
        What::Wiped => "disk lost".to_owned(),
        What::SyncFailed(database) => format!("sync of {database} failed"),
        What::Stopped(why) => format!("STOPPED: {why}"),
    }
}

/// A time as transcripts and reports show it, to the millisecond: `1.203s`.
#[must_use]
pub fn millis(time: Time) -> String {
    format!("{}.{:03}s", time.0 / 1_000_000_000, time.0 / 1_000_000 % 1_000)
}

/// `1.203456s`
fn micros(time: Time) -> String {
    format!("{}.{:06}s", time.0 / 1_000_000_000, time.0 / 1_000 % 1_000_000)
}

/// A line of the scenario, across all columns.
fn banner(text: &mut String, time: &str, words: &str) {
    for (number, line) in words.lines().enumerate() {
        let line = match number {
            0 => format!("{time} -- {line}"),
            _ => format!("{:1$}    {line}", "", time.chars().count()),
        };
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// What makes the news of two stores the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of one leader (or none) in one term.
    Follows {
        term: u64,
        leader: Option<u64>,
    },
    /// Asks whether it would be elected, in one term.
    Asks {
        term: u64,
    },
    /// Of one term.
    Stands {
        term: u64,
    },
    /// Never the same as another store's: if two lead at once, that is worth two rows.
    Leads {
        store: usize,
    },
    Up,
    Down,
    /// Lost its disk.
    Wiped,
    /// Its disk fails it. Never the same as another store's: each has its own reason.
    Fails {
        store: usize,
    },
    /// Has another membership.
    Members,
    /// Has a part of its range.
    Split,
    /// Came to be.
    Created,
    /// Is no more.
    Destroyed,
    /// Begins to send a snapshot. Never the same as another store's, which would be another leader.
    Sends {
        store: usize,
    },
    /// Restored a snapshot.
    Snapshot,
    /// Has all data of it.
    Ingested,
    /// Has an order. Never the same as another store's: who has one leads.
    Ordered {
        store: usize,
    },
    /// Where commits stand.
    Commits,
}

/// What a store's column says in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cell {
    Empty,
    News(String),
    /// Candidate in all of these terms.
    Stands {
        /// The region, where it has to be said.
        of: String,
        first: u64,
        last: u64,
    },
    /// The column had no news; this is where its commit stood.
    Commit(Commit),
}

/// Where the commit of a store's replica stood; of several, the one that moved last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Commit {
    /// The region, where it has to be said.
    of: String,
    index: u64,
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Cell::Empty => String::new(),
            Cell::News(text) => text.clone(),
            Cell::Stands { of, first, last } if first == last => format!("{of}candidate t{first}"),
            Cell::Stands { of, first, last } => format!("{of}candidate t{first}..t{last}"),
            Cell::Commit(Commit { of, index }) => format!("{of}commit {index}"),
        }
    }
}

/// A row that may still take more.
#[derive(Clone, Debug)]
struct Row {
    time: Time,
    region: u64,
    kind: Kind,
    cells: Vec<Cell>,
}

/// Turns lines into rows.
struct Teller {
    has_regions: bool,
    sheet: Sheet,
    open: Option<Row>,
    /// Commits that no row has shown.
    commits: Vec<Option<Commit>>,
    /// When the newest of them came.
    committed: Time,
    /// When something was shown last.
    shown: Time,
}

impl Teller {
    fn new(record: &Record) -> Teller {
        let stores = usize::try_from(record.stores()).unwrap_or(0);
        Teller {
            has_regions: record.has_regions(),
            sheet: Sheet::default(),
            open: None,
            commits: vec![None; stores],
            committed: Time::ZERO,
            shown: Time::ZERO,
        }
    }

    fn hear(&mut self, line: &Line) {
        let slot = match line.place {
            Place::Store(store) => usize::try_from(store - 1).unwrap_or(usize::MAX),
            Place::Scenario => {
                if let What::Step(text) = &line.what {
                    self.close();
                    self.sheet.banner(line.time, text.clone());
                    self.shown = line.time;
                }
                return;
            }
            Place::Client(_) | Place::Placement => return,
        };
        if slot >= self.commits.len() {
            return;
        }
        let kind = match line.what {
            What::Step(_) | What::Event(_) => return,
            What::Commit(index) => return self.commit(line, slot, index),
            // Every store boots like this; it is not news.
            What::Role { role: Role::Follower, leader: None, .. } if line.time == Time::ZERO => return,
            What::Role { role: Role::Follower, term, leader } => Kind::Follows { term, leader },
            What::Role { role: Role::PreCandidate, term, .. } => Kind::Asks { term },
            What::Role { role: Role::Candidate, term, .. } => Kind::Stands { term },
            What::Role { role: Role::Leader, .. } => Kind::Leads { store: slot },
            What::Up => Kind::Up,
            What::Down(_) => Kind::Down,
            What::Wiped => Kind::Wiped,
            What::SyncFailed(_) | What::Stopped(_) => Kind::Fails { store: slot },
            What::Members(_) => Kind::Members,
            What::Split(_) => Kind::Split,
            What::Created(_) => Kind::Created,
            What::Destroyed => Kind::Destroyed,
            What::Sends(_) => Kind::Sends { store: slot },
            What::Snapshot(_) => Kind::Snapshot,
            What::Ingested => Kind::Ingested,
            What::Order(_) => Kind::Ordered { store: slot },
        };
        self.news(line, slot, kind);
    }

    fn commit(&mut self, line: &Line, slot: usize, index: u64) {
        if line.time.since(self.shown) >= QUIET && self.commits.iter().any(Option::is_some) {
            self.close();
        }
        self.commits[slot] = Some(Commit { of: prefix(line.region, self.has_regions), index });
        self.committed = line.time;
    }

    fn news(&mut self, line: &Line, slot: usize, kind: Kind) {
        self.shown = line.time;
        if self.extends(line, slot, kind) {
            return;
        }
        self.flush();
        let mut cells: Vec<Cell> =
            self.commits.iter_mut().map(|commit| commit.take().map_or(Cell::Empty, Cell::Commit)).collect();
        self.put_back(&cells[slot], slot, line);
        cells[slot] = cell(line, self.has_regions);
        self.open = Some(Row { time: line.time, region: line.region, kind, cells });
    }

    /// Adds news to the open row, if it may.
    fn extends(&mut self, line: &Line, slot: usize, kind: Kind) -> bool {
        let Some(row) = &mut self.open else { return false };
        // A store that boots says in the same moment in which term it is; of many replicas nobody wants to know that.
        if let (Kind::Up, What::Role { role: Role::Follower, term, .. }) = (row.kind, &line.what)
            && row.cells[slot] == Cell::News("up".to_owned())
            && (!self.has_regions || row.time == line.time)
        {
            if !self.has_regions {
                row.cells[slot] = Cell::News(format!("up in t{term}"));
            }
            return true;
        }
        if let (Kind::Stands { .. }, Kind::Stands { term }) = (row.kind, kind)
            && row.region == line.region
            && row.cells.iter().filter(|cell| matches!(cell, Cell::Stands { .. })).count() == 1
            && let Cell::Stands { last, .. } = &mut row.cells[slot]
        {
            *last = term;
            return true;
        }
        let near = line.time.since(row.time) <= WINDOW;
        if (row.kind, row.region) == (kind, line.region)
            && near
            && !matches!(row.cells[slot], Cell::News(_) | Cell::Stands { .. })
        {
            let old = std::mem::replace(&mut row.cells[slot], cell(line, self.has_regions));
            self.put_back(&old, slot, line);
            return true;
        }
        false
    }

    /// A commit that has to make room for news is shown after it, unless its store crashed.
    fn put_back(&mut self, old: &Cell, slot: usize, news: &Line) {
        if let Cell::Commit(commit) = old
            && !matches!(news.what, What::Down(_))
        {
            self.commits[slot].get_or_insert(commit.clone());
            self.committed = news.time;
        }
    }

    fn flush(&mut self) {
        if let Some(row) = self.open.take() {
            self.sheet.row(row);
        }
    }

    /// Shows all there is to show, commits too.
    fn close(&mut self) {
        self.flush();
        if self.commits.iter().any(Option::is_some) {
            let cells = self.commits.iter_mut().map(|c| c.take().map_or(Cell::Empty, Cell::Commit)).collect();
            self.sheet.row(Row { time: self.committed, region: 0, kind: Kind::Commits, cells });
            self.shown = self.committed;
        }
    }
}

fn cell(line: &Line, has_regions: bool) -> Cell {
    match line.what {
        What::Role { role: Role::Candidate, term, .. } => {
            Cell::Stands { of: prefix(line.region, has_regions), first: term, last: term }
        }
        _ => Cell::News(told(line, has_regions)),
    }
}

/// One entry of the finished transcript.
enum Entry {
    Banner(Time, String),
    Row(Row),
    LeftOut(usize),
}

/// The finished rows.
#[derive(Default)]
struct Sheet {
    entries: Vec<Entry>,
    /// Where the stretch since the last step begins.
    stretch: usize,
}

impl Sheet {
    fn banner(&mut self, time: Time, text: String) {
        self.shorten();
        self.entries.push(Entry::Banner(time, text));
        self.stretch = self.entries.len();
    }

    fn row(&mut self, row: Row) {
        self.entries.push(Entry::Row(row));
    }

    /// Leaves out the middle of a stretch that is too long.
    fn shorten(&mut self) {
        let length = self.entries.len() - self.stretch;
        if length > HEAD + TAIL + 1 {
            let from = self.stretch + HEAD;
            let to = self.entries.len() - TAIL;
            self.entries.splice(from..to, [Entry::LeftOut(to - from)]);
        }
    }

    fn print(mut self, stores: u64) -> String {
        self.shorten();
        let times = self.entries.iter().map(|entry| match entry {
            Entry::Banner(time, _) => millis(*time).len(),
            Entry::Row(row) => millis(row.time).len(),
            Entry::LeftOut(_) => 0,
        });
        let time_width = times.max().unwrap_or(0).max("time".len());
        let heads: Vec<String> = (1..=stores).map(|store| format!("store {store}")).collect();
        let mut columns: Vec<usize> = heads.iter().map(String::len).collect();
        for entry in &self.entries {
            let Entry::Row(row) = entry else { continue };
            for (column, cell) in columns.iter_mut().zip(&row.cells) {
                *column = (*column).max(cell.text().len());
            }
        }
        let mut text = String::new();
        line(&mut text, &format!("{:>time_width$}", "time"), &columns, heads.iter().map(String::as_str));
        for entry in &self.entries {
            match entry {
                Entry::Banner(time, words) => {
                    banner(&mut text, &format!("{:>time_width$}", millis(*time)), words);
                }
                Entry::Row(row) => {
                    let cells: Vec<String> = row.cells.iter().map(Cell::text).collect();
                    let time = format!("{:>time_width$}", millis(row.time));
                    line(&mut text, &time, &columns, cells.iter().map(String::as_str));
                }
                Entry::LeftOut(rows) => {
                    let _ = writeln!(text, "{:>time_width$}  ({rows} rows like these)", "...");
                }
            }
        }
        text
    }
}

fn line<'a>(text: &mut String, time: &str, columns: &[usize], cells: impl Iterator<Item = &'a str>) {
    let mut line = time.to_owned();
    for (column, cell) in columns.iter().zip(cells) {
        let _ = write!(line, "  {cell:<column$}");
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests;
