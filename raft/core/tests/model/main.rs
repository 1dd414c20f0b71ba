//! Random histories of groups of one to seven replicas, judged from outside after every call.
//!
//! Messages are lost, repeated and reordered, disks and state machines take their time, crashes keep a
//! prefix of what was not synced, members come and go, leadership is handed over, logs are compacted,
//! snapshots fail. In the end everything heals, and the group must get going again.
//!
//! `PROPTEST_CASES=20000 cargo test --release -p raft --test model` looks harder.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod action;
mod coverage;
mod ending;
mod oracle;
mod regressions;
mod replica;
mod runner;
mod world;

use proptest::test_runner::Config;

use coverage::Situation;

#[test]
fn no_history_breaks_a_promise() {
    let config = Config::default();
    // Unless told otherwise: proptest's own default suits tests that take longer.
    let cases = if config.cases == 256 { 2000 } else { config.cases };
    let config = Config { cases, ..config };
    let counts = runner::play_random(config, 1..400);
    for &situation in Situation::ALL {
        println!("{situation:?}: {:.1}%", f64::from(counts.of(situation)) * 100.0 / f64::from(cases));
    }
}
