//! A replica as a run sees it.

use ::raft::RawNode;

use crate::check::{ReplicaState, Role};

/// A replica as a run sees it after an event.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaView<'a> {
    /// The group that it is a member of.
    pub region: u64,
    /// Its id, by which Raft messages name it.
    pub id: u64,
    /// What it is and how far it came.
    pub state: ReplicaState,
    /// The term of the entry at `state.truncated`.
    pub truncated_term: u64,
    /// The membership that it has applied.
    pub members: Members<'a>,
    /// How many snapshots it has restored since its store booted. It grows in the event in which the log's start moves to
    /// the snapshot's end: by that a snapshot is told from compaction.
    pub snapshots: u64,
    /// The keys that the group holds, as this replica knows it.
    pub range: RegionRange<'a>,
}

/// The keys of a group and the version of what is known of it, as of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionRange<'a> {
    /// The first key.
    pub start: &'a [u8],
    /// The key after the last; empty: there is no last.
    pub end: &'a [u8],
    /// Grows with each change of membership.
    pub conf_ver: u64,
    /// Grows with each change of the range.
    pub version: u64,
    /// The replica has the group's data. One that was made by a message has none before its first snapshot.
    pub initialized: bool,
    /// The replica is moving a snapshot into its database, and the data in its range is not whole.
    pub applying: bool,
}

impl RegionRange<'_> {
    /// Of a system with a single group: every key, and no versions.
    #[must_use]
    pub const fn whole() -> RegionRange<'static> {
        RegionRange { start: &[], end: &[], conf_ver: 0, version: 0, initialized: true, applying: false }
    }

    /// Whether a key is in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start <= key && (self.end.is_empty() || key < self.end)
    }

    /// Whether there is data to be seen in it.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.initialized && !self.applying
    }
}

/// A membership, by the ids of replicas, ascending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Members<'a> {
    /// The voters; of a joint configuration the incoming ones.
    pub voters: &'a [u64],
    /// The outgoing voters of a joint configuration; empty unless there is one.
    pub outgoing: &'a [u64],
    /// Those that only learn.
    pub learners: &'a [u64],
    /// Whether the leader leaves the joint configuration by itself; false unless there is one.
    pub auto_leave: bool,
}

impl Members<'_> {
    /// Whether this is a joint configuration.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether a replica has a part in it.
    #[must_use]
    pub fn contains(&self, replica: u64) -> bool {
        [self.voters, self.outgoing, self.learners].iter().any(|part| part.contains(&replica))
    }
}

/// A replica of the crate `raft`, seen.
#[inline]
pub(super) fn view<'a>(
    region: u64,
    raw: &'a RawNode,
    snapshots: u64,
    range: RegionRange<'a>,
) -> ReplicaView<'a> {
    let truncated = raw.truncated();
    let state = ReplicaState {
        term: raw.term(),
        vote: raw.vote().unwrap_or(0),
        role: match raw.role() {
            ::raft::Role::Follower => Role::Follower,
            ::raft::Role::PreCandidate => Role::PreCandidate,
            ::raft::Role::Candidate => Role::Candidate,
            ::raft::Role::Leader => Role::Leader,
        },
        leader: raw.leader().unwrap_or(0),
        commit: raw.commit(),
        applied: raw.applied(),
        truncated: truncated.index,
        last: raw.last().index,
    };
    let configuration = raw.configuration();
    let members = Members {
        voters: configuration.voters(),
        outgoing: configuration.outgoing(),
        learners: configuration.learners(),
        auto_leave: configuration.auto_leave(),
    };
    ReplicaView { region, id: raw.id(), state, truncated_term: truncated.term, members, snapshots, range }
}

/// What a leader of the crate `raft` believes of its members: replica, matched, next.
pub(super) fn progress(raw: &RawNode) -> impl Iterator<Item = (u64, u64, u64)> {
    raw.progresses().map(|(id, progress)| (id, progress.matched(), progress.next()))
}

/// Bytes of the data of a log's entries. Looks at all of them.
pub(super) fn log_size(raw: &RawNode) -> u64 {
    let entries = (raw.first_index()..=raw.last().index).filter_map(|index| raw.entry(index));
    entries.map(|entry| entry.data.len() as u64).sum()
}
