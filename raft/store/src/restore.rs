//! How a snapshot becomes part of the kv database: what was in its range goes, its pairs come, in batches of
//! bounded size.
//!
//! The batches are not one write, so a crash may leave any number of them. The snapshot record in the raft
//! database says so, and everything is done again from the start ([`redo`]): deleting and writing the same
//! pairs twice is as good as once. Until the last batch, which holds the region's records, the region's
//! state is `Applying`, for those who look at the kv database alone.

use bytes::Bytes;
use raft_proto::metapb::Region;
use raft_proto::raft_serverpb::{PeerState, RegionLocalState, SnapshotRecord};

use crate::engine::{Db, Engine, Read, WriteBatch, WriteSeq};
use crate::error::{EngineError, StoreError};
use crate::keys::{self, Cf};
use crate::peer_storage::{PeerStorage, snapshot_region};
use crate::snapshot::Body;

/// A snapshot on its way into the kv database.
#[derive(Clone, Debug)]
pub(crate) struct Restore {
    pub(crate) record: SnapshotRecord,
    /// The region as it was, where the replica had one.
    old: Region,
    /// `None` until the record is durable: before that, nothing in the kv database may change.
    body: Option<Body>,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    Clearing,
    /// From this position of the body on.
    Writing(usize),
}

impl Restore {
    pub(crate) fn new(record: SnapshotRecord, old: Region) -> Restore {
        Restore { record, old, body: None, phase: Phase::Clearing }
    }

    /// Whether batches are being written.
    pub(crate) fn has_begun(&self) -> bool {
        self.body.is_some()
    }

    /// The record is durable: the region's state becomes `Applying`.
    pub(crate) fn begin(&mut self, body: Body, auto_leave: bool, batch: &mut WriteBatch) {
        let (region, _) = snapshot_region(&self.record);
        let state = RegionLocalState {
            state: PeerState::Applying as i32,
            peer_id: self.record.peer_id,
            auto_leave,
            region: Some(region.clone()),
            removed_at: None,
        };
        batch.put_message(&keys::region_state(region.id), &state);
        self.body = Some(body);
    }

    /// Puts about `limit` bytes more into `batch`. True when that was all.
    pub(crate) fn step(
        &mut self,
        engine: &impl Read,
        limit: u64,
        batch: &mut WriteBatch,
    ) -> Result<bool, EngineError> {
        let Some(body) = &self.body else { return Ok(false) };
        match self.phase {
            Phase::Clearing => {
                let (new, _) = snapshot_region(&self.record);
                let mut done = true;
                for region in [&self.old, &new] {
                    // A replica that a message made had no range, which is not the same as all keys.
                    if done && !region.peers.is_empty() {
                        done = clear(engine, &region.start_key, &region.end_key, limit, batch)?;
                    }
                }
                if done {
                    self.phase = Phase::Writing(0);
                }
                Ok(false)
            }
            Phase::Writing(mut position) => {
                for (cf, key, value, next) in body.pairs(position) {
                    batch.put(&keys::data(cf, &key), &value);
                    position = next;
                    if batch.bytes() as u64 >= limit {
                        break;
                    }
                }
                self.phase = Phase::Writing(position);
                Ok(position as u64 >= body.len())
            }
        }
    }

    /// Bytes of the body, for the region's size.
    pub(crate) fn size(&self) -> u64 {
        self.body.as_ref().map_or(0, Body::len)
    }
}

/// Puts deletions of about `limit` bytes of user data of `start..end` into `batch`. True when that was all.
pub(crate) fn clear(
    engine: &impl Read,
    start: &Bytes,
    end: &Bytes,
    limit: u64,
    batch: &mut WriteBatch,
) -> Result<bool, EngineError> {
    let (mut bytes, mut all) = (0, true);
    for cf in Cf::ALL {
        let (start, end) = (keys::data(cf, start), keys::data_end(cf, end));
        engine.scan(Db::Kv, &start, &end, &mut |key, value| {
            all = bytes < limit;
            if all {
                bytes += (key.len() + value.len()) as u64;
                batch.delete(key);
            }
            all
        })?;
    }
    Ok(all)
}

/// Does it all at once, when a store opens that was stopped in between.
///
/// Returns the number of the last write, which is not durable yet: until it is, the record must stay.
pub(crate) fn redo(
    env: &mut impl Engine,
    record: &SnapshotRecord,
    body: Body,
    limit: u64,
) -> Result<WriteSeq, StoreError> {
    let (region, auto_leave) = snapshot_region(record);
    // What the replica's range was before is not known any more: what is in nobody's range is cleared later.
    let mut restore = Restore::new(record.clone(), Region::default());
    let mut batch = WriteBatch::new();
    restore.begin(body, auto_leave, &mut batch);
    env.write(Db::Kv, batch)?;
    loop {
        let mut batch = WriteBatch::new();
        let done = restore.step(env, limit, &mut batch)?;
        if done {
            let mut storage = PeerStorage::initial(record.peer_id, region.clone());
            storage.finish_restore(record, &mut batch);
        }
        let seq = env.write(Db::Kv, batch)?;
        if done {
            env.sync(Db::Kv)?;
            return Ok(seq);
        }
    }
}
