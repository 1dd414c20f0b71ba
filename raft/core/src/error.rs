//! What can go wrong, and what the caller can do about it.
//!
//! These are conditions of the outside: a request at the wrong replica, a message of the wrong kind, a
//! storage that cannot answer. What can only come from a bug in consensus itself panics instead, with
//! the numbers that prove it.

use raft_proto::eraftpb::MessageType;
use thiserror::Error;

/// Why a call on a [`RawNode`](crate::RawNode) was refused. A refused call has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Only the leader takes proposals. Ask `leader`, if it is known.
    #[error("not the leader (leader: {})", match .leader { Some(id) => id.to_string(), None => "unknown".into() })]
    NotLeader {
        /// The leader of the current term, as far as this replica knows.
        leader: Option<u64>,
    },
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
    /// A known kind of message that this replica has no use for.
    #[error("{0:?} is not supported")]
    Unsupported(MessageType),
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
    #[error("max_inflight_messages must not be 0")]
    ZeroInflight,
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
