//! Random histories of groups of one to seven replicas, judged from outside after every call.
//!
//! Messages are lost, repeated and reordered, disks and state machines take their time, crashes keep a
//! prefix of what was not synced, members come and go, leadership is handed over, logs are compacted,
//! snapshots fail. In the end everything heals, and the group must get going again.
//!
//! `action.rs` says what can happen, `world.rs` and `caller.rs` do it, `oracle.rs` judges, `ending.rs` heals.
//! To look harder: `PROPTEST_CASES=20000 PROPTEST_RNG_SEED=2 cargo test --release -p raft --test model`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod action;
mod caller;
mod coverage;
mod ending;
mod oracle;
mod regressions;
mod replica;
mod runner;
mod seen;
mod world;

use proptest::test_runner::{Config, RngSeed};

use coverage::Situation;

#[test]
fn no_history_breaks_a_promise() {
    let asked = Config::default();
    // Proptest's own number suits tests whose cases take longer.
    let cases = if asked.cases == 256 { 1500 } else { asked.cases };
    runner::play_random(Config { cases, ..asked });
}

/// The rarest arises in every twentieth case.
#[test]
fn every_situation_arises() {
    let cases = 200;
    let counts = runner::play_random(Config { cases, rng_seed: RngSeed::Fixed(2), ..Config::default() });
    for &situation in Situation::ALL {
        println!("{situation:?}: {} of {cases}", counts.of(situation));
    }
    let missing = Situation::ALL.iter().filter(|&&situation| counts.of(situation) == 0);
    assert_eq!(missing.collect::<Vec<_>>(), [] as [&Situation; 0]);
}
