//! Every curated scenario, frozen where its steps end: its core comes to rest or is excused, and few are.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raftsim_harness::report::Verdict;
use raftsim_harness::run::{Options, run};
use raftsim_harness::scenario::{self, Ending};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
/// Each draws another core.
const SEEDS: u64 = 1;

/// Freezes the scenarios of one directory.
fn freeze_all(topic: &str) {
    let (mut wrong, mut stalled, mut runs) = (Vec::new(), 0, 0);
    for path in files(&Path::new(SCENARIOS).join(topic)) {
        let source = fs::read_to_string(&path).expect("a file of the repository");
        let name = path.strip_prefix(SCENARIOS).expect("it was found there").display().to_string();
        let Ok(mut scenario) = scenario::parse(&source) else { panic!("{name}: not a scenario") };
        scenario.ending = Ending::Freeze;
        let scenario = Arc::new(scenario);
        for seed in 0..SEEDS {
            let report = run(scenario.clone(), seed, Options::default()).report;
            runs += 1;
            if report.verdict != Verdict::Clean {
                println!("{name} with seed {seed}: {:?}", report.verdict);
                wrong.push(name.clone());
            }
            if let Some(stall) = report.stalled {
                println!("{name} with seed {seed}: {stall}");
                stalled += 1;
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    // A triage that excuses everything finds nothing.
    assert!(runs > 0 && stalled * 5 <= runs, "{stalled} of {runs} runs stalled");
}

macro_rules! topics {
    ($($test:ident $topic:literal,)*) => {
        $(#[test]
        fn $test() {
            freeze_all($topic);
        })*

        #[test]
        fn no_topic_is_left_out() {
            let entries = fs::read_dir(SCENARIOS).expect("a directory of the repository");
            let entries = entries.map(|entry| entry.expect("a directory of the repository"));
            let directories = entries.filter(|entry| entry.path().is_dir());
            let mut topics: Vec<_> =
                directories.map(|entry| entry.file_name().into_string().expect("a plain name")).collect();
            topics.sort();
            assert_eq!(topics, [$($topic),*]);
        }
    };
}

topics! {
    election "election",
    faults "faults",
    membership "membership",
    multiraft "multiraft",
    persistence "persistence",
    reads "reads",
    replication "replication",
    snapshot "snapshot",
    tinykv "tinykv",
}

/// The scenario files of a directory, in the order of their names.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory of the repository");
    let paths = entries.map(|entry| entry.expect("a directory of the repository").path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    files.sort();
    files
}
