//! Raftstore as a system: a store of many Raft groups over two databases, behind its own traits for the outside.

mod decode;
mod session;

use std::borrow::Cow;

use bytes::Bytes;
use raft_proto::eraftpb;
use raft_proto::metapb::{Peer, Region, RegionEpoch};
use raft_proto::raft_cmdpb::{RaftCmdRequest, RaftCmdResponse};
use raft_proto::raft_serverpb::{StoreMessage, store_message};
use raft_proto::schedulerpb;
use raftsim_kernel::{Change, DbId, Disk, Time, TraceHasher, WriteSeq};
use raftstore::keys::{self, Cf};
use raftstore::{
    Background, Config, Db, Engine, EngineError, PlacementClient, Read, Replies, Store, StoreError, Task, TaskId, Transport,
    WriteBatch,
};

use super::{
    Alarm, FIRST_REGION, LogWrite, OnDisk, Operator, Payload, PeerMessage, ReplicaView, RequestId,
    StoreContext, System, priority, view,
};
use crate::message::{describe_raft, digest_raft};
use crate::scenario::Scenario;
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

/// The first region's replica on store `n` has the id `PEER_BASE + n`: never a store's id, so that code
/// which takes one for the other shows.
const PEER_BASE: u64 = 100;

/// The region that holds every key, with one peer on each store.
fn first_region(stores: u64) -> Region {
    Region {
        id: FIRST_REGION,
        start_key: Default::default(),
        end_key: Default::default(),
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
        peers: (1..=stores).map(|store| Peer { id: PEER_BASE + store, store_id: store, role: 0 }).collect(),
    }
}

/// A store.
#[derive(Clone, Debug)]
pub struct Raftstore {
    config: Config,
    /// The region that an empty store begins with.
    first_region: Region,
    store: Option<Store>,
    /// Why the store did not open.
    refused: Option<String>,
    alarm: Alarm,
}

type Cx<'a, 'b> = StoreContext<'a, 'b, Raftstore>;

impl System for Raftstore {
    type Message = StoreMessage;
    type Session = RegionSession;

    const DATABASES: &'static [&'static str] = &["raft", "kv", "snapshots"];
    const LOG_DB: DbId = RAFT_DB;

    fn new(scenario: &Scenario, store: u64) -> Raftstore {
        let raft = &scenario.raft;
        let kv_sync_ticks = scenario.raftstore.kv_sync_interval.0 / raft.tick.0.max(1);
        let config = Config {
            tick_interval_ns: raft.tick.0,
            election_ticks: raft.election_ticks,
            heartbeat_ticks: raft.heartbeat_ticks,
            max_size_per_message: raft.max_message_size.get(),
            max_inflight_messages: raft.max_inflight as usize,
            max_inflight_bytes: raft.max_inflight_size.get(),
            max_committed_size_per_ready: raft.max_committed_size.get(),
            max_uncommitted_size: raft.max_uncommitted_size.get(),
            pre_vote: raft.pre_vote,
            check_quorum: raft.check_quorum,
            step_down_on_removal: raft.step_down_on_removal,
            election_priority: priority(scenario, store),
            kv_sync_interval_ticks: kv_sync_ticks.max(1),
            ..Config::new(store)
        };
        let first_region = first_region(scenario.cluster.stores);
        Raftstore { config, first_region, store: None, refused: None, alarm: Alarm::default() }
    }

    fn session(scenario: &Scenario) -> RegionSession {
        RegionSession::new(first_region(scenario.cluster.stores))
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
        self.with(cx, |store, env, now| {
            if store.next_deadline().is_some_and(|deadline| deadline <= now) {
                store.on_timer(env, now);
            }
        });
    }

    fn on_synced(&mut self, db: DbId, up_to: WriteSeq, cx: &mut Cx<'_, '_>) {
        let db = if db == RAFT_DB { Db::Raft } else { Db::Kv };
        self.with(cx, |store, env, now| store.on_synced(env, now, db, up_to));
    }

    fn on_operator(&mut self, region: u64, command: &Operator, cx: &mut Cx<'_, '_>) -> Result<(), String> {
        match command {
            Operator::Campaign => {
                self.with(cx, |store, env, now| store.campaign(env, now, region));
                Ok(())
            }
            Operator::Transfer { to } => {
                let mut answer = Err("the store does not serve".to_owned());
                self.with(cx, |store, env, now| {
                    let transferred = store.transfer_leader(env, now, region, *to);
                    answer = transferred.map_err(|error| error.to_string());
                });
                answer
            }
            Operator::Change(_) | Operator::ForgetLeader | Operator::RequestSnapshot | Operator::Compact => {
                Err("raftstore has no such command".to_owned())
            }
        }
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

    fn replica(&self, region: u64) -> Option<ReplicaView<'_>> {
        let store = self.store.as_ref().filter(|store| store.failed().is_none())?;
        store.peer(region).map(peer_view)
    }

    fn store_of(&self, region: u64, replica: u64) -> Option<u64> {
        let region = self.store.as_ref()?.peer(region)?.region();
        region.peers.iter().find(|peer| peer.id == replica).map(|peer| peer.store_id)
    }

    fn log_write(change: &Change) -> Option<LogWrite> {
        decode::log_write(change)
    }

    fn on_disk(disk: &Disk, region: u64) -> OnDisk {
        decode::on_disk(disk, region)
    }

    fn value(&self, disk: &Disk, key: &[u8]) -> Option<Bytes> {
        disk.get(KV_DB, &keys::data(Cf::Default, key)).cloned()
    }

    /// All column families.
    fn data<'a>(&'a self, disk: &'a Disk) -> impl Iterator<Item = (&'a [u8], &'a Bytes)> {
        let family = |cf: Cf| disk.range(KV_DB, cf.prefix(), Some(cf.end()));
        Cf::ALL.into_iter().flat_map(family).map(|(key, value)| (key.as_bytes(), value))
    }
}

#[inline]
fn peer_view(peer: &raftstore::Peer) -> ReplicaView<'_> {
    view(peer.region().id, peer.raft(), 0)
}

impl Raftstore {
    fn open(&mut self, cx: &mut Cx<'_, '_>) -> Result<Store, StoreError> {
        let now = cx.now().0;
        let mut env = Env { cx };
        Store::bootstrap(&mut env, &self.config, &self.first_region)?;
        Store::open(&mut env, self.config.clone(), now)
    }

    #[inline]
    fn with(&mut self, cx: &mut Cx<'_, '_>, input: impl FnOnce(&mut Store, &mut Env<'_, '_, '_>, u64)) {
        if let Some(store) = &mut self.store {
            let now = cx.now().0;
            input(store, &mut Env { cx }, now);
        }
        self.arm(cx);
    }

    fn arm(&mut self, cx: &mut Cx<'_, '_>) {
        let Some(deadline) = self.store.as_ref().and_then(Store::next_deadline) else { return };
        if let Some(span) = self.alarm.arm(cx.now(), Time(deadline)) {
            cx.set_timer(span, 0);
        }
    }
}

/// The simulated outside of a store.
struct Env<'e, 'a, 'b> {
    cx: &'e mut Cx<'a, 'b>,
}

impl Read for Env<'_, '_, '_> {
    fn get(&self, db: Db, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.cx.disk().get(db_id(db), key).cloned())
    }

    fn scan(
        &self,
        db: Db,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &Bytes) -> bool,
    ) -> Result<(), EngineError> {
        for (key, value) in self.cx.disk().range(db_id(db), start, Some(end)) {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}

impl Engine for Env<'_, '_, '_> {
    fn write(&mut self, db: Db, batch: WriteBatch) -> Result<WriteSeq, EngineError> {
        Ok(self.cx.disk_mut().write(db_id(db), batch.into_ops()))
    }

    fn sync(&mut self, db: Db) -> Result<(), EngineError> {
        self.cx.sync(db_id(db));
        Ok(())
    }
}

impl Transport for Env<'_, '_, '_> {
    fn send(&mut self, store_id: u64, message: StoreMessage) {
        self.cx.send(store_id, message);
    }
}

impl PlacementClient for Env<'_, '_, '_> {
    fn ask(&mut self, _request: schedulerpb::Request) {}
}

impl Background for Env<'_, '_, '_> {
    fn start(&mut self, _id: TaskId, _task: Task) {}
}

impl Replies for Env<'_, '_, '_> {
    fn reply(&mut self, request: raftstore::RequestId, response: RaftCmdResponse) {
        self.cx.reply(RequestId(request.0), response);
    }
}

impl PeerMessage for StoreMessage {
    fn region(&self) -> u64 {
        match &self.payload {
            Some(store_message::Payload::Raft(message)) => message.region_id,
            _ => 0,
        }
    }

    fn raft(&self) -> Option<Cow<'_, eraftpb::Message>> {
        match &self.payload {
            Some(store_message::Payload::Raft(message)) => message.message.as_ref().map(Cow::Borrowed),
            _ => None,
        }
    }
}

impl Payload for StoreMessage {
    fn digest(&self, hash: &mut TraceHasher) {
        hash.word(self.region());
        if let Some(message) = self.raft() {
            digest_raft(&message, hash);
        }
    }

    fn describe(&self) -> String {
        self.raft().map_or_else(String::new, |message| describe_raft(&message))
    }
}
