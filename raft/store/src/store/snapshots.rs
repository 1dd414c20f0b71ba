//! Snapshots: made by a task, sent and received in chunks, offered to raft, turned into data.

use prost::Message as _;
use raft::eraftpb::SnapshotMetadata;
use raft_proto::metapb::Region;
use raft_proto::raft_serverpb::{
    RaftMessage, RaftSnapshotData, SnapshotKey, SnapshotRecord, SnapshotVerdict,
};

use super::{Purpose, Store, Wait};
use crate::admin::{self, is_older};
use crate::engine::{Db, Env, WriteBatch, WriteSeq};
use crate::error::{EngineError, StoreError};
use crate::keys;
use crate::peer::Peer;
use crate::peer_storage::read_message;
use crate::snapshot::{Body, LoadError, Received, Sent, load};
use crate::task::Task;

/// A snapshot that a task makes.
#[derive(Clone, Debug)]
pub(super) struct Making {
    region: Region,
    peer: u64,
    metadata: SnapshotMetadata,
}

/// A snapshot that is made, while raft says to whom it goes.
#[derive(Clone, Debug)]
pub(super) struct Made {
    region: u64,
    index: u64,
    body: Body,
}

impl Store {
    /// Raft wants a snapshot of a region, for whoever needs it.
    pub(super) fn make_snapshot<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        region: u64,
    ) -> Result<(), StoreError> {
        let making = self.tasks.values().filter(|purpose| matches!(purpose, Purpose::Snapshot(_))).count();
        if making + self.outgoing.len() >= self.config.max_snapshots_sent {
            self.with_peer(env, tick, region, |peer, _| peer.on_snapshot_failed())?;
            return Ok(());
        }
        let Some(peer) = self.peers.get_mut(&region).map(std::sync::Arc::make_mut) else { return Ok(()) };
        let metadata = peer.start_snapshot();
        let making = Making { region: peer.region().clone(), peer: peer.peer_id(), metadata };
        let task = Task::Snapshot { region: making.region.clone() };
        self.start_task(env, Purpose::Snapshot(Box::new(making)), task);
        Ok(())
    }

    pub(super) fn on_snapshot_made<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        making: Making,
        body: Body,
    ) -> Result<(), StoreError> {
        let Making { region, peer: maker, metadata } = making;
        let id = region.id;
        let data =
            RaftSnapshotData { region: Some(region), file_size: body.len(), meta: Some(body.meta().clone()) };
        self.made = Some(Made { region: id, index: metadata.index, body });
        self.with_peer(env, tick, id, |peer, _| {
            // A replica that was destroyed meanwhile and made anew did not wish for it.
            if peer.peer_id() == maker {
                peer.on_snapshot_made(metadata, data);
            }
        })?;
        self.made = None;
        Ok(())
    }

    /// Raft says to whom the snapshot goes.
    pub(super) fn send_snapshot<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        message: RaftMessage,
    ) -> Result<(), StoreError> {
        let (region, Some(to)) = (message.region_id, message.to_peer) else { return Ok(()) };
        let snapshot = message.message.as_ref().and_then(|message| message.snapshot.as_ref());
        let index = snapshot.and_then(|snapshot| snapshot.metadata.as_ref()).map(|metadata| metadata.index);
        let made = self.made.as_ref().filter(|made| made.region == region && Some(made.index) == index);
        let body = made.map(|made| made.body.clone());
        let started = body.is_some_and(|body| self.outgoing.start(env, tick, message, body).is_ok());
        if !started {
            let sent = Sent { region, to_peer: to.id, ok: false };
            return self.on_snapshot_sent(env, tick, sent);
        }
        Ok(())
    }

    /// A transfer came to its end.
    pub(super) fn on_snapshot_sent<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        sent: Sent,
    ) -> Result<(), StoreError> {
        self.with_peer(env, tick, sent.region, |peer, _| peer.on_snapshot_sent(sent.to_peer, sent.ok))?;
        Ok(())
    }

    /// Gives up transfers in which nothing comes any more, and repeats what may be lost.
    pub(super) fn on_transfer_time<E: Env>(&mut self, env: &mut E, tick: u64) -> Result<(), StoreError> {
        if self.outgoing.next_due() <= tick {
            for sent in self.outgoing.on_tick(env, tick) {
                self.on_snapshot_sent(env, tick, sent)?;
            }
        }
        if self.incoming.next_due() <= tick {
            self.incoming.on_tick(env, tick)?;
        }
        Ok(())
    }

    /// Snapshots that came in are durable: raft may hear of them.
    pub(super) fn on_snapshots_synced<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        up_to: WriteSeq,
    ) -> Result<(), StoreError> {
        for Received { key, message, from } in self.incoming.on_synced(up_to) {
            if !self.offer(env, tick, key, message, from)? {
                self.incoming.finish(env, tick, key, SnapshotVerdict::Refused)?;
            }
        }
        Ok(())
    }

    /// Offers a snapshot to raft. False if it cannot use it.
    fn offer<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        key: SnapshotKey,
        message: RaftMessage,
        from: raft_proto::metapb::Peer,
    ) -> Result<bool, StoreError> {
        let region = message.region_id;
        let Some(peer) = self.peer(region).filter(|peer| peer.peer_id() == key.to_peer) else {
            return Ok(false);
        };
        if peer.is_restoring() {
            return Ok(false);
        }
        let Ok((metadata, data)) = self.check_snapshot(peer, &message) else { return Ok(false) };
        let Some(message) = message.message else { return Ok(false) };
        // Now, and not when raft has given its log for it: a chunk that is damaged costs this snapshot, and another comes.
        match load(env, &key, &data) {
            Err(LoadError::Engine(error)) if !matches!(error, EngineError::Corrupt(_)) => {
                return Err(error.into());
            }
            Err(_) => return Ok(false),
            Ok(_) => {}
        }
        let record = SnapshotRecord {
            key: Some(key),
            metadata: Some(metadata),
            data: Some(data),
            peer_id: key.to_peer,
        };
        self.with_peer(env, tick, region, |peer, _| {
            peer.offer_snapshot(record);
            peer.on_raft_message(from, message);
        })?;
        let declined = self
            .peers
            .get_mut(&region)
            .is_some_and(|peer| std::sync::Arc::make_mut(peer).has_declined_snapshot());
        Ok(!declined)
    }

    /// Whether a replica could use a snapshot: it is of its region with it as a member, not older than what it
    /// knows, and of keys that no other replica here has. Nothing is reserved by asking, so nothing is left of a
    /// refusal (TiKV 8408).
    pub(super) fn check_snapshot(
        &self,
        peer: &Peer,
        message: &RaftMessage,
    ) -> Result<(SnapshotMetadata, RaftSnapshotData), &'static str> {
        let snapshot = message.message.as_ref().and_then(|message| message.snapshot.as_ref());
        let snapshot = snapshot.ok_or("no snapshot in the message")?;
        let metadata = snapshot.metadata.clone().ok_or("a snapshot without metadata")?;
        let data = RaftSnapshotData::decode(snapshot.data.clone()).map_err(|_| "data that cannot be read")?;
        let region = data.region.as_ref().ok_or("a snapshot without region")?;
        let old = peer.region();
        if region.id != old.id || region.peers.iter().all(|member| member.id != peer.peer_id()) {
            return Err("the replica is no member of it");
        }
        if peer.is_initialized() {
            let grows = region.start_key < old.start_key
                || !old.end_key.is_empty() && (region.end_key.is_empty() || region.end_key > old.end_key);
            if is_older(region.region_epoch.unwrap_or_default(), peer.epoch()) || grows {
                return Err("the snapshot is older than the replica");
            }
        }
        let here = region
            .peers
            .iter()
            .any(|member| member.id == peer.peer_id() && member.store_id == self.config.store_id);
        let conf = metadata.conf_state.clone().unwrap_or_default();
        let ordered = region.end_key.is_empty() || region.start_key < region.end_key;
        if !here || !ordered || !admin::same_members(&admin::conf_state(region, conf.auto_leave), &conf) {
            return Err("the snapshot contradicts itself");
        }
        if self.ranges.overlapping(&region.start_key, &region.end_key).any(|other| other != region.id) {
            return Err("another replica has some of its keys");
        }
        Ok((metadata, data))
    }

    /// A snapshot has taken a log's place, so its keys are claimed. A replica that had some of them keeps its claim to
    /// all of those until its data is replaced: what was split off is cleared with them.
    pub(super) fn claim_for_snapshot(&mut self, region: u64) {
        let Some(peer) = self.peers.get(&region) else { return };
        if !peer.is_initialized()
            && let Some(region) = peer.incoming_region()
        {
            self.ranges.claim(region);
        }
    }

    /// The record of a snapshot is durable: it is accepted, and becomes data.
    pub(super) fn begin_restore<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        region: u64,
    ) -> Result<(), StoreError> {
        let Some(record) = self.peer(region).and_then(|peer| peer.restoring()).cloned() else {
            return Ok(());
        };
        let SnapshotRecord { key: Some(key), data: Some(data), peer_id, .. } = record else { return Ok(()) };
        self.incoming.finish(env, tick, key, SnapshotVerdict::Accepted)?;
        let body = load(env, &key, &data).map_err(|error| StoreError::corrupt(region, error.to_string()))?;
        let mut begun = Ok(());
        self.with_peer(env, tick, region, |peer, env| begun = peer.begin_restore(env, body))?;
        begun?;
        self.next_piece(env, region, peer_id);
        Ok(())
    }

    fn next_piece(&mut self, env: &mut impl Env, region: u64, peer: u64) {
        let bytes = self.config.snapshot_batch_size;
        self.start_task(env, Purpose::Restore { region, peer }, Task::Write { bytes });
    }

    /// It is time to write the next piece of a snapshot.
    pub(super) fn on_restore_time<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        region: u64,
        peer_id: u64,
    ) -> Result<(), StoreError> {
        let restoring = |peer: &&Peer| peer.peer_id() == peer_id && peer.is_restoring();
        if self.peer(region).filter(restoring).is_none() {
            return Ok(());
        }
        let limit = self.config.snapshot_batch_size;
        let mut done = Ok(false);
        self.with_peer(env, tick, region, |peer, env| done = peer.continue_restore(env, limit))?;
        if !done? {
            self.next_piece(env, region, peer_id);
        }
        Ok(())
    }

    /// A snapshot is data. The replica may not be there any more when that is durable, but what is left of the snapshot
    /// has to go all the same.
    pub(super) fn on_restored(
        &mut self,
        env: &mut impl Env,
        region: u64,
        seq: WriteSeq,
        record: SnapshotRecord,
        old: &Region,
    ) -> Result<(), StoreError> {
        let Some(peer) = self.peers.get(&region) else { return Ok(()) };
        let new = peer.region().clone();
        self.ranges.release(old);
        self.ranges.release(&new);
        self.ranges.claim(&new);
        if let Some(key) = record.key {
            self.waiting.push_back((seq, Wait::Restored { region, key }));
        }
        self.sync_kv(env)
    }

    /// A snapshot's data is durable, so that its record and its file are no longer needed.
    pub(super) fn on_restore_durable(
        &mut self,
        env: &mut impl Env,
        region: u64,
        key: SnapshotKey,
    ) -> Result<(), StoreError> {
        // A later snapshot may have put its own record in the place.
        let record = read_message::<SnapshotRecord>(env, Db::Raft, &keys::snapshot_record(region), region)?;
        if record.is_some_and(|record| record.key == Some(key)) {
            let mut batch = WriteBatch::new();
            batch.delete(&keys::snapshot_record(region));
            env.write(Db::Raft, batch)?;
        }
        self.incoming.remove(env, key)
    }
}
