//! The observer against whole runs, and what it makes of events that concern many regions.

use std::sync::Arc;

use prost::Message as _;
use raft_proto::eraftpb::{Entry, Message, MessageType};
use raft_proto::raft_serverpb::{RaftMessage, StoreMessage, store_message::Payload};
use raftsim_kernel::{Change, Key, Loss, Losses, Outgoing, World};
use raftstore::keys;

use super::effects::Effects;
use super::*;
use crate::check::DiskWrite;
use crate::message::Wire;
use crate::node::node_of;
use crate::report::Verdict;
use crate::run::{Options, Run};
use crate::scenario::ast::Check;
use crate::scenario::parse;
use crate::system::raftstore::Raftstore;
use crate::system::{FIRST_REGION, PeerMessage};

// Effects.

fn entry(seq: WriteSeq, region: u64, index: u64) -> Change {
    let value = Entry { index, term: 6, ..Entry::default() }.encode_to_vec();
    let key = Key::from(&keys::raft_log(region, index)[..]);
    Change { seq, key, new: Some(value.into()), old: None }
}

fn message(region: u64, index: u64) -> Outgoing<Wire<Raftstore>> {
    let message = Some(Message { index, ..Message::default() });
    let message = RaftMessage { region_id: region, message, ..RaftMessage::default() };
    let message = StoreMessage { payload: Some(Payload::Raft(message)) };
    Outgoing { to: NodeId(1), message: Wire::Peer(Box::new(message)) }
}

/// What there is of a region: number and index of its writes, and the indexes of its messages.
fn effects_of(effects: &mut Effects<'_, StoreMessage>, region: u64) -> (Vec<(u64, u64)>, Vec<u64>) {
    let (writes, messages) = effects.of(region);
    let index = |write: &DiskWrite| match write {
        DiskWrite::Entry(entry) => entry.index,
        other => panic!("{other:?}"),
    };
    let writes = writes.iter().map(|(seq, write)| (*seq, index(&write.write))).collect();
    let messages = messages.iter().filter_map(|message| message.raft()).map(|message| message.index);
    (writes, messages.collect())
}

#[test]
fn effects_of_one_region_are_taken_whole() {
    let (changes, sent) = ([entry(1, 7, 6), entry(2, 7, 7)], [message(7, 1), message(7, 2)]);
    let mut effects = Effects::new(changes.iter(), &sent);
    assert_eq!(effects_of(&mut effects, 8), (vec![], vec![]));
    assert_eq!(effects.rest()[..], [7]);
    assert_eq!(effects_of(&mut effects, 7), (vec![(1, 6), (2, 7)], vec![1, 2]));
    assert!(effects.rest().is_empty());
}

#[test]
fn effects_of_many_regions_keep_their_order_in_each() {
    let changes = [entry(1, 9, 6), entry(2, 3, 8), entry(3, 9, 7), entry(4, 5, 6), entry(5, 3, 9)];
    let sent = [message(5, 1), message(3, 2), message(5, 3), message(2, 4)];
    let mut effects = Effects::new(changes.iter(), &sent);
    assert_eq!(effects_of(&mut effects, 3), (vec![(2, 8), (5, 9)], vec![2]));
    assert_eq!(effects_of(&mut effects, 4), (vec![], vec![]));
    assert_eq!(effects_of(&mut effects, 5), (vec![(4, 6)], vec![1, 3]));
    assert_eq!(effects.rest()[..], [2, 3, 5, 9], "not all were asked for");
    assert_eq!(effects_of(&mut effects, 9), (vec![(1, 6), (3, 7)], vec![]));
    assert_eq!(effects_of(&mut effects, 2), (vec![], vec![4]));
    assert!(effects.rest().is_empty());
}

// Replicas that are gone.

/// What the checks say of an answer that a store without a replica sends for replica 103.
fn answer_of_nobody(kind: MessageType, reject: bool) -> Option<Check> {
    let message =
        Message { msg_type: kind as i32, from: 103, to: 101, term: 7, reject, ..Message::default() };
    let message = RaftMessage { region_id: 7, message: Some(message), ..RaftMessage::default() };
    let message = StoreMessage { payload: Some(Payload::Raft(message)) };
    let mut watch = Watch::new(3, 1, Checks::default(), None);
    watch.promised_by_nobody(Time::ZERO, NodeId(2), 7, &[&message]);
    watch.violation().map(|violation| violation.check)
}

#[test]
fn a_replica_that_is_gone_promises_nothing() {
    use MessageType::{MsgAppendResponse, MsgHeartbeatResponse, MsgRequestVoteResponse};
    assert_eq!(answer_of_nobody(MsgRequestVoteResponse, false), Some(Check::SendImpliesDurable));
    assert_eq!(answer_of_nobody(MsgAppendResponse, false), Some(Check::SendImpliesDurable));
    assert_eq!(answer_of_nobody(MsgRequestVoteResponse, true), None);
    assert_eq!(answer_of_nobody(MsgHeartbeatResponse, false), None);
}

// Whole runs.

/// Splits, moved replicas, compaction and crashes.
const STORY: &str = r#"
    about     = "Regions come and go under load."
    cluster   = { stores = 4 }
    raftstore = { log-gc-interval = "500ms", log-gc-threshold = 20, log-gc-count-limit = 50 }
    placement = { mode = "churn", replicas = 3, interval = "300ms", churn = ["peers", "leaders", "splits"] }
    steps     = [
        { wait = "leader" },
        { load = "6s", clients = 2, keys = 60, mix = { put = 3, delete = 1, get = 1 } },
        { after = "3s", crash = "all", losing = "random" },
        { after = "1s", restart = "all" },
        { wait = "load" },
    ]"#;

fn finished(seed: u64) -> Run<Raftstore> {
    let scenario = Arc::new(parse(STORY).expect("a scenario"));
    let mut run = Run::new(scenario, seed, Options::default());
    run.finish();
    assert_eq!(run.verdict(), Some(&Verdict::Clean), "seed {seed}");
    run
}

#[test]
fn digests_that_grew_with_the_writes_are_those_of_the_data() {
    let (mut regions, mut pairs) = (0, 0);
    for run in (0..3).map(finished) {
        let watch = run.world().observer();
        for node in (1..=4).map(node_of) {
            let disk = run.world().disk(node);
            let process = run.world().process(node).and_then(Node::as_store).expect("a running store");
            for view in process.system.replicas() {
                let grown = watch.checks.clone().digest_to_judge(node, view.region, u64::MAX);
                let whole = watch.families.digest::<Raftstore>(disk, DbId(1), &view.range);
                assert_eq!(grown, Some(whole), "{node:?}, region {}", view.region);
                regions += 1;
            }
            pairs += process.system.data(disk).count();
        }
    }
    assert!(regions > 20 && pairs > 200, "{regions} replicas with {pairs} pairs make no test");
}

/// Steps until a store's records of a kind, all of the first region, are as many as wanted.
fn count_until(
    world: &mut World<Node<Raftstore>, Watch>,
    kind: RecordKind,
    enough: fn(written: u64, durable: u64) -> bool,
) -> (u64, u64) {
    loop {
        let watch = world.observer();
        let counts =
            |region| (watch.records(NodeId(0), kind, region), watch.records_durable(NodeId(0), kind, region));
        let (written, durable) = counts(Some(FIRST_REGION));
        assert_eq!((counts(None), counts(Some(2))), ((written, durable), (0, 0)));
        if enough(written, durable) {
            return (written, durable);
        }
        assert!(world.step(), "the world stands still");
    }
}

#[test]
fn records_are_counted_by_store_kind_and_region() {
    let scenario = Arc::new(parse(STORY).expect("a scenario"));
    let mut run = Run::<Raftstore>::new(scenario, 1, Options::default());
    (0..5).for_each(|_| assert!(run.advance(), "over too soon"));
    let mut world = run.world().clone();
    assert_eq!(count_until(&mut world, RecordKind::RaftState, |_, _| true), (0, 0), "nobody asked");
    world.observer_mut().count_records();
    let (first, none) = count_until(&mut world, RecordKind::Log, |written, _| written > 0);
    assert_eq!((first, none), (1, 0), "an entry is durable a millisecond later");
    let changes = world.observer().changes();
    assert_eq!(count_until(&mut world, RecordKind::Log, |_, durable| durable > 0), (1, 1));
    assert!(world.observer().changes() > changes, "a step that waits for it gets to know");
    // What a crash takes was never written, and what it leaves is durable.
    let unsynced = |written, durable| 0 < durable && durable < written;
    let (voted, durable) = count_until(&mut world, RecordKind::RaftState, unsynced);
    let mut kept = world.clone();
    world.crash(NodeId(0), Losses::all(Loss::Unsynced));
    kept.crash(NodeId(0), Losses::all(Loss::Nothing));
    assert_eq!(count_until(&mut world, RecordKind::RaftState, |_, _| true), (durable, durable));
    assert_eq!(count_until(&mut kept, RecordKind::RaftState, |_, _| true), (voted, voted));
}
