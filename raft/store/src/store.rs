//! A store: the replicas that live on one machine, by region, and the inputs that reach them.
//!
//! Every input finds its peer, gives it the ticks that went by, changes it, and lets it do what raft has
//! ready; what that means beyond the peer ([`Event`]) is done then. With many regions, an input costs a lookup or
//! two in a map however many others there are.
//!
//! Two databases must agree, and are synced apart from each other. Whatever concerns both begins with one
//! atomic batch that decides (its *commit point*), and the rest waits until that is durable ([`Wait`]). A crash in
//! between leaves work that [`Store::open`] finds and does.
//!
//! A store that cannot trust its databases stops: it ignores all input from then on. It must not serve
//! from memory what may not be on disk, nor promise what it may not remember.

mod audit;
mod destroy;
mod events;
mod messages;
mod open;
mod operator;
mod placement;
mod snapshots;

pub(crate) use open::check_ident;

use std::collections::VecDeque;
use std::sync::Arc;

use im::{OrdMap, OrdSet};
use raft_proto::raft_cmdpb::RaftCmdRequest;
use raft_proto::raft_serverpb::{RegionLocalState, SnapshotKey};
use smallvec::SmallVec;

use crate::config::Config;
use crate::engine::{Db, Env, RequestId, WriteBatch, WriteSeq};
use crate::error::{EngineError, StoreError};
use crate::keys;
use crate::peer::{Event, Peer};
use crate::ranges::Ranges;
use crate::snapshot::{Incoming, Outgoing};
use crate::task::{TaskId, TaskOutput};
use crate::timers::{NEVER, Timers};
use crate::validate::{RequestError, check_store, first_key};
use messages::PendingVotes;
use snapshots::Made;

/// A store. A clone is cheap: replicas are shared until one of the two changes them.
#[derive(Clone, Debug)]
pub struct Store {
    config: Arc<Config>,
    peers: OrdMap<u64, Arc<Peer>>,
    ranges: Ranges,
    timers: Timers,
    /// Which region waits for which write to the raft database, in the order of the writes.
    unsynced: VecDeque<(WriteSeq, u64)>,
    /// What waits for which write to the kv database, in the order of the writes.
    waiting: VecDeque<(WriteSeq, Wait)>,
    /// Regions that applied something since the last sync of the kv database began, and what the sync under way makes
    /// durable of others.
    dirty: Vec<u64>,
    syncing: VecDeque<(WriteSeq, u64, u64)>,
    /// Regions whose replica here was destroyed, while the raft database may still hold it.
    destroying: OrdSet<u64>,
    /// Regions that a split made, while the kv database may not hold them.
    splitting: OrdSet<u64>,
    /// Marks of births that may go when the raft database is durable up to a write.
    births: VecDeque<(WriteSeq, u64)>,
    votes: PendingVotes,
    tasks: OrdMap<TaskId, Purpose>,
    next_task: u64,
    outgoing: Outgoing,
    incoming: Incoming,
    /// The snapshot that is being handed to raft.
    made: Option<Made>,
    /// Ranges that nobody holds any more, to be cleared one after the other.
    clearing: VecDeque<(bytes::Bytes, bytes::Bytes)>,
    /// When the store tells the placement driver that it is there.
    heartbeat: u64,
    /// The kv database still has the mark of a bootstrap that may not be durable.
    bootstrapping: bool,
    touched: SmallVec<[u64; 4]>,
    /// The replicas that the last input destroyed.
    departed: Vec<Arc<Peer>>,
    failed: Option<StoreError>,
}

/// What is done when a write to the kv database is durable.
#[derive(Clone, Debug)]
enum Wait {
    /// The log's start is: the entries go.
    Truncate { region: u64, to: u64 },
    /// A split is: the new region's replica may come to life, and make promises.
    Split { region: RegionLocalState, campaign: bool },
    /// A tombstone is: what the raft database has of the replica goes, and its keys may be another one's.
    Destroyed { region: u64, keys: Vec<(bytes::Bytes, bytes::Bytes)> },
    /// What a region has become is: others may be told.
    Changed { region: u64 },
    /// That nobody here holds these keys any more is: they may be another one's.
    Freed { start: bytes::Bytes, end: bytes::Bytes },
    /// A snapshot's data is: its record and its file go.
    Restored { region: u64, key: SnapshotKey },
}

/// What a task is for.
#[derive(Clone, Debug)]
enum Purpose {
    /// A snapshot for a region's followers.
    Snapshot(Box<snapshots::Making>),
    /// The next piece of a snapshot that becomes data.
    Restore { region: u64, peer: u64 },
    /// The next piece of a range that nobody holds.
    Clear,
    /// How large a region is, and where to split it: always, or only if it is too large.
    Measure { region: u64, always: bool },
}

impl Store {
    /// A client's request. It is answered through [`Replies`](crate::Replies): at once when it is refused,
    /// otherwise when its entry is applied, or another one in its place.
    ///
    /// A request that names no region (0) is refused with the region here that holds its key: so clients find their way.
    pub fn on_request(&mut self, env: &mut impl Env, now_ns: u64, id: RequestId, request: RaftCmdRequest) {
        self.input(|store| {
            let header = request.header.unwrap_or_default();
            let region_id = header.region_id;
            if region_id == 0 {
                env.reply(id, store.locate(&request).into_response(0));
                return Ok(());
            }
            if let Err(error) = check_store(&header, store.config.store_id) {
                env.reply(id, error.into_response(0));
                return Ok(());
            }
            let tick = store.timers.tick_at(now_ns);
            let config = Arc::clone(&store.config);
            let mut refused = Some(RequestError::RegionNotFound { region_id });
            let mut term = 0;
            store.with_peer(env, tick, region_id, |peer, env| {
                term = peer.raft().term();
                refused = peer.propose(env, &config, id, &header, &request).err();
            })?;
            if let Some(mut error) = refused {
                if let RequestError::EpochNotMatch { regions } = &mut error {
                    store.add_holder(regions, &request);
                }
                env.reply(id, error.into_response(term));
            }
            Ok(())
        });
    }

    /// The answer to a request that names no region.
    fn locate(&self, request: &RaftCmdRequest) -> RequestError {
        let mut regions = Vec::new();
        self.add_holder(&mut regions, request);
        if regions.is_empty() {
            RequestError::RegionNotFound { region_id: 0 }
        } else {
            RequestError::EpochNotMatch { regions }
        }
    }

    /// Adds the region here that holds what a request is about.
    fn add_holder(&self, regions: &mut Vec<raft_proto::metapb::Region>, request: &RaftCmdRequest) {
        let holder = first_key(request).and_then(|key| self.ranges.holding(key));
        if let Some(peer) = holder.and_then(|region| self.peer(region))
            && peer.is_initialized()
            && regions.iter().all(|region| region.id != peer.region().id)
        {
            regions.push(peer.region().clone());
        }
    }

    /// Every write to `db` up to number `up_to` is durable.
    pub fn on_synced(&mut self, env: &mut impl Env, now_ns: u64, db: Db, up_to: WriteSeq) {
        self.input(|store| {
            let tick = store.timers.tick_at(now_ns);
            match db {
                Db::Raft => store.on_raft_synced(env, tick, up_to),
                Db::Kv => store.on_kv_synced(env, tick, up_to),
                Db::Snapshots => store.on_snapshots_synced(env, tick, up_to),
            }
        });
    }

    /// A sync of a database failed. What it covered may or may not be durable, and may become so or not
    /// without anybody being told: no later sync can make up for it, so the store stops.
    pub fn on_sync_failed(&mut self, error: EngineError) {
        self.input(|_| Err(error.into()));
    }

    /// The time of [`next_deadline`](Store::next_deadline) has come. Harmless at any other time.
    pub fn on_timer(&mut self, env: &mut impl Env, now_ns: u64) {
        self.input(|store| {
            let tick = store.timers.tick_at(now_ns);
            for region in store.timers.take_due(tick) {
                store.with_peer(env, tick, region, |peer, _| peer.queued = NEVER)?;
            }
            if store.timers.take_kv_sync(tick) {
                store.sync_kv(env)?;
            }
            store.on_transfer_time(env, tick)?;
            store.on_placement_time(env, tick);
            Ok(())
        });
    }

    /// When [`on_timer`](Store::on_timer) should be called: nanoseconds on the store's own clock. A time
    /// that is past means now. `None` while nothing is due, or the store stopped.
    ///
    /// An input may move it to an earlier time, and a caller must look again then. When it moves to a
    /// later one, a call at the old time does no harm. On a clock that went back it is what it was, until an input has told
    /// the store of it: whoever waits should count the span from now to it, and then call.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        if self.failed.is_some() {
            return None;
        }
        let own = self.heartbeat.min(self.outgoing.next_due()).min(self.incoming.next_due());
        self.timers.next_deadline(own)
    }

    /// A task is done, with this result: see [`Background`](crate::Background). A store whose databases could not be
    /// read stops.
    pub fn on_task_done(
        &mut self,
        env: &mut impl Env,
        now_ns: u64,
        id: TaskId,
        output: Result<TaskOutput, EngineError>,
    ) {
        self.input(|store| {
            let tick = store.timers.tick_at(now_ns);
            let output = output?;
            match (store.tasks.remove(&id), output) {
                (Some(Purpose::Snapshot(making)), TaskOutput::Snapshot(body)) => {
                    store.on_snapshot_made(env, tick, *making, body)
                }
                (Some(Purpose::Restore { region, peer }), _) => {
                    store.on_restore_time(env, tick, region, peer)
                }
                (Some(Purpose::Clear), _) => store.clear_next(env),
                (Some(Purpose::Measure { region, always }), TaskOutput::Measured { size, split_key }) => {
                    store.on_measured(env, tick, region, size, split_key, always)
                }
                _ => Ok(()),
            }
        });
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The replica of `region_id`.
    #[must_use]
    pub fn peer(&self, region_id: u64) -> Option<&Peer> {
        self.peers.get(&region_id).map(Arc::as_ref)
    }

    /// All replicas, in the order of their regions' ids.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().map(Arc::as_ref)
    }

    /// The region whose replica here holds `key`, as far as that replica knows.
    #[must_use]
    pub fn region_of_key(&self, key: &[u8]) -> Option<u64> {
        self.ranges.holding(key).filter(|region| self.peer(*region).is_some_and(Peer::is_initialized))
    }

    /// The regions that the last input touched, each once, in the order in which they were.
    #[must_use]
    pub fn touched(&self) -> &[u64] {
        &self.touched
    }

    /// The replicas that the last input destroyed, as they were in the end.
    pub fn departed(&self) -> impl Iterator<Item = &Peer> {
        self.departed.iter().map(Arc::as_ref)
    }

    /// Why the store stopped, if it did.
    #[must_use]
    pub fn failed(&self) -> Option<&StoreError> {
        self.failed.as_ref()
    }

    /// The frame of every input: nothing happens any more once the store has stopped.
    fn input(&mut self, handle: impl FnOnce(&mut Store) -> Result<(), StoreError>) {
        self.touched.clear();
        self.departed.clear();
        if self.failed.is_none() {
            self.failed = handle(self).err();
        }
    }

    /// Lets `act` change a replica, and does what follows from it. False when there is no such replica.
    fn with_peer<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        region_id: u64,
        act: impl FnOnce(&mut Peer, &mut E),
    ) -> Result<bool, StoreError> {
        let Some(peer) = self.peers.get_mut(&region_id) else {
            return Ok(false);
        };
        let peer = Arc::make_mut(peer);
        if !self.touched.contains(&region_id) {
            self.touched.push(region_id);
        }
        peer.catch_up(tick);
        act(peer, env);
        peer.on_time(env, &self.config);
        let applied = peer.handle_ready(env, &mut self.unsynced)?;
        peer.set_timers(&self.config);
        let due = peer.due();
        self.timers.schedule(region_id, &mut peer.queued, due);
        if applied {
            if !peer.dirty {
                peer.dirty = true;
                self.dirty.push(region_id);
            }
            self.timers.schedule_kv_sync(tick.saturating_add(self.config.kv_sync_interval_ticks));
        }
        if !peer.events.is_empty() {
            let events = std::mem::take(&mut peer.events);
            for event in events {
                self.on_event(env, tick, region_id, event)?;
            }
        }
        Ok(true)
    }

    /// Begins to make durable what is in the kv database, and remembers how far each region's data is applied in it.
    fn sync_kv(&mut self, env: &mut impl Env) -> Result<(), StoreError> {
        for region in std::mem::take(&mut self.dirty) {
            if let Some(peer) = self.peers.get_mut(&region) {
                let peer = Arc::make_mut(peer);
                peer.dirty = false;
                let (seq, applied) = peer.last_applied();
                self.syncing.push_back((seq, region, applied));
            }
        }
        env.sync(Db::Kv)?;
        Ok(())
    }

    fn on_raft_synced<E: Env>(&mut self, env: &mut E, tick: u64, up_to: WriteSeq) -> Result<(), StoreError> {
        let mut marks = WriteBatch::new();
        if std::mem::take(&mut self.bootstrapping) {
            // Whatever was synced came after the first region's raft state, so that is durable now.
            marks.delete(&keys::PREPARE_BOOTSTRAP);
        }
        while let Some((_, region)) = self.births.pop_front_if(|(seq, _)| *seq <= up_to) {
            marks.delete(&keys::birth(region));
        }
        if !marks.is_empty() {
            env.write(Db::Kv, marks)?;
            self.timers.schedule_kv_sync(tick.saturating_add(self.config.kv_sync_interval_ticks));
        }
        let mut regions = SmallVec::<[u64; 4]>::new();
        while let Some((_, region)) = self.unsynced.pop_front_if(|(seq, _)| *seq <= up_to) {
            regions.push(region);
        }
        regions.sort_unstable();
        regions.dedup();
        for region in regions {
            self.with_peer(env, tick, region, |peer, env| peer.on_synced(env, up_to))?;
        }
        Ok(())
    }

    fn on_kv_synced<E: Env>(&mut self, env: &mut E, tick: u64, up_to: WriteSeq) -> Result<(), StoreError> {
        // Regions stand in the order in which they became dirty, so a later one may have been written earlier.
        let mut later = VecDeque::new();
        for (seq, region, applied) in std::mem::take(&mut self.syncing) {
            match self.peers.get_mut(&region) {
                Some(peer) if seq <= up_to => Arc::make_mut(peer).set_durable_applied(applied),
                Some(_) => later.push_back((seq, region, applied)),
                None => {}
            }
        }
        self.syncing = later;
        while let Some((_, wait)) = self.waiting.pop_front_if(|(seq, _)| *seq <= up_to) {
            self.on_durable(env, tick, wait)?;
        }
        Ok(())
    }
}
