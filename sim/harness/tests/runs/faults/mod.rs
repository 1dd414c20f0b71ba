//! Each fault does what it says, in the harness: told by scenarios of a few lines.

mod budget;
mod disks;
mod links;
mod machines;

use std::sync::Arc;

use raftsim_harness::record::Detail;
use raftsim_harness::report::{Report, Verdict};
use raftsim_harness::run::{Options, Run};
use raftsim_harness::scenario::{self, Check, Scenario};
use raftsim_harness::system::System;
use raftsim_harness::system::bare::BareRaft;
use raftsim_harness::system::raftstore::Raftstore;
use raftsim_harness::transcript;

/// A scenario with these steps, for a cluster of three.
#[track_caller]
fn scenario(settings: &str, steps: &str) -> Arc<Scenario> {
    let text = format!("about = \"a test\"\n{settings}\nsteps = [\n{steps}\n]");
    let parsed = scenario::parse(&text);
    Arc::new(parsed.unwrap_or_else(|errors| {
        panic!("{}", scenario::render(&errors, "test.toml", &text, false));
    }))
}

#[track_caller]
fn start(settings: &str, steps: &str) -> Run<Raftstore> {
    Run::new(scenario(settings, steps), 1, Options::default())
}

#[track_caller]
fn start_bare(settings: &str, steps: &str) -> Run<BareRaft> {
    Run::new(scenario(&format!("system = \"raft\"\n{settings}"), steps), 1, Options::default())
}

/// Runs the steps so far: up to the first event after the last one.
fn until_done<S: System>(run: &mut Run<S>) {
    while run.verdict().is_none() {
        run.advance();
    }
}

#[track_caller]
fn clean(report: Report) -> Report {
    assert_eq!(report.verdict, Verdict::Clean);
    report
}

#[track_caller]
fn fails(report: &Report, check: Check, words: &str) {
    let Verdict::Finding(finding) = &report.verdict else { panic!("{:?}", report.verdict) };
    assert_eq!(finding.check, check, "{}", finding.message);
    assert!(finding.message.contains(words), "{}", finding.message);
}

/// The story of a run that must be clean.
#[track_caller]
fn story(settings: &str, steps: &str) -> String {
    let options = Options { record: Some(Detail::Story), ..Options::default() };
    let run = Run::<Raftstore>::new(scenario(settings, steps), 1, options);
    let finished = run.into_finished();
    clean(finished.report);
    transcript::story(&finished.record.expect("one was asked for"))
}

/// How often a story says something.
fn count(story: &str, words: &str) -> usize {
    story.matches(words).count()
}
