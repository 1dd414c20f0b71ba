//! Proof of determinism: the same run twice, side by side, and the first event in which they differ.
//!
//! Both runs advance in lockstep and their trace hashes are compared after every event, so that a difference is
//! named where it begins and not where it shows. Neither keeps a record, so a run that is deterministic costs about
//! twice its time; only where two part are both repeated with records, which tell what happened there.

use std::sync::Arc;

use raftsim_kernel::Time;

use super::{Options, Run};
use crate::record::{Detail, Record};
use crate::report::Report;
use crate::scenario::ast::{self, Scenario};
use crate::system::System;
use crate::system::bare::BareRaft;
use crate::system::raftstore::Raftstore;
use crate::transcript;

/// What can be run twice and compared event by event.
pub trait Lockstep {
    /// Does the next thing; false when it is over.
    fn advance(&mut self) -> bool;
    /// The hash over everything so far.
    fn hash(&self) -> u64;
    /// How many events were handled.
    fn events(&self) -> u64;
    /// The virtual time.
    fn time(&self) -> Time;
    /// What happened last, in words.
    fn last(&self) -> String;
}

impl<S: System> Lockstep for Run<S> {
    fn advance(&mut self) -> bool {
        Run::advance(self)
    }

    fn hash(&self) -> u64 {
        self.world().trace_hash()
    }

    fn events(&self) -> u64 {
        self.world().events()
    }

    fn time(&self) -> Time {
        self.world().now()
    }

    /// What the record has of the last moment; nothing without one.
    fn last(&self) -> String {
        let moment = self.world().observer().record().map(last_moment);
        moment.filter(|words| !words.is_empty()).unwrap_or_else(|| "nothing".to_owned())
    }
}

fn last_moment(record: &Record) -> String {
    let lines = record.lines();
    let now = lines.back().map(|line| line.time);
    let first = lines.iter().position(|line| Some(line.time) == now).unwrap_or(0);
    lines.iter().skip(first).map(|line| transcript::sentence(record, line)).collect::<Vec<_>>().join("; ")
}

/// How many lines of its record a run keeps: the most that are shown of the event that differs.
const KEPT: usize = 6;

/// Where two runs that should be one part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the same seed gave two runs, which part at event {event} ({time}):\n  first:  {first}\n  second: {second}",
    time = transcript::millis(*time)
)]
pub struct Divergence {
    /// The number of the first event that differs, from 1.
    pub event: u64,
    /// Its virtual time, in the first run.
    pub time: Time,
    /// What happened in the first run.
    pub first: String,
    /// What happened in the second.
    pub second: String,
}

/// Runs a scenario twice and compares.
///
/// # Errors
/// The first event that is not the same in both.
pub fn verify(scenario: &Arc<Scenario>, seed: u64) -> Result<Report, Divergence> {
    match scenario.system {
        ast::System::Raftstore => verify_on::<Raftstore>(scenario, seed),
        ast::System::Raft => verify_on::<BareRaft>(scenario, seed),
    }
}

fn verify_on<S: System>(scenario: &Arc<Scenario>, seed: u64) -> Result<Report, Divergence> {
    let start = |record| Run::<S>::new(Arc::clone(scenario), seed, Options { record, ..Options::default() });
    let (first, second) = finish_both(start)?;
    let (report, other) = (first.report(), second.report());
    if report == other {
        return Ok(report);
    }
    // The events were the same, so what was made of them was not: a check or the verdict.
    Err(Divergence {
        event: report.events,
        time: first.time(),
        first: format!("{:?}", report.verdict),
        second: format!("{:?}", other.verdict),
    })
}

/// Starts two runs without records and advances them to their end. If they part, two more runs with records tell
/// what happened where.
///
/// # Errors
/// The first event that is not the same in both.
fn finish_both<L: Lockstep>(mut start: impl FnMut(Option<Detail>) -> L) -> Result<(L, L), Divergence> {
    let (mut first, mut second) = (start(None), start(None));
    let Err(parted) = compare(&mut first, &mut second) else { return Ok((first, second)) };
    let record = Some(Detail::Last(KEPT));
    match compare(&mut start(record), &mut start(record)) {
        // What differs from run to run may part them elsewhere this time; then that is the place there are words for.
        Err(told) => Err(told),
        Ok(()) => {
            let words = "unknown: repeated with records, the runs did not part";
            Err(Divergence { first: words.to_owned(), second: words.to_owned(), ..parted })
        }
    }
}

/// Advances both to their end, or to where they part.
///
/// # Errors
/// The first event that is not the same in both.
pub fn compare<L: Lockstep>(first: &mut L, second: &mut L) -> Result<(), Divergence> {
    loop {
        let same = |a: &L, b: &L| (a.hash(), a.events(), a.time()) == (b.hash(), b.events(), b.time());
        if !same(first, second) {
            return Err(divergence(first, second));
        }
        match (first.advance(), second.advance()) {
            (true, true) => {}
            (false, false) if same(first, second) => return Ok(()),
            // One is over and the other goes on: that is a difference too.
            _ => return Err(divergence(first, second)),
        }
    }
}

fn divergence<L: Lockstep>(first: &L, second: &L) -> Divergence {
    Divergence {
        event: first.events().max(second.events()),
        time: first.time(),
        first: first.last(),
        second: second.last(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run made up of numbers.
    struct Made(Vec<u64>, usize);

    impl Lockstep for Made {
        fn advance(&mut self) -> bool {
            self.1 += 1;
            self.1 < self.0.len()
        }
        fn hash(&self) -> u64 {
            self.0[..self.1].iter().fold(0, |hash, n| hash * 31 + n)
        }
        fn events(&self) -> u64 {
            self.1 as u64
        }
        fn time(&self) -> Time {
            Time(self.1 as u64 * 1_000_000)
        }
        fn last(&self) -> String {
            self.0[self.1 - 1].to_string()
        }
    }

    fn compare_made(first: &[u64], second: &[u64]) -> Result<(), Divergence> {
        compare(&mut Made(first.to_vec(), 0), &mut Made(second.to_vec(), 0))
    }

    #[test]
    fn the_first_event_that_differs_is_named() {
        let divergence = compare_made(&[7, 8, 9, 1, 2], &[7, 8, 4, 1, 2]).expect_err("the third differs");
        assert_eq!(
            divergence.to_string(),
            "the same seed gave two runs, which part at event 3 (0.003s):\n  first:  9\n  second: 4"
        );
    }

    #[test]
    fn a_run_that_ends_early_differs() {
        assert_eq!(compare_made(&[7, 8], &[7, 8, 9]).expect_err("shorter").event, 2);
        assert_eq!(compare_made(&[7, 8, 9], &[7, 8, 9]), Ok(()));
    }

    const SCENARIO: &str = r#"
        about = "A put on a lossy network."
        cluster = { stores = 3 }
        network = { latency = "1ms..10ms", loss = "1%" }
        steps = [{ wait = "leader" }, { put = "k", value = "v" }]
    "#;

    fn scenario() -> Arc<Scenario> {
        Arc::new(crate::scenario::parse(SCENARIO).expect("a scenario"))
    }

    #[test]
    fn a_run_equals_itself_and_its_report_that_of_a_plain_run() {
        let report = verify(&scenario(), 7).expect("deterministic");
        assert_eq!(report, Run::<Raftstore>::new(scenario(), 7, Options::default()).finish());
        assert!(report.events > 20, "{report:?}");
    }

    /// Runs with these seeds, one after the other.
    fn runs(seeds: [u64; 4]) -> impl FnMut(Option<Detail>) -> Run {
        let mut seeds = seeds.into_iter();
        move |record| {
            let seed = seeds.next().expect("at most four runs");
            Run::new(scenario(), seed, Options { record, ..Options::default() })
        }
    }

    #[test]
    fn runs_that_part_are_repeated_with_records() {
        let divergence = finish_both(runs([1, 2, 1, 2])).expect_err("other seeds, other runs");
        assert_ne!(divergence.first, divergence.second);
        assert!(![&divergence.first, &divergence.second].contains(&&"nothing".to_owned()), "{divergence}");

        let once = finish_both(runs([1, 2, 1, 1])).expect_err("the first two differ");
        assert_eq!((once.event, once.time), (divergence.event, divergence.time));
        assert!(once.first.contains("the runs did not part"), "{once}");
    }

    #[test]
    fn two_seeds_part_where_chance_first_differs() {
        let options = Options { record: Some(Detail::Last(KEPT)), ..Options::default() };
        let [mut a, mut b] = [1, 2].map(|seed| Run::<Raftstore>::new(scenario(), seed, options));
        let divergence = compare(&mut a, &mut b).expect_err("other seeds, other runs");
        assert!(divergence.event < 100, "{divergence}");
        assert_ne!(divergence.first, "nothing");

        // Both ran the same events before.
        let [mut a, mut b] = [1, 2].map(|seed| Run::<Raftstore>::new(scenario(), seed, options));
        while a.events() + 1 < divergence.event {
            a.advance();
            b.advance();
            assert_eq!(a.hash(), b.hash());
        }
    }
}
