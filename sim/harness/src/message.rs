//! What travels on the simulated network: Raft messages between stores, requests and replies of clients.

use raft_proto::eraftpb::{self, MessageType};
use raft_proto::raft_cmdpb::{RaftCmdRequest, RaftCmdResponse, request, response};
use raft_proto::raft_serverpb::RaftMessage;
use raftsim_kernel::{Kind, Message, TraceHasher};
use twox_hash::XxHash3_64;

use crate::scenario::ast::MessageKind;

/// A message of the cluster. Boxed, because the event queue moves it about.
#[derive(Clone, Debug, PartialEq)]
pub enum Wire {
    /// Between replicas.
    Raft(Box<RaftMessage>),
    /// From a client to a store.
    Request {
        /// The client's number for it; the reply carries it back.
        id: u64,
        /// The command.
        request: Box<RaftCmdRequest>,
    },
    /// From a store to a client.
    Reply {
        /// The request's number.
        id: u64,
        /// The answer.
        response: Box<RaftCmdResponse>,
    },
}

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
        MessageKind::Heartbeat => raft(MessageType::MsgHeartbeat),
        MessageKind::HeartbeatResponse => raft(MessageType::MsgHeartbeatResponse),
        MessageKind::Request => REQUEST.bit(),
        MessageKind::Reply => REPLY.bit(),
        MessageKind::Any => u64::MAX,
    }
}

/// Requests, as a bit for filters: a client's connection delivers a request at most once, so filters and
/// links that make copies leave them alone.
pub const REQUEST_BIT: u64 = REQUEST.bit();

/// The raft message inside of a store's message.
pub(crate) fn raft_message(message: &RaftMessage) -> Option<&eraftpb::Message> {
    message.message.as_ref()
}

impl Message for Wire {
    fn kind(&self) -> Kind {
        match self {
            Wire::Raft(message) => {
                let kind = raft_message(message).map_or(0, |m| m.msg_type);
                Kind::new(u8::try_from(kind).unwrap_or(0).min(61))
            }
            Wire::Request { .. } => REQUEST,
            Wire::Reply { .. } => REPLY,
        }
    }

    fn digest(&self, hash: &mut TraceHasher) {
        match self {
            Wire::Raft(message) => {
                hash.word(message.region_id);
                if let Some(message) = raft_message(message) {
                    digest_raft(message, hash);
                }
            }
            Wire::Request { id, request } => {
                hash.word(*id);
                for request in &request.requests {
                    digest_request(request.command.as_ref(), hash);
                }
            }
            Wire::Reply { id, response } => {
                hash.word(*id);
                // Errors are rare, so their encoding will do.
                hash.bytes(&error(response).map(prost::Message::encode_to_vec).unwrap_or_default());
                for response in &response.responses {
                    digest_response(response.result.as_ref(), hash);
                }
            }
        }
    }
}

/// The error of a response.
pub(crate) fn error(response: &RaftCmdResponse) -> Option<&raft_proto::errorpb::Error> {
    response.header.as_ref().and_then(|header| header.error.as_ref())
}

fn digest_raft(m: &eraftpb::Message, hash: &mut TraceHasher) {
    let flags = u64::from(m.reject) << 32 | u64::from(m.msg_type.unsigned_abs());
    for word in [flags, m.term, m.log_term, m.index, m.commit, m.reject_hint, m.to << 32 | m.from] {
        hash.word(word);
    }
    for entry in &m.entries {
        hash.word(entry.term);
        hash.word(XxHash3_64::oneshot_with_seed(entry.index, &entry.data));
    }
}

fn digest_request(command: Option<&request::Command>, hash: &mut TraceHasher) {
    use request::Command;
    let (tag, key, value): (u64, &[u8], &[u8]) = match command {
        None => return hash.word(0),
        Some(Command::Get(c)) => (1, &c.key, &[]),
        Some(Command::Put(c)) => (2, &c.key, &c.value),
        Some(Command::Delete(c)) => (3, &c.key, &[]),
        Some(Command::Snap(_)) => (4, &[], &[]),
        Some(Command::Scan(c)) => (5, &c.start_key, &c.end_key),
        Some(Command::Append(c)) => (6, &c.key, &c.suffix),
        Some(Command::CompareAndSet(c)) => (7, &c.key, &c.value),
    };
    hash.word(tag);
    hash.bytes(key);
    hash.bytes(value);
    match command {
        Some(Command::CompareAndSet(c)) => hash.bytes(c.expected.as_deref().unwrap_or(b"\0absent")),
        Some(Command::Scan(c)) => hash.word(c.limit.into()),
        _ => {}
    }
}

fn digest_response(result: Option<&response::Result>, hash: &mut TraceHasher) {
    use response::Result;
    match result {
        None => hash.word(0),
        Some(Result::Get(r)) => hash.bytes(r.value.as_deref().unwrap_or(b"\0absent")),
        Some(Result::Scan(r)) => r.pairs.iter().for_each(|pair| {
            hash.bytes(&pair.key);
            hash.bytes(&pair.value);
        }),
        Some(Result::CompareAndSet(r)) => {
            hash.word(u64::from(r.succeeded));
            hash.bytes(r.previous.as_deref().unwrap_or(b"\0absent"));
        }
        Some(Result::Put(_)) => hash.word(2),
        Some(Result::Delete(_)) => hash.word(3),
        Some(Result::Snap(_)) => hash.word(4),
        Some(Result::Append(_)) => hash.word(6),
    }
}
