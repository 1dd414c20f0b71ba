//! What the tests of this module share: a region, its body, and the message that announces a snapshot of it.

use bytes::Bytes;
use prost::Message as _;
use raft_proto::eraftpb::{Message, MessageType, Snapshot, SnapshotMetadata};
use raft_proto::metapb::{Peer, Region};
use raft_proto::raft_serverpb::{
    RaftMessage, RaftSnapshotData, SnapshotAck, SnapshotChunk, SnapshotVerdict, store_message::Payload,
};

use super::Body;
use crate::config::Config;
use crate::engine::{Db, Engine, Read, WriteBatch};
use crate::keys::{self, Cf};
use crate::testing::MapEngine;

/// Replica 11 on store 1 sends, replica 12 on store 2 receives.
pub(super) const FROM: Peer = Peer { id: 11, store_id: 1, role: 0 };
pub(super) const TO: Peer = Peer { id: 12, store_id: 2, role: 0 };

/// Region 7, from `b` to `x`.
pub(super) fn region() -> Region {
    Region { id: 7, start_key: "b".into(), end_key: "x".into(), ..Region::default() }
}

/// A body with these user keys in the default column family, each with the value `value`.
pub(super) fn body_of(keys: &[&str]) -> Body {
    let mut engine = MapEngine::default();
    for key in keys {
        put(&mut engine, Cf::Default, key.as_bytes(), b"value");
    }
    Body::read(&engine, &region()).unwrap()
}

pub(super) fn put(engine: &mut MapEngine, cf: Cf, key: &[u8], value: &[u8]) {
    let mut batch = WriteBatch::new();
    batch.put(&keys::data(cf, key), value);
    engine.write(Db::Kv, batch).unwrap();
}

/// What raft's snapshot of `region()` carries beside `body`.
pub(super) fn data_of(body: &Body) -> RaftSnapshotData {
    RaftSnapshotData { region: Some(region()), file_size: body.len(), meta: Some(body.meta().clone()) }
}

/// The message of a leader of `term` with a snapshot at `index` for replica `to` of region `region_id`.
pub(super) fn snapshot_of(region_id: u64, to: Peer, term: u64, index: u64, body: &Body) -> RaftMessage {
    let metadata = SnapshotMetadata { index, term: 2, conf_state: None };
    let snapshot = Snapshot { data: data_of(body).encode_to_vec().into(), metadata: Some(metadata) };
    let mut message = Message { from: FROM.id, to: to.id, term, ..Message::default() };
    message.set_msg_type(MessageType::MsgSnapshot);
    message.snapshot = Some(Box::new(snapshot));
    RaftMessage {
        region_id,
        from_peer: Some(FROM),
        to_peer: Some(to),
        message: Some(message),
        ..RaftMessage::default()
    }
}

/// Chunks of 8 bytes, 3 on their way; a transfer times out after 40 ticks.
pub(super) fn config(store_id: u64) -> Config {
    Config {
        snapshot_chunk_size: 8,
        snapshot_window: 3,
        snapshot_timeout_ticks: 40,
        max_snapshots_sent: 2,
        max_snapshots_received: 2,
        ..Config::new(store_id)
    }
}

/// The chunks that were sent since the last look.
pub(super) fn chunks(engine: &mut MapEngine) -> Vec<SnapshotChunk> {
    let chunk = |(_, message): (u64, _)| match message {
        raft_proto::raft_serverpb::StoreMessage { payload: Some(Payload::Chunk(chunk)) } => chunk,
        other => panic!("not a chunk: {other:?}"),
    };
    engine.sent.drain(..).map(chunk).collect()
}

/// Their numbers.
pub(super) fn numbers(engine: &mut MapEngine) -> Vec<u32> {
    chunks(engine).iter().map(|chunk| chunk.number).collect()
}

/// The acknowledgements that were sent since the last look.
pub(super) fn acks(engine: &mut MapEngine) -> Vec<SnapshotAck> {
    let ack = |(_, message): (u64, _)| match message {
        raft_proto::raft_serverpb::StoreMessage { payload: Some(Payload::Ack(ack)) } => ack,
        other => panic!("not an acknowledgement: {other:?}"),
    };
    engine.sent.drain(..).map(ack).collect()
}

/// What they say.
pub(super) fn answers(engine: &mut MapEngine) -> Vec<(u32, SnapshotVerdict)> {
    acks(engine).iter().map(|ack| (ack.received, ack.verdict())).collect()
}

/// The keys in the snapshots database.
pub(super) fn stored(engine: &MapEngine) -> Vec<Bytes> {
    let mut found = Vec::new();
    engine
        .scan(Db::Snapshots, &[], &[0xff; 64], &mut |key, _| {
            found.push(Bytes::copy_from_slice(key));
            true
        })
        .unwrap();
    found
}
