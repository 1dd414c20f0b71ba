//! The trace hash of every curated scenario with three seeds, as kept in `golden.txt`: the same run gives the same
//! events, in the same order, in debug and release builds and on every machine. And all of them are clean.
//!
//! A change of what the code does changes hashes, and that is fine. A hash that changes although nothing of the kind
//! was meant, or in one kind of build only, is a leak of something into the run that no seed decides.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raftsim_harness::report::Verdict;
use raftsim_harness::run::{Options, run};
use raftsim_harness::scenario;

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt");
/// Where the hashes go that should be accepted.
const SEEN: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/golden.txt");
const SEEDS: u64 = 3;

#[test]
fn runs_are_the_same_everywhere() {
    let golden = fs::read_to_string(GOLDEN).unwrap_or_default();
    let seen = hashes();
    if seen == golden {
        return;
    }
    fs::write(SEEN, &seen).expect("the target directory can be written");
    let only = |of: &str, not: &str, mark: char| -> String {
        let known: Vec<&str> = not.lines().collect();
        of.lines().filter(|line| !known.contains(line)).map(|line| format!("{mark} {line}\n")).collect()
    };
    panic!(
        "runs differ from the golden ones:\n{}{}if that is what the change was meant to do: cp {SEEN} {GOLDEN}",
        only(&golden, &seen, '-'),
        only(&seen, &golden, '+'),
    );
}

/// A line for each scenario and seed: path, seed, hash.
fn hashes() -> String {
    let mut text = String::new();
    for path in scenario_files(Path::new(SCENARIOS)) {
        let source = fs::read_to_string(&path).expect("a file of the repository");
        let name = path.strip_prefix(SCENARIOS).expect("it was found there").with_extension("");
        let scenario = scenario::parse(&source).unwrap_or_else(|errors| {
            panic!("{}", scenario::render(&errors, &name.display().to_string(), &source, false))
        });
        let scenario = Arc::new(scenario);
        for seed in 0..SEEDS {
            let report = run(scenario.clone(), seed, Options::default()).report;
            assert_eq!(report.verdict, Verdict::Clean, "{} with seed {seed}", name.display());
            writeln!(text, "{} {seed} {:016x}", name.display(), report.trace_hash)
                .expect("a string takes everything");
        }
    }
    text
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
