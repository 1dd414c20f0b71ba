//! How outcomes are shown: for people, or for programs.

mod human;
mod json;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use raftsim_harness::scenario::{Check, names::Keyword};

pub(crate) use human::{Human, Row};
pub(crate) use json::Json;

use crate::run::Outcome;

/// Shows outcomes as they come, in the order of files and seeds.
pub(crate) trait Output {
    /// Before the first.
    ///
    /// # Errors
    /// The output is gone.
    fn begin(&mut self) -> io::Result<()>;

    /// Whether every run prints something, or only the last one of its file.
    fn prints_each_run(&self) -> bool;

    /// A run is over; `last` if it was the last one of its file, which is a number into the list of files.
    ///
    /// # Errors
    /// The output is gone.
    fn outcome(&mut self, file: usize, outcome: Outcome, last: bool) -> io::Result<()>;

    /// After the last.
    ///
    /// # Errors
    /// The output is gone.
    fn finish(&mut self, totals: &Totals) -> io::Result<()>;
}

/// All runs in numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Scenarios run.
    pub scenarios: u64,
    /// Runs: each scenario with each seed.
    pub runs: u64,
    /// Runs in which a check did not hold.
    pub findings: u64,
    /// Runs in which a check ran out of its budget.
    pub unknown: u64,
    /// Runs that were not the same twice.
    pub diverged: u64,
    /// Virtual time.
    pub time_ns: u64,
    /// Events handled.
    pub events: u64,
    /// Wall time; the one number here that another machine need not repeat.
    pub wall_ms: u64,
}

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const DOUBT: Style = AnsiColor::Yellow.on_default();
const STEP: Style = AnsiColor::Cyan.on_default();

/// A transcript with colors: steps and findings stand out, and so do leaders, candidates and crashes.
pub(crate) fn paint(transcript: &str, indent: &str, out: &mut dyn Write) -> io::Result<()> {
    for (number, line) in transcript.lines().enumerate() {
        out.write_all(indent.as_bytes())?;
        if number == 0 {
            writeln!(out, "{DIM}{line}{DIM:#}")?;
        } else if let Some((_, words)) = line.split_once("s -- ") {
            let finding = words.split_once(": ").is_some_and(|(check, _)| Check::from_word(check).is_some());
            let style = if finding { BAD } else { STEP };
            writeln!(out, "{style}{line}{style:#}")?;
        } else {
            paint_cells(line, out)?;
        }
    }
    Ok(())
}

/// Cells are two spaces apart or more; how one begins says what it is.
fn paint_cells(line: &str, out: &mut dyn Write) -> io::Result<()> {
    for (number, cell) in line.split("  ").enumerate() {
        let style = match cell.trim_start() {
            text if text.starts_with("LEADER") => GOOD,
            text if text.starts_with("candidate") || text.starts_with("pre-candidate") => DOUBT,
            text if text.starts_with("down") => BAD,
            _ => Style::new(),
        };
        let gap = if number == 0 { "" } else { "  " };
        write!(out, "{gap}{style}{cell}{style:#}")?;
    }
    writeln!(out)
}
