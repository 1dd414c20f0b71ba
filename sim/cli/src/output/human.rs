//! A table with a line for each file, then what there is to know about each failure, then a summary.

use std::io::{self, Write};

use raftsim_harness::report::Verdict;

use super::{BAD, BOLD, DIM, DOUBT, GOOD, Output, Totals};
use crate::args::RunArgs;
use crate::explain;
use crate::files::File;
use crate::numbers::{count, grouped, rounded, span};
use crate::run::Outcome;

/// Prints for people.
pub(crate) struct Human<'a> {
    out: &'a mut dyn Write,
    files: &'a [File],
    /// Whether a line stands for several runs.
    many: bool,
    /// The width of the column of names.
    names: usize,
    /// The line of the file that is being run.
    row: Row,
    /// What has to be explained after the table: for each file the first outcome of the worst kind.
    failures: Vec<(usize, Outcome, Row)>,
    worst: Option<Outcome>,
}

/// A line of the table: the sums over a file's runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// What the summary counts as well, for this file alone.
    pub totals: Totals,
    elections: u64,
    ops: u64,
    hash: u64,
}

impl Row {
    fn add(&mut self, outcome: &Outcome) {
        self.totals.add(outcome);
        let Ok(report) = &outcome.result else { return };
        self.elections += report.counters.elections;
        self.ops += report.counters.ops;
        // One run's hash stands as it is, so that it can be compared with any other output.
        self.hash =
            if self.totals.runs == 1 { report.trace_hash } else { combined(self.hash, report.trace_hash) };
    }

    fn verdict(&self) -> (anstyle::Style, String) {
        let Totals { runs, diverged, findings, unknown, .. } = self.totals;
        let number = |n: u64, word: &str| if runs == 1 { word.to_owned() } else { format!("{n} {word}") };
        if diverged > 0 {
            (BAD, number(diverged, "differ"))
        } else if findings > 0 {
            (BAD, number(findings, "FAILED"))
        } else if unknown > 0 {
            (DOUBT, number(unknown, "unknown"))
        } else {
            (GOOD, "clean".to_owned())
        }
    }
}

/// The hash of a sequence of hashes; runs come in the order of seeds, whoever ran them.
fn combined(hash: u64, next: u64) -> u64 {
    (hash.rotate_left(5) ^ next).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// How much an outcome needs to be explained.
fn rank(outcome: &Outcome) -> u8 {
    match outcome.result.as_ref().map(|report| &report.verdict) {
        Ok(Verdict::Clean) => 0,
        Ok(Verdict::Unknown(_)) => 1,
        Ok(Verdict::Finding(_)) => 2,
        Err(_) => 3,
    }
}

impl<'a> Human<'a> {
    /// Prints to `out`, which understands styles.
    pub(crate) fn new(out: &'a mut dyn Write, files: &'a [File], args: &RunArgs) -> Human<'a> {
        let names =
            files.iter().map(|file| file.name.chars().count()).max().unwrap_or(0).max("scenario".len());
        let (row, failures) = (Row::default(), Vec::new());
        Human { out, files, many: args.seeds > 1, names, row, failures, worst: None }
    }

    fn print_row(&mut self, file: usize) -> io::Result<()> {
        let Human { out, row, names, .. } = self;
        let (style, verdict) = row.verdict();
        let runs = if self.many { format!("  {:>7}", grouped(row.totals.runs)) } else { String::new() };
        writeln!(
            out,
            "{:<names$}{runs}  {style}{verdict:<11}{style:#}  {:>12}  {:>13}  {:>9}  {:>9}  {:016x}",
            self.files[file].name,
            span(row.totals.time_ns),
            grouped(row.totals.events),
            grouped(row.elections),
            grouped(row.ops),
            row.hash,
        )?;
        out.flush()
    }
}

impl Output for Human<'_> {
    fn begin(&mut self) -> io::Result<()> {
        let runs = if self.many { "     runs" } else { "" };
        writeln!(
            self.out,
            "{DIM}{:<2$}{runs}  {:<11}  virtual time         events  elections        ops  trace hash{DIM:#}",
            "scenario", "verdict", self.names
        )
    }

    fn prints_each_run(&self) -> bool {
        false
    }

    fn outcome(&mut self, file: usize, outcome: Outcome, last: bool) -> io::Result<()> {
        self.row.add(&outcome);
        if rank(&outcome) > self.worst.as_ref().map_or(0, rank) {
            self.worst = Some(outcome);
        }
        if last {
            self.print_row(file)?;
            let row = std::mem::take(&mut self.row);
            self.failures.extend(self.worst.take().map(|outcome| (file, outcome, row)));
        }
        Ok(())
    }

    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        for (file, outcome, row) in &self.failures {
            writeln!(self.out)?;
            explain::explain(self.out, &self.files[*file], outcome, row)?;
        }
        if !self.failures.is_empty() {
            // Not the path of this very file: it would go on to run what was built before the fix.
            writeln!(
                self.out,
                "\n{DIM}In a checkout, `cargo run --release --` stands for `raftsim`.{DIM:#}"
            )?;
        }
        if totals.scenarios > 1 || totals.runs > 1 || !self.failures.is_empty() {
            writeln!(self.out)?;
        }
        self.summary(totals)
    }
}

impl Human<'_> {
    /// `23 scenarios, 4,600 runs: all clean; 812 h 3 min of virtual time in 9.3 s, 2.1 M events/s`
    fn summary(&mut self, totals: &Totals) -> io::Result<()> {
        let scenarios = count(totals.scenarios.try_into().unwrap_or(usize::MAX), "scenario");
        let runs = count(totals.runs.try_into().unwrap_or(usize::MAX), "run");
        let (style, verdict) = verdict(totals);
        let wall = span(totals.wall_ms.saturating_mul(1_000_000));
        let rate = rounded(totals.events.saturating_mul(1_000) / totals.wall_ms.max(1));
        writeln!(
            self.out,
            "{BOLD}{scenarios}, {runs}:{BOLD:#} {style}{verdict}{style:#}; {} of virtual time in {wall}, {rate} events/s",
            span(totals.time_ns)
        )
    }
}

fn verdict(totals: &Totals) -> (anstyle::Style, String) {
    let parts =
        [(totals.diverged, "not deterministic"), (totals.findings, "failed"), (totals.unknown, "unknown")];
    let told: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{} {word}", grouped(*n))).collect();
    match (told.is_empty(), totals.diverged + totals.findings) {
        (true, _) => (GOOD, "all clean".to_owned()),
        (false, 0) => (DOUBT, told.join(", ")),
        (false, _) => (BAD, told.join(", ")),
    }
}
