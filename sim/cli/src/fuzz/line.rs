//! What is kept of a run: a line of `results.jsonl`.
//!
//! The fields: `seed`; `verdict` (`"clean"`, `"finding"`, `"unknown"`, `"diverged"`); for what is not clean `check` (the one that
//! did not hold), `message`, and `fingerprint` (16 hexadecimal digits, equal where the cause is taken for the same); `time_ns`
//! (virtual), `events`, `elections`, `ops`, `trace_hash` (16 hexadecimal digits; empty where two runs differed); `verified`, where
//! the run was done twice; `stalled`, why the core that was left was let off to come to rest, in a word; `withheld`, how many
//! steps the budget did not execute; `keys`, of how many keys of the clients' history it was decided by the order of the log,
//! of how many by search, and of how many not at all; `reach`, the
//! situations that it met, a bit for each of those in `campaign.json`, in hexadecimal.
//!
//! Nothing in a line depends on the machine, so two campaigns with the same settings have the same lines.

use raftsim_harness::fingerprint::Fingerprint;
use raftsim_harness::report::{Report, Verdict};
use raftsim_harness::run::verify::Divergence;
use raftsim_harness::scenario::{Check, names::Keyword};
use serde::{Deserialize, Serialize};

use super::reach;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Word {
    /// Every check held.
    Clean,
    /// One did not.
    Finding,
    /// One ran out of its budget.
    Unknown,
    /// The run was not the same twice.
    Diverged,
}

/// What stands for a check where two runs differed.
pub(crate) const DETERMINISM: &str = "determinism";

/// A run that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub seed: u64,
    pub verdict: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    pub time_ns: u64,
    pub events: u64,
    pub elections: u64,
    pub ops: u64,
    pub trace_hash: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub withheld: u64,
    #[serde(default)]
    pub keys: [u64; 3],
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reach: String,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Line {
    /// Of a run that came to its end.
    pub(crate) fn of_report(report: &Report) -> Line {
        let line = Line {
            time_ns: report.time.as_nanos(),
            events: report.events,
            elections: report.counters.elections,
            ops: report.counters.ops,
            trace_hash: format!("{:016x}", report.trace_hash),
            stalled: report.stalled.as_ref().map(|stall| stall.why.word().to_owned()),
            withheld: report.withheld,
            keys: [report.decided.by_order, report.decided.by_search, report.decided.unknown],
            reach: reach::of(report),
            ..Line::clean(report.seed)
        };
        match &report.verdict {
            Verdict::Clean => line,
            Verdict::Unknown(why) => Line { verdict: Word::Unknown, message: Some(why.clone()), ..line },
            Verdict::Finding(finding) => {
                line.with(Word::Finding, &finding.check.to_string(), &finding.message)
            }
        }
    }

    /// Of a run that was not the same twice.
    pub(crate) fn of_divergence(seed: u64, divergence: &Divergence) -> Line {
        let line = Line { events: divergence.event, time_ns: divergence.time.0, ..Line::clean(seed) };
        line.with(Word::Diverged, DETERMINISM, &divergence.to_string())
    }

    /// Of a panic outside of the run: when it was made, or when it was judged.
    pub(crate) fn of_panic(seed: u64, message: &str) -> Line {
        Line::clean(seed).with(Word::Finding, Check::Panic.word(), &format!("outside of the run: {message}"))
    }

    fn clean(seed: u64) -> Line {
        Line {
            seed,
            verdict: Word::Clean,
            check: None,
            message: None,
            fingerprint: None,
            time_ns: 0,
            events: 0,
            elections: 0,
            ops: 0,
            trace_hash: String::new(),
            verified: false,
            stalled: None,
            withheld: 0,
            keys: [0; 3],
            reach: String::new(),
        }
    }

    fn with(self, verdict: Word, check: &str, message: &str) -> Line {
        let fingerprint = Some(Fingerprint::new(check, message).to_string());
        let (check, message) = (Some(check.to_owned()), Some(message.to_owned()));
        Line { verdict, check, message, fingerprint, ..self }
    }

    /// Whether somebody has to look at it.
    pub(crate) fn is_finding(&self) -> bool {
        matches!(self.verdict, Word::Finding | Word::Diverged)
    }

    /// The check that did not hold.
    pub(crate) fn check(&self) -> &str {
        self.check.as_deref().unwrap_or_default()
    }

    /// What it said.
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// As it stands in the file, without the line's end.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts are JSON")
    }
}
