//! What the default profile meets: every situation, in a fixed number of runs that is small enough for each push.

use std::sync::Arc;

use raftsim_harness::fuzz;
use raftsim_harness::reach::{COUNT, ReachSet, Situation};
use raftsim_harness::run::{Options, run};

use crate::default;

/// The rarest come up in one run of a thousand, so this many leave room for bad luck where the dice are cast anew. Mostly far
/// fewer are needed.
const SEEDS: u64 = 5_000;

/// A situation that no run comes into is one in which nothing was tested.
#[test]
fn the_default_profile_comes_into_every_situation() {
    let (profile, mut met) = (default(), ReachSet::default());
    for seed in 0..SEEDS {
        let scenario = fuzz::scenario(&profile, seed);
        met = met.union(run(Arc::new(scenario), seed, Options::default()).report.reach);
        if met.len() == COUNT {
            return;
        }
    }
    let never = Situation::all().filter(|situation| !met.contains(*situation));
    panic!("never met in {SEEDS} runs: {:?}", never.map(Situation::word).collect::<Vec<_>>());
}
