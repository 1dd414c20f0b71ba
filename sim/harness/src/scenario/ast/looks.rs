//! What a step looks at: the conditions of `wait`, the expectations of `expect`.

use super::{Check, Gauge, Members, Role, Target};

/// What `wait` waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `"leader"`: a store leads.
    Leader(Leader),
    /// `"no-leader"`: no running store believes that it leads.
    NoLeader,
    /// `"acked"`: every operation so far is answered.
    Acked {
        /// Only those of this client.
        client: Option<u32>,
    },
    /// `"load"`: all background load is done.
    Load,
    /// `"applied"`: every running member of the group has applied all that is committed.
    Applied,
    /// `"replicas-equal"`: every running member of the group holds the same data.
    ReplicasEqual,
    /// `"term"`, `"commit"`, `"applied-index"`, `"last-index"`, `"truncated"`: the number reaches a value.
    Reaches {
        /// Which number.
        gauge: Gauge,
        /// Whose: every one's of several; where empty, the highest of any running store.
        on: Vec<Target>,
        /// The value to reach or pass.
        value: u64,
    },
    /// `"role"`: stores have a role.
    Role {
        /// Which; every one of several. Not empty.
        on: Vec<Target>,
        /// Their role.
        is: Role,
    },
    /// `"dropped"`: a filter has acted on this many messages.
    Acted {
        /// The filter's name.
        filter: String,
        /// How many messages; positive.
        count: u64,
    },
    /// `"members"`: replicas have applied a configuration.
    Members(Members),
    /// `"log-truncated"`: the leader's log starts after the last entry of a store, which only a snapshot can help.
    LogTruncated {
        /// Which store; singular.
        past: Target,
    },
    /// `"snapshot-applied"`: stores' replicas have restored so many snapshots since their stores started.
    SnapshotApplied {
        /// Which; every one of several. Not empty.
        on: Vec<Target>,
        /// How many; positive.
        count: u64,
    },
}

/// Which leader is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leader {
    /// It must be one of these; any where empty.
    pub on: Vec<Target>,
    /// It must be none of these.
    pub not: Vec<Target>,
}

/// What `expect` asserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// `"leader"`: a store leads.
    Leader(Leader),
    /// `"no-leader"`: no running store believes that it leads.
    NoLeader,
    /// `"replicas-equal"`: every running member of the group holds the same data.
    ReplicasEqual,
    /// `"acked"`: every operation so far is answered.
    Acked {
        /// Only those of this client.
        client: Option<u32>,
    },
    /// `"unacked"`: an operation is still unanswered.
    Unacked {
        /// One of this client.
        client: Option<u32>,
    },
    /// `"value"`: what the committed commands make of a key.
    Value {
        /// The key.
        key: String,
        /// Its value.
        answer: Answer,
    },
    /// `"term"`, `"commit"`, `"applied-index"`, `"last-index"`, `"truncated"`: a number compares to a value.
    Gauge {
        /// Which number.
        gauge: Gauge,
        /// Whose: every one's of several; where empty, the highest of any running store.
        on: Vec<Target>,
        /// How it compares.
        compares: Compares,
    },
    /// `"role"`: stores have a role.
    Role {
        /// Which; every one of several. Not empty.
        on: Vec<Target>,
        /// Their role.
        is: Role,
    },
    /// `"members"`: replicas have applied a configuration.
    Members(Members),
    /// `"violation"`: the run violates this check, in a step before or in the closing checks. Last step only.
    Violation {
        /// The check.
        of: Check,
    },
}

/// How a number compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compares {
    /// `is = N`
    Is(u64),
    /// `reaches = N`: at least.
    Reaches(u64),
    /// `below = N`: less.
    Below(u64),
}

/// What a read finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `is = "..."`
    Is(String),
    /// `absent = true`
    Absent,
}
