//! How a replica goes: its tombstone, what the raft database has of it, its data.
//!
//! The tombstone is the commit point. Until it is durable nothing else may go: a crash would leave a region
//! without the raft state that holds its promises. The data goes last and in pieces; a replica that was made by a
//! message and never had any takes none with it.

use bytes::Bytes;
use raft::EntryId;
use raft::eraftpb::HardState;
use raft_proto::metapb::Region;
use raft_proto::raft_serverpb::{PeerState, RaftLocalState, RegionLocalState, RemovedAt};

use super::{Purpose, Store, Wait};
use crate::engine::{Db, Env, Read, WriteBatch};
use crate::error::StoreError;
use crate::keys;
use crate::peer_storage::read_message;
use crate::restore::clear;
use crate::task::{Task, TaskId};

/// The record of a replica that is gone.
pub(super) fn tombstone(region: Region, peer_id: u64, at: Option<EntryId>) -> RegionLocalState {
    RegionLocalState {
        state: PeerState::Tombstone as i32,
        region: Some(region),
        peer_id,
        auto_leave: false,
        removed_at: at.map(|at| RemovedAt { term: at.term, index: at.index }),
    }
}

/// Puts into `batch` the deletion of all that the raft database has of a region, but for what was promised: the raft
/// state is emptied of its log, and term and vote stay. They may be of a later replica than the one that is gone: made
/// by a message, it has no record of its own, and in a crash an older one can come back that takes over what it
/// promised (a split brings it, whose tombstone is not durable). If the later one forgot its vote, it would give it
/// twice. To remember one too many does no harm.
pub(super) fn delete_raft(engine: &impl Read, region: u64, batch: &mut WriteBatch) -> Result<(), StoreError> {
    let (start, end) = (keys::raft_log(region, 0), keys::raft_state(region));
    engine.scan_keys(Db::Raft, &start, &end, &mut |key| {
        batch.delete(key);
        true
    })?;
    let state = read_message::<RaftLocalState>(engine, Db::Raft, &end, region)?;
    if let Some(state) = state.filter(|state| state.last_index > 0) {
        let HardState { term, vote, .. } = state.hard_state.unwrap_or_default();
        let promised = HardState { term, vote, commit: 0 };
        batch.put_message(&end, &RaftLocalState { hard_state: Some(promised), ..RaftLocalState::default() });
    }
    batch.delete(&keys::snapshot_record(region));
    Ok(())
}

impl Store {
    /// The replica of `region` goes; `at` is the entry that removed it, if its own log told.
    pub(super) fn destroy(
        &mut self,
        env: &mut impl Env,
        _tick: u64,
        region: u64,
        at: Option<EntryId>,
    ) -> Result<(), StoreError> {
        let Some(mut departed) = self.peers.remove(&region) else { return Ok(()) };
        let peer = std::sync::Arc::make_mut(&mut departed);
        if !self.touched.contains(&region) {
            self.touched.push(region);
        }
        peer.answer_all(env);
        self.outgoing.cancel(region);
        let recorded = peer.restoring().and_then(|record| record.key);
        self.incoming.cancel(env, region, recorded)?;
        // A replica that a message made has claimed nothing, and takes nothing with it.
        let held = [Some(peer.region()), peer.incoming_region()];
        let keys = held.into_iter().flatten().filter_map(|held| self.ranges.abandon(held)).collect();
        let mut batch = WriteBatch::new();
        batch.put_message(&keys::region_state(region), &tombstone(peer.region().clone(), peer.peer_id(), at));
        batch.delete(&keys::apply_state(region));
        batch.delete(&keys::birth(region));
        let seq = env.write(Db::Kv, batch)?;
        self.destroying.insert(region);
        self.waiting.push_back((seq, Wait::Destroyed { region, keys }));
        if let Some(key) = recorded {
            self.waiting.push_back((seq, Wait::Restored { region, key }));
        }
        self.departed.push(departed);
        self.sync_kv(env)
    }

    /// The tombstone is durable.
    pub(super) fn on_tombstone_durable(
        &mut self,
        env: &mut impl Env,
        region: u64,
        keys: Vec<(Bytes, Bytes)>,
    ) -> Result<(), StoreError> {
        let mut batch = WriteBatch::new();
        delete_raft(env, region, &mut batch)?;
        env.write(Db::Raft, batch)?;
        env.sync(Db::Raft)?;
        self.destroying.remove(&region);
        for (start, end) in keys {
            self.on_freed(env, start, end);
        }
        Ok(())
    }

    /// That these keys are nobody's is durable. What is there, and in nobody's claim, is of a replica that is gone.
    pub(super) fn on_freed(&mut self, env: &mut impl Env, start: Bytes, end: Bytes) {
        self.ranges.free(&start);
        self.clearing.push_back((start, end));
        self.start_clearing(env);
    }

    /// Begins with the next piece of the ranges to be cleared, unless one is under way.
    fn start_clearing(&mut self, env: &mut impl Env) {
        let under_way = self.tasks.values().any(|purpose| matches!(purpose, Purpose::Clear));
        if !under_way && !self.clearing.is_empty() {
            let bytes = self.config.snapshot_batch_size;
            self.start_task(env, Purpose::Clear, Task::Write { bytes });
        }
    }

    /// Clears the next piece: of what nobody has claimed since.
    pub(super) fn clear_next(&mut self, env: &mut impl Env) -> Result<(), StoreError> {
        let Some((start, end)) = self.clearing.front().cloned() else { return Ok(()) };
        if self.clear_unclaimed(env, &start, &end)? {
            self.clearing.pop_front();
        }
        self.start_clearing(env);
        Ok(())
    }

    /// Deletes a batch of what `start..end` holds outside of all claims. True when there was no more.
    pub(super) fn clear_unclaimed(
        &mut self,
        env: &mut impl Env,
        start: &Bytes,
        end: &Bytes,
    ) -> Result<bool, StoreError> {
        let mut batch = WriteBatch::new();
        let mut done = true;
        for (start, end) in self.ranges.unclaimed(start, end) {
            done = done && clear(env, &start, &end, self.config.snapshot_batch_size, &mut batch)?;
        }
        if !batch.is_empty() {
            env.write(Db::Kv, batch)?;
        }
        Ok(done)
    }

    pub(super) fn start_task(&mut self, env: &mut impl Env, purpose: Purpose, task: Task) {
        self.next_task += 1;
        let id = TaskId(self.next_task);
        self.tasks.insert(id, purpose);
        env.start(id, task);
    }
}
