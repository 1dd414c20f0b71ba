//! What a campaign amounts to: the same from the process that ran it and from `raftsim report`, since both make it of the lines
//! and the settings alone.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::campaign::{End, Stored};
use super::findings::{Group, Groups, file_name};
use super::line::{DETERMINISM, Line, Word};
use super::plan::Settings;
use super::reach::{self, Reach};
use crate::error::Exit;
use crate::explain::quoted;
use crate::numbers::{count, grouped, rounded, span};
use crate::output::{BAD, BOLD, DIM, DOUBT, GOOD};

/// So many seeds of a kind are listed.
const LISTED: usize = 12;

/// A campaign, or several that are one, in numbers.
#[derive(Debug)]
pub(crate) struct Summary {
    /// The settings of the first of them.
    pub settings: Settings,
    /// Where the files of findings are to be looked for.
    pub directories: Vec<PathBuf>,
    /// Ranges of seeds and shards, in words.
    scope: String,
    pub runs: u64,
    pub clean: u64,
    pub findings: u64,
    pub diverged: u64,
    pub unknown: Vec<u64>,
    pub verified: u64,
    pub events: u64,
    time_ns: u64,
    pub wall_ms: u64,
    /// Why cores were let off, and how often.
    stalled: BTreeMap<String, u64>,
    withheld: u64,
    keys: [u64; 3],
    pub groups: Groups,
    pub reach: Reach,
    /// What is missing to a whole, in words.
    pub missing: Vec<String>,
}

impl Summary {
    /// Of campaigns that may be taken together, with their directories.
    pub(crate) fn of<'a>(
        parts: &[(PathBuf, Stored)],
        lines: impl Iterator<Item = &'a Line>,
        settings: &Settings,
    ) -> Summary {
        let mut summary = Summary {
            settings: settings.clone(),
            directories: parts.iter().map(|(path, _)| path.clone()).collect(),
            scope: scope(parts),
            runs: 0,
            clean: 0,
            findings: 0,
            diverged: 0,
            unknown: Vec::new(),
            verified: 0,
            events: 0,
            time_ns: 0,
            wall_ms: parts.iter().map(|(_, stored)| stored.state.wall_ms).sum(),
            stalled: BTreeMap::new(),
            withheld: 0,
            keys: [0; 3],
            groups: Groups::default(),
            reach: Reach::new(settings.situations.len()),
            missing: missing(parts),
        };
        lines.for_each(|line| summary.add(line));
        summary
    }

    fn add(&mut self, line: &Line) {
        self.runs += 1;
        self.verified += u64::from(line.verified);
        self.events += line.events;
        self.time_ns = self.time_ns.saturating_add(line.time_ns);
        if let Some(why) = &line.stalled {
            *self.stalled.entry(why.clone()).or_default() += 1;
        }
        self.withheld += line.withheld;
        self.keys.iter_mut().zip(line.keys).for_each(|(sum, keys)| *sum += keys);
        self.reach.add(&line.reach);
        self.groups.add(line);
        match line.verdict {
            Word::Clean => self.clean += 1,
            Word::Finding => self.findings += 1,
            Word::Diverged => self.diverged += 1,
            Word::Unknown => self.unknown.push(line.seed),
        }
    }

    /// Mistakes of ours count more than findings, and these more than what is unknown.
    pub(crate) fn exit(&self) -> Exit {
        if self.diverged > 0 {
            Exit::Internal
        } else if self.findings > 0 {
            Exit::Finding
        } else if !self.unknown.is_empty() || !self.missing.is_empty() {
            Exit::Unknown
        } else {
            Exit::Clean
        }
    }

    /// The file of a finding.
    pub(crate) fn file(&self, line: &Line) -> PathBuf {
        let name = Path::new("findings").join(file_name(line));
        let there = self.directories.iter().map(|directory| directory.join(&name));
        let first = || self.directories.first().map_or(name.clone(), |directory| directory.join(&name));
        there.into_iter().find(|path| path.exists()).unwrap_or_else(first)
    }

    /// The command that repeats a finding.
    pub(crate) fn replay(&self, line: &Line) -> String {
        let verify = if line.check() == DETERMINISM { " --verify" } else { "" };
        format!("raftsim run {}{verify}", quoted(&self.file(line).display().to_string()))
    }

    /// The situations with the numbers of runs that met them, and of those never met the words alone.
    pub(crate) fn situations(&self) -> (Vec<(&str, u64)>, Vec<&str>) {
        let words = self.settings.situations.iter().map(String::as_str);
        let all: Vec<(&str, u64)> = words.zip(self.reach.counts().iter().copied()).collect();
        let never = all.iter().filter(|(_, runs)| *runs == 0).map(|(word, _)| *word).collect();
        (all.into_iter().filter(|(_, runs)| *runs > 0).collect(), never)
    }

    /// `2,000 runs: 1,993 clean, 5 failed, 2 unknown`
    pub(crate) fn verdict(&self) -> String {
        let Summary { runs, clean, findings, diverged, .. } = *self;
        let parts = [
            (clean, "clean"),
            (findings, "failed"),
            (diverged, "not deterministic"),
            (self.unknown.len() as u64, "unknown"),
        ];
        let told = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{} {word}", grouped(*n)));
        let told = if clean == runs && runs > 0 {
            "all clean".to_owned()
        } else {
            told.collect::<Vec<_>>().join(", ")
        };
        let runs = runs_of(runs);
        if told.is_empty() { runs } else { format!("{runs}: {told}") }
    }

    /// `812 h 3 min of virtual time in 9 min 3 s: 3.7 runs/s, 1.2 M events/s, 5,400 times as fast as real time`
    pub(crate) fn cost(&self) -> String {
        let Summary { runs, events, time_ns, wall_ms, .. } = *self;
        let (wall, parts) = (wall_ms.max(1), self.directories.len());
        let over = if parts > 1 { format!(" over {parts} shards") } else { String::new() };
        let per_second = runs.saturating_mul(10_000) / wall;
        format!(
            "{} of virtual time in {}{over}: {}.{} runs/s, {} events/s, {} times as fast as real time",
            span(time_ns),
            span(wall_ms.saturating_mul(1_000_000)),
            grouped(per_second / 10),
            per_second % 10,
            rounded(events.saturating_mul(1_000) / wall),
            grouped(time_ns / 1_000_000 / wall),
        )
    }

    /// How runs ended that were judged with reserve: what a reader should know before he calls them clean.
    pub(crate) fn endings(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let [by_order, by_search, unknown] = self.keys;
        if by_order + by_search + unknown > 0 {
            lines.push(format!(
                "histories: {} keys decided by the order of the log, {} by search, {} not",
                grouped(by_order),
                grouped(by_search),
                grouped(unknown)
            ));
        }
        if !self.stalled.is_empty() {
            let whys: Vec<String> =
                self.stalled.iter().map(|(why, runs)| format!("{why} {}", grouped(*runs))).collect();
            let runs = runs_of(self.stalled.values().sum());
            lines.push(format!(
                "let off: the frozen core need not come to rest in {runs} ({})",
                whys.join(", ")
            ));
        }
        if self.withheld > 0 {
            lines.push(format!("withheld by the budget: {} steps", grouped(self.withheld)));
        }
        lines
    }

    /// Prints it for people.
    ///
    /// # Errors
    /// The output is gone.
    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        for group in self.groups.sorted() {
            self.print_group(out, &group)?;
        }
        if !self.unknown.is_empty() {
            writeln!(
                out,
                "{DOUBT}unknown{DOUBT:#}  {}: a check ran out of its budget",
                runs_of(self.unknown.len() as u64)
            )?;
            writeln!(out, "  seeds   {}\n", listed(self.unknown.iter().copied()))?;
        }
        self.print_reach(out)?;
        writeln!(out, "{DIM}{}, {}{DIM:#}", self.settings, self.scope)?;
        let style = match self.exit() {
            Exit::Clean => GOOD,
            Exit::Unknown => DOUBT,
            _ => BAD,
        };
        let verified = match (self.verified, self.diverged) {
            (0, _) => String::new(),
            (verified, 0) => format!("; {} of them twice, each the same", grouped(verified)),
            (verified, _) => format!("; {} of them twice", grouped(verified)),
        };
        writeln!(out, "{BOLD}{style}{}{style:#}{BOLD:#}{verified}", self.verdict())?;
        writeln!(out, "{}", self.cost())?;
        for line in self.endings() {
            writeln!(out, "{DIM}{line}{DIM:#}")?;
        }
        for missing in &self.missing {
            writeln!(out, "{DOUBT}{missing}{DOUBT:#}")?;
        }
        Ok(())
    }

    fn print_group(&self, out: &mut dyn Write, group: &Group) -> io::Result<()> {
        let first = group.first();
        let runs = runs_of(group.lines.len() as u64);
        writeln!(
            out,
            "{BAD}FAILED{BAD:#}  {BOLD}{}{BOLD:#}  {runs}  {DIM}{}{DIM:#}",
            group.check, group.fingerprint
        )?;
        for (number, line) in first.message().lines().take(6).enumerate() {
            writeln!(out, "  {:<8}{line}", if number == 0 { "what" } else { "" })?;
        }
        writeln!(out, "  seeds   {}", listed(group.lines.iter().map(|line| line.seed)))?;
        writeln!(out, "  replay  {}  {DIM}{} events{DIM:#}\n", self.replay(first), grouped(first.events))
    }

    fn print_reach(&self, out: &mut dyn Write) -> io::Result<()> {
        let (met, never) = self.situations();
        if met.is_empty() && never.is_empty() {
            return Ok(());
        }
        let situations = self.settings.situations.len();
        writeln!(out, "{BOLD}reach: {} of {situations} situations{BOLD:#}", met.len())?;
        let width = met.iter().map(|(word, _)| word.len()).max().unwrap_or(0).max("situation".len());
        writeln!(out, "{DIM}{:<width$}  {:>11}  share of runs{DIM:#}", "situation", "runs")?;
        for (word, runs) in &met {
            writeln!(out, "{word:<width$}  {:>11}  {:>13}", grouped(*runs), share(*runs, self.runs))?;
        }
        for word in &never {
            writeln!(out, "{BAD}NEVER MET{BAD:#}  {BOLD}{word}{BOLD:#}  {}", reach::what(word))?;
        }
        writeln!(out)
    }

    /// For programs. Grows like the objects of `raftsim run --format json`: a schema, and fields that keep their meaning.
    pub(crate) fn to_json(&self) -> Value {
        let group = |group: &Group| {
            json!({
                "check": group.check,
                "fingerprint": group.fingerprint,
                "runs": group.lines.len(),
                "message": group.first().message(),
                "seeds": group.kept().iter().map(|line| line.seed).collect::<Vec<_>>(),
                "replay": self.replay(group.first()),
            })
        };
        let (met, never) = self.situations();
        json!({
            "schema": 1,
            "type": "summary",
            "profile": self.settings.profile,
            "commit": self.settings.commit,
            "version": self.settings.version,
            "runs": self.runs,
            "clean": self.clean,
            "findings": self.findings,
            "diverged": self.diverged,
            "unknown": self.unknown,
            "verified": self.verified,
            "time_ns": self.time_ns,
            "events": self.events,
            "wall_ms": self.wall_ms,
            "stalled": self.stalled,
            "withheld": self.withheld,
            "keys": self.keys,
            "groups": self.groups.sorted().iter().map(group).collect::<Vec<_>>(),
            "reach": met.into_iter().collect::<BTreeMap<_, _>>(),
            "never_met": never,
            "missing": self.missing,
        })
    }
}

/// `1 run`, `2,000 runs`
pub(crate) fn runs_of(runs: u64) -> String {
    count(usize::try_from(runs).unwrap_or(usize::MAX), "run")
}

/// `12.3%`; what is met at all is never `0.0%`.
pub(crate) fn share(part: u64, whole: u64) -> String {
    let tenths = part.saturating_mul(1_000) / whole.max(1);
    if part > 0 && tenths == 0 { "< 0.1%".to_owned() } else { format!("{}.{}%", tenths / 10, tenths % 10) }
}

/// The first of them, and how many there are more.
pub(crate) fn listed(seeds: impl ExactSizeIterator<Item = u64>) -> String {
    let more = seeds.len().saturating_sub(LISTED);
    let text = seeds.take(LISTED).map(|seed| seed.to_string()).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{text} and {} more", grouped(more as u64)) } else { text }
}

fn scope(parts: &[(PathBuf, Stored)]) -> String {
    let one = |settings: &Settings| {
        let to = settings.seeds.to.map_or_else(String::new, |to| to.to_string());
        let shard = if settings.shard.of > 1 { format!(", shard {}", settings.shard) } else { String::new() };
        format!("seeds {}..{to}{shard}", settings.seeds.from)
    };
    match parts {
        [(_, stored)] => one(&stored.settings),
        parts if parts.iter().all(|(_, stored)| stored.settings.seeds == parts[0].1.settings.seeds) => {
            let to = parts[0].1.settings.seeds.to.map_or_else(String::new, |to| to.to_string());
            format!("seeds {}..{to}, {}", parts[0].1.settings.seeds.from, count(parts.len(), "shard"))
        }
        parts => count(parts.len(), "campaign"),
    }
}

/// What there should be and is not: shards, and runs of campaigns that did not mean to stop.
fn missing(parts: &[(PathBuf, Stored)]) -> Vec<String> {
    let mut missing = Vec::new();
    let kind = |stored: &Stored| (stored.settings.seeds, stored.settings.shard.of);
    for (place, (_, stored)) in parts.iter().enumerate() {
        if parts[..place].iter().any(|(_, earlier)| kind(earlier) == kind(stored)) {
            continue;
        }
        let alike = || parts.iter().filter(|(_, other)| kind(other) == kind(stored));
        let is_there = |index| alike().any(|(_, other)| other.settings.shard.index == index);
        let lacking: Vec<String> = (0..stored.settings.shard.of)
            .filter(|index| parts.len() > 1 && !is_there(*index))
            .map(|index| index.to_string())
            .collect();
        if !lacking.is_empty() {
            missing.push(format!("MISSING: shard {} of {}", lacking.join(", "), stored.settings.shard.of));
        }
    }
    for (path, stored) in parts {
        let (done, path) = (stored.lines.len() as u64, path.display());
        match (stored.state.end, stored.settings.count()) {
            (End::Complete | End::Enough | End::Time, _) => {}
            (_, Some(count)) if count > done => missing.push(format!(
                "MISSING: {} of {} in {path}; --resume goes on",
                runs_of(count - done),
                grouped(count)
            )),
            (End::Open, None) => {
                missing.push(format!("MISSING: {path} was not ended in good order; --resume goes on"))
            }
            _ => {}
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_lists_read_well() {
        assert_eq!([share(1, 3), share(1, 100_000), share(5, 5)], ["33.3%", "< 0.1%", "100.0%"]);
        assert_eq!(listed([1, 2].into_iter()), "1, 2");
        assert!(listed((0..20).collect::<Vec<u64>>().into_iter()).ends_with("11 and 8 more"));
    }
}
