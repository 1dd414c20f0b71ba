//! What a run amounts to.

use raftsim_kernel::{Duration, Time};

use crate::check::Violation;
use crate::linearizability::Decided;
use crate::reach::ReachSet;
use crate::scenario::ast::Check;
use crate::watch::Counters;

/// What must not be, with the place in the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub check: Check,
    /// When.
    pub time: Time,
    /// The store where it showed.
    pub store: Option<u64>,
    /// The region.
    pub region: Option<u64>,
    /// What was seen, and why it must not be. May have several lines.
    pub message: String,
    /// The line of the scenario file whose step was being executed; 0 for none.
    pub line: u32,
}

impl Finding {
    pub(crate) fn from_violation(violation: Violation, line: u32) -> Finding {
        let Violation { check, time, store, region, message } = violation;
        Finding { check, time, store, region, message, line }
    }
}

/// The verdict on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every check held; or the expected violation was seen.
    Clean,
    /// A check did not hold.
    Finding(Finding),
    /// A check ran out of its budget: neither a pass nor a failure.
    Unknown(String),
}

/// A store and its replica of one region as a report shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSummary {
    /// The store.
    pub store: u64,
    /// Whether it runs.
    pub up: bool,
    /// `None` where it is down, did not open, or has no replica.
    pub state: Option<crate::check::ReplicaState>,
    /// The store whose replica it voted for in its term.
    pub vote: Option<u64>,
    /// Why it serves nothing, where that is so.
    pub failure: Option<String>,
}

/// Everything worth telling about a run that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed it ran with.
    pub seed: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// How much virtual time passed.
    pub time: Duration,
    /// How many events were handled.
    pub events: u64,
    /// Elections, operations.
    pub counters: Counters,
    /// The hash over every event.
    pub trace_hash: u64,
    /// The situations that it came into.
    pub reach: ReachSet,
    /// How many steps the budget withheld, so that the cluster could survive the others.
    pub withheld: u64,
    /// Why the core that was left may stand still, where it does.
    pub stalled: Option<crate::run::Stall>,
    /// How many regions the running stores have replicas of.
    pub regions: usize,
    /// The region that the stores are shown with: that of the finding, or else the first.
    pub region: u64,
    /// How it was decided that the clients' history is linearizable: keys by tier. None where it was not looked at.
    pub decided: Decided,
    /// The stores at the end.
    pub stores: Vec<StoreSummary>,
}
