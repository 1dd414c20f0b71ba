//! What a step looks at: the conditions of `wait`, the expectations of `expect`.
//!
//! What concerns one region has a field `of`: a key that it holds as of now, by the highest epoch that a running store
//! knows. `None` is the first region, the one that holds the first key. On bare Raft it is always `None`.

use super::{Check, FaultKind, Gauge, Members, RecordKind, Role, Target};

/// What `wait` waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `"leader"`: a store leads.
    Leader(Leader),
    /// `"no-leader"`: no running store believes that it leads.
    NoLeader {
        /// A key of the region.
        of: Option<String>,
    },
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
    /// `"term"`, `"commit"` and the other [gauges](Gauge): the number reaches a value.
    Reaches {
        /// Which number.
        gauge: Gauge,
        /// A key of the region.
        of: Option<String>,
        /// Whose: every one's of several; where empty, the highest of any running store.
        on: Vec<Target>,
        /// The value to reach or pass.
        value: u64,
    },
    /// `"role"`: stores have a role.
    Role {
        /// A key of the region.
        of: Option<String>,
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
        /// A key of the region.
        of: Option<String>,
        /// Which store; singular.
        past: Target,
    },
    /// `"snapshot-applied"`: stores' replicas have restored so many snapshots since their stores started.
    SnapshotApplied {
        /// A key of the region.
        of: Option<String>,
        /// Which; every one of several. Not empty.
        on: Vec<Target>,
        /// How many; positive.
        count: u64,
    },
    /// `"regions"`: so many regions have a leader.
    Regions {
        /// How their number compares.
        compares: Compares,
    },
    /// `"region"`: what replicas know of their region.
    Region(Region),
    /// `"replica"` and `"no-replica"`: whether stores have a replica of a region.
    Replica {
        /// A key of the region.
        of: Option<String>,
        /// Which stores; every one of several. Not empty.
        on: Vec<Target>,
        /// Whether they have one that is initialised. If not, they have none at all, nor data in its range that is no
        /// other replica's.
        present: bool,
    },
    /// `"stopped"`: stores run and refuse to serve, since their disks failed them.
    Stopped {
        /// Which; every one of several. Not empty.
        on: Vec<Target>,
    },
    /// `"wrote"`: a store has written so many records of a kind since the step began. The step after it runs before any
    /// other event.
    Wrote {
        /// A key of the region whose records count; every one counts where `None`.
        of: Option<String>,
        /// Which store; singular.
        on: Target,
        /// The kind of record.
        what: RecordKind,
        /// How many; positive.
        count: u64,
        /// Whether they must be durable too.
        durable: bool,
    },
}

/// Which leader is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leader {
    /// A key of the region.
    pub of: Option<String>,
    /// It must be one of these; any where empty.
    pub on: Vec<Target>,
    /// It must be none of these.
    pub not: Vec<Target>,
}

/// What replicas know of their region; at least one of the last four is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// A key of the region.
    pub of: Option<String>,
    /// Whose view: every one's of several; the leader's where empty.
    pub on: Vec<Target>,
    /// How often its members have changed, as its epoch counts.
    pub conf_ver: Option<u64>,
    /// How often its range has changed, as its epoch counts.
    pub version: Option<u64>,
    /// Its first key; empty: it has no lower bound.
    pub start: Option<String>,
    /// The key before which it ends; empty: it has no upper bound.
    pub end: Option<String>,
}

/// What `expect` asserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// `"leader"`: a store leads.
    Leader(Leader),
    /// `"no-leader"`: no running store believes that it leads.
    NoLeader {
        /// A key of the region.
        of: Option<String>,
    },
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
    /// `"term"`, `"commit"` and the other [gauges](Gauge): a number compares to a value.
    Gauge {
        /// Which number.
        gauge: Gauge,
        /// A key of the region.
        of: Option<String>,
        /// Whose: every one's of several; where empty, the highest of any running store.
        on: Vec<Target>,
        /// How it compares.
        compares: Compares,
    },
    /// `"role"`: stores have a role.
    Role {
        /// A key of the region.
        of: Option<String>,
        /// Which; every one of several. Not empty.
        on: Vec<Target>,
        /// Their role.
        is: Role,
    },
    /// `"members"`: replicas have applied a configuration.
    Members(Members),
    /// `"regions"`: so many regions have a leader.
    Regions {
        /// How their number compares.
        compares: Compares,
    },
    /// `"region"`: what replicas know of their region.
    Region(Region),
    /// `"replica"` and `"no-replica"`: whether stores have a replica of a region.
    Replica {
        /// A key of the region.
        of: Option<String>,
        /// Which stores; every one of several. Not empty.
        on: Vec<Target>,
        /// Whether they have one that is initialised. If not, they have none at all, nor data in its range that is no
        /// other replica's.
        present: bool,
    },
    /// `"stopped"`: stores run and refuse to serve, since their disks failed them.
    Stopped {
        /// Which; every one of several. Not empty.
        on: Vec<Target>,
    },
    /// `"faults"`: faults of a kind that have happened so far.
    Faults {
        /// The kind.
        of: FaultKind,
        /// How their number compares.
        compares: Compares,
    },
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
