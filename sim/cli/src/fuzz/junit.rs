//! `junit.xml`, which CI engines show: a case for each check, failed once for each kind of finding.
//!
//! A case for each run would be a file of hundreds of megabytes that says the same.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use raftsim_harness::scenario::{Check, names::Keyword};

use super::findings::Group;
use super::line::DETERMINISM;
use super::summary::{Summary, listed, runs_of};

/// The file's text.
pub(crate) fn text(summary: &Summary) -> String {
    let settings = &summary.settings;
    let mut suite = TestSuite::new(format!("raftsim {}", settings.name()));
    suite.add_property(("version", settings.version.as_str()));
    suite.add_property(("commit", settings.commit.as_str()));
    suite.add_property(("runs", summary.runs.to_string().as_str()));
    suite.add_property(("events", summary.events.to_string().as_str()));
    let groups = summary.groups.sorted();
    for check in Check::ALL.iter().map(|check| check.word()).chain([DETERMINISM]) {
        let failed = groups.iter().filter(|group| group.check == check);
        let cases: Vec<TestCase> = failed.map(|group| failure(summary, group)).collect();
        if cases.is_empty() {
            suite.add_test_case(case(check, TestCaseStatus::success()));
        }
        suite.add_test_cases(cases);
    }
    suite.add_test_case(case("within-budget", budget(summary)));
    let mut report = Report::new("raftsim fuzz");
    report.add_test_suite(suite);
    report.to_string().unwrap_or_else(|error| format!("<!-- {error} -->\n"))
}

fn case(name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname("raftsim");
    case
}

fn failure(summary: &Summary, group: &Group) -> TestCase {
    let first = group.first();
    let kind = if group.check == DETERMINISM { NonSuccessKind::Error } else { NonSuccessKind::Failure };
    let mut status = TestCaseStatus::non_success(kind);
    let seeds = listed(group.lines.iter().map(|line| line.seed));
    status
        .set_type(group.check.as_str())
        .set_message(first.message().lines().next().unwrap_or_default())
        .set_description(format!(
            "{}\n\n{}, seeds {seeds}\nreplay: {}\n",
            first.message(),
            runs_of(group.lines.len() as u64),
            summary.replay(first)
        ));
    case(&format!("{} {}", group.check, group.fingerprint), status)
}

/// What is unknown is no pass.
fn budget(summary: &Summary) -> TestCaseStatus {
    if summary.unknown.is_empty() {
        return TestCaseStatus::success();
    }
    let mut status = TestCaseStatus::skipped();
    let runs = runs_of(summary.unknown.len() as u64);
    status.set_message(format!("{runs} undecided: seeds {}", listed(summary.unknown.iter().copied())));
    status
}
