//! Raftstore as a system: a store of many Raft groups over three databases, behind its own traits for the outside.
//!
//! - `outside`: those traits, over the simulated machine.
//! - `setup`: the store's settings, and the region that a cluster begins with.
//! - `operator`: what operators command, in the store's words.
//! - `messages`: what stores send each other, for filters, checks and people.
//! - `decode`: what stands in the databases, for checks; `leftovers`: what should not.
//! - `session`: the client's side of the protocol; `placement`: the placement driver.

mod decode;
mod leftovers;
mod messages;
mod operator;
mod outside;
pub mod placement;
mod session;
mod setup;

use bytes::Bytes;
use raft_proto::metapb::Region;
use raft_proto::raft_cmdpb::RaftCmdRequest;
use raft_proto::raft_serverpb::StoreMessage;
use raft_proto::schedulerpb;
use raftsim_kernel::{Change, DbId, Disk, Time, WriteSeq};
use raftstore::keys::{self, Cf};
use raftstore::{Config, Db, EngineError, Store, StoreError, TaskId};

use super::{
    Alarm, Life, LogWrite, OnDisk, Operator, RecordKind, RegionRange, ReplicaView, RequestId, StoreContext,
    System, log_size, progress, view,
};
use crate::scenario::Scenario;
use outside::{Env, Tasks, Truth};
pub use placement::Driver;
pub use session::RegionSession;

const RAFT_DB: DbId = DbId(0);
const KV_DB: DbId = DbId(1);
const SNAPSHOT_DB: DbId = DbId(2);

/// The kernel's number for a store's database.
fn db_id(db: Db) -> DbId {
    match db {
        Db::Raft => RAFT_DB,
        Db::Kv => KV_DB,
        Db::Snapshots => SNAPSHOT_DB,
    }
}

/// The database of that number.
fn db_of(id: DbId) -> Db {
    match id {
        RAFT_DB => Db::Raft,
        KV_DB => Db::Kv,
        _ => Db::Snapshots,
    }
}

/// A store.
#[derive(Clone, Debug)]
pub struct Raftstore {
    config: Config,
    /// The region that an empty store begins with, if it has a replica here.
    first_region: Region,
    store: Option<Store>,
    /// Why the store did not open.
    refused: Option<String>,
    /// What came of tasks whose time has not passed.
    tasks: Tasks,
    alarm: Alarm,
}

type Cx<'a, 'b> = StoreContext<'a, 'b, Raftstore>;

impl System for Raftstore {
    type Message = StoreMessage;
    type Session = RegionSession;
    type Placement = Driver;

    const DATABASES: &'static [&'static str] = &["raft", "kv", "snapshots"];
    const LOG_DB: DbId = RAFT_DB;
    const DATA_DB: Option<DbId> = Some(KV_DB);
    // Files in a directory would do for it.
    const TORN: &'static [DbId] = &[SNAPSHOT_DB];

    fn new(scenario: &Scenario, store: u64, life: &Life<'_>) -> Raftstore {
        Raftstore {
            config: setup::config(scenario, store, life),
            first_region: setup::first_region(scenario),
            store: None,
            refused: None,
            tasks: Tasks::default(),
            alarm: Alarm::default(),
        }
    }

    fn session(scenario: &Scenario) -> RegionSession {
        RegionSession::new(setup::first_region(scenario))
            .with_replica_reads(scenario.raftstore.reads == crate::scenario::ast::ReadPath::Index)
    }

    fn on_start(&mut self, cx: &mut Cx<'_, '_>) {
        self.config.seed = cx.random_seed("election jitter");
        match self.open(cx) {
            Ok(store) => self.store = Some(store),
            Err(error) => self.refused = Some(error.to_string()),
        }
        self.arm(cx);
    }

    fn on_message(&mut self, _: u64, message: StoreMessage, cx: &mut Cx<'_, '_>) {
        self.with(cx, |store, env, now| store.on_message(env, now, message));
    }

    fn on_request(&mut self, id: RequestId, request: RaftCmdRequest, cx: &mut Cx<'_, '_>) {
        let id = raftstore::RequestId(id.0);
        self.with(cx, |store, env, now| store.on_request(env, now, id, request));
    }

    fn on_timer(&mut self, _: u64, cx: &mut Cx<'_, '_>) {
        if !self.alarm.rings(cx.now()) {
            return;
        }
        // Also before its deadline: where the clock went back, the store has to see that to set it anew.
        self.with(cx, |store, env, now| store.on_timer(env, now));
    }

    fn on_synced(&mut self, db: DbId, up_to: WriteSeq, cx: &mut Cx<'_, '_>) {
        self.with(cx, |store, env, now| store.on_synced(env, now, db_of(db), up_to));
    }

    fn on_sync_failed(&mut self, db: DbId, cx: &mut Cx<'_, '_>) {
        let error = EngineError::Io(
            format!("a sync of the {} database failed", Self::DATABASES[usize::from(db.0)]).into(),
        );
        self.with(cx, |store, _, _| store.on_sync_failed(error));
    }

    fn on_task(&mut self, token: u64, cx: &mut Cx<'_, '_>) {
        let Some(output) = self.tasks.remove(&token) else { return };
        self.with(cx, |store, env, now| store.on_task_done(env, now, TaskId(token), output));
    }

    fn on_placement(&mut self, response: schedulerpb::Response, cx: &mut Cx<'_, '_>) {
        self.with(cx, |store, env, now| store.on_placement(env, now, response));
    }

    fn on_operator(&mut self, region: u64, command: &Operator, cx: &mut Cx<'_, '_>) -> Result<(), String> {
        self.with(cx, |store, env, now| operator::command(store, env, now, region, command))
            .unwrap_or_else(|| Err("the store does not serve".to_owned()))
    }

    fn failure(&self) -> Option<String> {
        match &self.store {
            Some(store) => store.failed().map(ToString::to_string),
            None => self.refused.clone(),
        }
    }

    fn touched(&self) -> impl Iterator<Item = ReplicaView<'_>> {
        let touched = self.store.iter().flat_map(|store| {
            let peers = store.touched().iter().map(|region| store.peer(*region));
            peers.flatten()
        });
        touched.map(peer_view)
    }

    fn departed(&self) -> impl Iterator<Item = ReplicaView<'_>> {
        self.store.iter().flat_map(Store::departed).map(peer_view)
    }

    fn replica(&self, region: u64) -> Option<ReplicaView<'_>> {
        self.serving()?.peer(region).map(peer_view)
    }

    fn replicas(&self) -> impl Iterator<Item = ReplicaView<'_>> {
        self.serving().into_iter().flat_map(Store::peers).map(peer_view)
    }

    fn progress(&self, region: u64) -> impl Iterator<Item = (u64, u64, u64)> {
        let peer = self.serving().and_then(|store| store.peer(region));
        peer.into_iter().flat_map(|peer| progress(peer.raft()))
    }

    fn region_of(&self, key: &[u8]) -> Option<u64> {
        self.serving()?.region_of_key(key)
    }

    fn size(&self, region: u64) -> u64 {
        let peer = self.serving().and_then(|store| store.peer(region));
        peer.map_or(0, |peer| peer.approximate_size() + log_size(peer.raft()))
    }

    fn store_of(&self, region: u64, replica: u64) -> Option<u64> {
        let region = self.store.as_ref()?.peer(region)?.region();
        region.peers.iter().find(|peer| peer.id == replica).map(|peer| peer.store_id)
    }

    fn log_write(change: &Change) -> Option<LogWrite> {
        decode::log_write(change)
    }

    fn record(db: DbId, change: &Change) -> Option<(u64, RecordKind)> {
        decode::record(db, change)
    }

    fn data_key(key: &[u8]) -> Option<&[u8]> {
        keys::decode_data(key).map(|(_, key)| key)
    }

    fn on_disk(disk: &Disk, region: u64) -> OnDisk {
        decode::on_disk(disk, region)
    }

    fn value(&self, disk: &Disk, key: &[u8]) -> Option<Bytes> {
        let store = self.store.as_ref()?;
        let peer = store.peer(store.region_of_key(key)?)?;
        let whole = range(peer).has_data();
        disk.get(KV_DB, &keys::data(Cf::Default, key)).filter(|_| whole).cloned()
    }

    /// By column family, then by key. What stands outside of the ranges is left over from destroyed replicas, and goes away
    /// in time.
    fn data<'a>(&'a self, disk: &'a Disk) -> impl Iterator<Item = (&'a [u8], &'a Bytes)> {
        let peers = self.store.iter().flat_map(Store::peers).map(range);
        let mut ranges: Vec<_> = peers.filter(RegionRange::has_data).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        let families = Cf::ALL.into_iter().flat_map(move |cf| {
            let ends = |range: &RegionRange<'_>| (keys::data(cf, range.start), keys::data_end(cf, range.end));
            ranges.iter().map(ends).collect::<Vec<_>>()
        });
        let pairs = families.flat_map(|(start, end)| disk.range(KV_DB, &start, Some(&end)));
        pairs.map(|(key, value)| (key.as_bytes(), value))
    }

    fn leftovers(&self, disk: &Disk) -> Option<String> {
        self.serving().and_then(|store| leftovers::leftovers(store, disk))
    }

    fn audit(&self, disk: &Disk, region: u64) -> Result<(), String> {
        self.serving().map_or(Ok(()), |store| store.audit(&Truth(disk), region))
    }
}

#[inline]
fn peer_view(peer: &raftstore::Peer) -> ReplicaView<'_> {
    // The log becomes the snapshot's first, and the data later: a run counts a snapshot by the log.
    let snapshots = peer.snapshots() + u64::from(peer.incoming_region().is_some());
    view(peer.region().id, peer.raft(), snapshots, range(peer))
}

#[inline]
fn range(peer: &raftstore::Peer) -> RegionRange<'_> {
    let region = peer.region();
    let epoch = region.region_epoch.unwrap_or_default();
    RegionRange {
        start: &region.start_key,
        end: &region.end_key,
        conf_ver: epoch.conf_ver,
        version: epoch.version,
        initialized: peer.is_initialized(),
        applying: peer.incoming_region().is_some(),
    }
}

impl Raftstore {
    fn open(&mut self, cx: &mut Cx<'_, '_>) -> Result<Store, StoreError> {
        let now = cx.now().0;
        let mut env = Env::new(cx, &mut self.tasks);
        Store::bootstrap(&mut env, &self.config, &self.first_region)?;
        Store::open(&mut env, self.config.clone(), now)
    }

    /// The store, unless it has stopped.
    #[inline]
    fn serving(&self) -> Option<&Store> {
        self.store.as_ref().filter(|store| store.failed().is_none())
    }

    /// Gives the store an input, with its outside and the time.
    #[inline]
    fn with<R>(
        &mut self,
        cx: &mut Cx<'_, '_>,
        input: impl FnOnce(&mut Store, &mut Env<'_, '_, '_>, u64) -> R,
    ) -> Option<R> {
        let store = self.store.as_mut()?;
        let now = cx.now().0;
        let result = input(store, &mut Env::new(cx, &mut self.tasks), now);
        self.arm(cx);
        Some(result)
    }

    fn arm(&mut self, cx: &mut Cx<'_, '_>) {
        let Some(deadline) = self.store.as_ref().and_then(Store::next_deadline) else { return };
        if let Some(span) = self.alarm.arm(cx.now(), Time(deadline)) {
            cx.set_timer(span, 0);
        }
    }
}
