//! The log on disk against a model that is a plain `Vec`.

use proptest::collection::vec;
use proptest::prelude::*;
use raft::eraftpb::HardState;
use raft_proto::metapb::Peer;

use super::*;
use crate::engine::Engine;
use crate::testing::MapEngine;

const FIRST: u64 = RAFT_INIT_LOG_INDEX + 1;

fn region() -> Region {
    let peers = [(10, 1, 0), (20, 2, 0), (30, 3, 1)];
    let peers = peers.map(|(id, store_id, role)| Peer { id, store_id, role });
    Region { id: 2, peers: peers.to_vec(), ..Region::default() }
}

fn entry(index: u64, term: u64) -> Entry {
    Entry { index, term, data: Bytes::from(format!("{index}/{term}")), ..Entry::default() }
}

/// Writes the first region as a bootstrap does.
fn start() -> (MapEngine, PeerStorage) {
    let mut engine = MapEngine::default();
    let storage = PeerStorage::initial(10, region());
    let mut batch = WriteBatch::new();
    batch.put_message(&keys::apply_state(2), storage.apply_state());
    engine.write(Db::Kv, batch).unwrap();
    (engine, storage)
}

fn save(engine: &mut MapEngine, storage: &mut PeerStorage, ready: &Ready) {
    let mut batch = WriteBatch::new();
    storage.save_ready_state(ready, &mut batch);
    engine.write(Db::Raft, batch).unwrap();
}

/// The indexes of the log entries on disk, of this region and its neighbours.
fn indexes(engine: &MapEngine) -> Vec<u64> {
    let mut indexes = Vec::new();
    engine
        .scan(Db::Raft, &keys::raft_log(1, 0), &keys::raft_state(3), &mut |key, _| {
            if let Some(keys::Key::RaftLog { index, .. }) = keys::decode(key) {
                indexes.push(index);
            }
            true
        })
        .unwrap();
    indexes
}

proptest! {
    /// Each append goes back over the end of the log by so many entries and adds so many of a new term.
    #[test]
    fn append_is_truncate_and_extend(appends in vec((0..6u64, 1..6u64), 1..20)) {
        let (mut engine, mut storage) = start();
        let mut model: Vec<Entry> = Vec::new();
        for (term, (back, count)) in (RAFT_INIT_LOG_TERM + 1..).zip(appends) {
            let from = (FIRST + model.len() as u64).saturating_sub(back).max(FIRST);
            let entries: Vec<Entry> = (from..from + count).map(|index| entry(index, term)).collect();
            model.truncate((from - FIRST) as usize);
            model.extend_from_slice(&entries);
            save(&mut engine, &mut storage, &Ready { entries, must_sync: true, ..Ready::default() });

            // What a restart would find.
            let loaded = PeerStorage::load(&engine, 10, region(), false).unwrap();
            prop_assert_eq!(loaded.raft_state(), storage.raft_state());
            let view = StorageView { storage: &loaded, engine: &engine };
            let end = FIRST + model.len() as u64;
            prop_assert_eq!(view.first_index(), Ok(FIRST));
            prop_assert_eq!(view.last_index(), Ok(end - 1));
            prop_assert_eq!(&view.entries(FIRST, end).unwrap(), &model);
            prop_assert_eq!(view.term(RAFT_INIT_LOG_INDEX), Ok(RAFT_INIT_LOG_TERM));
            for entry in &model {
                prop_assert_eq!(view.term(entry.index), Ok(entry.term));
            }
            // Nothing is left past the end: were it, a later restart could take it for part of the log.
            prop_assert_eq!(indexes(&engine), (FIRST..end).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_commit_alone_waits_for_the_next_write() {
    let (mut engine, mut storage) = start();
    let hard_state = |commit| Some(HardState { term: 6, vote: 10, commit });
    let entries = vec![entry(6, 6), entry(7, 6)];
    let ready = Ready { entries, hard_state: hard_state(5), must_sync: true, ..Ready::default() };
    save(&mut engine, &mut storage, &ready);
    let mut batch = WriteBatch::new();
    storage.save_ready_state(&Ready { hard_state: hard_state(7), ..Ready::default() }, &mut batch);
    assert!(batch.is_empty());
    assert_eq!(storage.raft_state().hard_state, hard_state(7));
    let loaded = PeerStorage::load(&engine, 10, region(), false).unwrap();
    assert_eq!(loaded.raft_state().hard_state, hard_state(5));

    let ready = Ready { entries: vec![entry(8, 6)], must_sync: true, ..Ready::default() };
    save(&mut engine, &mut storage, &ready);
    let loaded = PeerStorage::load(&engine, 10, region(), false).unwrap();
    assert_eq!(loaded.raft_state().hard_state, hard_state(7));
}

#[test]
fn members_come_from_the_region() {
    let (engine, storage) = start();
    let state = StorageView { storage: &storage, engine: &engine }.initial_state().unwrap();
    assert_eq!((state.conf_state.voters, state.conf_state.learners), (vec![10, 20], vec![30]));
    assert_eq!(state.hard_state, HardState { term: 5, vote: 0, commit: 5 });
}

#[test]
fn a_range_outside_the_log_is_an_error() {
    let (mut engine, mut storage) = start();
    let entries = vec![entry(6, 6), entry(7, 6)];
    save(&mut engine, &mut storage, &Ready { entries, must_sync: true, ..Ready::default() });
    let view = StorageView { storage: &storage, engine: &engine };
    assert_eq!(view.entries(5, 7), Err(StorageError::Compacted { index: 5, first: 6 }));
    assert_eq!(view.entries(7, 9), Err(StorageError::Unavailable { index: 8, last: 7 }));
    assert_eq!(view.term(4), Err(StorageError::Compacted { index: 4, first: 6 }));
    assert_eq!(view.term(8), Err(StorageError::Unavailable { index: 8, last: 7 }));
    assert_eq!(view.entries(7, 7), Ok(Vec::new()));
}

#[test]
fn damage_is_found_on_reading() {
    let (mut engine, mut storage) = start();
    let entries = (6..10).map(|index| entry(index, 6)).collect();
    save(&mut engine, &mut storage, &Ready { entries, must_sync: true, ..Ready::default() });
    let mut damage = |change: &dyn Fn(&mut WriteBatch)| {
        let mut batch = WriteBatch::new();
        change(&mut batch);
        engine.write(Db::Raft, batch).unwrap();
        StorageView { storage: &storage, engine: &engine }.entries(6, 10).unwrap_err().to_string()
    };
    let missing = damage(&|batch| batch.delete(&keys::raft_log(2, 9)));
    assert!(missing.contains("entry 9 is missing"), "{missing}");
    let hole = damage(&|batch| batch.delete(&keys::raft_log(2, 7)));
    assert!(hole.contains("found entry 8 where 7 should be"), "{hole}");
    let wrong = damage(&|batch| batch.put_message(&keys::raft_log(2, 7), &entry(3, 6)));
    assert!(wrong.contains("found entry 3 where 7 should be"), "{wrong}");
    let garbage = damage(&|batch| batch.put(&keys::raft_log(2, 7), b"\xff"));
    assert!(garbage.contains("entry 7: "), "{garbage}");
}

#[test]
fn databases_that_contradict_each_other_do_not_load() {
    let load = |change: &dyn Fn(&mut PeerStorage)| {
        let (mut engine, mut storage) = start();
        change(&mut storage);
        let mut batch = WriteBatch::new();
        batch.put_message(&keys::raft_state(2), storage.raft_state());
        engine.write(Db::Raft, batch).unwrap();
        let mut batch = WriteBatch::new();
        batch.put_message(&keys::apply_state(2), storage.apply_state());
        engine.write(Db::Kv, batch).unwrap();
        PeerStorage::load(&engine, 10, region(), false).map(|storage| storage.applied_index())
    };
    assert_eq!(load(&|_| {}), Ok(5));
    let ahead = load(&|storage| storage.apply_state.applied_index = 6).unwrap_err().to_string();
    assert_eq!(ahead, "region 2: truncated 5 <= applied 6 <= last 5 does not hold");
    assert!(load(&|storage| storage.apply_state.applied_index = 4).is_err());
    let (engine, _) = start();
    let missing = PeerStorage::load(&engine, 10, region(), false).unwrap_err();
    assert_eq!(missing, StoreError::corrupt(2, "no raft state"));
}

#[test]
#[should_panic(expected = "append at 8, with 5 applied and 6 the last index")]
fn a_gap_is_a_bug() {
    let (mut engine, mut storage) = start();
    let ready = |index| Ready { entries: vec![entry(index, 6)], must_sync: true, ..Ready::default() };
    save(&mut engine, &mut storage, &ready(6));
    save(&mut engine, &mut storage, &ready(8));
}

#[test]
#[should_panic(expected = "append at 6, with 6 applied and 7 the last index")]
fn what_is_applied_never_changes() {
    let (mut engine, mut storage) = start();
    let entries = vec![entry(6, 6), entry(7, 6)];
    save(&mut engine, &mut storage, &Ready { entries, must_sync: true, ..Ready::default() });
    storage.save_applied(6, &mut WriteBatch::new());
    let entries = vec![entry(6, 7)];
    save(&mut engine, &mut storage, &Ready { entries, must_sync: true, ..Ready::default() });
}
