//! Every curated scenario, frozen where its steps end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raftsim_harness::report::Verdict;
use raftsim_harness::run::{Options, run};
use raftsim_harness::scenario::{self, Ending};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
/// Each with another core. Five hundred were run when this was written.
const SEEDS: u64 = 1;

#[test]
fn every_scenario_ends_with_a_core_at_rest_or_excused() {
    let mut wrong = Vec::new();
    let mut stalls: BTreeMap<&str, u64> = BTreeMap::new();
    let mut runs = 0;
    for path in scenario_files(Path::new(SCENARIOS)) {
        let source = fs::read_to_string(&path).expect("a file of the repository");
        let name = path.strip_prefix(SCENARIOS).expect("it was found there").display().to_string();
        let Ok(mut scenario) = scenario::parse(&source) else { panic!("{name}: not a scenario") };
        scenario.ending = Ending::Freeze;
        let scenario = Arc::new(scenario);
        for seed in 0..SEEDS {
            let report = run(scenario.clone(), seed, Options::default()).report;
            runs += 1;
            if report.verdict != Verdict::Clean {
                wrong.push(format!("{name} with seed {seed}: {:?}", report.verdict));
            }
            if let Some(stall) = report.stalled {
                println!("{name} with seed {seed}: {stall}");
                *stalls.entry(stall.why.word()).or_default() += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{runs} runs, {stalls:?}");
    // A triage that excuses everything finds nothing.
    assert!(stalls.values().sum::<u64>() * 10 < runs, "{stalls:?} of {runs}");
}

/// Every scenario file below a directory, in the order of the paths.
fn scenario_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory of the repository");
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("a directory of the repository").path();
        if path.is_dir() {
            files.extend(scenario_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    files
}
