//! Random histories of a multi-Raft cluster: requests, splits, changes of members, crashes that keep any prefix of
//! what each database was not asked to sync, messages that are lost, doubled and arrive in any order, tasks and syncs
//! that end whenever they like.
//!
//! After every input, the store that handled it is audited. In the end all faults cease, and the cluster has to come to
//! rest with regions that tile and replicas that are equal. Every acknowledged append is there once, none is there
//! twice, and no read missed one that was acknowledged before it.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::regions::{add, holds, remove};
use crate::common::{Cluster, MS, append, config, envelope, get};
use proptest::collection::vec;
use proptest::prelude::*;
use raftstore::proto::eraftpb::ConfChangeTransition;
use raftstore::proto::metapb::Peer;
use raftstore::proto::raft_cmdpb::{RaftCmdRequest, Request, response};
use raftstore::proto::raft_serverpb::StoreMessage;
use raftstore::{Config, Db, Placement, Reads, RequestId};

const STORES: u64 = 4;
const KEYS: [&str; 6] = ["a", "c", "e", "g", "i", "k"];
/// Splits happen between keys, and at keys.
const SPLITS: [&str; 6] = ["b", "c", "f", "g", "j", "k"];
/// So many messages are on their way at most; the oldest are lost.
const POOL: usize = 200;

#[derive(Clone, Copy, Debug)]
enum Op {
    Append {
        key: u8,
    },
    Read {
        key: u8,
        store: u8,
    },
    Split {
        at: u8,
    },
    /// The replica of the region with a key on a store is added or removed.
    Change {
        key: u8,
        store: u8,
        learner: bool,
    },
    /// The replica on one store goes and one on another comes, at once.
    Replace {
        key: u8,
        from: u8,
        to: u8,
    },
    Transfer {
        key: u8,
        store: u8,
    },
    Campaign {
        key: u8,
        store: u8,
    },
    Compact {
        key: u8,
    },
    /// It comes back at once, or by a `Boot`.
    Crash {
        store: u8,
        keep: [u8; 3],
        down: bool,
    },
    Boot {
        store: u8,
    },
    Isolate {
        store: u8,
    },
    Heal,
    Deliver {
        message: u8,
        again: bool,
    },
    DeliverAll,
    Sync {
        store: u8,
        db: u8,
    },
    Task {
        store: u8,
        task: u8,
    },
    Settle,
    /// Everything works for a while, and in order.
    Live {
        ticks: u8,
    },
    Pass {
        ticks: u8,
    },
}

fn ops() -> impl Strategy<Value = Op> {
    let byte = any::<u8>;
    prop_oneof![
        12 => byte().prop_map(|key| Op::Append { key }),
        3 => (byte(), byte()).prop_map(|(key, store)| Op::Read { key, store }),
        3 => byte().prop_map(|at| Op::Split { at }),
        6 => (byte(), byte(), any::<bool>()).prop_map(|(key, store, learner)| Op::Change { key, store, learner }),
        2 => (byte(), byte(), byte()).prop_map(|(key, from, to)| Op::Replace { key, from, to }),
        2 => (byte(), byte()).prop_map(|(key, store)| Op::Transfer { key, store }),
        2 => (byte(), byte()).prop_map(|(key, store)| Op::Campaign { key, store }),
        4 => byte().prop_map(|key| Op::Compact { key }),
        4 => (byte(), any::<[u8; 3]>(), prop::bool::weighted(0.2))
            .prop_map(|(store, keep, down)| Op::Crash { store, keep, down }),
        3 => byte().prop_map(|store| Op::Boot { store }),
        1 => byte().prop_map(|store| Op::Isolate { store }),
        2 => Just(Op::Heal),
        30 => (byte(), prop::bool::weighted(0.1)).prop_map(|(message, again)| Op::Deliver { message, again }),
        10 => Just(Op::DeliverAll),
        12 => (byte(), byte()).prop_map(|(store, db)| Op::Sync { store, db }),
        8 => (byte(), byte()).prop_map(|(store, task)| Op::Task { store, task }),
        6 => Just(Op::Settle),
        5 => (1..30u8).prop_map(|ticks| Op::Live { ticks }),
        4 => (1..15u8).prop_map(|ticks| Op::Pass { ticks }),
    ]
}

/// The cluster, what is on its way in it, and what its clients know.
struct Run {
    cluster: Cluster,
    pool: Vec<(u64, u64, StoreMessage)>,
    /// The append of each number: its key, and what its client is told by.
    appends: BTreeMap<u64, (&'static str, RequestId)>,
    /// Reads: the key, and the appends to it that were acknowledged before.
    reads: Vec<(RequestId, &'static str, BTreeSet<u64>)>,
}

fn settings(reads: Reads) -> Config {
    Config {
        check_quorum: matches!(reads, Reads::Lease { .. }),
        reads,
        kv_sync_interval_ticks: 5,
        log_gc_interval_ticks: 10,
        log_gc_threshold: 3,
        log_gc_count_limit: 8,
        snapshot_chunk_size: 24,
        snapshot_batch_size: 24,
        snapshot_timeout_ticks: 20,
        max_snapshots_received: 2,
        leader_missing_ticks: 30,
        placement: Some(Placement { store_heartbeat_ticks: 50, region_heartbeat_ticks: 50 }),
        // Regions are split by size too, when there is time for it.
        split_check_interval_ticks: 30,
        region_max_size: 200,
        region_split_size: 100,
        ..config(0)
    }
}

/// The numbers in a value, in order.
fn numbers(value: &str) -> Vec<u64> {
    value.split_terminator(';').map(|number| number.parse().unwrap()).collect()
}

impl Run {
    fn new(reads: Reads) -> Run {
        let mut cluster = Cluster::with_spares(3, STORES - 3, settings(reads));
        cluster.run(5_000);
        Run { cluster, pool: Vec::new(), appends: BTreeMap::new(), reads: Vec::new() }
    }

    /// A replica that believes that it leads the region with a key.
    fn leader(&self, key: &str) -> Option<(u64, u64)> {
        let leaders =
            self.cluster.peers().filter(|(_, peer)| peer.raft().is_leader() && holds(peer.region(), key));
        leaders.max_by_key(|(_, peer)| peer.raft().term()).map(|(store, peer)| (store, peer.region().id))
    }

    fn acknowledged(&self, key: &str) -> BTreeSet<u64> {
        let done = |(number, (of, request)): (&u64, &(&str, RequestId))| {
            let reply = self.cluster.reply(*request)?.header.as_ref()?;
            (*of == key && reply.error.is_none()).then_some(*number)
        };
        self.appends.iter().filter_map(done).collect()
    }

    fn collect(&mut self) {
        for (id, node) in &mut self.cluster.nodes {
            let sent =
                node.env.sent.drain(..).map(|message| (message.to_peer.unwrap().store_id, envelope(message)));
            let sent: Vec<_> = sent.collect();
            let all = sent.into_iter().chain(node.env.transfers.drain(..));
            self.pool.extend(all.map(|(to, message)| (*id, to, message)));
        }
        let excess = self.pool.len().saturating_sub(POOL);
        self.pool.drain(..excess);
    }

    fn deliver(&mut self, from: u64, to: u64, message: StoreMessage) {
        if !self.cluster.isolated.contains(&from) && !self.cluster.isolated.contains(&to) {
            self.cluster.with(to, |store, env, now| store.on_message(env, now, message));
        }
    }

    fn deliver_all(&mut self) {
        for (from, to, message) in std::mem::take(&mut self.pool) {
            self.deliver(from, to, message);
        }
    }

    fn run(&mut self, op: Op) {
        let key = |key: u8| KEYS[usize::from(key) % KEYS.len()];
        let store = |store: u8| 1 + u64::from(store) % STORES;
        match op {
            Op::Append { key: of } => self.append(key(of)),
            Op::Read { key: of, store: at } => self.read(key(of), store(at)),
            Op::Split { at } => {
                let at = SPLITS[usize::from(at) % SPLITS.len()];
                if let Some((store, region)) = self.leader(at) {
                    let _ = self.cluster.ask_split(store, region, at);
                }
            }
            Op::Change { key: of, store: at, learner } => self.change(key(of), store(at), learner),
            Op::Replace { key: of, from, to } => self.replace(key(of), store(from), store(to)),
            Op::Transfer { key: of, store: to } => {
                if let Some((leader, region)) = self.leader(key(of)) {
                    self.cluster.with(leader, |here, env, now| {
                        let _ = here.transfer_leader(env, now, region, store(to));
                    });
                }
            }
            Op::Campaign { key: of, store: at } => {
                let region = self.cluster.nodes[&store(at)].store.as_ref();
                if let Some(region) = region.and_then(|store| store.region_of_key(key(of).as_bytes())) {
                    self.cluster.campaign_in(store(at), region);
                }
            }
            Op::Compact { key: of } => {
                if let Some((leader, region)) = self.leader(key(of)) {
                    self.cluster.with(leader, |store, env, now| {
                        let _ = store.compact(env, now, region);
                    });
                }
            }
            Op::Crash { store: at, keep, down } => {
                self.crash(store(at), keep);
                if !down {
                    self.boot(store(at));
                }
            }
            Op::Boot { store: at } => self.boot(store(at)),
            Op::Isolate { store: at } => drop(self.cluster.isolated.insert(store(at))),
            Op::Heal => self.cluster.isolated.clear(),
            Op::Deliver { message, again } => {
                self.collect();
                if !self.pool.is_empty() {
                    let place = usize::from(message) % self.pool.len();
                    let (from, to, message) =
                        if again { self.pool[place].clone() } else { self.pool.remove(place) };
                    self.deliver(from, to, message);
                }
            }
            Op::DeliverAll => {
                self.collect();
                self.deliver_all();
            }
            Op::Sync { store: at, db } => {
                let db = [Db::Raft, Db::Kv, Db::Snapshots][usize::from(db) % 3];
                self.cluster.finish_sync(store(at), db);
            }
            Op::Task { store: at, task } => {
                self.cluster.with(store(at), |store, env, now| {
                    if !env.tasks.is_empty() {
                        let (id, output) = env.tasks.remove(usize::from(task) % env.tasks.len()).unwrap();
                        store.on_task_done(env, now, id, output);
                    }
                });
            }
            Op::Settle => self.cluster.settle(),
            Op::Live { ticks } => self.cluster.run(u64::from(ticks) * 100),
            Op::Pass { ticks } => self.pass(ticks),
        }
        for (id, node) in &self.cluster.nodes {
            let failed = node.store.as_ref().and_then(|store| store.failed());
            assert_eq!(failed, None, "store {id}, after {op:?}");
        }
    }

    fn append(&mut self, key: &'static str) {
        if let Some((store, region)) = self.leader(key) {
            let number = self.appends.len() as u64;
            let request = self.cluster.request_to(store, region, vec![append(key, &format!("{number};"))]);
            self.appends.insert(number, (key, request));
        }
    }

    fn read(&mut self, key: &'static str, store: u64) {
        let region =
            self.cluster.nodes[&store].store.as_ref().and_then(|store| store.region_of_key(key.as_bytes()));
        let Some(header) = region.and_then(|region| self.cluster.header_of(store, region)) else { return };
        let before = self.acknowledged(key);
        let header = Some(raftstore::proto::raft_cmdpb::RaftRequestHeader { replica_read: true, ..header });
        let requests = vec![Request { command: Some(get(key)) }];
        let request =
            self.cluster.raw_request(store, RaftCmdRequest { header, requests, admin_request: None });
        self.reads.push((request, key, before));
    }

    fn change(&mut self, key: &str, store_id: u64, learner: bool) {
        let Some((leader, region)) = self.leader(key) else { return };
        let members = self.cluster.peer(leader, region).unwrap().region().peers.clone();
        let change = match members.iter().find(|peer| peer.store_id == store_id) {
            Some(peer) if peer.role == 1 && !learner => add(Peer { role: 0, ..*peer }),
            Some(peer) => remove(*peer),
            None => add(Peer { id: self.cluster.allocate(), store_id, role: i32::from(learner) }),
        };
        let _ = self.cluster.ask_change(leader, region, vec![change], ConfChangeTransition::Auto);
    }

    fn replace(&mut self, key: &str, from: u64, to: u64) {
        let Some((leader, region)) = self.leader(key) else { return };
        let members = self.cluster.peer(leader, region).unwrap().region().peers.clone();
        let Some(old) = members.iter().find(|peer| peer.store_id == from) else { return };
        let new = Peer { id: self.cluster.allocate(), store_id: to, role: 0 };
        let _ =
            self.cluster.ask_change(leader, region, vec![remove(*old), add(new)], ConfChangeTransition::Auto);
    }

    fn crash(&mut self, store: u64, keep: [u8; 3]) {
        self.collect();
        let env = &self.cluster.nodes[&store].env;
        let disks = [&env.raft, &env.kv, &env.snapshots];
        let mut kept = [0; 3];
        for place in 0..3 {
            kept[place] = usize::from(keep[place]) % (disks[place].unsynced() + 1);
        }
        self.cluster.crash_keeping(store, kept);
    }

    fn boot(&mut self, store: u64) {
        if self.cluster.nodes[&store].store.is_none() {
            self.cluster.boot(store);
        }
    }

    fn pass(&mut self, ticks: u8) {
        self.cluster.now += u64::from(ticks) * 100 * MS;
        for id in 1..=STORES {
            self.cluster.with(id, |store, env, now| {
                if store.next_deadline().is_some_and(|deadline| deadline <= now) {
                    store.on_timer(env, now);
                }
            });
        }
    }

    fn check_reads(&self) {
        for (request, key, before) in &self.reads {
            let Some(reply) = self.cluster.reply(*request) else { continue };
            let Some(response::Result::Get(got)) =
                reply.responses.first().and_then(|answer| answer.result.clone())
            else {
                continue;
            };
            let value = got.value.unwrap_or_default();
            let seen: BTreeSet<u64> = numbers(std::str::from_utf8(&value).unwrap()).into_iter().collect();
            assert!(
                before.is_subset(&seen),
                "a read of {key} saw {seen:?}, and {before:?} were there before"
            );
        }
    }

    fn end(&mut self) {
        self.cluster.isolated.clear();
        self.cluster.driven = true;
        for id in 1..=STORES {
            self.boot(id);
        }
        self.cluster.converge(120);
        for key in KEYS {
            let region = self.cluster.region_of(key);
            let leader = self.cluster.leader_of(region).unwrap();
            let there = numbers(&self.cluster.value(leader, key).unwrap_or_default());
            let mut once = there.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), there.len(), "{key}: {there:?}");
            let acknowledged = self.acknowledged(key);
            let missing: Vec<_> = acknowledged.iter().filter(|number| !there.contains(number)).collect();
            assert!(missing.is_empty(), "{key}: {missing:?} are missing");
        }
        self.check_reads();
    }
}

fn history(reads: Reads, ops: Vec<Op>) {
    let mut run = Run::new(reads);
    for op in ops {
        run.run(op);
    }
    run.end();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_well(
        reads in prop_oneof![Just(Reads::Log), Just(Reads::Index), Just(Reads::Lease { margin_ticks: 0 })],
        ops in vec(ops(), 1..300),
    ) {
        history(reads, ops);
    }
}
