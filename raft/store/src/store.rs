//! A store: the replicas that live on one machine, by region, and the inputs that reach them.
//!
//! Every input finds its peer, gives it the ticks that went by, changes it, and lets it do what raft has
//! ready. With many regions, an input costs a lookup or two in a map however many others there are.
//!
//! A store that cannot trust its databases stops: it ignores all input from then on. It must not serve
//! from memory what may not be on disk, nor promise what it may not remember.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use im::OrdMap;
use prost::Message;
use raft_proto::raft_cmdpb::RaftCmdRequest;
use raft_proto::raft_serverpb::{PeerState, RaftMessage, RegionLocalState, StoreIdent, StoreMessage, store_message::Payload};
use raft_proto::raft_cmdpb::{ChangePeerV2Request, SplitRequest};
use raft_proto::schedulerpb;
use smallvec::SmallVec;

use crate::config::Config;
use crate::engine::{Db, Env, Read, RequestId, WriteBatch, WriteSeq};
use crate::error::{EngineError, StoreError};
use crate::keys::{self, Key};
use crate::peer::Peer;
use crate::peer_storage::read_message;
use crate::task::{TaskId, TaskOutput};
use crate::timers::{NEVER, Timers};
use crate::validate::{RequestError, check_store};

/// A store. A clone is cheap: replicas are shared until one of the two changes them.
#[derive(Clone, Debug)]
pub struct Store {
    config: Config,
    peers: OrdMap<u64, Arc<Peer>>,
    timers: Timers,
    /// Which region waits for which write to the raft database, in the order of the writes.
    unsynced: VecDeque<(WriteSeq, u64)>,
    /// The kv database still has the mark of a bootstrap that may not be durable.
    bootstrapping: bool,
    touched: SmallVec<[u64; 4]>,
    failed: Option<StoreError>,
}

impl Store {
    /// Opens the store that the databases hold, after [`bootstrap`](Store::bootstrap) or a restart.
    /// Committed entries that were not applied yet are applied now. `now_ns` is the store's own clock.
    ///
    /// # Errors
    /// When the databases cannot be read or written, contradict themselves, belong to another store, or
    /// were never bootstrapped.
    pub fn open(env: &mut impl Env, config: Config, now_ns: u64) -> Result<Store, StoreError> {
        config.validate()?;
        check_ident(env, &config)?.ok_or(StoreError::NotBootstrapped)?;
        let mut store = Store {
            peers: load_peers(env, &config)?,
            timers: Timers::new(now_ns, config.tick_interval_ns),
            config,
            unsynced: VecDeque::new(),
            bootstrapping: env.get(Db::Kv, &keys::PREPARE_BOOTSTRAP)?.is_some(),
            touched: SmallVec::new(),
            failed: None,
        };
        let regions: Vec<u64> = store.peers.keys().copied().collect();
        for region in regions {
            store.with_peer(env, 0, region, |_, _| {})?;
        }
        Ok(store)
    }

    /// A message from another store.
    ///
    /// Dropped, unless it is for this store and for the replica of the region that lives here now, and of a
    /// kind that replicas send each other.
    pub fn on_message(&mut self, env: &mut impl Env, now_ns: u64, message: StoreMessage) {
        self.input(|store| {
            let Some(Payload::Raft(message)) = message.payload else { return Ok(()) };
            let RaftMessage {
                region_id,
                from_peer: Some(from),
                to_peer: Some(to),
                message: Some(message),
                ..
            } = message
            else {
                return Ok(());
            };
            if to.store_id == store.config.store_id {
                let tick = store.timers.tick_at(now_ns);
                let handle = |peer: &mut Peer, _: &mut _| peer.on_raft_message(to, from, message);
                store.with_peer(env, tick, region_id, handle)?;
            }
            Ok(())
        });
    }

    /// A client's request. It is answered through [`Replies`](crate::Replies): at once when it is refused,
    /// otherwise when its entry is applied, or another one in its place.
    pub fn on_request(&mut self, env: &mut impl Env, now_ns: u64, id: RequestId, request: RaftCmdRequest) {
        self.input(|store| {
            let header = request.header.unwrap_or_default();
            let region_id = header.region_id;
            if let Err(error) = check_store(&header, store.config.store_id) {
                env.reply(id, error.into_response(0));
                return Ok(());
            }
            let tick = store.timers.tick_at(now_ns);
            let found = store.with_peer(env, tick, region_id, |peer, env| {
                if let Err(error) = peer.propose(id, &header, &request) {
                    env.reply(id, error.into_response(peer.raft().term()));
                }
            })?;
            if !found {
                env.reply(id, RequestError::RegionNotFound { region_id }.into_response(0));
            }
            Ok(())
        });
    }

    /// Every write to `db` up to number `up_to` is durable.
    pub fn on_synced(&mut self, env: &mut impl Env, now_ns: u64, db: Db, up_to: WriteSeq) {
        self.input(|store| match db {
            Db::Raft => store.on_raft_synced(env, now_ns, up_to),
            // Nothing waits for the kv database: what it loses, the log replays.
            Db::Kv | Db::Snapshots => Ok(()),
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
                env.sync(Db::Kv)?;
            }
            Ok(())
        });
    }

    /// When [`on_timer`](Store::on_timer) should be called: nanoseconds on the store's own clock. A time
    /// that is past means now. `None` while nothing is due, or the store stopped.
    ///
    /// An input may move it to an earlier time, and a caller must look again then. When it moves to a
    /// later one, a call at the old time does no harm.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        if self.failed.is_some() { None } else { self.timers.next_deadline() }
    }

    /// An operator asks the replica of `region_id` to start an election. Nothing happens when there is
    /// none, or it leads already.
    pub fn campaign(&mut self, env: &mut impl Env, now_ns: u64, region_id: u64) {
        self.input(|store| {
            let tick = store.timers.tick_at(now_ns);
            store.with_peer(env, tick, region_id, |peer, _| peer.campaign())?;
            Ok(())
        });
    }

    /// An operator asks for the replica of `region_id` on another store to become its leader. The replica here leads,
    /// or passes the wish on to the one that does.
    ///
    /// # Errors
    /// When the region has no replica here or there, or no leader is known.
    pub fn transfer_leader(
        &mut self,
        env: &mut impl Env,
        now_ns: u64,
        region_id: u64,
        to_store: u64,
    ) -> Result<(), RequestError> {
        let mut answer = Err(RequestError::RegionNotFound { region_id });
        self.input(|store| {
            let tick = store.timers.tick_at(now_ns);
            store.with_peer(env, tick, region_id, |peer, _| answer = peer.transfer_leader(to_store))?;
            Ok(())
        });
        answer
    }

    /// A task is done, with this result: see [`Background`](crate::Background).
    ///
    /// # Errors of tasks
    /// A store that could not read its databases stops.
    pub fn on_task_done(
        &mut self,
        env: &mut impl Env,
        now_ns: u64,
        id: TaskId,
        output: Result<TaskOutput, EngineError>,
    ) {
        let _ = (env, now_ns, id, output);
    }

    /// The placement driver answers, or orders something.
    pub fn on_placement(&mut self, env: &mut impl Env, now_ns: u64, response: schedulerpb::Response) {
        let _ = (env, now_ns, response);
    }

    /// An operator asks the leader of `region_id`, which must be here, to change its members.
    ///
    /// # Errors
    /// When it is not here, does not lead, or cannot change now.
    pub fn change_peers(
        &mut self,
        env: &mut impl Env,
        now_ns: u64,
        region_id: u64,
        change: &ChangePeerV2Request,
    ) -> Result<(), RequestError> {
        let _ = (env, now_ns, region_id, change);
        Err(RequestError::RegionNotFound { region_id })
    }

    /// An operator asks the leader of `region_id`, which must be here, to split it.
    ///
    /// # Errors
    /// When it is not here, does not lead, or the request makes no sense.
    pub fn split(
        &mut self,
        env: &mut impl Env,
        now_ns: u64,
        region_id: u64,
        split: &SplitRequest,
    ) -> Result<(), RequestError> {
        let _ = (env, now_ns, region_id, split);
        Err(RequestError::RegionNotFound { region_id })
    }

    /// An operator asks the leader of `region_id`, which must be here, to compact its log as far as it can.
    ///
    /// # Errors
    /// When it is not here or does not lead.
    pub fn compact(&mut self, env: &mut impl Env, now_ns: u64, region_id: u64) -> Result<(), RequestError> {
        let _ = (env, now_ns, region_id);
        Err(RequestError::RegionNotFound { region_id })
    }

    /// The region whose replica here holds `key`, as far as that replica knows.
    #[must_use]
    pub fn region_of_key(&self, key: &[u8]) -> Option<u64> {
        let holds = |peer: &&Arc<Peer>| {
            let region = peer.region();
            *region.start_key <= *key && (region.end_key.is_empty() || *key < *region.end_key)
        };
        self.peers.values().find(holds).map(|peer| peer.region().id)
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

    /// The regions that the last input touched, each once, in the order in which they were.
    #[must_use]
    pub fn touched(&self) -> &[u64] {
        &self.touched
    }

    /// Why the store stopped, if it did.
    #[must_use]
    pub fn failed(&self) -> Option<&StoreError> {
        self.failed.as_ref()
    }

    /// The frame of every input: nothing happens any more once the store has stopped.
    fn input(&mut self, handle: impl FnOnce(&mut Store) -> Result<(), StoreError>) {
        self.touched.clear();
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
        self.touched.push(region_id);
        peer.catch_up(tick);
        act(peer, env);
        let applied = peer.handle_ready(env, &mut self.unsynced)?;
        let due = peer.due();
        self.timers.schedule(region_id, &mut peer.queued, due);
        if applied {
            self.timers.schedule_kv_sync(tick.saturating_add(self.config.kv_sync_interval_ticks));
        }
        Ok(true)
    }

    fn on_raft_synced<E: Env>(
        &mut self,
        env: &mut E,
        now_ns: u64,
        up_to: WriteSeq,
    ) -> Result<(), StoreError> {
        let tick = self.timers.tick_at(now_ns);
        if self.bootstrapping {
            // Whatever was synced came after the first region's raft state, so that is durable now.
            let mut batch = WriteBatch::new();
            batch.delete(&keys::PREPARE_BOOTSTRAP);
            env.write(Db::Kv, batch)?;
            self.bootstrapping = false;
            self.timers.schedule_kv_sync(tick.saturating_add(self.config.kv_sync_interval_ticks));
        }
        let mut regions = SmallVec::<[u64; 4]>::new();
        while let Some(&(_, region)) = self.unsynced.front().filter(|(seq, _)| *seq <= up_to) {
            self.unsynced.pop_front();
            regions.push(region);
        }
        regions.sort_unstable();
        regions.dedup();
        for region in regions {
            self.with_peer(env, tick, region, |peer, env| peer.on_synced(env, up_to))?;
        }
        Ok(())
    }
}

/// The store's ident, if there is one. It must be this store's.
pub(crate) fn check_ident(engine: &impl Read, config: &Config) -> Result<Option<StoreIdent>, StoreError> {
    let ident = read_message::<StoreIdent>(engine, Db::Kv, &keys::STORE_IDENT, 0)?;
    match ident {
        Some(StoreIdent { cluster_id, store_id })
            if (cluster_id, store_id) != (config.cluster_id, config.store_id) =>
        {
            Err(StoreError::WrongStore { cluster_id, store_id })
        }
        ident => Ok(ident),
    }
}

/// The replicas that the databases hold. What is left of those that are no longer here (tombstones) stays
/// out.
fn load_peers(engine: &impl Read, config: &Config) -> Result<OrdMap<u64, Arc<Peer>>, StoreError> {
    let mut states = Vec::new();
    engine.scan(Db::Kv, &keys::REGION_STATE_START, &keys::REGION_STATE_END, &mut |key, value| {
        if let Some(Key::RegionState { region }) = keys::decode(key) {
            states.push((region, Bytes::clone(value)));
        }
        true
    })?;
    let mut peers = OrdMap::new();
    for (region_id, state) in states {
        let state = RegionLocalState::decode(state)
            .map_err(|error| StoreError::corrupt(region_id, format!("region state: {error}")))?;
        let peer_state = state.state();
        match (peer_state, state.region) {
            (PeerState::Tombstone, _) => {}
            (PeerState::Normal, Some(region)) if region.id == region_id => {
                peers.insert(region_id, Arc::new(Peer::load(engine, config, region)?));
            }
            _ => {
                return Err(StoreError::corrupt(region_id, format!("bad region state {peer_state:?}")));
            }
        }
    }
    Ok(peers)
}
