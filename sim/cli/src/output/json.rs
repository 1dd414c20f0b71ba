//! JSON Lines for programs: an object for each run, in the order of files and seeds, and a summary at the end.
//!
//! Every object has `"schema": 1`; the number grows when a field changes its meaning or goes away, not when one is
//! added. Nothing here depends on the machine or the number of jobs.
//!
//! A run: `type` (`"run"`), `file`, `seed`, `verdict` (`"clean"`, `"finding"`, `"unknown"` or `"diverged"`), `check`
//! (the check that did not hold, or null), `message` (or null), `line` (of the step that was being executed, or
//! null), `store`, `region` (where it showed, or null), `time_ns` (virtual), `events`, `elections`, `ops`,
//! `trace_hash` (16 hexadecimal digits, or null where two runs differed), `replay` (arguments that repeat the run).
//!
//! The summary: `type` (`"summary"`), `scenarios`, `runs`, `clean`, `findings`, `unknown`, `diverged`, `time_ns`,
//! `events`.

use std::io::{self, Write};

use raftsim_harness::report::{Finding, Report, Verdict};
use serde_json::{Value, json};

use super::{Output, Totals};
use crate::files::File;
use crate::run::Outcome;

const SCHEMA: u32 = 1;

/// Prints for programs.
pub(crate) struct Json<'a> {
    out: &'a mut dyn Write,
    files: &'a [File],
}

impl<'a> Json<'a> {
    /// Prints to `out`.
    pub(crate) fn new(out: &'a mut dyn Write, files: &'a [File]) -> Json<'a> {
        Json { out, files }
    }
}

impl Output for Json<'_> {
    fn begin(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn prints_each_run(&self) -> bool {
        true
    }

    fn outcome(&mut self, file: usize, outcome: Outcome, _last: bool) -> io::Result<()> {
        writeln!(self.out, "{}", run(&self.files[file], &outcome))?;
        self.out.flush()
    }

    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        let summary = json!({
            "schema": SCHEMA,
            "type": "summary",
            "scenarios": totals.scenarios,
            "runs": totals.runs,
            "clean": totals.runs - totals.findings - totals.unknown - totals.diverged,
            "findings": totals.findings,
            "unknown": totals.unknown,
            "diverged": totals.diverged,
            "time_ns": totals.time_ns,
            "events": totals.events,
        });
        writeln!(self.out, "{summary}")
    }
}

fn run(file: &File, outcome: &Outcome) -> Value {
    let (verdict, message, finding) = match &outcome.result {
        Err(divergence) => ("diverged", Some(divergence.to_string()), None),
        Ok(Report { verdict: Verdict::Clean, .. }) => ("clean", None, None),
        Ok(Report { verdict: Verdict::Unknown(why), .. }) => ("unknown", Some(why.clone()), None),
        Ok(Report { verdict: Verdict::Finding(finding), .. }) => {
            ("finding", Some(finding.message.clone()), Some(finding))
        }
    };
    let report = outcome.result.as_ref().ok();
    let line = finding.and_then(|finding| (finding.line > 0).then_some(finding.line));
    json!({
        "schema": SCHEMA,
        "type": "run",
        "file": file.name,
        "seed": outcome.seed,
        "verdict": verdict,
        "check": finding.map(|finding: &Finding| finding.check.to_string()),
        "message": message,
        "line": line,
        "store": finding.and_then(|finding| finding.store),
        "region": finding.and_then(|finding| finding.region),
        "time_ns": report.map(|report| report.time.as_nanos()),
        "events": report.map(|report| report.events),
        "elections": report.map(|report| report.counters.elections),
        "ops": report.map(|report| report.counters.ops),
        "trace_hash": report.map(|report| format!("{:016x}", report.trace_hash)),
        "replay": replay(file, outcome),
    })
}

/// Arguments that repeat the run; for one that differed, both times.
fn replay(file: &File, outcome: &Outcome) -> Vec<String> {
    let mut arguments = ["run", &file.name, "--seed", &outcome.seed.to_string()].map(str::to_owned).to_vec();
    if outcome.result.is_err() {
        arguments.push("--verify".to_owned());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use raftsim_harness::run::verify::Divergence;
    use raftsim_harness::scenario;
    use raftsim_kernel::Time;

    #[test]
    fn a_divergence_is_replayed_by_verifying() {
        let source = "about = \"x\"\nsteps = [{ wait = \"leader\" }]".to_owned();
        let scenario = Arc::new(scenario::parse(&source).expect("a scenario"));
        let file = File { name: "a b.toml".to_owned(), source, scenario };
        let divergence =
            Divergence { event: 5, time: Time(7), first: "timer".into(), second: "nothing".into() };
        let run = run(&file, &Outcome { seed: 17, result: Err(divergence) });
        assert_eq!(run["verdict"], "diverged");
        assert_eq!(run["replay"], json!(["run", "a b.toml", "--seed", "17", "--verify"]));
    }
}
