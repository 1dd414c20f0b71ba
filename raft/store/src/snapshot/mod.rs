//! Snapshots of regions: what they consist of, how they are sent, how they are received.
//!
//! A snapshot is a raft message, which names the region and the log index, and a [`Body`], the region's pairs,
//! which travels in chunks beside raft's messages. The first chunk brings the raft message with it; the receiver
//! hands that to raft only when the whole body is durable. Until then its raft knows of nothing: an interrupted
//! transfer leaves no trace but chunks, which are removed.
//!
//! ```text
//! Outgoing                                  Incoming
//!    | -- chunk 0, with the raft message --> | written to the snapshots database
//!    | <-- Receiving 1 --------------------- |
//!    | -- chunks 1 .. window --------------> |
//!    | <-- Receiving n --------------------- | whole: sync ... durable: offered to the store
//!    | <-- Accepted ------------------------ | raft has it, and that is durable
//! ```
//!
//! Messages may be lost, doubled and reordered. The sender repeats what is not acknowledged, acknowledgements are
//! cumulative, and every transfer ends: with a verdict of the receiver, or because nothing came for too long.
//!
//! - `body`: the pairs of a region as bytes.
//! - `send`, `receive`: the two ends of a transfer.
//! - here: how a transfer is named in messages and in the snapshots database.

mod body;
#[cfg(test)]
mod pipe_tests;
mod receive;
mod send;
#[cfg(test)]
mod test_support;

use raft_proto::eraftpb::MessageType;
use raft_proto::metapb::Peer;
use raft_proto::raft_serverpb::{RaftMessage, SnapshotKey};

pub use body::Body;
pub(crate) use body::BodyError;
pub(crate) use receive::{Incoming, LoadError, Received, load, refusal};
pub(crate) use send::{Outgoing, Sent};

/// What all chunk keys of one transfer begin with. Sorts as region, term, index, sender, receiver, attempt.
type Prefix = [u8; 48];

fn prefix(key: SnapshotKey) -> Prefix {
    let SnapshotKey { region_id, term, index, from_peer, to_peer, attempt } = key;
    let mut prefix = [0; 48];
    for (bytes, number) in
        prefix.as_chunks_mut().0.iter_mut().zip([region_id, term, index, from_peer, to_peer, attempt])
    {
        *bytes = number.to_be_bytes();
    }
    prefix
}

/// The key of a chunk in the snapshots database.
pub(crate) fn chunk_key(key: SnapshotKey, number: u32) -> [u8; 52] {
    let mut bytes = [0; 52];
    bytes[..48].copy_from_slice(&prefix(key));
    bytes[48..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// Past every chunk of a transfer.
fn chunks_end(key: SnapshotKey) -> [u8; 53] {
    let mut bytes = [0; 53];
    bytes[..52].copy_from_slice(&chunk_key(key, u32::MAX));
    bytes
}

/// The transfer and number of the chunk at `key`; `None` when it is not the key of a chunk.
pub(crate) fn decode_chunk_key(key: &[u8]) -> Option<(SnapshotKey, u32)> {
    let (numbers, number) = key.split_at_checked(48)?;
    let &[region_id, term, index, from_peer, to_peer, attempt] = numbers.as_chunks().0 else { return None };
    let [region_id, term, index, from_peer, to_peer, attempt] =
        [region_id, term, index, from_peer, to_peer, attempt].map(u64::from_be_bytes);
    let number = u32::from_be_bytes(number.try_into().ok()?);
    Some((SnapshotKey { region_id, term, index, from_peer, to_peer, attempt }, number))
}

/// Which transfer a raft message announces, and between which replicas; `None` when it carries no snapshot.
fn announced(message: &RaftMessage, attempt: u64) -> Option<(SnapshotKey, Peer, Peer)> {
    let (from, to) = (message.from_peer?, message.to_peer?);
    let raft = message.message.as_ref().filter(|raft| raft.msg_type() == MessageType::MsgSnapshot)?;
    let metadata = raft.snapshot.as_ref()?.metadata.as_ref()?;
    let key = SnapshotKey {
        region_id: message.region_id,
        term: metadata.term,
        index: metadata.index,
        from_peer: from.id,
        to_peer: to.id,
        attempt,
    };
    Some((key, from, to))
}

/// Of the transfers to one replica, one at a time is under way.
fn slot(key: SnapshotKey) -> (u64, u64) {
    (key.region_id, key.to_peer)
}
