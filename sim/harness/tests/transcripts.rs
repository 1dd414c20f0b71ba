//! The story of every curated scenario as a person reads it, accepted in `snapshots/`: a change of behaviour shows as
//! a change of a story. Each run is the file's own seed, must be clean, and ends its transcript with its numbers.

use std::path::Path;
use std::sync::Arc;

use raftsim_harness::record::Detail;
use raftsim_harness::report::Verdict;
use raftsim_harness::run::{Finished, Options, run};
use raftsim_harness::{scenario, transcript};

#[test]
fn every_scenario_tells_its_story() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::glob!("../../../scenarios", "**/*.toml", |path| {
            insta::assert_snapshot!("story", told(path));
        });
    });
}

fn told(path: &Path) -> String {
    let source = std::fs::read_to_string(path).expect("a file of the repository");
    let name = path.display().to_string();
    let scenario = scenario::parse(&source)
        .unwrap_or_else(|errors| panic!("{}", scenario::render(&errors, &name, &source, false)));
    let (about, seed) = (scenario.about.clone(), scenario.seed);
    let options = Options { record: Some(Detail::Story), ..Options::default() };
    let Finished { report, record, .. } = run(Arc::new(scenario), seed, options);
    let story = transcript::story(&record.expect("a record was asked for"));
    assert_eq!(report.verdict, Verdict::Clean, "{name}\n{story}");
    format!(
        "{about}\n\n{story}\nclean after {}, {} events, trace {:016x}",
        report.time, report.events, report.trace_hash
    )
}
