//! A cluster in one thread: stores of many regions, their databases, and a router that delivers in order.
//!
//! Whenever a store has handled an input, it is audited: memory and disk must agree about every region touched.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(unreachable_pub, reason = "a test is no library")]

pub mod convergence;
pub mod disk;
pub mod faults;
pub mod regions;

use std::collections::{BTreeMap, BTreeSet};

use disk::MemEnv;
use raft::Role;
use raftstore::proto::errorpb::error::Reason;
use raftstore::proto::metapb::{Peer, Region, RegionEpoch};
use raftstore::proto::raft_cmdpb::{
    AppendRequest, CompareAndSetRequest, DeleteRequest, GetRequest, PutRequest, RaftCmdRequest,
    RaftCmdResponse, RaftRequestHeader, Request, ScanRequest, request::Command, response,
};
use raftstore::proto::raft_serverpb::{RaftMessage, StoreMessage, store_message::Payload};
use raftstore::{Config, Db, RequestId, Store, StoreError};

pub const REGION: u64 = 1;
pub const MS: u64 = 1_000_000;

/// One machine: its disks outlive its store.
#[derive(Clone, Debug)]
pub struct Node {
    pub env: MemEnv,
    pub store: Option<Store>,
}

impl Node {
    pub fn store(&self) -> &Store {
        self.store.as_ref().expect("the store runs")
    }

    pub fn peer(&self) -> &raftstore::Peer {
        self.store().peer(REGION).expect("the store has the region")
    }
}

#[derive(Clone, Debug)]
pub struct Cluster {
    pub nodes: BTreeMap<u64, Node>,
    pub now: u64,
    /// The settings of stores that boot from now on.
    pub config: Config,
    /// Stores that hear nothing and are not heard.
    pub isolated: BTreeSet<u64>,
    /// Stores whose raft databases take for ever to sync.
    pub stalled: BTreeSet<u64>,
    /// The same for any database.
    pub stalled_dbs: BTreeSet<(u64, Db)>,
    /// Stores whose tasks take for ever.
    pub idle: BTreeSet<u64>,
    /// Questions to the placement driver are answered.
    pub driven: bool,
    /// By how many nanoseconds a store's clock is ahead or behind.
    pub skew: BTreeMap<u64, i64>,
    /// The highest id that was given out when a store lost its databases.
    floors: BTreeMap<u64, u64>,
    /// When the timer runs out that was set before a store's clock jumped.
    timers: BTreeMap<u64, u64>,
    /// Messages from one store to another that are lost.
    pub lost: fn(u64, u64, &StoreMessage) -> bool,
    /// The first region is on so many stores, from 1 on.
    members: u64,
    boots: u64,
    next_request: u64,
    next_id: u64,
}

/// The replica of store `n` has the id `10 n`, so that no test can confuse the two.
pub fn first_region(stores: u64) -> Region {
    Region {
        id: REGION,
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
        peers: (1..=stores).map(|store_id| Peer { id: store_id * 10, store_id, role: 0 }).collect(),
        ..Region::default()
    }
}

pub fn config(store_id: u64) -> Config {
    Config { seed: 7, ..Config::new(store_id) }
}

/// Memory and disk must agree about these regions.
fn audit(node: &mut Node, regions: impl IntoIterator<Item = u64>) {
    // It is the test that looks, so no call of it fails.
    let faults = std::mem::take(&mut node.env.faults);
    for region in regions {
        node.store().audit(&node.env, region).unwrap();
    }
    node.env.faults = faults;
}

impl Cluster {
    /// `stores` stores of one region, booted and idle, and not for the first time: the traces of the
    /// bootstrap are gone.
    pub fn new(stores: u64) -> Cluster {
        Cluster::with_spares(stores, 0, config(0))
    }

    /// As [`new`](Cluster::new), with store 1 leading.
    pub fn led(stores: u64) -> Cluster {
        Cluster::led_with_spares(stores, 0, config(0))
    }

    /// As [`new`](Cluster::new), with `spares` stores more that have no replica yet.
    pub fn with_spares(members: u64, spares: u64, config: Config) -> Cluster {
        let stores = members + spares;
        let node = |id| (id, Node { env: MemEnv::default(), store: None });
        let mut cluster = Cluster {
            nodes: (1..=stores).map(node).collect(),
            now: 1_000 * MS,
            config,
            isolated: BTreeSet::new(),
            stalled: BTreeSet::new(),
            stalled_dbs: BTreeSet::new(),
            idle: BTreeSet::new(),
            driven: false,
            skew: BTreeMap::new(),
            floors: BTreeMap::new(),
            timers: BTreeMap::new(),
            lost: |_, _, _| false,
            members,
            boots: 0,
            next_request: 0,
            next_id: 1_000,
        };
        for _ in 0..2 {
            for id in 1..=stores {
                cluster.crash(id, usize::MAX, usize::MAX);
                cluster.boot(id);
            }
            cluster.settle();
        }
        cluster
    }

    /// As [`with_spares`](Cluster::with_spares), with store 1 leading.
    pub fn led_with_spares(members: u64, spares: u64, config: Config) -> Cluster {
        let mut cluster = Cluster::with_spares(members, spares, config);
        cluster.campaign(1);
        cluster.settle();
        assert_eq!(cluster.leaders(), [1]);
        cluster
    }

    /// The first region as it was in the beginning.
    pub fn region(&self) -> Region {
        first_region(self.members)
    }

    pub fn boot(&mut self, id: u64) {
        self.try_boot(id).unwrap();
    }

    /// Boots a store, if its databases let it.
    pub fn try_boot(&mut self, id: u64) -> Result<(), StoreError> {
        let region = self.region();
        self.boots += 1;
        // Every life has a seed of its own, for the ids of reads.
        let config = Config {
            store_id: id,
            seed: self.config.seed + 1_000 * self.boots,
            replica_floor: self.floors.get(&id).copied().unwrap_or_default(),
            ..self.config.clone()
        };
        let node = self.nodes.get_mut(&id).unwrap();
        let now = self.now.saturating_add_signed(self.skew.get(&id).copied().unwrap_or_default());
        Store::bootstrap(&mut node.env, &config, &region)?;
        node.store = Some(Store::open(&mut node.env, config, now)?);
        audit(node, regions::all(&node.env));
        Ok(())
    }

    /// The machine loses its databases, and boots a store that takes up no replica that was there before.
    pub fn wipe(&mut self, id: u64) {
        self.nodes.insert(id, Node { env: MemEnv::default(), store: None });
        self.floors.insert(id, self.next_id);
        self.boot(id);
    }

    /// The machine stops; each database keeps so many of its unsynced writes, that of snapshots all.
    pub fn crash(&mut self, id: u64, keep_raft: usize, keep_kv: usize) {
        self.crash_keeping(id, [keep_raft, keep_kv, usize::MAX]);
    }

    /// The machine stops; the raft, the kv and the snapshots database keep so many of their unsynced writes.
    pub fn crash_keeping(&mut self, id: u64, [raft, kv, snapshots]: [usize; 3]) {
        let node = self.nodes.get_mut(&id).unwrap();
        node.store = None;
        node.env.crash(raft, kv, snapshots);
    }

    /// Lets `act` use the store `id`, if it runs. A store that has stopped does nothing any more.
    pub fn with(&mut self, id: u64, act: impl FnOnce(&mut Store, &mut MemEnv, u64)) {
        let node = self.nodes.get_mut(&id).unwrap();
        let Some(store) = &mut node.store else { return };
        let now = self.now.saturating_add_signed(self.skew.get(&id).copied().unwrap_or_default());
        let stopped = store.failed().is_some();
        let before = node.env.effects();
        act(store, &mut node.env, now);
        assert!(!stopped || node.env.effects() == before, "store {id} has stopped, and does something");
        if store.failed().is_none() {
            let touched = store.touched().to_vec();
            audit(node, touched);
        }
    }

    pub fn campaign(&mut self, id: u64) {
        self.with(id, |store, env, now| store.campaign(env, now, REGION));
    }

    /// The sync of a database ends, if one was asked for.
    pub fn finish_sync(&mut self, id: u64, db: Db) -> bool {
        let mut done = false;
        self.with(id, |store, env, now| {
            if let Some(up_to) = env.finish_sync(db) {
                store.on_synced(env, now, db, up_to);
                done = true;
            }
        });
        done
    }

    /// The task that began first ends, if there is one.
    pub fn finish_task(&mut self, id: u64) -> bool {
        let mut done = false;
        self.with(id, |store, env, now| {
            if let Some((task, output)) = env.tasks.pop_front() {
                store.on_task_done(env, now, task, output);
                done = true;
            }
        });
        done
    }

    /// Delivers the messages that one store has sent.
    pub fn deliver_from(&mut self, id: u64) -> bool {
        let env = &mut self.nodes.get_mut(&id).unwrap().env;
        let mut sent: Vec<(u64, StoreMessage)> = env
            .sent
            .drain(..)
            .map(|message| (message.to_peer.unwrap().store_id, envelope(message)))
            .collect();
        sent.extend(env.transfers.drain(..));
        let any = !sent.is_empty();
        for (to, message) in sent {
            let cut = self.isolated.contains(&id) || self.isolated.contains(&to);
            if !cut && !(self.lost)(id, to, &message) && self.nodes.contains_key(&to) {
                self.with(to, |store, env, now| store.on_message(env, now, message));
            }
        }
        any
    }

    /// Ends the syncs and tasks of one store until there are none.
    pub fn settle_store(&mut self, id: u64) {
        while [Db::Kv, Db::Snapshots, Db::Raft].into_iter().any(|db| self.finish_sync(id, db))
            || self.finish_task(id)
        {}
    }

    /// Delivers messages and ends syncs until nothing happens any more. Time stands still.
    pub fn settle(&mut self) {
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        for _ in 0..10_000 {
            let mut any = false;
            for &id in &ids {
                any |= self.deliver_from(id);
                any |= self.driven && self.answer(id);
                for db in [Db::Kv, Db::Snapshots] {
                    any |= !self.stalled_dbs.contains(&(id, db)) && self.finish_sync(id, db);
                }
                any |= !self.idle.contains(&id) && self.finish_task(id);
                let stalled = self.stalled.contains(&id) || self.stalled_dbs.contains(&(id, Db::Raft));
                any |= !stalled && self.finish_sync(id, Db::Raft);
            }
            if !any {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    /// Lets `ms` milliseconds go by.
    pub fn run(&mut self, ms: u64) {
        let end = self.now + ms * MS;
        self.settle();
        loop {
            let deadlines = self.nodes.keys().filter_map(|id| self.deadline(*id));
            let Some(next) = deadlines.min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let ids: Vec<u64> = self.nodes.keys().copied().collect();
            for id in ids {
                if self.deadline(id).is_some_and(|deadline| deadline <= self.now) {
                    self.timers.remove(&id);
                    self.with(id, |store, env, now| store.on_timer(env, now));
                }
            }
            self.settle();
        }
        self.now = end;
    }

    /// When a store's timer runs out: spans are counted by a clock that does not jump.
    fn deadline(&self, id: u64) -> Option<u64> {
        let store = self.nodes[&id].store.as_ref()?;
        let skew = self.skew.get(&id).copied().unwrap_or_default();
        let deadline = store.next_deadline()?.saturating_add_signed(-skew);
        Some(self.timers.get(&id).map_or(deadline, |timer| deadline.min(*timer)))
    }

    /// A store's clock jumps.
    pub fn jump(&mut self, id: u64, by: i64) {
        if let Some(deadline) = self.deadline(id) {
            self.timers.insert(id, deadline);
        }
        // No clock shows a time before its beginning.
        let earliest = -i64::try_from(self.now).unwrap();
        let skew = self.skew.entry(id).or_default();
        *skew = skew.saturating_add(by).max(earliest);
    }

    /// The stores that lead the first region.
    pub fn leaders(&self) -> Vec<u64> {
        let leads = |id: &u64| self.peer(*id, REGION).is_some_and(|peer| peer.raft().role() == Role::Leader);
        self.nodes.keys().copied().filter(leads).collect()
    }

    /// The header of a request for the first region that the replica on store `id` should accept.
    pub fn header(&self, id: u64) -> RaftRequestHeader {
        self.header_of(id, REGION).unwrap_or_else(|| {
            let peer = Some(Peer { id: id * 10, store_id: id, role: 0 });
            let region_epoch = self.region().region_epoch;
            RaftRequestHeader { region_id: REGION, peer, region_epoch, ..Default::default() }
        })
    }

    /// Sends commands to a store.
    pub fn request(&mut self, id: u64, commands: Vec<Command>) -> RequestId {
        let requests = commands.into_iter().map(|command| Request { command: Some(command) }).collect();
        let header = Some(self.header(id));
        self.raw_request(id, RaftCmdRequest { header, requests, admin_request: None })
    }

    pub fn raw_request(&mut self, id: u64, request: RaftCmdRequest) -> RequestId {
        self.next_request += 1;
        let request_id = RequestId(self.next_request);
        self.with(id, |store, env, now| store.on_request(env, now, request_id, request));
        request_id
    }

    /// What the client was told, if anything yet.
    pub fn reply(&self, request: RequestId) -> Option<&RaftCmdResponse> {
        self.nodes.values().find_map(|node| node.env.replies.get(&request))
    }

    /// The reason of the refusal.
    pub fn refusal(&self, request: RequestId) -> Reason {
        let header = self.reply(request).expect("a reply").header.as_ref().expect("a header");
        header.error.as_ref().expect("an error").reason.clone().expect("a reason")
    }

    /// The results of a request that succeeded.
    pub fn results(&self, request: RequestId) -> Vec<response::Result> {
        let reply = self.reply(request).expect("a reply");
        assert_eq!(reply.header.as_ref().expect("a header").error, None);
        reply.responses.iter().map(|response| response.result.clone().expect("a result")).collect()
    }

    /// Sends commands, lets the cluster rest, gives the results.
    pub fn execute(&mut self, id: u64, commands: Vec<Command>) -> Vec<response::Result> {
        let request = self.request(id, commands);
        self.settle();
        self.results(request)
    }

    /// The value of a key as store `id` has applied it.
    pub fn value(&self, id: u64, key: &str) -> Option<String> {
        let value = self.nodes[&id].env.kv.visible.get(format!("default_{key}").as_bytes())?;
        Some(String::from_utf8(value.to_vec()).unwrap())
    }
}

pub fn get(key: &str) -> Command {
    Command::Get(GetRequest { cf: String::new(), key: key.to_owned().into() })
}

pub fn put(key: &str, value: &str) -> Command {
    put_cf("default", key, value)
}

pub fn put_cf(cf: &str, key: &str, value: &str) -> Command {
    Command::Put(PutRequest { cf: cf.into(), key: key.to_owned().into(), value: value.to_owned().into() })
}

pub fn delete(key: &str) -> Command {
    delete_cf("default", key)
}

pub fn delete_cf(cf: &str, key: &str) -> Command {
    Command::Delete(DeleteRequest { cf: cf.into(), key: key.to_owned().into() })
}

pub fn append(key: &str, suffix: &str) -> Command {
    Command::Append(AppendRequest {
        cf: String::new(),
        key: key.to_owned().into(),
        suffix: suffix.to_owned().into(),
    })
}

pub fn scan(start: &'static str, end: &'static str, limit: u32) -> Command {
    let (start_key, end_key) = (start.into(), end.into());
    Command::Scan(ScanRequest { cf: String::new(), start_key, end_key, limit })
}

pub fn compare_and_set(key: &'static str, expected: Option<&'static str>, value: &'static str) -> Command {
    let expected = expected.map(Into::into);
    Command::CompareAndSet(CompareAndSetRequest {
        cf: String::new(),
        key: key.into(),
        expected,
        value: value.into(),
    })
}

/// A message as it travels between stores.
pub fn envelope(message: RaftMessage) -> StoreMessage {
    StoreMessage { payload: Some(Payload::Raft(message)) }
}
