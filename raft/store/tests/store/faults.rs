//! What a store does when its databases fail: whatever fails, and whenever, it stops before it promises anything that is
//! not durable, says why, and opens again when the fault is over, unless something is damaged that it cannot do without.
//!
//! That it promises nothing that is not durable, and does nothing after it has stopped, is checked at every message and
//! input of every test here: see `common`.

use crate::common::faults::Faults;
use crate::common::{Cluster, REGION, append, config, get, put};
use raftstore::keys;
use raftstore::proto::raft_cmdpb::response;
use raftstore::{Config, Db, EngineError, RequestId, StoreError};

/// Chunks and batches of snapshots are small, so that there are some.
fn settings() -> Config {
    Config {
        snapshot_chunk_size: 40,
        snapshot_batch_size: 40,
        snapshot_timeout_ticks: 20,
        pre_vote: true,
        ..config(0)
    }
}

/// What the clients of a story were told.
#[derive(Default)]
struct Told {
    acknowledged: Vec<String>,
    open: Vec<(String, RequestId)>,
}

impl Told {
    /// Appends to a key where that is led, if it is led at all.
    fn append(&mut self, cluster: &mut Cluster, key: &str, what: &str) {
        let region = cluster.nodes.values().find_map(|node| {
            let store = node.store.as_ref().filter(|store| store.failed().is_none())?;
            store.region_of_key(key.as_bytes())
        });
        let Some(region) = region else { return };
        if let Some(leader) = cluster.leader_of(region) {
            let request = cluster.request_to(leader, region, vec![append(key, what)]);
            self.open.push((what.to_owned(), request));
            cluster.settle();
        }
        self.collect(cluster);
    }

    fn collect(&mut self, cluster: &Cluster) {
        let acknowledged = |request: &RequestId| {
            let header = cluster.reply(*request).and_then(|reply| reply.header.as_ref());
            header.is_some_and(|header| header.error.is_none())
        };
        let (done, open) = self.open.drain(..).partition(|(_, request)| acknowledged(request));
        self.open = open;
        self.acknowledged.extend(Vec::into_iter(done).map(|(what, _): (String, RequestId)| what));
    }
}

/// A bit of all that a store does: it writes, splits, takes a snapshot up, changes its members, compacts its log, restarts.
/// Store `faulty` fails when its engine call `fails_at` comes.
fn story(faulty: u64, fails_at: Option<u64>) -> (Cluster, Told) {
    let mut cluster = Cluster::led_with_spares(3, 1, settings());
    let mut told = Told::default();
    let faults = Faults { fails_at, ..Faults::default() };
    cluster.nodes.get_mut(&faulty).unwrap().env.faults = faults;
    told.append(&mut cluster, "a", "1;");
    told.append(&mut cluster, "x", "2;");
    if let Some(leader) = cluster.leader_of(REGION) {
        let _ = cluster.ask_split(leader, REGION, "m");
    }
    cluster.run(4_000);
    told.append(&mut cluster, "a", "3;");
    told.append(&mut cluster, "x", "4;");
    if let Some(leader) = cluster.leader_of(REGION) {
        cluster.with(leader, |store, env, now| drop(store.compact(env, now, REGION)));
        cluster.settle();
        let new = raftstore::proto::metapb::Peer { id: cluster.allocate(), store_id: 4, role: 0 };
        let _ =
            cluster.ask_change(leader, REGION, vec![crate::common::regions::add(new)], Default::default());
    }
    cluster.run(4_000);
    told.append(&mut cluster, "a", "5;");
    // Another one restarts; the faulty one, too, if it still runs.
    cluster.crash(2, 0, 0);
    cluster.boot(2);
    cluster.run(2_000);
    if cluster.nodes[&faulty].store.as_ref().is_some_and(|store| store.failed().is_none()) {
        cluster.crash(faulty, 0, 1);
        // One that cannot open stays down.
        let _ = cluster.try_boot(faulty);
    }
    cluster.run(4_000);
    told.append(&mut cluster, "x", "6;");
    cluster.run(2_000);
    told.collect(&cluster);
    (cluster, told)
}

/// Whatever each key should have, and nothing twice.
fn check(cluster: &Cluster, told: &Told, about: &str) {
    let leader = |key: &str| cluster.leader_of(cluster.region_of(key)).unwrap();
    let values = ["a", "x"].map(|key| cluster.value(leader(key), key).unwrap_or_default()).concat();
    for what in &told.acknowledged {
        assert_eq!(values.matches(what.as_str()).count(), 1, "{what} in {values:?} {about}");
    }
}

fn fails_at_every_call(faulty: u64, all: u64) {
    let mut seen = [0; 3];
    for fails_at in 0..all {
        let (mut cluster, told) = story(faulty, Some(fails_at));
        let node = &cluster.nodes[&faulty];
        let failed = node.env.faults.failed.get();
        let stopped = node.store.as_ref().is_none_or(|store| store.failed().is_some());
        let about = format!("with call {fails_at} of store {faulty} failing, {failed:?}");
        assert_eq!(failed.is_some(), stopped, "{about}");
        if let Some(operation) = failed {
            seen[operation as usize] += 1;
        }
        // The fault is over, and takes with it what it can.
        let keep = usize::try_from(fails_at % 3).unwrap();
        cluster.nodes.get_mut(&faulty).unwrap().env.faults = Faults::default();
        cluster.crash_keeping(faulty, [keep, keep / 2, keep]);
        cluster.boot(faulty);
        cluster.converge(60);
        check(&cluster, &told, &about);
    }
    assert!(seen.iter().all(|count| *count > 0), "reads, writes and syncs that failed: {seen:?}");
}

/// How many engine calls the story makes on a store.
fn calls(faulty: u64) -> u64 {
    let (cluster, told) = story(faulty, None);
    assert_eq!(told.acknowledged.len(), 6);
    assert_eq!(cluster.nodes[&faulty].env.faults.failed.get(), None);
    cluster.nodes[&faulty].env.faults.calls.get()
}

#[test]
fn any_call_of_a_leader_s_engine_may_fail() {
    fails_at_every_call(1, calls(1));
}

#[test]
fn any_call_of_a_new_member_s_engine_may_fail() {
    fails_at_every_call(4, calls(4));
}

#[test]
fn a_failed_sync_stops_a_store_before_what_waits_for_it_leaves() {
    for db in [Db::Raft, Db::Kv, Db::Snapshots] {
        let mut cluster = Cluster::led(3);
        cluster.execute(1, vec![put("k", "old")]);
        cluster.run(2_000);
        // Store 2 has an append to acknowledge, which waits for the raft database.
        cluster.stalled.extend([1, 2, 3]);
        let request = cluster.request(1, vec![put("k", "new")]);
        cluster.settle();
        let before = cluster.nodes[&2].env.effects();
        cluster.with(2, |store, env, _| {
            env.fail_sync(db);
            store.on_sync_failed(EngineError::Io("the sync failed".into()));
        });
        let store = cluster.nodes[&2].store();
        assert!(matches!(store.failed(), Some(StoreError::Engine(EngineError::Io(_)))), "{db:?}");
        assert_eq!((cluster.nodes[&2].env.effects(), store.next_deadline()), (before, None), "{db:?}");
        // A later sync that succeeds is not believed: nothing leaves any more.
        cluster.finish_sync(2, Db::Raft);
        cluster.stalled.clear();
        cluster.run(5_000);
        assert_eq!(cluster.nodes[&2].env.effects(), before, "{db:?}");
        assert!(cluster.reply(request).is_some(), "the other two go on");
        cluster.crash(2, 0, 0);
        cluster.boot(2);
        cluster.converge(20);
        assert_eq!(cluster.value(2, "k").as_deref(), Some("new"));
    }
}

#[test]
fn a_full_disk_stops_a_store_until_there_is_room() {
    let mut cluster = Cluster::led(3);
    cluster.execute(1, vec![put("k", "old")]);
    cluster.run(2_000);
    let node = cluster.nodes.get_mut(&1).unwrap();
    node.env.faults.capacity = Some(node.env.bytes() + 300);
    let large = "x".repeat(1_000);
    let request = cluster.request(1, vec![put("k", &large)]);
    cluster.settle();
    assert_eq!(cluster.nodes[&1].store().failed(), Some(&StoreError::Engine(EngineError::Full)));
    assert_eq!(cluster.reply(request), None, "nobody knows what became of it");
    cluster.run(5_000);
    let leader = cluster.leaders().into_iter().find(|leader| *leader != 1).unwrap();
    assert_eq!(cluster.execute(leader, vec![get("k")]).len(), 1);
    // Still full: it opens, as there is nothing to write, and stops at the next entry.
    cluster.crash(1, 0, 0);
    cluster.boot(1);
    cluster.request(leader, vec![put("k", &large)]);
    cluster.run(1_000);
    assert_eq!(cluster.nodes[&1].store().failed(), Some(&StoreError::Engine(EngineError::Full)));
    cluster.nodes.get_mut(&1).unwrap().env.faults = Faults::default();
    cluster.crash(1, 0, 0);
    cluster.boot(1);
    cluster.converge(20);
    assert_eq!(cluster.value(1, "k").as_deref(), Some(large.as_str()));
}

/// Three stores with some data, of which the third has rot somewhere.
fn rotten(db: Db, key: &[u8]) -> Cluster {
    let mut cluster = Cluster::led(3);
    for value in ["1", "2", "3"] {
        cluster.execute(1, vec![put("k", value)]);
    }
    cluster.run(2_000);
    let env = &mut cluster.nodes.get_mut(&3).unwrap().env;
    assert!(env.disk(db).visible.contains_key(key), "there is something to rot");
    env.faults.rotten.insert((db, key.to_vec()));
    cluster
}

#[test]
fn a_store_with_rot_in_its_own_records_does_not_open() {
    let (log, state) = (keys::raft_log(REGION, 7), keys::raft_state(REGION));
    let (region, applied) = (keys::region_state(REGION), keys::apply_state(REGION));
    let records: [(Db, &[u8], &str); 5] = [
        (Db::Raft, &log, "RaftLog { region: 1, index: 7 }"),
        (Db::Raft, &state, "RaftState { region: 1 }"),
        (Db::Kv, &region, "RegionState { region: 1 }"),
        (Db::Kv, &applied, "ApplyState { region: 1 }"),
        (Db::Kv, &keys::STORE_IDENT, "StoreIdent"),
    ];
    for (db, key, name) in records {
        let mut cluster = rotten(db, key);
        cluster.crash(3, 0, 0);
        let error = cluster.try_boot(3).unwrap_err().to_string();
        assert!(error.contains("checksum mismatch") && error.contains(name), "{error}");
        assert!(cluster.nodes[&3].store.is_none());
        // Nor does it the next time; and the others go on.
        assert!(cluster.try_boot(3).is_err());
        cluster.execute(1, vec![put("k", "4")]);
    }
}

#[test]
fn a_store_stops_where_it_reads_rotten_data() {
    let mut cluster = rotten(Db::Kv, b"default_k");
    // The store opens and follows: nobody has read it yet. To replace the value heals it, to append needs it.
    cluster.crash(3, 0, 0);
    cluster.boot(3);
    cluster.run(1_000);
    let mut healed = cluster.clone();
    healed.execute(1, vec![put("k", "4")]);
    healed.execute(1, vec![append("k", "5")]);
    healed.converge(10);
    let request = cluster.request(1, vec![append("k", "5")]);
    cluster.run(1_000);
    assert!(cluster.reply(request).is_some());
    let failed = cluster.nodes[&3].store().failed();
    assert!(matches!(failed, Some(StoreError::Engine(EngineError::Corrupt(_)))), "{failed:?}");
}

#[test]
fn a_leader_stops_rather_than_answer_with_rotten_data() {
    let mut cluster = rotten(Db::Kv, b"default_k");
    cluster.with(1, |store, env, now| drop(store.transfer_leader(env, now, REGION, 3)));
    cluster.settle();
    assert_eq!(cluster.leaders(), [3]);
    for command in [get("k"), crate::common::scan("a", "z", 0)] {
        let mut cluster = cluster.clone();
        let request = cluster.request(3, vec![command]);
        cluster.run(5_000);
        let failed = cluster.nodes[&3].store().failed();
        assert!(matches!(failed, Some(StoreError::Engine(EngineError::Corrupt(_)))), "{failed:?}");
        assert_eq!(cluster.reply(request), None);
        let leader = cluster.leaders().into_iter().find(|leader| *leader != 3).unwrap();
        let answer = cluster.execute(leader, vec![get("k")]);
        assert!(matches!(&answer[..], [response::Result::Get(get)] if get.value.as_deref() == Some(b"3")));
    }
}

/// Store 3 has missed what has left the log since.
fn behind() -> Cluster {
    let mut cluster = Cluster::led_with_spares(3, 0, settings());
    cluster.execute(1, vec![put("a", "old")]);
    cluster.run(2_000);
    cluster.isolated.insert(3);
    cluster.execute(1, vec![put("a", "new"), put("b", &"b".repeat(100)), put("c", &"c".repeat(100))]);
    cluster.compact(REGION);
    cluster.isolated.clear();
    cluster
}

#[test]
fn a_leader_stops_rather_than_make_a_snapshot_of_rotten_data() {
    let mut cluster = behind();
    cluster.nodes.get_mut(&1).unwrap().env.faults.rotten.insert((Db::Kv, b"default_b".to_vec()));
    cluster.run(10_000);
    let failed = cluster.nodes[&1].store().failed();
    assert!(matches!(failed, Some(StoreError::Engine(EngineError::Corrupt(_)))), "{failed:?}");
    // The other one makes it.
    let leader = cluster.leaders().into_iter().find(|leader| *leader != 1).unwrap();
    assert_eq!((leader, cluster.value(3, "a").as_deref()), (2, Some("new")));
}

/// Lets a snapshot come to store 3 until all of its chunks are written and none is durable.
fn until_whole(cluster: &mut Cluster) {
    cluster.stalled_dbs.insert((3, Db::Snapshots));
    for _ in 0..100 {
        if cluster.nodes[&3].env.snapshots.visible.len() >= 6 {
            return;
        }
        cluster.run(100);
    }
    panic!("no snapshot comes");
}

#[test]
fn a_rotten_chunk_costs_the_snapshot_and_nothing_else() {
    let mut cluster = behind();
    until_whole(&mut cluster);
    let env = &mut cluster.nodes.get_mut(&3).unwrap().env;
    let chunk = env.snapshots.visible.keys().nth(2).unwrap().clone();
    env.faults.rotten.insert((Db::Snapshots, chunk));
    cluster.stalled_dbs.clear();
    cluster.settle();
    assert_eq!(cluster.nodes[&3].store().failed(), None);
    assert_eq!(cluster.nodes[&3].peer().snapshots(), 0);
    cluster.converge(30);
    assert_eq!(cluster.nodes[&3].peer().snapshots(), 1);
}

#[test]
fn a_rotten_chunk_of_an_earlier_life_is_thrown_away() {
    let mut cluster = behind();
    until_whole(&mut cluster);
    let env = &mut cluster.nodes.get_mut(&3).unwrap().env;
    let chunks: Vec<_> = env.snapshots.visible.keys().cloned().collect();
    env.faults.rotten.extend(chunks.into_iter().map(|chunk| (Db::Snapshots, chunk)));
    cluster.crash(3, 0, 0);
    cluster.stalled_dbs.clear();
    cluster.boot(3);
    assert!(cluster.nodes[&3].env.snapshots.visible.is_empty());
    cluster.converge(30);
}

/// A snapshot has taken the log's place on store 3, and is not data yet.
fn taken_up() -> Cluster {
    let mut cluster = behind();
    cluster.idle.insert(3);
    for _ in 0..100 {
        if cluster.nodes[&3].peer().is_applying() {
            return cluster;
        }
        cluster.run(100);
    }
    panic!("no snapshot comes");
}

#[test]
fn a_snapshot_that_took_the_log_s_place_must_be_whole() {
    let mut cluster = taken_up();
    let env = &mut cluster.nodes.get_mut(&3).unwrap().env;
    let record = (Db::Raft, keys::snapshot_record(REGION).to_vec());
    let chunk = (Db::Snapshots, env.snapshots.visible.keys().next().unwrap().clone());
    for (rot, name) in [(record, "SnapshotRecord"), (chunk, "checksum mismatch")] {
        let mut cluster = cluster.clone();
        cluster.nodes.get_mut(&3).unwrap().env.faults.rotten.insert(rot);
        cluster.crash(3, 0, 0);
        let error = cluster.try_boot(3).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    cluster.idle.clear();
    cluster.converge(20);
}
