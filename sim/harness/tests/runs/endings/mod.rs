//! The ending `freeze`: what a core of healthy stores must do by itself while all else stays broken, and what excuses it.
//!
//! `recovers` has stories in which it must come to rest, next to those in `stalls`, in which it need not: of each excuse
//! at least one story in which it holds, and one as like it as can be in which it does not. `everything` freezes every
//! curated scenario.

mod everything;
mod recovers;
mod stalls;

use std::sync::Arc;

use raftsim_harness::record::Detail;
use raftsim_harness::report::{Report, Verdict};
use raftsim_harness::run::{Options, run};
use raftsim_harness::scenario::{self, Scenario};

/// A scenario that ends by a freeze, of these lines. A first line `core = [..]` may name a core that is too small.
fn parse(top: &str, steps: &str) -> Scenario {
    let (core, top) = match top.strip_prefix("core = [").and_then(|rest| rest.split_once("]\n")) {
        Some((core, rest)) => (Some(core.split(", ").map(|store| store.parse().expect("a store"))), rest),
        None => (None, top),
    };
    let source = format!("about = \"x\"\nending = \"freeze\"\n{top}\nsteps = [\n{steps}\n]");
    let mut scenario = scenario::parse(&source)
        .unwrap_or_else(|errors| panic!("{}", scenario::render(&errors, "steps", &source, false)));
    scenario.core = core.map(Iterator::collect).or(scenario.core);
    scenario
}

/// Runs a scenario with a seed, and tells its story where that is of interest: if the test fails.
fn freeze(scenario: &Scenario, seed: u64) -> Report {
    let options = Options { record: Some(Detail::Story), ..Options::default() };
    let finished = run(Arc::new(scenario.clone()), seed, options);
    println!("{}", raftsim_harness::transcript::story(&finished.record.expect("a record was asked for")));
    finished.report
}

/// The core comes to rest, with three seeds.
#[track_caller]
fn recovers(top: &str, steps: &str) {
    let scenario = parse(top, steps);
    for seed in 0..3 {
        let report = freeze(&scenario, seed);
        let ended = (report.stalled.map(|stall| stall.to_string()), report.verdict);
        assert_eq!(ended, (None, Verdict::Clean), "seed {seed}");
    }
}

/// The core does not come to rest, for this reason, with two seeds.
#[track_caller]
fn stalls(top: &str, steps: &str, reason: &str) {
    let scenario = parse(top, steps);
    for seed in 0..2 {
        let report = freeze(&scenario, seed);
        let ended = (report.stalled.map(|stall| stall.to_string()), report.verdict);
        assert_eq!(ended, (Some(reason.to_owned()), Verdict::Clean), "seed {seed}");
    }
}
