//! The first boot, and every boot after it.

use crate::common::disk::MemEnv;
use crate::common::{Cluster, MS, REGION, config, first_region, put};
use prost::Message;
use raftstore::proto::metapb::Region;
use raftstore::proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftLocalState, RegionLocalState, StoreIdent,
};
use raftstore::{Config, Db, Engine, Read, Store, StoreError, WriteBatch, keys};

fn read<M: Message + Default>(env: &MemEnv, db: Db, key: &[u8]) -> Option<M> {
    env.get(db, key).unwrap().map(|value| M::decode(value).unwrap())
}

fn bootstrap(env: &mut MemEnv) {
    Store::bootstrap(env, &config(1), &first_region(3)).unwrap();
}

fn open(env: &mut MemEnv) -> Result<Store, StoreError> {
    Store::open(env, config(1), 0)
}

#[test]
fn the_first_region_starts_at_index_and_term_5() {
    let mut env = MemEnv::default();
    bootstrap(&mut env);
    assert_eq!(
        read(&env, Db::Kv, &keys::STORE_IDENT),
        Some(StoreIdent { cluster_id: 1, store_id: 1, replica_floor: 0 })
    );
    assert_eq!(read::<Region>(&env, Db::Kv, &keys::PREPARE_BOOTSTRAP), Some(first_region(3)));
    let state: RegionLocalState = read(&env, Db::Kv, &keys::region_state(REGION)).unwrap();
    assert_eq!((state.state(), state.region), (PeerState::Normal, Some(first_region(3))));
    let apply: RaftApplyState = read(&env, Db::Kv, &keys::apply_state(REGION)).unwrap();
    let truncated = apply.truncated_state.unwrap();
    assert_eq!((apply.applied_index, truncated.index, truncated.term), (5, 5, 5));
    let raft: RaftLocalState = read(&env, Db::Raft, &keys::raft_state(REGION)).unwrap();
    let hard_state = raft.hard_state.unwrap();
    assert_eq!((raft.last_index, raft.last_term), (5, 5));
    assert_eq!((hard_state.term, hard_state.vote, hard_state.commit), (5, 0, 5));

    let store = open(&mut env).unwrap();
    let peer = store.peer(REGION).unwrap();
    assert_eq!((peer.peer_id(), peer.raft().term(), peer.raft().last().index), (10, 5, 5));
    assert_eq!(peer.raft().voters(), [10, 20, 30]);
}

#[test]
fn a_second_bootstrap_changes_nothing() {
    let mut env = MemEnv::default();
    bootstrap(&mut env);
    let before = env.clone();
    bootstrap(&mut env);
    assert_eq!((env.raft.written, env.kv.written), (before.raft.written, before.kv.written));

    // Nor does it to a store that has been running.
    let mut cluster = Cluster::led(3);
    cluster.execute(1, vec![put("k", "v")]);
    let mut env = cluster.nodes[&1].env.clone();
    let before = env.clone();
    bootstrap(&mut env);
    assert_eq!((env.raft.visible, env.kv.visible), (before.raft.visible, before.kv.visible));
}

#[test]
fn a_crash_at_any_point_of_the_bootstrap_is_made_good_at_the_next_boot() {
    let mut complete = MemEnv::default();
    bootstrap(&mut complete);
    for keep_raft in 0..=complete.raft.unsynced() {
        for keep_kv in 0..=complete.kv.unsynced() {
            let mut env = complete.clone();
            env.crash(keep_raft, keep_kv, 0);
            let cut_short = keep_raft == 0 || keep_kv == 0;
            assert_eq!(open(&mut env.clone()).is_err(), cut_short);
            bootstrap(&mut env);
            assert_eq!(env.raft.visible, complete.raft.visible);
            assert_eq!(env.kv.visible, complete.kv.visible);
            assert!(open(&mut env).is_ok());
        }
    }
}

#[test]
fn a_vote_outlives_the_loss_of_the_kv_database() {
    let mut env = MemEnv::default();
    bootstrap(&mut env);
    let mut store = open(&mut env).unwrap();
    store.campaign(&mut env, 0, REGION);
    let kept = env.raft.unsynced();
    env.crash(kept, 0, 0);
    assert!(env.kv.visible.is_empty());
    bootstrap(&mut env);
    let store = open(&mut env).unwrap();
    let raft = store.peer(REGION).unwrap().raft();
    assert_eq!((raft.term(), raft.vote()), (6, Some(10)));
}

#[test]
fn the_mark_goes_once_the_raft_database_is_synced() {
    let mut env = MemEnv::default();
    bootstrap(&mut env);
    let mut store = open(&mut env).unwrap();
    let up_to = env.finish_sync(Db::Kv).unwrap();
    store.on_synced(&mut env, 0, Db::Kv, up_to);
    assert!(env.get(Db::Kv, &keys::PREPARE_BOOTSTRAP).unwrap().is_some());
    let up_to = env.finish_sync(Db::Raft).unwrap();
    store.on_synced(&mut env, 0, Db::Raft, up_to);
    assert!(env.get(Db::Kv, &keys::PREPARE_BOOTSTRAP).unwrap().is_none());

    // From then on a raft state that is missing was lost, with the votes in it.
    env.crash(0, 1, 0);
    let mut batch = WriteBatch::new();
    batch.delete(&keys::raft_state(REGION));
    env.write(Db::Raft, batch).unwrap();
    bootstrap(&mut env);
    let error = open(&mut env).unwrap_err();
    assert_eq!(error.to_string(), "region 1: no raft state");
}

#[test]
fn a_store_without_a_replica_of_the_first_region_is_empty() {
    let mut env = MemEnv::default();
    let spare = Config::new(4);
    Store::bootstrap(&mut env, &spare, &first_region(3)).unwrap();
    let store = Store::open(&mut env, spare, 0).unwrap();
    assert_eq!((store.peers().count(), store.next_deadline()), (0, None));
}

#[test]
fn databases_of_nobody_or_somebody_else_are_refused() {
    let mut env = MemEnv::default();
    assert_eq!(open(&mut env).unwrap_err(), StoreError::NotBootstrapped);
    bootstrap(&mut env);
    let wrong = StoreError::WrongStore { cluster_id: 1, store_id: 1 };
    for other in [Config::new(2), Config { cluster_id: 2, ..Config::new(1) }] {
        assert_eq!(Store::open(&mut env, other.clone(), 0).unwrap_err(), wrong);
        assert_eq!(Store::bootstrap(&mut env, &other, &first_region(3)).unwrap_err(), wrong);
    }
    let bad = Config { tick_interval_ns: 0, ..Config::new(1) };
    assert!(matches!(Store::open(&mut env, bad, 0), Err(StoreError::Config(_))));
}

#[test]
fn tombstones_do_not_come_back() {
    let mut env = MemEnv::default();
    bootstrap(&mut env);
    let mut batch = WriteBatch::new();
    let region = Some(first_region(3));
    let state =
        RegionLocalState { state: PeerState::Tombstone as i32, region, peer_id: 10, ..Default::default() };
    batch.put_message(&keys::region_state(REGION), &state);
    env.write(Db::Kv, batch).unwrap();
    bootstrap(&mut env);
    assert!(open(&mut env).unwrap().peer(REGION).is_none());
}

#[test]
fn a_store_hosts_every_region_that_its_databases_hold() {
    let mut env = MemEnv::default();
    bootstrap(&mut env);
    // A second region, as a split would leave it.
    let second = Region { id: 9, start_key: "m".into(), ..first_region(3) };
    let first = Region { end_key: "m".into(), ..first_region(3) };
    let state = RegionLocalState { region: Some(first), peer_id: 10, ..RegionLocalState::default() };
    let mut batch = WriteBatch::new();
    batch.put_message(&keys::region_state(REGION), &state);
    env.write(Db::Kv, batch).unwrap();
    let copy = |env: &mut MemEnv, db, from: &[u8], to: &[u8]| {
        let value = env.get(db, from).unwrap().unwrap();
        let mut batch = WriteBatch::new();
        batch.put(to, &value);
        env.write(db, batch).unwrap();
    };
    copy(&mut env, Db::Raft, &keys::raft_state(REGION), &keys::raft_state(9));
    copy(&mut env, Db::Kv, &keys::apply_state(REGION), &keys::apply_state(9));
    let mut batch = WriteBatch::new();
    let state = RegionLocalState { region: Some(second), peer_id: 10, ..RegionLocalState::default() };
    batch.put_message(&keys::region_state(9), &state);
    env.write(Db::Kv, batch).unwrap();

    let mut store = open(&mut env).unwrap();
    let regions: Vec<u64> = store.peers().map(|peer| peer.region().id).collect();
    assert_eq!((regions.as_slice(), store.touched()), ([1, 9].as_slice(), [1, 9].as_slice()));
    store.campaign(&mut env, 0, 9);
    assert_eq!(store.touched(), [9]);
    assert_eq!((store.peer(1).unwrap().raft().term(), store.peer(9).unwrap().raft().term()), (5, 6));
    // Both wait for the same sync, and both of their votes leave after it.
    store.campaign(&mut env, 0, 1);
    assert!(env.sent.is_empty());
    let up_to = env.finish_sync(Db::Raft).unwrap();
    store.on_synced(&mut env, 0, Db::Raft, up_to);
    assert_eq!(store.touched(), [1, 9]);
    let asked: Vec<u64> = env.sent.iter().map(|message| message.region_id).collect();
    assert_eq!(asked, [1, 1, 9, 9]);
    // Neighbours have timeouts of their own.
    store.on_timer(&mut env, 10_000 * MS);
    assert_eq!(store.touched(), [1, 9]);
}
