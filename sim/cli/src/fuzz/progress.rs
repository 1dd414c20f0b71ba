//! How a campaign goes: two live lines on a terminal, and else a line a minute, both on standard error.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

use super::campaign::End;
use super::findings::Groups;
use super::line::Line;
use super::reach::Reach;
use crate::numbers::{count, grouped, rounded, span};

/// How often a line is printed where there is no terminal.
const PLAIN_MS: u64 = 60_000;
/// A run that takes this long is told by its seed: an event that never ends is nothing that a run could notice itself.
const LONG_MS: u64 = 60_000;

/// What has been done, by this process.
pub(crate) struct Progress {
    /// `None`: no terminal.
    bar: Option<ProgressBar>,
    /// How many runs there are to do; `None`: nobody knows.
    total: Option<u64>,
    /// The time after which no run begins.
    bound_ms: Option<u64>,
    runs: u64,
    events: u64,
    time_ns: u64,
    findings: u64,
    reach: Reach,
    situations: usize,
    /// The seed that each thread is busy with, and since when; whether that has been told.
    busy: BTreeMap<usize, (u64, u64, bool)>,
    told_ms: u64,
}

impl Progress {
    /// Of so many runs, some of which are done.
    pub(crate) fn new(total: Option<u64>, bound_ms: Option<u64>, situations: usize) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let head = if total.is_some() { "{bar:16}" } else { "{spinner}" };
            let template = format!("{head} {{wide_msg}}\n{{prefix}}");
            bar.with_style(
                ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        Progress {
            bar,
            total,
            bound_ms,
            runs: 0,
            events: 0,
            time_ns: 0,
            findings: 0,
            reach: Reach::new(situations),
            situations,
            busy: BTreeMap::new(),
            told_ms: 0,
        }
    }

    /// A thread begins a run.
    pub(crate) fn began(&mut self, worker: usize, seed: u64, now_ms: u64) {
        self.busy.insert(worker, (seed, now_ms, false));
    }

    /// And has finished it.
    pub(crate) fn ended(&mut self, worker: usize, line: &Line) {
        self.busy.remove(&worker);
        self.runs += 1;
        self.events += line.events;
        self.time_ns = self.time_ns.saturating_add(line.time_ns);
        self.findings += u64::from(line.is_finding());
        self.reach.add(&line.reach);
    }

    /// Shows how it goes, if it is time to.
    pub(crate) fn tick(&mut self, now_ms: u64, groups: &Groups) {
        let long = self.busy.values_mut().find(|(_, since, told)| !told && now_ms >= since + LONG_MS);
        if let Some((seed, since, told)) = long {
            *told = true;
            let text = format!("seed {seed} has been running for {}", span((now_ms - *since) * 1_000_000));
            self.say(&text);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.runs);
            let [first, second] = self.text(now_ms, groups.len());
            bar.set_message(first);
            bar.set_prefix(second);
        } else if now_ms >= self.told_ms + PLAIN_MS {
            self.told_ms = now_ms;
            let text = self.text(now_ms, groups.len()).join(", ");
            self.say(&text);
        }
    }

    /// No more runs begin.
    pub(crate) fn stopping(&self, why: End) {
        let runs = count(self.busy.len(), "run");
        match why {
            End::Interrupted => self.say(&format!("finishing {runs}; Ctrl-C again quits at once")),
            End::Time => self.say(&format!("time is up; finishing {runs}")),
            End::Open | End::Complete | End::Enough => {}
        }
    }

    /// The live line goes away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// A line of its own.
    pub(crate) fn say(&self, text: &str) {
        let print = || {
            // Nothing can be done where even standard error is gone.
            let _ = writeln!(std::io::stderr(), "{text}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// `12,345 of 100,000 runs, no finding, reach 60/64, 2 min 5 s left`, and
    /// `37.2 runs/s, 1.2 M events/s, 3 h 2 min of virtual time`
    fn text(&self, now_ms: u64, groups: usize) -> [String; 2] {
        let (runs, now) = (self.runs, now_ms.max(1));
        let of = self.total.map_or_else(String::new, |total| format!(" of {}", grouped(total)));
        let mut first = format!("{}{of} runs, {}", grouped(runs), findings(self.findings, groups));
        if self.situations > 0 {
            first.push_str(&format!(", reach {}/{}", self.reach.met(), self.situations));
        }
        if let Some(left) = self.left_ms(now_ms) {
            first.push_str(&format!(", {} left", span(left / 1_000 * 1_000_000_000).replace(".000 s", " s")));
        }
        let per_second = runs.saturating_mul(10_000) / now;
        let second = format!(
            "{}.{} runs/s, {} events/s, {} of virtual time",
            grouped(per_second / 10),
            per_second % 10,
            rounded(self.events.saturating_mul(1_000) / now),
            span(self.time_ns),
        );
        [first, second]
    }

    /// How long it will take, by what it took so far; or until the time is up.
    fn left_ms(&self, now_ms: u64) -> Option<u64> {
        let by_runs = self.total.filter(|_| self.runs > 0).map(|total| {
            let left =
                u128::from(total.saturating_sub(self.runs)) * u128::from(now_ms) / u128::from(self.runs);
            u64::try_from(left).unwrap_or(u64::MAX / 1_000_000)
        });
        let by_time = self.bound_ms.map(|bound| bound.saturating_sub(now_ms));
        by_runs.into_iter().chain(by_time).min()
    }
}

/// `no finding`, `3 findings of 1 kind`
fn findings(findings: u64, groups: usize) -> String {
    match findings {
        0 => "no finding".to_owned(),
        _ => format!(
            "{} of {}",
            count(usize::try_from(findings).unwrap_or(usize::MAX), "finding"),
            count(groups, "kind")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_all_there_is_to_know() {
        let mut progress = Progress::new(Some(40), None, 3);
        progress.bar = None;
        for seed in 0..10 {
            let line = Line {
                events: 30_000,
                time_ns: 3_600_000_000_000,
                reach: "5".to_owned(),
                ..Line::of_panic(seed, "x")
            };
            progress.ended(0, &line);
        }
        assert_eq!(
            progress.text(4_000, 1),
            [
                "10 of 40 runs, 10 findings of 1 kind, reach 2/3, 12 s left",
                "2.5 runs/s, 75.0 k events/s, 10 h 0 min of virtual time"
            ]
        );
        let unbounded = Progress { total: None, bound_ms: Some(600_000), ..progress };
        assert!(unbounded.text(4_000, 1)[0].ends_with("9 min 56 s left"));
    }
}
