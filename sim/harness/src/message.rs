//! What travels on the simulated network: messages between stores, requests and replies of clients, and what stores and
//! the placement driver have to say to each other.
//!
//! Messages travel as values. Their bytes ([`Wire::encode`]) are made where somebody asks for them: on links with a
//! bandwidth, which need their number; where the network damages a message; and all of them where a scenario says so.

use raft_proto::eraftpb::{self, MessageType};
use raftsim_kernel::{Kind, Message, TraceHasher};
use raftstore::frame;
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

/// What a message begins with: its variant.
const PEER: u8 = 1;
const TO_PLACEMENT: u8 = 2;
const FROM_PLACEMENT: u8 = 3;
const REQUESTED: u8 = 4;
const REPLIED: u8 = 5;

impl<S: System> Wire<S> {
    /// Its bytes on the wire: a frame with a checksum.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (variant, id, payload) = match self {
            Wire::Peer(message) => (PEER, None, message.to_wire()),
            Wire::ToPlacement(request) => (TO_PLACEMENT, None, request.to_wire()),
            Wire::FromPlacement(response) => (FROM_PLACEMENT, None, response.to_wire()),
            Wire::Request { id, request } => (REQUESTED, Some(*id), request.to_wire()),
            Wire::Reply { id, reply } => (REPLIED, Some(*id), reply.to_wire()),
        };
        let mut bytes = vec![variant];
        bytes.extend(id.iter().flat_map(|id| id.to_be_bytes()));
        bytes.extend(payload);
        frame::encode(&bytes)
    }

    /// What a frame holds; `None` where it is none, or damaged.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Wire<S>> {
        let (variant, rest) = frame::decode(bytes).ok()?.split_first()?;
        let numbered = || rest.split_first_chunk().map(|(id, payload)| (u64::from_be_bytes(*id), payload));
        Some(match *variant {
            PEER => Wire::Peer(Box::new(Payload::from_wire(rest)?)),
            TO_PLACEMENT => Wire::ToPlacement(Box::new(Payload::from_wire(rest)?)),
            FROM_PLACEMENT => Wire::FromPlacement(Box::new(Payload::from_wire(rest)?)),
            REQUESTED => {
                let (id, payload) = numbered()?;
                Wire::Request { id, request: Box::new(Payload::from_wire(payload)?) }
            }
            REPLIED => {
                let (id, payload) = numbered()?;
                Wire::Reply { id, reply: Box::new(Payload::from_wire(payload)?) }
            }
            _ => return None,
        })
    }

    /// What a receiver makes of its bytes.
    ///
    /// # Panics
    /// Where that is not the same: an encoding that loses something is an error of the system under test.
    #[must_use]
    pub(crate) fn recoded(&self) -> Wire<S> {
        let hash = |message: &Wire<S>| {
            let mut hash = TraceHasher::default();
            message.digest(&mut hash);
            hash.value()
        };
        let decoded = Wire::decode(&self.encode());
        let same = decoded.filter(|decoded| hash(decoded) == hash(self));
        same.unwrap_or_else(|| panic!("a message does not survive its encoding: {}", describe(self)))
    }
}

impl<S: System> Message for Wire<S> {
    fn size(&self) -> u64 {
        self.encode().len() as u64
    }

    /// One bit of its frame is wrong. A receiver that does not notice takes what the bytes say.
    fn corrupted(self, bits: u64) -> Option<Wire<S>> {
        let mut bytes = self.encode();
        let bit = bits % (bytes.len() as u64 * 8);
        let byte = usize::try_from(bit / 8).ok().and_then(|place| bytes.get_mut(place))?;
        *byte ^= 1 << (bit % 8);
        Wire::decode(&bytes)
    }

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
