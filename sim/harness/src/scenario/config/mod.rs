//! The tables of configuration: what each field is, its default, and its key, bounds and meaning in a file.
//!
//! Reading, printing and the schema for editors follow from the list in [`fields`]. A new knob is a field, its default,
//! and a line there.

mod fields;
mod machines;
mod overrides;
mod raftstore;

pub(super) use fields::Section;
pub use machines::{ClocksConfig, DiskConfig, NetworkConfig, ProcessConfig};
pub use overrides::{Overrides, RaftOverrides, RaftstoreOverrides};
pub use raftstore::{PlacementConfig, RaftstoreConfig};

use super::ast::{Bytes, ReadIndexMode, ReadPath};
use raftsim_kernel::Duration;

/// `cluster`: the shape of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Number of stores, 1 to [`MAX_STORES`](super::ast::MAX_STORES); they are numbered from 1.
    pub stores: u64,
    /// The stores that vote at the start, none twice; `None`: every store that is no learner.
    pub voters: Option<Vec<u64>>,
    /// The stores that learn at the start, none twice and none a voter. Stores that do neither start empty.
    pub learners: Vec<u64>,
}

impl ClusterConfig {
    /// So many stores, all of them voters.
    #[must_use]
    pub const fn of(stores: u64) -> ClusterConfig {
        ClusterConfig { stores, voters: None, learners: Vec::new() }
    }

    /// The stores that vote at the start, ascending; never empty.
    #[must_use]
    pub fn initial_voters(&self) -> Vec<u64> {
        let votes = |store: &u64| match &self.voters {
            Some(voters) => voters.contains(store),
            None => !self.learners.contains(store),
        };
        (1..=self.stores).filter(votes).collect()
    }

    /// The stores that learn at the start, ascending.
    #[must_use]
    pub fn initial_learners(&self) -> Vec<u64> {
        (1..=self.stores).filter(|store| self.learners.contains(store)).collect()
    }
}

impl Default for ClusterConfig {
    fn default() -> ClusterConfig {
        ClusterConfig::of(3)
    }
}

/// `raft`: the knobs of consensus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftConfig {
    /// Virtual time between two ticks of a store; positive.
    pub tick: Duration,
    /// Ticks without a leader before a follower campaigns; the timeout is drawn from once to twice this.
    pub election_ticks: u32,
    /// Ticks between two heartbeats; positive and below `election_ticks`.
    pub heartbeat_ticks: u32,
    /// Appends that may be under way to one follower; positive.
    pub max_inflight: u32,
    /// Most bytes of entries in one append; positive.
    pub max_message_size: Bytes,
    /// Bytes of entries that may be under way to one follower; positive.
    pub max_inflight_size: Bytes,
    /// Most bytes of committed entries that are handed out to be applied at once; positive. One entry always is.
    pub max_committed_size: Bytes,
    /// Most bytes of a leader's own entries that are not committed yet; beyond, it refuses proposals. Positive.
    pub max_uncommitted_size: Bytes,
    /// Whether a candidate first asks whether it would be elected (thesis, section 9.6).
    pub pre_vote: bool,
    /// Whether a leader steps down that no quorum answers, and voters that hear from a leader refuse to elect another.
    pub check_quorum: bool,
    /// Whether a leader that a change has removed steps down.
    pub step_down_on_removal: bool,
    /// Each store's priority in elections, as many as stores; empty: all zero.
    pub priorities: Vec<i64>,
    /// How a read index is confirmed.
    pub read_index: ReadIndexMode,
    /// Ticks by which a lease ends early, for clocks that drift.
    pub lease_margin: u32,
    /// Whether committed entries are applied before this replica's own log is durable; bare Raft only.
    pub apply_unpersisted: bool,
    /// Whether a leader refuses a membership change while one is under way; bare Raft only.
    pub validate_conf_changes: bool,
}

impl RaftConfig {
    /// Ticks of an election timeout that no lease can use: one for the granularity of ticks at each end of it,
    /// and one that it is to last.
    pub const LEASE_OVERHEAD: u32 = 3;
}

impl Default for RaftConfig {
    fn default() -> RaftConfig {
        RaftConfig {
            tick: Duration::millis(100),
            election_ticks: 10,
            heartbeat_ticks: 2,
            max_inflight: 256,
            max_message_size: Bytes::mib(1),
            max_inflight_size: Bytes::UNBOUNDED,
            max_committed_size: Bytes::UNBOUNDED,
            max_uncommitted_size: Bytes::UNBOUNDED,
            pre_vote: false,
            check_quorum: false,
            step_down_on_removal: true,
            priorities: Vec::new(),
            read_index: ReadIndexMode::Safe,
            lease_margin: 2,
            apply_unpersisted: false,
            validate_conf_changes: true,
        }
    }
}

/// `bare`: the knobs of the bare-Raft system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BareConfig {
    /// Which way reads take.
    pub reads: ReadPath,
    /// Applied entries that a log keeps before the state machine is snapshotted and the log compacted; positive.
    pub log_limit: u64,
}

impl Default for BareConfig {
    fn default() -> BareConfig {
        BareConfig { reads: ReadPath::Log, log_limit: 10_000 }
    }
}

/// `client`: how clients behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// How long a client waits for a reply before it tries again; positive.
    pub timeout: Duration,
    /// How long it pauses before a retry.
    pub backoff: Duration,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig { timeout: Duration::secs(1), backoff: Duration::millis(20) }
    }
}

/// `limits`: a run that exceeds one is a finding of the check `limit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most events of a run; positive.
    pub events: u64,
    /// Most virtual time of a run; positive.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { events: 20_000_000, time: Duration::secs(3600) }
    }
}
