//! How a store opens: what the databases hold, and what a crash left half done.
//!
//! Each commit point that is durable is carried on from; what began without one is taken back. Nothing is served
//! before that is done.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use im::{OrdMap, OrdSet};
use prost::Message;
use raft::EntryId;
use raft::eraftpb::Entry;
use raft_proto::metapb::Region;
use raft_proto::raft_serverpb::{
    PeerState, RaftApplyState, RegionLocalState, SnapshotKey, SnapshotRecord, StoreIdent,
};
use smallvec::SmallVec;

use super::destroy::{delete_raft, tombstone};
use super::events::first_raft_state;
use super::messages::PendingVotes;
use super::{Store, Wait};
use crate::config::Config;
use crate::engine::{Db, Engine, Env, Read, WriteBatch, WriteSeq};
use crate::error::StoreError;
use crate::keys::{self, Key};
use crate::peer::Peer;
use crate::peer_storage::{read_message, snapshot_id};
use crate::ranges::Ranges;
use crate::restore::redo;
use crate::snapshot::{Incoming, Outgoing, load};
use crate::timers::Timers;

impl Store {
    /// Opens the store that the databases hold, after [`bootstrap`](Store::bootstrap) or a restart.
    /// Committed entries that were not applied yet are applied now. `now_ns` is the store's own clock.
    ///
    /// # Errors
    /// When the databases cannot be read or written, contradict themselves, belong to another store, or
    /// were never bootstrapped.
    pub fn open(env: &mut impl Env, mut config: Config, now_ns: u64) -> Result<Store, StoreError> {
        config.validate()?;
        let ident = check_ident(env, &config)?.ok_or(StoreError::NotBootstrapped)?;
        config.replica_floor = ident.replica_floor;
        let mut recovery = Recovery::default();
        recovery.finish_snapshots(env, &config)?;
        recovery.load_peers(env, &config)?;
        let Recovery { peers, ranges, mut waiting, destroying, births, kept } = recovery;
        waiting.sort_by_key(|(seq, _)| *seq);
        let config = Arc::new(config);
        let mut store = Store {
            peers,
            ranges,
            timers: Timers::new(now_ns, config.tick_interval_ns),
            unsynced: VecDeque::new(),
            waiting: waiting.into(),
            dirty: Vec::new(),
            syncing: VecDeque::new(),
            destroying,
            splitting: OrdSet::new(),
            births,
            votes: PendingVotes::default(),
            tasks: OrdMap::new(),
            next_task: 0,
            outgoing: Outgoing::new(&config),
            incoming: Incoming::open(env, &config, &kept)?,
            made: None,
            clearing: VecDeque::new(),
            heartbeat: Store::first_heartbeat(&config),
            bootstrapping: env.get(Db::Kv, &keys::PREPARE_BOOTSTRAP)?.is_some(),
            touched: SmallVec::new(),
            departed: Vec::new(),
            failed: None,
            config,
        };
        // What is in nobody's range is left of a replica that is gone, or of a snapshot that replaced more than it brought.
        while !store.clear_unclaimed(env, &Bytes::new(), &Bytes::new())? {}
        let regions: Vec<u64> = store.peers.keys().copied().collect();
        for region in regions {
            store.with_peer(env, 0, region, |_, _| {})?;
        }
        Ok(store)
    }
}

/// The store's ident, if there is one. It must be this store's.
pub(crate) fn check_ident(engine: &impl Read, config: &Config) -> Result<Option<StoreIdent>, StoreError> {
    let ident = read_message::<StoreIdent>(engine, Db::Kv, &keys::STORE_IDENT, 0)?;
    match ident {
        Some(StoreIdent { cluster_id, store_id, .. })
            if (cluster_id, store_id) != (config.cluster_id, config.store_id) =>
        {
            Err(StoreError::WrongStore { cluster_id, store_id })
        }
        ident => Ok(ident),
    }
}

/// All records of one kind.
fn records<M: Message + Default>(
    engine: &impl Read,
    db: Db,
    (start, end): ([u8; 2], [u8; 2]),
    region_of: impl Fn(Key) -> Option<u64>,
) -> Result<Vec<(u64, M)>, StoreError> {
    let mut found = Vec::new();
    engine.scan(db, &start, &end, &mut |key, value| {
        if let Some(region) = keys::decode(key).and_then(&region_of) {
            found.push((region, Bytes::clone(value)));
        }
        true
    })?;
    let decode = |(region, value): (u64, Bytes)| {
        let corrupt = |error| StoreError::corrupt(region, format!("a record of {db:?}: {error}"));
        Ok((region, M::decode(value).map_err(corrupt)?))
    };
    found.into_iter().map(decode).collect()
}

fn region_state(engine: &impl Read, region: u64) -> Result<Option<RegionLocalState>, StoreError> {
    read_message(engine, Db::Kv, &keys::region_state(region), region)
}

/// Whether the kv database holds what a snapshot brought, or a tombstone of the replica that it was for.
fn is_done(engine: &impl Read, region: u64, record: &SnapshotRecord) -> Result<bool, StoreError> {
    let Some(state) = region_state(engine, region)? else { return Ok(false) };
    let applied = read_message::<RaftApplyState>(engine, Db::Kv, &keys::apply_state(region), region)?;
    Ok(match state.state() {
        PeerState::Tombstone => state.peer_id >= record.peer_id,
        PeerState::Normal => {
            applied.is_some_and(|applied| applied.applied_index >= snapshot_id(record).index)
        }
        PeerState::Applying => false,
    })
}

/// What an opening store finds, and what is left to do when the kv database is durable.
#[derive(Default)]
struct Recovery {
    peers: OrdMap<u64, Arc<Peer>>,
    ranges: Ranges,
    waiting: Vec<(WriteSeq, Wait)>,
    destroying: OrdSet<u64>,
    births: VecDeque<(WriteSeq, u64)>,
    /// Snapshots whose chunks are still needed.
    kept: Vec<SnapshotKey>,
}

impl Recovery {
    /// Snapshots that took a log's place, and may not be data yet, become so.
    fn finish_snapshots(&mut self, env: &mut impl Env, config: &Config) -> Result<(), StoreError> {
        let range = (keys::SNAPSHOT_RECORD_START, keys::SNAPSHOT_RECORD_END);
        let is_record = |key| if let Key::SnapshotRecord { region } = key { Some(region) } else { None };
        for (region, record) in records::<SnapshotRecord>(env, Db::Raft, range, is_record)? {
            if is_done(env, region, &record)? {
                // What an earlier life wrote is durable, so nobody will ask for the record again.
                let mut batch = WriteBatch::new();
                batch.delete(&keys::snapshot_record(region));
                env.write(Db::Raft, batch)?;
                continue;
            }
            let (Some(key), Some(data)) = (record.key, &record.data) else {
                return Err(StoreError::corrupt(region, "a snapshot record without snapshot"));
            };
            let body =
                load(env, &key, data).map_err(|error| StoreError::corrupt(region, error.to_string()))?;
            let seq = redo(env, &record, body, config.snapshot_batch_size)?;
            self.waiting.push((seq, Wait::Restored { region, key }));
            self.kept.push(key);
        }
        Ok(())
    }

    /// The replicas that the databases hold, and what they claim. What is left of those that are no longer here
    /// (tombstones) goes.
    fn load_peers(&mut self, env: &mut impl Env, config: &Config) -> Result<(), StoreError> {
        let range = (keys::REGION_STATE_START, keys::REGION_STATE_END);
        let is_state = |key| if let Key::RegionState { region } = key { Some(region) } else { None };
        for (id, state) in records::<RegionLocalState>(env, Db::Kv, range, is_state)? {
            match (state.state(), &state.region) {
                (PeerState::Tombstone, _) => bury(env, id)?,
                (PeerState::Normal, Some(region)) if region.id == id => {
                    if region.peers.iter().any(|peer| peer.store_id == config.store_id) {
                        let region = region.clone();
                        let born = self.finish_birth(env, &state, &region)?;
                        finish_compaction(env, id)?;
                        self.ranges.claim(&region);
                        self.peers.insert(id, Arc::new(Peer::load(env, config, state, born)?));
                    } else {
                        self.bury_removed(env, &state, region)?;
                    }
                }
                (other, _) => return Err(StoreError::corrupt(id, format!("bad region state {other:?}"))),
            }
        }
        Ok(())
    }

    /// The replica's removal was applied, and the tombstone lost. The entry that removed it was the last that it applied.
    fn bury_removed(
        &mut self,
        env: &mut impl Env,
        state: &RegionLocalState,
        region: &Region,
    ) -> Result<(), StoreError> {
        let id = region.id;
        let applied = read_message::<RaftApplyState>(env, Db::Kv, &keys::apply_state(id), id)?;
        let index = applied.map_or(0, |applied| applied.applied_index);
        let entry = read_message::<Entry>(env, Db::Raft, &keys::raft_log(id, index), id)?;
        let at = entry.map(|entry| EntryId { term: entry.term, index });
        let mut batch = WriteBatch::new();
        batch.put_message(&keys::region_state(id), &tombstone(region.clone(), state.peer_id, at));
        batch.delete(&keys::apply_state(id));
        batch.delete(&keys::birth(id));
        let seq = env.write(Db::Kv, batch)?;
        env.sync(Db::Kv)?;
        self.waiting.push((seq, Wait::Destroyed { region: id, keys: Vec::new() }));
        self.destroying.insert(id);
        Ok(())
    }

    /// The first raft state of a region that a split made, if a crash came before it. True if the replica never ran.
    fn finish_birth(
        &mut self,
        env: &mut impl Env,
        state: &RegionLocalState,
        region: &Region,
    ) -> Result<bool, StoreError> {
        if env.get(Db::Kv, &keys::birth(region.id))?.is_none() {
            return Ok(false);
        }
        let born = first_raft_state(env, state, region)?;
        if let Some(batch) = born.batch {
            let seq = env.write(Db::Raft, batch)?;
            env.sync(Db::Raft)?;
            self.births.push_back((seq, region.id));
        } else {
            // What an earlier life wrote is durable.
            let mut batch = WriteBatch::new();
            batch.delete(&keys::birth(region.id));
            env.write(Db::Kv, batch)?;
        }
        Ok(born.never_promised)
    }
}

/// What the raft database still has of a replica whose tombstone is durable.
fn bury(env: &mut impl Engine, region: u64) -> Result<(), StoreError> {
    let mut batch = WriteBatch::new();
    delete_raft(env, region, &mut batch)?;
    if batch.len() > 1 {
        env.write(Db::Raft, batch)?;
    }
    Ok(())
}

/// Entries that a durable truncation has made needless, and a crash has left.
fn finish_compaction(env: &mut impl Engine, region: u64) -> Result<(), StoreError> {
    let state = read_message::<RaftApplyState>(env, Db::Kv, &keys::apply_state(region), region)?;
    let truncated = state.and_then(|state| state.truncated_state).unwrap_or_default().index;
    let mut batch = WriteBatch::new();
    let (start, end) = (keys::raft_log(region, 0), keys::raft_log(region, truncated + 1));
    env.scan_keys(Db::Raft, &start, &end, &mut |key| {
        batch.delete(key);
        true
    })?;
    if !batch.is_empty() {
        env.write(Db::Raft, batch)?;
    }
    Ok(())
}
