//! What travels on the simulated network: messages between stores, requests and replies of clients, and what stores and
//! the placement driver have to say to each other.

use raft_proto::eraftpb::{self, MessageType};
use raftsim_kernel::{Kind, Message, TraceHasher};
use twox_hash::XxHash3_64;

use crate::scenario::ast::MessageKind;
use crate::system::{Payload, PeerMessage, Placement, Session, System};

/// A message of the cluster. Boxed, because the event queue moves it about.
#[derive(Clone, Debug)]
pub enum Wire<S: System> {
    /// Between stores.
    Peer(Box<S::Message>),
    /// From a client to a store.
    Request {
        /// The client's number for it; the reply carries it back.
        id: u64,
        /// The command.
        request: Box<<S::Session as Session>::Request>,
    },
    /// From a store to a client.
    Reply {
        /// The request's number.
        id: u64,
        /// The answer.
        reply: Box<<S::Session as Session>::Reply>,
    },
    /// From a store to the placement driver.
    ToPlacement(Box<<S::Placement as Placement>::Request>),
    /// From the placement driver to a store.
    FromPlacement(Box<<S::Placement as Placement>::Response>),
}

/// A part of a snapshot beyond the first; the first has the kind of the Raft message that it carries.
pub(crate) const SNAPSHOT_CHUNK: Kind = Kind::new(40);
/// What a receiver of a snapshot answers.
pub(crate) const SNAPSHOT_ACK: Kind = Kind::new(41);
/// A replica is told that it is no longer wanted.
pub(crate) const TOMBSTONE: Kind = Kind::new(42);
const PLACEMENT: Kind = Kind::new(60);
const REQUEST: Kind = Kind::new(62);
const REPLY: Kind = Kind::new(63);

/// The kernel's bits for the kinds that a scenario names.
#[must_use]
pub fn kind_bits(kind: MessageKind) -> u64 {
    let raft = |kind: MessageType| 1u64 << (kind as u32);
    match kind {
        MessageKind::Append => raft(MessageType::MsgAppend),
        MessageKind::AppendResponse => raft(MessageType::MsgAppendResponse),
        MessageKind::Vote => raft(MessageType::MsgRequestVote) | raft(MessageType::MsgRequestPreVote),
        MessageKind::VoteResponse => {
            raft(MessageType::MsgRequestVoteResponse) | raft(MessageType::MsgRequestPreVoteResponse)
        }
        MessageKind::PreVote => raft(MessageType::MsgRequestPreVote),
        MessageKind::PreVoteResponse => raft(MessageType::MsgRequestPreVoteResponse),
        MessageKind::Snapshot => raft(MessageType::MsgSnapshot),
        MessageKind::SnapshotRequest => raft(MessageType::MsgRequestSnapshot),
        MessageKind::TimeoutNow => raft(MessageType::MsgTimeoutNow),
        MessageKind::Transfer => raft(MessageType::MsgTransferLeader),
        MessageKind::ReadIndex => raft(MessageType::MsgReadIndex),
        MessageKind::ReadIndexResponse => raft(MessageType::MsgReadIndexResponse),
        MessageKind::Heartbeat => raft(MessageType::MsgHeartbeat),
        MessageKind::HeartbeatResponse => raft(MessageType::MsgHeartbeatResponse),
        MessageKind::SnapshotChunk => SNAPSHOT_CHUNK.bit(),
        MessageKind::SnapshotAck => SNAPSHOT_ACK.bit(),
        MessageKind::Tombstone => TOMBSTONE.bit(),
        MessageKind::Placement => PLACEMENT.bit(),
        MessageKind::Request => REQUEST.bit(),
        MessageKind::Reply => REPLY.bit(),
        MessageKind::Any => u64::MAX,
    }
}

/// Requests, as a bit for filters: a client's connection delivers a request at most once, so filters and
/// links that make copies leave them alone.
pub const REQUEST_BIT: u64 = REQUEST.bit();

impl<S: System> Message for Wire<S> {
    fn kind(&self) -> Kind {
        match self {
            Wire::Peer(message) => message.kind(),
            Wire::Request { .. } => REQUEST,
            Wire::Reply { .. } => REPLY,
            Wire::ToPlacement(_) | Wire::FromPlacement(_) => PLACEMENT,
        }
    }

    /// The region of a message between stores. What clients and the placement driver say is of none.
    fn group(&self) -> u64 {
        match self {
            Wire::Peer(message) => message.region(),
            _ => 0,
        }
    }

    fn digest(&self, hash: &mut TraceHasher) {
        match self {
            Wire::Peer(message) => message.digest(hash),
            Wire::Request { id, request } => {
                hash.word(*id);
                request.digest(hash);
            }
            Wire::Reply { id, reply } => {
                hash.word(*id);
                reply.digest(hash);
            }
            Wire::ToPlacement(request) => request.digest(hash),
            Wire::FromPlacement(response) => response.digest(hash),
        }
    }
}

/// A message in a few words.
#[must_use]
pub fn describe<S: System>(message: &Wire<S>) -> String {
    match message {
        Wire::Peer(message) => message.describe(),
        Wire::Request { id, request } => format!("#{id} {}", request.describe()),
        Wire::Reply { id, reply } => format!("#{id} {}", reply.describe()),
        Wire::ToPlacement(request) => request.describe(),
        Wire::FromPlacement(response) => response.describe(),
    }
}

/// Folds a Raft message into the trace hash.
pub(crate) fn digest_raft(m: &eraftpb::Message, hash: &mut TraceHasher) {
    let flags = u64::from(m.reject) << 32 | u64::from(m.msg_type.unsigned_abs());
    for word in [flags, m.term, m.log_term, m.index, m.commit, m.reject_hint, m.to << 32 | m.from] {
        hash.word(word);
    }
    for entry in &m.entries {
        hash.word(entry.term);
        hash.word(XxHash3_64::oneshot_with_seed(entry.index, &entry.data));
        if entry.entry_type != 0 {
            hash.word(u64::from(entry.entry_type.unsigned_abs()));
        }
    }
    // What most messages have not, each after a number of its own.
    if !m.context.is_empty() {
        hash.word(1);
        hash.bytes(&m.context);
    }
    if let Some(snapshot) = &m.snapshot {
        hash.word(2);
        let metadata = snapshot.metadata.as_ref();
        hash.bytes(&metadata.map(prost::Message::encode_to_vec).unwrap_or_default());
        hash.bytes(&snapshot.data);
    }
}

/// A Raft message in a few words.
pub(crate) fn describe_raft(m: &eraftpb::Message) -> String {
    use MessageType as T;
    let term = m.term;
    match (m.msg_type(), m.reject) {
        (T::MsgAppend, _) => match (m.entries.first(), m.entries.last()) {
            (Some(first), Some(last)) if first.index != last.index => {
                format!("append t{term} {}..{} c{}", first.index, last.index, m.commit)
            }
            (Some(only), _) => format!("append t{term} {} c{}", only.index, m.commit),
            _ => format!("append t{term} after {} c{}", m.index, m.commit),
        },
        (T::MsgAppendResponse, false) => format!("ack t{term} {}", m.index),
        (T::MsgAppendResponse, true) => format!("reject t{term} {} hint {}", m.index, m.reject_hint),
        (T::MsgRequestVote, _) => {
            let why = if m.context == b"transfer"[..] { " for a transfer" } else { "" };
            format!("vote? t{term} log {}@t{}{why}", m.index, m.log_term)
        }
        (T::MsgRequestVoteResponse, false) => format!("vote t{term}"),
        (T::MsgRequestVoteResponse, true) => format!("no vote t{term}"),
        (T::MsgRequestPreVote, _) => format!("pre-vote? t{term} log {}@t{}", m.index, m.log_term),
        (T::MsgRequestPreVoteResponse, false) => format!("pre-vote t{term}"),
        (T::MsgRequestPreVoteResponse, true) => format!("no pre-vote t{term}"),
        (T::MsgHeartbeat, _) => format!("heartbeat t{term} c{}{}", m.commit, round(&m.context)),
        (T::MsgHeartbeatResponse, _) => format!("heartbeat ack t{term}{}", round(&m.context)),
        (T::MsgSnapshot, _) => {
            let metadata = m.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref());
            let (index, log_term) = metadata.map_or((0, 0), |metadata| (metadata.index, metadata.term));
            format!("snapshot t{term} {index}@t{log_term}")
        }
        (T::MsgRequestSnapshot, _) => format!("snapshot? t{term} log {}@t{}", m.index, m.log_term),
        (T::MsgTransferLeader, _) => format!("transfer to {}", m.index),
        (T::MsgTimeoutNow, _) => format!("timeout now t{term}"),
        (T::MsgReadIndex, _) => format!("read? {}", read_number(&m.context)),
        (T::MsgReadIndexResponse, false) => format!("read {} at {}", read_number(&m.context), m.index),
        (T::MsgReadIndexResponse, true) => format!("no read {}", read_number(&m.context)),
        (T::MsgPropose, _) => "propose".to_owned(),
        (other, _) => format!("{} t{term}", other.as_str_name()),
    }
}

/// The round in a heartbeat, where it has one.
fn round(context: &[u8]) -> String {
    let round = <[u8; 8]>::try_from(context).ok().map(u64::from_be_bytes);
    round.map_or_else(String::new, |round| format!(" r{round}"))
}

/// Which read of its replica a read index is for: what tells lives of a replica apart is not for people.
fn read_number(context: &[u8]) -> String {
    let number = context.last_chunk().copied().map(u64::from_be_bytes);
    number.map_or_else(|| "?".to_owned(), |number| format!("#{number}"))
}
