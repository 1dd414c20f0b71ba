//! What is read by hand is what prost wrote, and records are what they are called.

use bytes::Bytes;
use proptest::prelude::*;
use raft_proto::eraftpb::{self, SnapshotMetadata};
use raft_proto::raft_serverpb::RaftTruncatedState;
use raftsim_kernel::{Context, Key as DbKey, Kind, Message, NodeId, Process, TraceHasher, World, WriteSeq};
use raftstore::keys::Cf;

use super::*;

proptest! {
    #[test]
    fn an_entry_is_what_prost_wrote(kind in 0..3i32, term: u64, index: u64, data: Vec<u8>, other: Vec<u8>) {
        let written = eraftpb::Entry { entry_type: kind, term, index, data: data.clone().into() };
        let read = entry(index, &written.encode_to_vec()).expect("prost wrote it");
        prop_assert_eq!((read.index, read.term, read.conf_change), (index, term, kind != 0));
        let changed = eraftpb::Entry { data: other.clone().into(), ..written };
        let changed = entry(index, &changed.encode_to_vec()).expect("prost wrote it");
        prop_assert_eq!(changed.digest == read.digest, data == other);
    }

    #[test]
    fn a_hard_state_is_what_prost_wrote(hard: Option<(u64, u64, u64)>, last_index: u64, last_term: u64) {
        let hard_state = hard.map(|(term, vote, commit)| eraftpb::HardState { term, vote, commit });
        let written = RaftLocalState { hard_state, last_index, last_term };
        let (term, vote, _) = hard.unwrap_or_default();
        prop_assert_eq!(hard_state_of(&written), Some(HardState { term, vote }));
    }

    #[test]
    fn damaged_bytes_do_no_harm(bytes: Vec<u8>) {
        hard_state(&bytes);
        entry(1, &bytes);
    }
}

fn hard_state_of(written: &RaftLocalState) -> Option<HardState> {
    hard_state(&written.encode_to_vec())
}

fn change(key: &[u8], old: Option<Bytes>, new: Option<Bytes>) -> Change {
    Change { seq: 1, key: DbKey::from(key), new, old }
}

fn bytes(message: &impl prost::Message) -> Bytes {
    message.encode_to_vec().into()
}

fn apply_state_of(applied_index: u64, truncated: (u64, u64)) -> RaftApplyState {
    let (index, term) = truncated;
    RaftApplyState { applied_index, truncated_state: Some(RaftTruncatedState { index, term }) }
}

fn region_state_of(state: PeerState, peer_id: u64) -> RegionLocalState {
    RegionLocalState { state: state as i32, peer_id, ..Default::default() }
}

#[test]
fn every_record_has_its_name() {
    use RecordKind as R;
    const REGION: u64 = 7;
    let of = |db, key: &[u8], there: R, gone: Option<R>| {
        let region = if matches!(there, R::Data) { 0 } else { REGION };
        assert_eq!(record(db, &change(key, None, Some(Bytes::new()))), Some((region, there)));
        assert_eq!(record(db, &change(key, None, None)), gone.map(|gone| (region, gone)));
    };
    of(RAFT_DB, &keys::raft_log(REGION, 9), R::Log, Some(R::LogGone));
    of(RAFT_DB, &keys::raft_state(REGION), R::RaftState, Some(R::RaftStateGone));
    // A replica that goes takes its log with it, and leaves what it promised.
    let with_log = bytes(&RaftLocalState { last_index: 9, ..RaftLocalState::default() });
    let emptied = change(&keys::raft_state(REGION), Some(with_log.clone()), Some(Bytes::new()));
    assert_eq!(record(RAFT_DB, &emptied), Some((REGION, R::RaftStateGone)));
    let written = change(&keys::raft_state(REGION), Some(with_log.clone()), Some(with_log));
    assert_eq!(record(RAFT_DB, &written), Some((REGION, R::RaftState)));
    of(RAFT_DB, &keys::snapshot_record(REGION), R::SnapshotRecord, Some(R::SnapshotRecordGone));
    of(KV_DB, &keys::apply_state(REGION), R::ApplyState, None);
    of(KV_DB, &keys::region_state(REGION), R::Region, None);
    of(KV_DB, &keys::birth(REGION), R::Birth, Some(R::BirthGone));
    of(KV_DB, &keys::data(Cf::Lock, b"k"), R::Data, Some(R::DataGone));
    of(SNAPSHOT_DB, &[&REGION.to_be_bytes()[..], &[0; 44]].concat(), R::Chunk, Some(R::ChunkGone));
    for (state, kind) in [(PeerState::Applying, R::Applying), (PeerState::Tombstone, R::Tombstone)] {
        let state = bytes(&region_state_of(state, 1));
        let change = change(&keys::region_state(REGION), None, Some(state));
        assert_eq!(record(KV_DB, &change), Some((REGION, kind)));
    }
    for (db, key) in [(KV_DB, &keys::STORE_IDENT[..]), (KV_DB, b"what"), (SNAPSHOT_DB, b"short")] {
        assert_eq!(record(db, &change(key, None, Some(Bytes::new()))), None);
    }
}

#[test]
fn only_a_log_that_starts_elsewhere_is_truncated() {
    let kind = |old: Option<RaftApplyState>, new: RaftApplyState| {
        let change = change(&keys::apply_state(1), old.map(|old| bytes(&old)), Some(bytes(&new)));
        record(KV_DB, &change).map(|(_, kind)| kind)
    };
    assert_eq!(kind(None, apply_state_of(5, (5, 5))), Some(RecordKind::ApplyState));
    let old = Some(apply_state_of(9, (5, 5)));
    assert_eq!(kind(old, apply_state_of(10, (5, 5))), Some(RecordKind::ApplyState));
    assert_eq!(kind(old, apply_state_of(10, (8, 6))), Some(RecordKind::Truncated));
}

/// Writes what it is made with.
#[derive(Clone)]
struct Writer(Vec<(DbId, Vec<u8>, Bytes)>);

#[derive(Clone)]
struct Nothing;

impl Message for Nothing {
    fn kind(&self) -> Kind {
        Kind::new(0)
    }
    fn digest(&self, _: &mut TraceHasher) {}
}

impl Process for Writer {
    type Message = Nothing;
    type Input = ();
    fn on_start(&mut self, cx: &mut Context<'_, Nothing>) {
        for (db, key, value) in self.0.drain(..) {
            cx.disk().write(db, [(key, Some(value))]);
        }
    }
    fn on_message(&mut self, _: NodeId, _: Nothing, _: &mut Context<'_, Nothing>) {}
    fn on_timer(&mut self, _: u64, _: &mut Context<'_, Nothing>) {}
    fn on_synced(&mut self, _: DbId, _: WriteSeq, _: &mut Context<'_, Nothing>) {}
    fn on_sync_failed(&mut self, _: DbId, _: &mut Context<'_, Nothing>) {}
    fn on_task(&mut self, _: u64, _: &mut Context<'_, Nothing>) {}
    fn on_input(&mut self, (): (), _: &mut Context<'_, Nothing>) {}
}

/// What a disk with these records holds of region 1: with term 8, a vote for 2, and entries 6 to 9 of term 7.
fn found(records: Vec<(DbId, Vec<u8>, Bytes)>) -> OnDisk {
    let hard_state = Some(eraftpb::HardState { term: 8, vote: 2, commit: 9 });
    let state = RaftLocalState { hard_state, last_index: 9, last_term: 7 };
    let mut all = vec![(RAFT_DB, keys::raft_state(1).to_vec(), bytes(&state))];
    all.extend((6..=9).map(|index| {
        let entry = eraftpb::Entry { term: 7, index, ..Default::default() };
        (RAFT_DB, keys::raft_log(1, index).to_vec(), bytes(&entry))
    }));
    all.extend(records);
    let mut world = World::new(1, ());
    let node = world.add(3);
    world.start(node, Writer(all));
    on_disk(world.disk(node), 1)
}

fn kv(state: PeerState, peer_id: u64, apply: RaftApplyState) -> Vec<(DbId, Vec<u8>, Bytes)> {
    let region = bytes(&region_state_of(state, peer_id));
    let (region_key, apply_key) = (keys::region_state(1).to_vec(), keys::apply_state(1).to_vec());
    vec![(KV_DB, region_key, region), (KV_DB, apply_key, bytes(&apply))]
}

/// A record of a snapshot up to entry 20 of term 7, for the replica 101.
fn snapshot() -> (DbId, Vec<u8>, Bytes) {
    let metadata = Some(SnapshotMetadata { index: 20, term: 7, conf_state: None });
    let record = SnapshotRecord { metadata, peer_id: 101, ..Default::default() };
    (RAFT_DB, keys::snapshot_record(1).to_vec(), bytes(&record))
}

#[test]
fn a_disk_holds_what_the_next_life_will_find() {
    let hard = HardState { term: 8, vote: 2 };
    let log = |start: (u64, u64), entries: std::ops::RangeInclusive<u64>| {
        let mut log = LogTerms::starting_after(start.0, start.1);
        entries.for_each(|index| log.put_range(index, index, 7));
        log
    };
    let apply = apply_state_of(8, (7, 7));
    let normal = kv(PeerState::Normal, 101, apply);
    let plain = OnDisk { hard, log: log((7, 7), 8..=9), applied: 8 };
    assert_eq!(found(normal.clone()), plain);
    // The kv database is lost: the start of the log comes back at the boot.
    assert_eq!(found(Vec::new()), OnDisk { hard, log: log((0, 0), 6..=9), applied: 0 });
    // A snapshot was promised: all before its end is gone, whatever the kv database says of it so far.
    let promised = OnDisk { hard, log: LogTerms::starting_after(20, 7), applied: 20 };
    for state in [PeerState::Normal, PeerState::Applying] {
        let records = [kv(state, 101, apply), vec![snapshot()]].concat();
        assert_eq!(found(records), promised, "{state:?}");
    }
    // The replica was destroyed, and its log not deleted yet; a record of a later one counts.
    let tombstone = kv(PeerState::Tombstone, 101, apply);
    let nothing = OnDisk { hard, log: LogTerms::starting_after(0, 0), applied: 0 };
    assert_eq!(found(tombstone.clone()), nothing);
    assert_eq!(found([tombstone, vec![snapshot()]].concat()), nothing);
    let earlier = kv(PeerState::Tombstone, 100, RaftApplyState::default());
    assert_eq!(found([earlier, vec![snapshot()]].concat()), promised);
}
