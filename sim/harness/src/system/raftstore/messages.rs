//! What stores send each other, for filters, checks and people.

use std::borrow::Cow;

use raft_proto::eraftpb;
use raft_proto::raft_serverpb::{
    RaftMessage, SnapshotAck, SnapshotChunk, SnapshotKey, SnapshotVerdict, StoreMessage,
    store_message::Payload as Kinds,
};
use raftsim_kernel::{Kind, TraceHasher};

use crate::message::{SNAPSHOT_ACK, SNAPSHOT_CHUNK, TOMBSTONE, describe_raft, digest_raft};
use crate::system::{Payload, PeerMessage};

impl PeerMessage for StoreMessage {
    fn region(&self) -> u64 {
        match &self.payload {
            Some(Kinds::Raft(message)) => message.region_id,
            Some(Kinds::Chunk(SnapshotChunk { key, .. }) | Kinds::Ack(SnapshotAck { key, .. })) => {
                key.map_or(0, |key| key.region_id)
            }
            None => 0,
        }
    }

    /// Of a chunk, what raft has to say to go with it: in the first one only.
    fn raft(&self) -> Option<Cow<'_, eraftpb::Message>> {
        let message = match self.payload.as_ref()? {
            Kinds::Raft(message) => Some(message),
            Kinds::Chunk(chunk) => chunk.message.as_ref(),
            Kinds::Ack(_) => None,
        };
        message?.message.as_ref().map(Cow::Borrowed)
    }

    #[inline]
    fn kind(&self) -> Kind {
        match &self.payload {
            Some(Kinds::Raft(message)) if message.is_tombstone => TOMBSTONE,
            Some(Kinds::Chunk(SnapshotChunk { message: None, .. })) => SNAPSHOT_CHUNK,
            Some(Kinds::Ack(_)) => SNAPSHOT_ACK,
            _ => Kind::new(self.raft().map_or(0, |message| u8::try_from(message.msg_type).unwrap_or(0))),
        }
    }
}

impl Payload for StoreMessage {
    #[inline]
    fn digest(&self, hash: &mut TraceHasher) {
        match &self.payload {
            Some(Kinds::Raft(message)) => digest_message(message, hash),
            Some(Kinds::Chunk(chunk)) => digest_chunk(chunk, hash),
            Some(Kinds::Ack(ack)) => {
                digest_key(ack.key, hash);
                hash.word(u64::from(ack.received) << 32 | u64::from(ack.verdict.unsigned_abs()));
                hash.word(ack.to_peer.map_or(0, |peer| peer.id));
            }
            None => hash.word(0),
        }
    }

    fn describe(&self) -> String {
        match &self.payload {
            Some(Kinds::Raft(message)) if message.is_tombstone => "you are removed".to_owned(),
            Some(Kinds::Chunk(SnapshotChunk { key, message: None, number, last, .. })) => {
                let last = if *last { ", the last" } else { "" };
                format!("chunk {number} of snapshot {}{last}", name(*key))
            }
            Some(Kinds::Ack(ack)) => {
                let verdict = match ack.verdict() {
                    SnapshotVerdict::Receiving => format!("{} chunks", ack.received),
                    SnapshotVerdict::Accepted => "accepted".to_owned(),
                    SnapshotVerdict::Refused => "refused".to_owned(),
                    SnapshotVerdict::Busy => "not now".to_owned(),
                };
                format!("snapshot {}: {verdict}", name(ack.key))
            }
            _ => self.raft().map_or_else(String::new, |message| describe_raft(&message)),
        }
    }

    fn to_wire(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(self)
    }

    fn from_wire(bytes: &[u8]) -> Option<Self> {
        prost::Message::decode(bytes).ok()
    }
}

#[inline]
fn digest_message(message: &RaftMessage, hash: &mut TraceHasher) {
    let epoch = message.region_epoch.unwrap_or_default();
    hash.word(message.region_id << 1 | u64::from(message.is_tombstone));
    hash.word(epoch.version << 32 | epoch.conf_ver);
    match &message.message {
        Some(message) => digest_raft(message, hash),
        // The ids of both are in raft's messages.
        None => hash.word(message.to_peer.map_or(0, |peer| peer.id)),
    }
    if !message.start_key.is_empty() || !message.end_key.is_empty() {
        hash.bytes(&message.start_key);
        hash.bytes(&message.end_key);
    }
}

fn digest_chunk(chunk: &SnapshotChunk, hash: &mut TraceHasher) {
    digest_key(chunk.key, hash);
    if let Some(message) = &chunk.message {
        digest_message(message, hash);
    }
    hash.word(u64::from(chunk.number) << 1 | u64::from(chunk.last));
    hash.word(chunk.offset);
    hash.bytes(&chunk.data);
    hash.word(u64::from(chunk.checksum));
}

fn digest_key(key: Option<SnapshotKey>, hash: &mut TraceHasher) {
    let SnapshotKey { region_id, term, index, from_peer, to_peer, attempt } = key.unwrap_or_default();
    for word in [region_id, term, index, from_peer, to_peer, attempt] {
        hash.word(word);
    }
}

/// A snapshot's name for people, as raft's messages have it.
fn name(key: Option<SnapshotKey>) -> String {
    let key = key.unwrap_or_default();
    format!("{}@t{}", key.index, key.term)
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_proto::eraftpb::MessageType;
    use raftsim_kernel::Message as _;

    use crate::message::Wire;
    use crate::system::raftstore::Raftstore;

    fn snapshot(number: u32) -> StoreMessage {
        let message = eraftpb::Message { msg_type: MessageType::MsgSnapshot as i32, ..Default::default() };
        let message = RaftMessage { region_id: 7, message: Some(message), ..Default::default() };
        let key = Some(SnapshotKey { region_id: 7, term: 2, index: 9, ..Default::default() });
        let message = (number == 0).then_some(message);
        let data = vec![1, 2, 3].into();
        let chunk = SnapshotChunk { key, message, number, data, ..Default::default() };
        StoreMessage { payload: Some(Kinds::Chunk(chunk)) }
    }

    fn ack(received: u32) -> StoreMessage {
        let key = Some(SnapshotKey { region_id: 7, term: 2, index: 9, ..Default::default() });
        StoreMessage { payload: Some(Kinds::Ack(SnapshotAck { key, received, ..Default::default() })) }
    }

    fn tombstone() -> StoreMessage {
        let message = RaftMessage { region_id: 7, is_tombstone: true, ..Default::default() };
        StoreMessage { payload: Some(Kinds::Raft(message)) }
    }

    #[test]
    fn kinds_and_regions() {
        let of_raft = Kind::new(MessageType::MsgSnapshot as u8);
        let kinds = [snapshot(0), snapshot(1), ack(1), tombstone()].map(|message| {
            assert_eq!(PeerMessage::region(&message), 7);
            assert_eq!(Wire::<Raftstore>::Peer(Box::new(message.clone())).group(), 7);
            PeerMessage::kind(&message)
        });
        assert_eq!(kinds, [of_raft, SNAPSHOT_CHUNK, SNAPSHOT_ACK, TOMBSTONE]);
        assert!(snapshot(0).raft().is_some() && snapshot(1).raft().is_none());
        assert_eq!(snapshot(2).describe(), "chunk 2 of snapshot 9@t2");
        assert_eq!(ack(3).describe(), "snapshot 9@t2: 3 chunks");
    }

    #[test]
    fn every_part_of_a_chunk_is_in_its_digest() {
        let digest = |change: fn(&mut SnapshotChunk)| {
            let mut message = snapshot(1);
            if let Some(Kinds::Chunk(chunk)) = &mut message.payload {
                change(chunk);
            }
            let mut hash = TraceHasher::default();
            message.digest(&mut hash);
            hash.value()
        };
        let changes: [fn(&mut SnapshotChunk); 7] = [
            |_| {},
            |chunk| chunk.number = 5,
            |chunk| chunk.offset = 5,
            |chunk| chunk.last = true,
            |chunk| chunk.data = vec![5].into(),
            |chunk| chunk.checksum = 5,
            |chunk| chunk.key = None,
        ];
        let mut digests = changes.map(digest).to_vec();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), changes.len());
    }
}
