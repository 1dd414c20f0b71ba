//! Entries that are applied straight away, without consensus before them.

use raft_proto::errorpb::error::Reason;
use raft_proto::metapb::{Peer, RegionEpoch};
use raft_proto::raft_cmdpb::{AdminRequest, RaftRequestHeader, Request};

use super::*;
use crate::testing::MapEngine;
use crate::validate::MAX_COMMANDS;

/// A replica that is about to apply the first entry of its log, number 6.
struct Replica {
    engine: MapEngine,
    storage: PeerStorage,
    proposals: Proposals,
}

impl Replica {
    fn new() -> Replica {
        let region = Region {
            id: 1,
            start_key: "b".into(),
            end_key: "m".into(),
            region_epoch: Some(RegionEpoch { conf_ver: 1, version: 3 }),
            peers: vec![Peer { id: 10, store_id: 1, role: 0 }],
        };
        let storage = PeerStorage::initial(10, region);
        Replica { engine: MapEngine::default(), storage, proposals: Proposals::default() }
    }

    fn propose(&mut self, index: u64, term: u64, request: u64) {
        self.proposals.push(EntryId { term, index }, RequestId(request));
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        apply(&mut self.engine, &mut self.storage, &mut self.proposals, 9, entries).map(drop)
    }

    /// The requests answered so far; those refused with their reasons.
    fn answers(&self) -> Vec<(u64, Option<Reason>)> {
        let reason = |response: &RaftCmdResponse| {
            let header = response.header.as_ref().unwrap();
            assert_eq!(header.current_term, 9);
            header.error.as_ref().map(|error| error.reason.clone().unwrap())
        };
        self.engine.replies.iter().map(|(request, response)| (request.0, reason(response))).collect()
    }

    fn value(&self, key: &str) -> Option<Bytes> {
        self.engine.get(Db::Kv, format!("default_{key}").as_bytes()).unwrap()
    }
}

fn entry(index: u64, term: u64, version: u64, commands: Vec<Command>) -> Entry {
    let region_epoch = Some(RegionEpoch { conf_ver: 1, version });
    let header = Some(RaftRequestHeader { region_epoch, ..RaftRequestHeader::default() });
    let requests = commands.into_iter().map(|command| Request { command: Some(command) }).collect();
    let request = RaftCmdRequest { header, requests, admin_request: None };
    Entry { index, term, data: request.encode_to_vec().into(), ..Entry::default() }
}

fn append(key: &'static str) -> Command {
    Command::Append(AppendRequest { cf: String::new(), key: key.into(), suffix: "x".into() })
}

fn get(key: &'static str) -> Command {
    Command::Get(GetRequest { cf: String::new(), key: key.into() })
}

fn stale() -> Option<Reason> {
    Some(Reason::StaleCommand(raft_proto::errorpb::StaleCommand {}))
}

#[test]
fn proposals_are_answered_by_index_and_term() {
    let mut replica = Replica::new();
    for (index, term, request) in [(6, 6, 1), (7, 6, 2), (8, 6, 3), (8, 8, 4), (9, 8, 5)] {
        replica.propose(index, term, request);
    }
    let command = || vec![append("k")];
    let entries = [entry(6, 6, 3, command()), entry(7, 7, 3, command()), entry(8, 8, 3, command())];
    replica.apply(&entries).unwrap();
    // Entry 7 took the place of request 2, and shows that request 3 is lost too; 5 still waits.
    assert_eq!(replica.answers(), [(1, None), (2, stale()), (3, stale()), (4, None)]);
    assert_eq!(replica.value("k").unwrap(), "xxx");
    assert_eq!(replica.storage.applied_index(), 8);
}

#[test]
fn the_entry_of_a_new_leader_shows_what_is_lost() {
    let mut replica = Replica::new();
    replica.propose(6, 6, 1);
    replica.apply(&[Entry { index: 6, term: 7, ..Entry::default() }]).unwrap();
    assert_eq!(replica.answers(), [(1, stale())]);
    assert_eq!(replica.storage.applied_index(), 6);
}

#[test]
fn a_region_that_changed_after_the_proposal_refuses_it() {
    let mut replica = Replica::new();
    replica.propose(6, 6, 1);
    replica.propose(7, 6, 2);
    let entries = [entry(6, 6, 2, vec![append("k")]), entry(7, 6, 3, vec![append("k"), append("z")])];
    replica.apply(&entries).unwrap();
    let answers = replica.answers();
    assert!(matches!(&answers[0], (1, Some(Reason::EpochNotMatch(_)))), "{answers:?}");
    assert!(matches!(&answers[1], (2, Some(Reason::KeyNotInRegion(_)))), "{answers:?}");
    assert_eq!((replica.value("k"), replica.storage.applied_index()), (None, 7));
}

#[test]
fn data_and_applied_index_are_one_write() {
    let mut replica = Replica::new();
    let entries: Vec<Entry> = (6..16).map(|index| entry(index, 6, 3, vec![append("k")])).collect();
    replica.apply(&entries).unwrap();
    assert_eq!(replica.engine.writes, 1);
    assert_eq!(replica.value("k").unwrap().len(), 10);
    // Many operations are several writes, each of whole entries.
    let entries: Vec<Entry> = (16..20).map(|index| entry(index, 6, 3, vec![append("k"); 200])).collect();
    replica.apply(&entries).unwrap();
    assert_eq!(replica.engine.writes, 3);
    assert_eq!(replica.value("k").unwrap().len(), 810);
    assert_eq!(replica.storage.applied_index(), 19);
}

#[test]
fn no_batch_starts_with_more_room_than_it_may_need() {
    assert_eq!(room(&[]), 0);
    let small = vec![entry(6, 6, 3, vec![append("k")]); 10_000];
    let bytes = small[0].data.len();
    assert_eq!(room(&small[..2]), 2 * bytes + 64);
    // No more entries than a batch takes, however many there are.
    assert_eq!(room(&small), MAX_BATCH_OPS * bytes + 64);
    let large = Entry { data: vec![0; 10 * MAX_BATCH_ROOM].into(), ..Entry::default() };
    assert_eq!(room(&[large]), MAX_BATCH_ROOM);
}

#[test]
fn an_entry_with_too_many_commands_does_nothing() {
    let mut replica = Replica::new();
    replica.propose(6, 6, 1);
    replica.apply(&[entry(6, 6, 3, vec![append("k"); MAX_COMMANDS + 1])]).unwrap();
    let error = replica.engine.replies[0].1.header.clone().unwrap().error.unwrap();
    assert_eq!(error.message, "257 commands in one request, at most 256 are allowed");
    assert_eq!((replica.value("k"), replica.storage.applied_index()), (None, 6));
}

#[test]
fn nobody_reads_where_nobody_waits() {
    let mut replica = Replica::new();
    replica.engine.unreadable = true;
    replica.apply(&[entry(6, 6, 3, vec![get("k")])]).unwrap();
    replica.propose(7, 6, 1);
    let error = replica.apply(&[entry(7, 6, 3, vec![get("k")])]).unwrap_err();
    assert_eq!(error, StoreError::Engine(EngineError::Io("unreadable".into())));
    // Neither applied nor answered.
    assert_eq!((replica.storage.applied_index(), replica.answers()), (6, vec![]));
}

#[test]
fn an_entry_that_makes_no_sense_stops_the_store() {
    let garbage = Entry { index: 6, term: 6, data: "\u{1}".into(), ..Entry::default() };
    let error = Replica::new().apply(&[garbage]).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { region_id: 1, .. }), "{error}");
    let change = Entry { entry_type: EntryType::EntryConfChange as i32, ..entry(6, 6, 3, vec![]) };
    let error = Replica::new().apply(&[change]).unwrap_err();
    assert_eq!(error, StoreError::corrupt(1, "entry 6 has type 1"));
}

#[test]
fn an_admin_command_of_another_version_is_refused_by_all() {
    let mut replica = Replica::new();
    let request =
        RaftCmdRequest { admin_request: Some(AdminRequest::default()), ..RaftCmdRequest::default() };
    let data = request.encode_to_vec().into();
    replica.propose(6, 6, 1);
    replica.apply(&[Entry { index: 6, term: 6, data, ..Entry::default() }]).unwrap();
    let error = replica.engine.replies[0].1.header.clone().unwrap().error.unwrap();
    assert_eq!(error.message, "an admin command of another version is not supported by this version");
}

#[test]
#[should_panic(expected = "region 1: entry 7 follows applied 5")]
fn no_entry_is_left_out() {
    let _ = Replica::new().apply(&[entry(7, 6, 3, vec![append("k")])]);
}
