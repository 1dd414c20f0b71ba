//! What an engineer needs to know of a run that failed: the check, the moment, the step, the stores, the events that
//! led there, and the command that shows it all again.

use std::io::{self, Write};

use raftsim_harness::check::ReplicaState;
use raftsim_harness::record::Detail;
use raftsim_harness::report::{Finding, Report, StoreSummary, Verdict};
use raftsim_harness::run::verify::Divergence;
use raftsim_harness::scenario::{Role, names::Keyword};
use raftsim_harness::transcript;

use crate::files::File;
use crate::numbers::{count, grouped};
use crate::output::{BAD, BOLD, DIM, DOUBT, Row, paint};
use crate::run::{Outcome, again};

/// How many lines before the finding are shown.
const LAST: usize = 25;

/// Writes all there is to say about an outcome that is not clean.
pub(crate) fn explain(out: &mut dyn Write, file: &File, outcome: &Outcome, row: &Row) -> io::Result<()> {
    let (name, seed) = (&file.name, outcome.seed);
    match &outcome.result {
        Err(divergence) => {
            writeln!(out, "{BAD}NOT DETERMINISTIC{BAD:#}  {BOLD}{name}{BOLD:#}  seed {seed}")?;
            write_divergence(out, divergence)?;
            field(out, "replay", &format!("{} --verify", replay(file, seed)))
        }
        Ok(Report { verdict: Verdict::Clean, .. }) => Ok(()),
        Ok(Report { verdict: Verdict::Unknown(why), .. }) => {
            writeln!(out, "{DOUBT}unknown{DOUBT:#}  {BOLD}{name}{BOLD:#}  seed {seed}")?;
            field(out, "why", why)?;
            field(out, "replay", &replay(file, seed))
        }
        Ok(report @ Report { verdict: Verdict::Finding(finding), .. }) => {
            writeln!(out, "{BAD}FAILED{BAD:#}  {BOLD}{name}{BOLD:#}  seed {seed}{}", others(row))?;
            write_finding(out, file, report, finding)?;
            write_stores(out, report)?;
            write_events(out, file, report)?;
            writeln!(out)?;
            field(out, "replay", &replay(file, seed))?;
            field(out, "", &format!("{DIM}--story tells it from the start, --trace shows every event{DIM:#}"))
        }
    }
}

fn others(row: &Row) -> String {
    match (row.totals.runs, row.totals.findings) {
        (1, _) => String::new(),
        (runs, 1) => format!("  {DIM}the only one of {} seeds{DIM:#}", grouped(runs)),
        (runs, findings) => {
            format!("  {DIM}the first of {} that fail of {} seeds{DIM:#}", grouped(findings), grouped(runs))
        }
    }
}

/// `  label     text`; further lines of the text stand below the first.
fn field(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    for (number, line) in text.lines().enumerate() {
        let label = if number == 0 { label } else { "" };
        writeln!(out, "{}", format!("  {label:<8}{line}").trim_end())?;
    }
    Ok(())
}

fn write_finding(out: &mut dyn Write, file: &File, report: &Report, finding: &Finding) -> io::Result<()> {
    let check = finding.check;
    field(out, "check", &format!("{BAD}{check}{BAD:#}  {DIM}{}{DIM:#}", check.doc()))?;
    let mut place = format!("{}, event {}", transcript::millis(finding.time), grouped(report.events));
    if let Some(store) = finding.store {
        place.push_str(&format!(", store {store}"));
    }
    if let Some(region) = finding.region {
        place.push_str(&format!(", region {region}"));
    }
    field(out, "when", &place)?;
    match file.line(finding.line) {
        Some(text) => field(out, "step", &format!("{}:{}  {BOLD}{text}{BOLD:#}", file.name, finding.line))?,
        None => field(out, "step", "after the last one")?,
    }
    field(out, "what", &finding.message)
}

/// The stores with their replicas of the region that the finding is about.
fn write_stores(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let stores = &report.stores;
    writeln!(out)?;
    if report.regions > 1 {
        writeln!(out, "  {DIM}region {} of {}:{DIM:#}", report.region, report.regions)?;
    }
    let role = |state: &ReplicaState| match state.role {
        Role::Leader => "LEADER".to_owned(),
        other => other.to_string(),
    };
    let roles = stores.iter().filter_map(|store| store.state.as_ref()).map(|state| role(state).len());
    let width = roles.max().unwrap_or(0).max("candidate".len());
    writeln!(out, "  {DIM}store  {:<width$}  term  vote  commit  applied    last{DIM:#}", "role")?;
    for StoreSummary { store, up, state, vote, failure } in stores {
        match (failure, state) {
            (Some(failure), _) => writeln!(out, "  {store:<5}  {BAD}stopped{BAD:#}: {failure}")?,
            (None, None) if *up => writeln!(out, "  {store:<5}  {DIM}no replica{DIM:#}")?,
            (None, None) => writeln!(out, "  {store:<5}  {BAD}down{BAD:#}")?,
            (None, Some(state)) => {
                let vote = vote.map_or("-".to_owned(), |store| store.to_string());
                writeln!(
                    out,
                    "  {store:<5}  {:<width$}  {:>4}  {vote:>4}  {:>6}  {:>7}  {:>6}",
                    role(state),
                    state.term,
                    state.commit,
                    state.applied,
                    state.last
                )?;
            }
        }
    }
    Ok(())
}

/// Runs the seed again with a record, which changes nothing else, so the events are those that led there.
fn write_events(out: &mut dyn Write, file: &File, report: &Report) -> io::Result<()> {
    let (repeated, record) = again(file, report.seed, Detail::Last(LAST));
    assert_eq!(repeated.trace_hash, report.trace_hash, "a run differs when repeated; try --verify");
    let Some(record) = record else { return Ok(()) };
    writeln!(out, "\n  {DIM}the last {}:{DIM:#}", count(record.lines().len(), "line"))?;
    paint(&transcript::trace(&record), "  ", out)
}

fn write_divergence(out: &mut dyn Write, divergence: &Divergence) -> io::Result<()> {
    let Divergence { event, time, first, second } = divergence;
    field(out, "where", &format!("{}, event {}", transcript::millis(*time), grouped(*event)))?;
    field(out, "first", first)?;
    field(out, "second", second)
}

/// The command that repeats the run.
fn replay(file: &File, seed: u64) -> String {
    format!("raftsim run {} --seed {seed}", quoted(&file.name))
}

/// As a shell reads it back.
pub(crate) fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !path.is_empty() && path.chars().all(plain) {
        return path.to_owned();
    }
    format!("'{}'", path.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use raftsim_harness::scenario::{self, Check};
    use raftsim_kernel::Time;

    fn explained(outcome: &Outcome) -> String {
        let source = "about = \"x\"\nsteps = [{ wait = \"leader\" }]".to_owned();
        let scenario = Arc::new(scenario::parse(&source).expect("a scenario"));
        let file = File { name: "a b.toml".to_owned(), source, scenario };
        let mut out = Vec::new();
        explain(&mut out, &file, outcome, &Row::default()).expect("memory");
        anstream::adapter::strip_str(&String::from_utf8(out).expect("text")).to_string()
    }

    #[test]
    fn a_divergence_names_the_event_and_both_versions_of_it() {
        let divergence = Divergence {
            event: 1_234,
            time: Time(1_203_000_000),
            first: "store 1: timer".into(),
            second: "nothing".into(),
        };
        assert_eq!(
            explained(&Outcome { seed: 17, result: Err(divergence) }),
            "NOT DETERMINISTIC  a b.toml  seed 17\n  where   1.203s, event 1,234\n  first   store 1: timer\n  \
             second  nothing\n  replay  raftsim run 'a b.toml' --seed 17 --verify\n"
        );
    }

    #[test]
    fn an_unknown_verdict_says_why() {
        let report = Report {
            seed: 17,
            verdict: Verdict::Unknown("undecided after 5 steps".to_owned()),
            time: Default::default(),
            events: 0,
            counters: Default::default(),
            trace_hash: 0,
            reach: Default::default(),
            regions: 1,
            region: 1,
            withheld: 0,
            stalled: None,
            decided: Default::default(),
            stores: Vec::new(),
        };
        assert_eq!(
            explained(&Outcome { seed: 17, result: Ok(report) }),
            "unknown  a b.toml  seed 17\n  why     undecided after 5 steps\n  replay  raftsim run 'a b.toml' --seed 17\n"
        );
    }

    #[test]
    fn stores_are_shown_with_the_region_that_failed() {
        let finding = Finding {
            check: Check::Liveness,
            time: Time(0),
            store: None,
            region: Some(1_000),
            message: "it did not recover".to_owned(),
            line: 0,
        };
        let summary = |store, up| StoreSummary { store, up, state: None, vote: None, failure: None };
        let report = Report {
            seed: 17,
            verdict: Verdict::Finding(finding),
            time: Default::default(),
            events: 0,
            counters: Default::default(),
            trace_hash: 0,
            reach: Default::default(),
            regions: 3,
            region: 1_000,
            withheld: 0,
            stalled: None,
            decided: Default::default(),
            stores: vec![summary(1, true), summary(2, false)],
        };
        let mut out = Vec::new();
        write_stores(&mut out, &report).expect("memory");
        let text = anstream::adapter::strip_str(&String::from_utf8(out).expect("text")).to_string();
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.starts_with("store")).collect();
        assert_eq!(lines, ["", "region 1000 of 3:", "1      no replica", "2      down"], "{text}");
    }

    #[test]
    fn paths_survive_a_shell() {
        assert_eq!(quoted("scenarios/a-1.toml"), "scenarios/a-1.toml");
        assert_eq!(quoted("it's here.toml"), r"'it'\''s here.toml'");
        assert_eq!(quoted(""), "''");
    }
}
