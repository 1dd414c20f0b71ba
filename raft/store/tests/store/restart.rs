//! What a store is after a crash.

use crate::common::{Cluster, REGION, append, get, put};
use prost::Message;
use raftstore::proto::raft_cmdpb::{GetResponse, response::Result as Answer};
use raftstore::proto::raft_serverpb::{RaftApplyState, RaftLocalState};
use raftstore::{Db, Engine, Read, Store, StoreError, WriteBatch, keys};

fn applied_on_disk(cluster: &Cluster, id: u64) -> u64 {
    let state = cluster.nodes[&id].env.get(Db::Kv, &keys::apply_state(REGION)).unwrap().unwrap();
    RaftApplyState::decode(state).unwrap().applied_index
}

#[test]
fn everything_synced_comes_back() {
    let mut cluster = Cluster::led(3);
    cluster.execute(1, vec![put("a", "1")]);
    cluster.execute(1, vec![append("b", "2")]);
    cluster.run(2_000);
    let before = cluster.nodes[&2].peer().clone();
    cluster.crash(2, 0, 0);
    cluster.boot(2);
    let after = cluster.nodes[&2].peer();
    assert_eq!(after.raft().term(), before.raft().term());
    assert_eq!(after.raft().vote(), before.raft().vote());
    assert_eq!(after.raft().last(), before.raft().last());
    assert_eq!(after.raft().truncated(), before.raft().truncated());
    assert_eq!(after.raft().voters(), before.raft().voters());
    assert_eq!(after.region(), before.region());
    assert_eq!(after.storage().applied_index(), 8);
    assert!(after.raft().commit() >= after.storage().applied_index());
    assert_eq!(cluster.value(2, "b").as_deref(), Some("2"));
    cluster.run(2_000);
    assert_eq!(cluster.leaders().len(), 1);
    let leader = cluster.leaders()[0];
    let answer = cluster.execute(leader, vec![get("a")]);
    assert_eq!(answer, [Answer::Get(GetResponse { value: Some("1".into()) })]);
}

#[test]
fn the_unsynced_tail_of_the_log_is_lost() {
    let mut cluster = Cluster::led(3);
    cluster.isolated.insert(1);
    cluster.stalled.insert(1);
    cluster.request(1, vec![append("k", "1")]);
    cluster.request(1, vec![append("k", "2")]);
    assert_eq!(cluster.nodes[&1].peer().raft().last().index, 8);
    // Of the two writes that wait, none, one or both survive.
    for keep in 0..=2 {
        let mut cluster = cluster.clone();
        cluster.crash(1, keep, 0);
        cluster.boot(1);
        let raft = cluster.nodes[&1].peer().raft();
        assert_eq!((raft.last().index, raft.persisted()), (6 + keep as u64, 6 + keep as u64));
        let state = cluster.nodes[&1].env.get(Db::Raft, &keys::raft_state(REGION)).unwrap().unwrap();
        assert_eq!(RaftLocalState::decode(state).unwrap().last_index, 6 + keep as u64);
        assert!(cluster.nodes[&1].env.get(Db::Raft, &keys::raft_log(REGION, 9)).unwrap().is_none());
    }
}

#[test]
fn an_append_is_applied_once_wherever_the_crash_falls() {
    let mut cluster = Cluster::led(1);
    // Nobody ends a sync of the kv database: every apply is a write of its own that may be lost.
    let suffixes = ["a", "b", "c", "d"];
    for suffix in suffixes {
        let request = cluster.request(1, vec![append("k", suffix)]);
        cluster.finish_sync(1, Db::Raft);
        assert_eq!(cluster.results(request).len(), 1);
    }
    let unsynced = cluster.nodes[&1].env.kv.unsynced();
    assert!(unsynced >= suffixes.len());
    for keep in 0..=unsynced {
        let mut cluster = cluster.clone();
        cluster.crash(1, 0, keep);
        let survived = cluster.value(1, "k").unwrap_or_default();
        assert!("abcd".starts_with(&survived));
        assert_eq!(survived.is_empty(), applied_on_disk(&cluster, 1) <= 6);
        cluster.boot(1);
        cluster.campaign(1);
        cluster.settle();
        assert_eq!(cluster.value(1, "k").as_deref(), Some("abcd"), "{keep} of {unsynced} writes kept");
        assert_eq!(cluster.nodes[&1].peer().storage().applied_index(), 11);
        // And once more, with everything kept.
        cluster.crash(1, 9, 9);
        cluster.boot(1);
        cluster.campaign(1);
        cluster.settle();
        assert_eq!(cluster.value(1, "k").as_deref(), Some("abcd"));
    }
}

#[test]
fn opening_applies_what_is_known_to_be_committed() {
    let mut cluster = Cluster::led(1);
    for suffix in ["a", "b", "c"] {
        cluster.request(1, vec![append("k", suffix)]);
        cluster.finish_sync(1, Db::Raft);
    }
    cluster.crash(1, 0, 0);
    assert_eq!(cluster.value(1, "k"), None);
    cluster.boot(1);
    // The commit index on disk is that of the last write with entries: of the last one but its own.
    assert_eq!(cluster.value(1, "k").as_deref(), Some("ab"));
    assert_eq!(cluster.nodes[&1].store().touched(), [REGION]);
}

#[test]
fn a_conflicting_tail_is_gone_from_disk() {
    let mut cluster = Cluster::led(3);
    cluster.isolated.insert(1);
    for _ in 0..4 {
        cluster.request(1, vec![append("k", "lost")]);
    }
    cluster.settle();
    assert_eq!(cluster.nodes[&1].peer().raft().last().index, 10);
    cluster.campaign(2);
    cluster.settle();
    cluster.execute(2, vec![append("k", "kept")]);
    cluster.isolated.clear();
    cluster.run(3_000);
    let last = cluster.nodes[&2].peer().raft().last().index;
    assert_eq!(last, 8);
    let env = &cluster.nodes[&1].env;
    for index in 6..=12 {
        let on_disk = env.raft.durable.contains_key(&keys::raft_log(REGION, index)[..]);
        assert_eq!(on_disk, index <= last, "{index}");
    }
    cluster.crash(1, 0, 0);
    cluster.boot(1);
    let (ours, theirs) = (cluster.nodes[&1].peer().raft().last(), cluster.nodes[&2].peer().raft().last());
    assert_eq!(ours, theirs);
}

#[test]
fn all_stores_may_crash_at_once() {
    let mut cluster = Cluster::led(3);
    for round in 0..4 {
        let leader = cluster.leaders()[0];
        cluster.execute(leader, vec![append("k", "x")]);
        // One of the three keeps nothing that was not synced; the others a part of it.
        for id in 1..=3 {
            cluster.crash(id, 0, if id == 1 { 0 } else { round });
        }
        for id in 1..=3 {
            cluster.boot(id);
        }
        cluster.run(10_000);
        assert_eq!(cluster.leaders().len(), 1);
    }
    for id in 1..=3 {
        assert_eq!(cluster.value(id, "k").as_deref(), Some("xxxx"));
    }
}

#[test]
fn a_damaged_log_does_not_open() {
    let mut cluster = Cluster::led(3);
    cluster.execute(1, vec![put("k", "v")]);
    let node = cluster.nodes.get_mut(&1).unwrap();
    let mut batch = WriteBatch::new();
    batch.delete(&keys::raft_log(REGION, 6));
    node.env.write(Db::Raft, batch).unwrap();
    let error = Store::open(&mut node.env, crate::common::config(1), 0).unwrap_err();
    assert!(matches!(error, StoreError::Raft { region_id: REGION, .. }), "{error}");
    assert!(error.to_string().contains("found entry 7 where 6 should be"), "{error}");
}
