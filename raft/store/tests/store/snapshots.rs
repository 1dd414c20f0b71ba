//! Snapshots from end to end: made, sent, taken up, turned into data; and what a crash leaves of that.

use crate::common::{Cluster, REGION, config, delete_cf, put, put_cf};
use raftstore::keys::{self, Key};
use raftstore::proto::raft_serverpb::{SnapshotChunk, SnapshotVerdict, StoreMessage, store_message::Payload};
use raftstore::{Config, Db};

/// Some chunks a snapshot, and some batches.
fn settings() -> Config {
    Config {
        snapshot_chunk_size: 40,
        snapshot_batch_size: 40,
        snapshot_timeout_ticks: 20,
        pre_vote: true,
        ..config(0)
    }
}

/// Three stores, of which the third misses what is in the snapshot that it will need.
fn behind(settings: Config) -> Cluster {
    let mut cluster = Cluster::led_with_spares(3, 0, settings);
    for cf in ["default", "lock"] {
        cluster.execute(1, vec![put_cf(cf, "a", "old"), put_cf(cf, "b", "old")]);
    }
    cluster.run(2_000);
    cluster.isolated.insert(3);
    for cf in ["default", "lock"] {
        cluster.execute(1, vec![delete_cf(cf, "a"), put_cf(cf, "b", "new"), put_cf(cf, "c", "new")]);
    }
    cluster.compact(REGION);
    cluster
}

fn of_cf(cluster: &Cluster, id: u64, cf: &str, key: &str) -> Option<String> {
    let value = cluster.nodes[&id].env.kv.visible.get(format!("{cf}_{key}").as_bytes())?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

fn has(cluster: &Cluster, id: u64, wanted: fn(&Key) -> bool) -> bool {
    let env = &cluster.nodes[&id].env;
    env.raft
        .visible
        .keys()
        .chain(env.kv.visible.keys())
        .filter_map(|key| keys::decode(key))
        .any(|key| wanted(&key))
}

fn has_record(cluster: &Cluster, id: u64) -> bool {
    has(cluster, id, |key| matches!(key, Key::SnapshotRecord { .. }))
}

/// One thing happens. The receiver's databases are last, so that most is unsynced most of the time.
fn step(cluster: &mut Cluster, receiver: u64) -> bool {
    let ids: Vec<u64> = cluster.nodes.keys().copied().collect();
    ids.iter().any(|&id| cluster.deliver_from(id))
        || ids.iter().filter(|id| **id != receiver).any(|&id| {
            cluster.finish_task(id)
                || [Db::Raft, Db::Kv, Db::Snapshots].into_iter().any(|db| cluster.finish_sync(id, db))
        })
        || cluster.finish_sync(receiver, Db::Snapshots)
        || cluster.finish_sync(receiver, Db::Raft)
        || !cluster.idle.contains(&receiver) && cluster.finish_task(receiver)
        || cluster.finish_sync(receiver, Db::Kv)
}

#[test]
fn a_snapshot_brings_all_that_is_there_and_nothing_else() {
    let mut cluster = behind(settings());
    cluster.isolated.clear();
    cluster.converge(20);
    assert_eq!(cluster.nodes[&3].peer().snapshots(), 1);
    for round in 0..2 {
        for cf in ["default", "lock"] {
            let values = ["a", "b", "c"].map(|key| of_cf(&cluster, 3, cf, key));
            assert_eq!(values, [None, Some("new".into()), Some("new".into())], "{cf} in round {round}");
        }
        // It survives a restart.
        cluster.crash_keeping(3, [0, 0, 0]);
        cluster.boot(3);
    }
    cluster.converge(20);
}

#[test]
fn a_crash_at_any_moment_of_a_snapshot_is_made_good() {
    let mut cluster = behind(settings());
    cluster.isolated.clear();
    let (mut records, mut restoring, mut received, mut crashes) = (0, 0, 0, 0);
    let mut quiet = 0;
    while quiet < 10 {
        if !step(&mut cluster, 3) {
            quiet += 1;
            cluster.now += 200 * crate::common::MS;
            for id in 1..=3 {
                cluster.with(id, |store, env, now| store.on_timer(env, now));
            }
            continue;
        }
        let peer = cluster.nodes[&3].peer();
        records += usize::from(has_record(&cluster, 3));
        restoring += usize::from(peer.is_applying());
        received += usize::from(!cluster.nodes[&3].env.snapshots.visible.is_empty());
        let env = &cluster.nodes[&3].env;
        let unsynced = [&env.raft, &env.kv, &env.snapshots].map(|disk| disk.unsynced());
        for raft in 0..=unsynced[0] {
            for kv in 0..=unsynced[1] {
                for snapshots in 0..=unsynced[2] {
                    let mut crashed = cluster.clone();
                    crashed.crash_keeping(3, [raft, kv, snapshots]);
                    crashed.boot(3);
                    crashed.converge(20);
                    assert_eq!(of_cf(&crashed, 3, "lock", "a"), None);
                    crashes += 1;
                }
            }
        }
    }
    assert!(cluster.nodes[&3].peer().snapshots() == 1 && records > 1 && restoring > 1 && received > 1);
    assert!(crashes > 50, "{crashes}");
}

#[test]
fn no_more_snapshots_come_in_than_are_allowed() {
    let mut cluster = behind(Config { max_snapshots_received: 1, ..settings() });
    cluster.split("b");
    cluster.isolated.clear();
    cluster.converge(20);
    // Now store 3 has two regions, and misses something of both.
    cluster.isolated.insert(3);
    for key in ["a", "b"] {
        cluster.execute_at(key, vec![put(key, &"x".repeat(200))]);
        let region = cluster.region_of(key);
        cluster.compact(region);
    }
    cluster.isolated.clear();
    let mut busy = false;
    for round in 0..200 {
        // For a while, the first one that came waits to become data.
        cluster.idle = if round < 50 { [3].into() } else { [].into() };
        while step(&mut cluster, 3) {
            let chunks = cluster.nodes[&3].env.snapshots.visible.keys();
            let regions: std::collections::BTreeSet<_> = chunks.map(|key| key[..8].to_vec()).collect();
            assert!(regions.len() <= 1, "two at once");
            busy |= cluster.nodes[&3].env.transfers.iter().any(|(_, message)| {
                matches!(&message.payload, Some(Payload::Ack(ack)) if ack.verdict() == SnapshotVerdict::Busy)
            });
        }
        cluster.now += 100 * crate::common::MS;
        for id in 1..=3 {
            cluster.with(id, |store, env, now| store.on_timer(env, now));
        }
    }
    assert!(busy, "one had to wait");
    cluster.converge(20);
}

/// Lets the leader send the first chunk, and takes it.
fn first_chunk(cluster: &mut Cluster) -> SnapshotChunk {
    for _ in 0..100 {
        let sent = &cluster.nodes[&1].env.transfers;
        if let Some((3, StoreMessage { payload: Some(Payload::Chunk(chunk)) })) = sent.front() {
            return chunk.clone();
        }
        if !step(cluster, 3) {
            cluster.now += 100 * crate::common::MS;
            cluster.with(1, |store, env, now| store.on_timer(env, now));
        }
    }
    panic!("no chunk");
}

/// What store 3 answers to a chunk.
fn verdict(cluster: &mut Cluster, chunk: SnapshotChunk) -> SnapshotVerdict {
    cluster.nodes.get_mut(&3).unwrap().env.transfers.clear();
    let message = StoreMessage { payload: Some(Payload::Chunk(chunk)) };
    cluster.with(3, |store, env, now| store.on_message(env, now, message));
    let up_to = cluster.nodes[&3].env.snapshots.written;
    cluster.with(3, |store, env, now| store.on_synced(env, now, Db::Snapshots, up_to));
    let answers = std::mem::take(&mut cluster.nodes.get_mut(&3).unwrap().env.transfers);
    match answers.back() {
        Some((1, StoreMessage { payload: Some(Payload::Ack(ack)) })) => ack.verdict(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_snapshot_that_is_older_than_the_replica_is_refused() {
    let mut cluster = behind(Config { snapshot_chunk_size: 1_000, ..settings() });
    cluster.isolated.clear();
    let mut chunk = first_chunk(&mut cluster);
    cluster.converge(20);
    // Sent once more, by somebody who does not know that it arrived.
    chunk.key.as_mut().unwrap().attempt += 1;
    let written = (cluster.nodes[&3].env.raft.written, cluster.nodes[&3].env.kv.written);
    // Raft has everything that is in it.
    assert_eq!(verdict(&mut cluster, chunk.clone()), SnapshotVerdict::Refused);
    // The region is a smaller one by now: it is not even received.
    cluster.split("b");
    chunk.key.as_mut().unwrap().attempt += 1;
    let received = cluster.nodes[&3].env.snapshots.written;
    assert_eq!(verdict(&mut cluster, chunk), SnapshotVerdict::Refused);
    assert_eq!(cluster.nodes[&3].env.snapshots.written, received);
    assert_eq!((written.0, cluster.nodes[&3].peer().snapshots()), (written.0, 1));
    cluster.converge(20);
}

#[test]
fn a_snapshot_for_another_replica_is_refused() {
    let mut cluster = behind(Config { snapshot_chunk_size: 1_000, ..settings() });
    cluster.isolated.clear();
    let chunk = first_chunk(&mut cluster);
    let mut other = chunk.clone();
    other.to_peer.as_mut().unwrap().id = 31;
    assert_eq!(verdict(&mut cluster, other), SnapshotVerdict::Refused);
    assert_eq!(verdict(&mut cluster, chunk), SnapshotVerdict::Receiving);
}

#[test]
fn a_body_that_is_not_what_was_announced_is_refused_before_the_log_goes() {
    let mut cluster = behind(Config { snapshot_chunk_size: 1_000, ..settings() });
    cluster.isolated.clear();
    let mut chunk = first_chunk(&mut cluster);
    let mut data = chunk.data.to_vec();
    *data.last_mut().unwrap() ^= 1;
    (chunk.checksum, chunk.data) = (crc32fast::hash(&data), data.into());
    let last = cluster.nodes[&3].peer().raft().last();
    assert_eq!(verdict(&mut cluster, chunk), SnapshotVerdict::Refused);
    let node = &cluster.nodes[&3];
    assert_eq!((node.store().failed(), node.peer().raft().last()), (None, last));
    assert!(node.env.snapshots.visible.is_empty());
    cluster.converge(30);
}

#[test]
fn the_first_snapshot_of_two_does_not_take_the_record_of_the_second_one() {
    let mut cluster = behind(settings());
    cluster.isolated.clear();
    cluster.stalled_dbs.insert((3, Db::Kv));
    cluster.run(5_000);
    assert_eq!(cluster.nodes[&3].peer().snapshots(), 1);
    let first = cluster.nodes[&3].env.kv.written;
    cluster.isolated.insert(3);
    cluster.execute(1, vec![put("d", "newer")]);
    cluster.compact(REGION);
    cluster.isolated.clear();
    cluster.run(5_000);
    assert_eq!(cluster.nodes[&3].peer().snapshots(), 2);
    // The first one's data is durable, the second one's is not.
    cluster.with(3, |store, env, now| {
        env.kv.make_durable(first);
        store.on_synced(env, now, Db::Kv, first);
    });
    cluster.crash_keeping(3, [usize::MAX, 0, 0]);
    assert!(has_record(&cluster, 3));
    cluster.boot(3);
    assert_eq!(of_cf(&cluster, 3, "default", "d").as_deref(), Some("newer"));
    cluster.stalled_dbs.clear();
    cluster.converge(20);
}

#[test]
fn the_databases_say_that_a_snapshot_is_being_restored() {
    let mut cluster = behind(settings());
    cluster.isolated.clear();
    cluster.idle.insert(3);
    cluster.run(5_000);
    let peer = cluster.nodes[&3].peer();
    assert!(peer.is_applying() && has_record(&cluster, 3));
    assert_eq!(peer.raft().role(), raft::Role::Follower);
    // It does not stand in elections, however long that takes.
    cluster.isolated.insert(3);
    let term = cluster.nodes[&3].peer().raft().term();
    cluster.run(10_000);
    assert_eq!(cluster.nodes[&3].peer().raft().term(), term);
    cluster.isolated.clear();
    cluster.idle.clear();
    cluster.converge(20);
}
