//! What a replica's doings mean for the rest of the store, and what is done when the kv database is durable.

use raft_proto::metapb::Region;
use raft_proto::raft_serverpb::{PeerState, RegionLocalState, StoreMessage, store_message::Payload};

use super::destroy::tombstone;
use super::{Event, Purpose, Store, Wait};
use crate::engine::{Db, Env, WriteBatch};
use crate::error::StoreError;
use crate::keys;
use crate::peer::Peer;
use crate::peer_storage::{PeerStorage, read_message};
use crate::task::Task;

impl Store {
    pub(super) fn on_event<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        region: u64,
        event: Event,
    ) -> Result<(), StoreError> {
        match event {
            Event::Leads | Event::Heartbeat => {
                self.send_region_heartbeat(env, region);
                Ok(())
            }
            Event::RegionChanged => self.on_region_changed(env, region),
            Event::Split { whole, right } => self.on_split(env, region, &whole, *right),
            Event::Removed(at) => self.destroy(env, tick, region, Some(at)),
            Event::Compacted { seq, to } => {
                self.waiting.push_back((seq, Wait::Truncate { region, to }));
                self.sync_kv(env)
            }
            Event::WantsSnapshot => self.make_snapshot(env, tick, region),
            Event::SendSnapshot(message) => self.send_snapshot(env, tick, *message),
            Event::TookSnapshot => {
                self.claim_for_snapshot(region);
                Ok(())
            }
            Event::Restore => self.begin_restore(env, tick, region),
            Event::Restored { seq, record, old } => self.on_restored(env, region, seq, *record, &old),
            Event::SyncKv => self.sync_kv(env),
            Event::Measure => {
                self.measure(env, region, false);
                Ok(())
            }
            Event::Orphaned => {
                self.ask_for_membership(env, region);
                Ok(())
            }
        }
    }

    /// The members or roles are new, or the data is, after a snapshot.
    fn on_region_changed(&mut self, env: &mut impl Env, region: u64) -> Result<(), StoreError> {
        self.waiting.push_back((self.last_kv_write(region), Wait::Changed { region }));
        self.sync_kv(env)
    }

    /// A region was split: the left half is what it was, with fewer keys. The right half's replica must make no
    /// promise before the split is durable: a crash would take the split back and leave the promise without a
    /// replica to keep it.
    fn on_split(
        &mut self,
        env: &mut impl Env,
        region: u64,
        whole: &Region,
        right: Region,
    ) -> Result<(), StoreError> {
        let Some(left) = self.peers.get(&region) else { return Ok(()) };
        let (campaign, left) = (left.raft().is_leader(), left.region().clone());
        self.ranges.release(whole);
        self.ranges.claim(&left);
        self.waiting.push_back((self.last_kv_write(region), Wait::Changed { region }));
        let key = keys::region_state(right.id);
        let state = read_message::<RegionLocalState>(env, Db::Kv, &key, right.id)?;
        let mine = right.peers.iter().find(|peer| peer.store_id == self.config.store_id).copied();
        // A replica of the new region may be here already, made by a message: it is the same one, or one that was
        // added after this one was removed again (TiKV 8084, 17535).
        let newer = self.peers.get(&right.id).map(|peer| peer.peer_id());
        match (state, mine) {
            (Some(state), Some(mine))
                if state.state() == PeerState::Normal && newer.is_none_or(|newer| newer <= mine.id) =>
            {
                self.ranges.claim(&right);
                self.splitting.insert(right.id);
                // What an earlier replica without data has promised is on the disk, and is read from there.
                self.peers.remove(&right.id);
                let seq = self.last_kv_write(region);
                self.waiting.push_back((seq, Wait::Split { region: state, campaign }));
                self.sync_kv(env)
            }
            (state, _) => {
                let mut seq = self.last_kv_write(region);
                if let Some(state) = state.filter(|state| state.state() == PeerState::Normal) {
                    // The split has written the records of a replica that is gone already.
                    let mut batch = WriteBatch::new();
                    batch.put_message(&key, &tombstone(right.clone(), state.peer_id, None));
                    batch.delete(&keys::apply_state(right.id));
                    batch.delete(&keys::birth(right.id));
                    seq = env.write(Db::Kv, batch)?;
                }
                // Another replica may have these keys once a crash cannot give them back to the left one, nor to
                // the one that is gone.
                let Region { start_key: start, end_key: end, .. } = right;
                self.ranges.withhold(&start, &end);
                self.waiting.push_back((seq, Wait::Freed { start, end }));
                self.sync_kv(env)
            }
        }
    }

    /// The last write of a replica's applied index.
    fn last_kv_write(&self, region: u64) -> u64 {
        self.peers.get(&region).map_or(0, |peer| peer.last_applied().0)
    }

    pub(super) fn on_durable<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        wait: Wait,
    ) -> Result<(), StoreError> {
        match wait {
            Wait::Truncate { region, to } => {
                let mut done = Ok(());
                self.with_peer(env, tick, region, |peer, env| done = peer.delete_log(env, to))?;
                done
            }
            Wait::Split { region, campaign } => self.bring_to_life(env, tick, region, campaign),
            Wait::Destroyed { region, keys } => self.on_tombstone_durable(env, region, keys),
            Wait::Changed { region } => {
                self.send_region_heartbeat(env, region);
                Ok(())
            }
            Wait::Freed { start, end } => {
                self.on_freed(env, start, end);
                Ok(())
            }
            Wait::Restored { region, key } => self.on_restore_durable(env, region, key),
        }
    }

    /// The replica of a region that a split made begins to live.
    fn bring_to_life<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        state: RegionLocalState,
        campaign: bool,
    ) -> Result<(), StoreError> {
        let Some(region) = state.region.clone() else { return Ok(()) };
        let id = region.id;
        self.splitting.remove(&id);
        let born = first_raft_state(env, &state, &region)?;
        if let Some(batch) = born.batch {
            let seq = env.write(Db::Raft, batch)?;
            self.births.push_back((seq, id));
            env.sync(Db::Raft)?;
        }
        let mut peer = Peer::load(env, &self.config, state, born.never_promised)?;
        peer.start_at(tick);
        self.peers.insert(id, std::sync::Arc::new(peer));
        let vote = self.votes.take(id);
        self.with_peer(env, tick, id, |peer, _| {
            // The leader of the whole leads the half most likely: nobody else need wait for a timeout.
            if campaign {
                peer.campaign();
            }
            if let Some(vote) = vote
                && vote.to_peer.is_some_and(|to| to.id == peer.peer_id())
                && let (Some(from), Some(message)) = (vote.from_peer, vote.message)
            {
                peer.on_raft_message(from, message);
            }
        })?;
        Ok(())
    }

    /// Looks how large a region is, and splits it: `always`, or if it is too large.
    pub(super) fn measure(&mut self, env: &mut impl Env, region: u64, always: bool) {
        let Some(peer) = self.peers.get_mut(&region).map(std::sync::Arc::make_mut) else { return };
        peer.start_measuring();
        let keep = if always { 0 } else { self.config.region_split_size };
        let task = Task::Measure { region: peer.region().clone(), keep };
        self.start_task(env, Purpose::Measure { region, always }, task);
    }

    /// Nobody leads this replica's region, as far as it hears. It asks whether it is still a member.
    fn ask_for_membership(&mut self, env: &mut impl Env, region: u64) {
        let Some(peer) = self.peers.get(&region) else { return };
        for to in peer.acquaintances() {
            let question = peer.envelope(to, None);
            env.send(to.store_id, StoreMessage { payload: Some(Payload::Raft(question)) });
        }
        self.ask_placement_for(env, region);
    }
}

/// The raft state that a new region's replica begins with.
pub(super) struct Birth {
    /// What is missing on the disk.
    pub(super) batch: Option<WriteBatch>,
    /// It was never anywhere before.
    pub(super) never_promised: bool,
}

/// A replica that a message had made may have voted in the new region already: its term and vote stay.
pub(super) fn first_raft_state(
    env: &impl Env,
    state: &RegionLocalState,
    region: &Region,
) -> Result<Birth, StoreError> {
    use raft_proto::raft_serverpb::RaftLocalState;
    let key = keys::raft_state(region.id);
    let known = read_message::<RaftLocalState>(env, Db::Raft, &key, region.id)?;
    if known.as_ref().is_some_and(|known| known.last_index > 0) {
        return Ok(Birth { batch: None, never_promised: false });
    }
    let mut first = *PeerStorage::initial(state.peer_id, region.clone()).raft_state();
    if let (Some(first), Some(known)) =
        (&mut first.hard_state, known.as_ref().and_then(|known| known.hard_state))
        && known.term >= first.term
    {
        (first.term, first.vote) = (known.term, known.vote);
    }
    let mut batch = WriteBatch::new();
    batch.put_message(&key, &first);
    Ok(Birth { batch: Some(batch), never_promised: known.is_none() })
}
