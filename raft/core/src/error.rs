//! What can go wrong, and what the caller can do about it.
//!
//! These are conditions of the outside: a request at the wrong replica, a message of the wrong kind, a
//! storage that cannot answer. What can only come from a bug in consensus itself panics instead, with
//! the numbers that prove it.

use raft_proto::eraftpb::MessageType;
use thiserror::Error;

use crate::configuration::ConfChangeError;

/// Why a call on a [`RawNode`](crate::RawNode) was refused. A refused call has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Only the leader takes proposals. Ask `leader`, if it is known.
    #[error("not the leader (leader: {})", match .leader { Some(id) => id.to_string(), None => "unknown".into() })]
    NotLeader {
        /// The leader of the current term, as far as this replica knows.
        leader: Option<u64>,
    },
    /// The leader hands over, and takes no proposals until it did or the hand-over timed out.
    #[error("handing over to {to}")]
    Transferring {
        /// The replica that is to lead.
        to: u64,
    },
    /// The leader was removed from its group and leads only until another one is elected.
    #[error("no longer a member of the group")]
    NotMember,
    /// The leader's uncommitted entries have reached
    /// [`max_uncommitted_size`](crate::Config::max_uncommitted_size). Try again later.
    #[error("too much is uncommitted")]
    TooMuchUncommitted,
    /// A membership change before the last one is applied. Try again later.
    #[error("the membership change at index {index} may not be applied yet")]
    ConfChangePending {
        /// Changes up to this index must be applied first.
        index: u64,
    },
    /// A membership change before the leader has committed an entry of its own term. Two leaders in
    /// turn could otherwise each start one from the same configuration, and so have disjoint majorities
    /// (Ongaro, raft-dev, 10 July 2015). Try again later.
    #[error("no entry of term {term} is committed yet")]
    TermNotCommitted {
        /// The current term.
        term: u64,
    },
    /// See [`ConfChangeError`].
    #[error(transparent)]
    ConfChange(#[from] ConfChangeError),
    /// To forget the leader would break the promise that its lease relies on.
    #[error("the leader may hold a lease")]
    Leased,
    /// Only a follower can ask for a snapshot.
    #[error("a leader has nobody to ask for a snapshot")]
    Leading,
    /// A snapshot can be requested once the log ends with an entry of the current leader and everything
    /// that was handed out is applied.
    #[error("the log does not end in the current term yet, or is not applied as handed out")]
    RequestTooEarly,
    /// A message that only a replica itself may make came from another one.
    #[error("{0:?} from another replica")]
    LocalMessage(MessageType),
    /// A message with a term is addressed to another replica.
    #[error("message for {to} stepped on {id}")]
    WrongReceiver {
        /// The receiver the message names.
        to: u64,
        /// This replica.
        id: u64,
    },
    /// A message lacks a part that its kind must have, or has one that says nothing.
    #[error("malformed {0:?}")]
    Malformed(MessageType),
    /// A kind of message that does not exist in this version.
    #[error("unknown message type {0}")]
    UnknownMessage(i32),
    /// See [`ConfigError`].
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// See [`StorageError`].
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A choice in a [`Config`](crate::Config) that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Id 0 stands for "nobody" on the wire.
    #[error("id must not be 0")]
    ZeroId,
    /// A leader without heartbeats cannot stay leader.
    #[error("heartbeat_ticks must not be 0")]
    ZeroHeartbeat,
    /// Followers would time out between two heartbeats.
    #[error("election_ticks ({election_ticks}) must be greater than heartbeat_ticks ({heartbeat_ticks})")]
    ElectionTooShort {
        /// As configured.
        election_ticks: u32,
        /// As configured.
        heartbeat_ticks: u32,
    },
    /// Nothing could ever be replicated.
    #[error("max_inflight_messages and max_inflight_bytes must not be 0")]
    ZeroInflight,
    /// Voters keep the promise that leases rely on only if `check_quorum` is set.
    #[error("lease reads need check_quorum")]
    LeaseWithoutCheckQuorum,
    /// The lease would be over when it begins.
    #[error(
        "a lease margin of {margin_ticks} leaves nothing of {election_ticks} election_ticks; at most election_ticks - 3 make sense"
    )]
    NoLeaseLeft {
        /// As configured.
        margin_ticks: u32,
        /// As configured.
        election_ticks: u32,
    },
}

/// Why a [`Storage`](crate::Storage) gave no answer, or none that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StorageError {
    /// The index was truncated away.
    #[error("log index {index} is truncated away (first index {first})")]
    Compacted {
        /// The index asked for.
        index: u64,
        /// The lowest index there is.
        first: u64,
    },
    /// The index is past the end.
    #[error("log index {index} is past the last index {last}")]
    Unavailable {
        /// The index asked for.
        index: u64,
        /// The highest index there is.
        last: u64,
    },
    /// What was read contradicts itself; the replica must not take part, because it may have forgotten
    /// promises it gave.
    #[error("inconsistent storage: {0}")]
    Corrupt(String),
    /// Any failure of the layer below.
    #[error("storage: {0}")]
    Other(String),
}
