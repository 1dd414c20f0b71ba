//! What a replica hands to its caller, and the small types that name its state.

use raft_proto::eraftpb::{Entry, HardState, Message, Snapshot};

use crate::reads::ReadState;

/// The identity of a log entry. By log matching (thesis 3.5), two logs that hold the same id hold the
/// same prefix.
///
/// The order is the one of votes (thesis 3.6.1): term first, then index. Of two logs, the one whose last
/// id is greater is more up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Term of the leader that made the entry.
    pub term: u64,
    /// Position in the log.
    pub index: u64,
}

/// What a replica is to its group at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Takes entries and votes from others.
    #[default]
    Follower,
    /// Asks whether it would be elected in the next term, without entering it (thesis 9.6).
    PreCandidate,
    /// Asks for votes in its term.
    Candidate,
    /// Decides the order of entries in its term.
    Leader,
}

/// State that is useful to know but need not survive a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoftState {
    /// The replica's own role.
    pub role: Role,
    /// The leader of the current term, once heard of.
    pub leader: Option<u64>,
}

/// One batch of work for the caller.
///
/// The caller
/// 1. sends `messages` whenever it likes,
/// 2. writes `hard_state`, `snapshot` and `entries` in one atomic batch, and syncs if `must_sync`,
/// 3. once that and all earlier batches are durable, calls
///    [`on_persisted`](crate::RawNode::on_persisted) and sends `persisted_messages`,
/// 4. replaces its state machine by `snapshot`, if there is one, and calls
///    [`on_applied`](crate::RawNode::on_applied) with its index; not durably before the batch is durable, and
///    after a crash in between before the next [`RawNode::new`](crate::RawNode::new),
/// 5. applies `committed_entries` and calls [`on_applied`](crate::RawNode::on_applied); for one that holds
///    a membership change, [`apply_conf_change`](crate::RawNode::apply_conf_change) before that,
/// 6. answers the reads in `read_states`, each when its index is applied.
///
/// Batches must be written in the order of their numbers, but the next may be taken before the last is
/// durable. Applying and persisting are independent of each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ready {
    /// 1 for the first batch of a [`RawNode`](crate::RawNode), then one more each.
    pub number: u64,
    /// Role and leader, when changed.
    pub soft_state: Option<SoftState>,
    /// Term, vote and commit, when changed since the last batch.
    pub hard_state: Option<HardState>,
    /// Replaces the log, the membership and the state machine. Entries of the same batch follow it.
    pub snapshot: Option<Snapshot>,
    /// To be appended to the durable log, replacing everything from the first one's index on.
    pub entries: Vec<Entry>,
    /// To be applied, in order. Each is committed, never to change, and durable here unless
    /// [`apply_unpersisted`](crate::Config::apply_unpersisted) is set. None follow a snapshot before it is
    /// applied.
    pub committed_entries: Vec<Entry>,
    /// What became of reads: see [`read_index`](crate::RawNode::read_index).
    pub read_states: Vec<ReadState>,
    /// A peer misses entries that are truncated away here. Make a snapshot of the state machine, at any
    /// applied index, and hand it to [`on_snapshot`](crate::RawNode::on_snapshot) when it is done, or call
    /// [`on_snapshot_failed`](crate::RawNode::on_snapshot_failed). Said once until one of them is called,
    /// and again in another leadership; what was begun before will do.
    pub wants_snapshot: bool,
    /// May be sent at once.
    pub messages: Vec<Message>,
    /// Must not be sent before this batch and all before it are durable: each of them makes a promise.
    pub persisted_messages: Vec<Message>,
    /// Whether the batch needs a sync: it has entries or a snapshot, or the term or vote changed. A changed commit
    /// alone may be lost in a crash without harm.
    pub must_sync: bool,
}
