//! Snapshots: the tests of TinyKV's group 2C under their own names, then both sides of sending one, of
//! taking one up while disk and state machine lag behind, and of asking for one.

use crate::common::{
    Network, Node, Setup, accept, append, applied_data, change, elect, entries, entry, group, ids, install,
    message, of_kind, propose, settled_leader, snapshot,
};
use raft::Role::{Candidate, Follower, Leader};
use raft::eraftpb::ConfChangeType::AddNode;
use raft::eraftpb::MessageType::*;
use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Message, Snapshot};
use raft::{Config, EntryId, Error, MemStorage, ProgressState, RawNode, Ready, SnapshotStatus, Storage};

fn index_of(snapshot: &Snapshot) -> u64 {
    snapshot.metadata.as_ref().unwrap().index
}

fn acceptance(to: u64, term: u64, index: u64) -> Message {
    Message { index, ..message(MsgAppendResponse, 1, to, term) }
}

#[test]
fn restore_snapshot() {
    let mut node = Node::new(1, &[1, 2]);
    let sent = snapshot(11, 11, group(&[1, 2, 3]));
    assert_eq!(node.step(install(11, sent.clone())), [acceptance(2, 11, 11)]);
    assert_eq!(node.raw.last(), EntryId { term: 11, index: 11 });
    assert_eq!((node.raw.term_at(11), node.raw.term_at(10)), (Some(11), None));
    assert_eq!((node.raw.commit(), node.raw.applied(), node.raw.persisted()), (11, 11, 11));
    assert_eq!(node.raw.voters(), [1, 2, 3]);
    assert_eq!(node.restored, std::slice::from_ref(&sent));
    assert_eq!(node.disk.initial_state().unwrap().conf_state, group(&[1, 2, 3]));
    // It brings nothing new a second time.
    assert_eq!(node.step(install(11, sent)), [acceptance(2, 11, 11)]);
    assert_eq!(node.restored.len(), 1);
}

#[test]
fn restore_ignore_snapshot() {
    for (index, compacted) in [(1, 0), (2, 0), (1, 2), (2, 2)] {
        let mut node = Setup::new(1, &[1, 2]).log(&[1, 1, 1]).commit(2).build();
        node.work();
        node.compact(compacted);
        let log = node.log();
        let answers = node.step(install(1, snapshot(index, 1, group(&[1, 2, 3]))));
        // What is committed is acknowledged, and the rest of the log stays.
        assert_eq!(answers, [acceptance(2, 1, 2)]);
        assert_eq!((node.log(), node.raw.commit()), (log, 2));
        assert_eq!((node.raw.voters(), node.restored.len()), (&[1, 2][..], 0));
    }
}

#[test]
fn provide_snap() {
    let mut leader = Node::new(1, &[1]);
    leader.step(install(11, snapshot(11, 11, group(&[1, 2]))));
    let (mut leader, _) = elect(leader);
    // 2 has nothing, so what it misses is not in the log any more.
    let sent = leader.step(Message { index: 11, reject: true, ..message(MsgAppendResponse, 2, 1, 12) });
    let kept = Box::new(leader.snapshot());
    assert_eq!(sent, [Message { snapshot: Some(kept), ..message(MsgSnapshot, 1, 2, 12) }]);
    assert_eq!(leader.raw.progress(2).unwrap().state(), &ProgressState::Snapshot { pending: 11 });
}

#[test]
fn restore_from_snap_msg() {
    let mut node = Node::in_role(Candidate, 2);
    node.step(install(2, snapshot(11, 1, group(&[1, 2]))));
    assert_eq!((node.raw.role(), node.raw.leader(), node.raw.term()), (Follower, Some(2), 2));
    assert_eq!(node.raw.last(), EntryId { term: 1, index: 11 });
}

#[test]
fn restore_from_snap_with_overlaping_peers_msg() {
    let mut node = Node::new(3, &[1, 2, 3]);
    node.step(Message { to: 3, ..install(2, snapshot(11, 1, group(&[2, 3, 4]))) });
    assert_eq!(node.raw.voters(), [2, 3, 4]);
}

#[test]
fn slow_node_restore() {
    let mut network = Network::new(3);
    network.campaign(1);
    network.isolate(3);
    for _ in 0..100 {
        network.propose(1, "x");
    }
    network.nodes.get_mut(&1).unwrap().compact(101);
    network.recover();
    network.beat(1);
    let restored: Vec<u64> = network.nodes[&3].restored.iter().map(index_of).collect();
    assert_eq!(restored, [101]);
    // And it follows as before.
    network.propose(1, "y");
    assert_eq!((network.node(3).commit(), network.node(3).applied()), (102, 102));
    assert_eq!(applied_data(&network.nodes[&3]), [b"y"]);
    assert!(network.node(1).progress(3).unwrap().is_replicating());
}

#[test]
fn raw_node_restart_from_snapshot() {
    let mut disk = MemStorage::new(&[]);
    disk.restore(&snapshot(2, 1, group(&[1, 2])));
    disk.append(&[entry(3, 1, "foo")]);
    disk.set_hard_state(HardState { term: 1, vote: 0, commit: 3 });
    let mut node = RawNode::new(&Config::new(1), &disk).unwrap();
    let expected = Ready { number: 1, committed_entries: vec![entry(3, 1, "foo")], ..Ready::default() };
    assert_eq!(node.ready(), expected);
    node.advance(&expected);
    assert!(!node.has_ready());
    assert_eq!((node.applied(), node.voters()), (3, &[1, 2][..]));
}

// Ours: the leader's side.

/// 2 lacks the entry before the first one.
fn nothing_there(from: u64) -> Message {
    Message { index: 5, reject: true, ..message(MsgAppendResponse, from, 1, 6) }
}

/// Leader 1 of term 6 and of `size` voters, its log beginning after entry 5 and committed up to 6, whose
/// peer 2 turned out to have nothing. It waits for its snapshot.
fn leader_that_wants_a_snapshot(size: u64) -> Node {
    let start = EntryId { term: 5, index: 5 };
    let mut leader = Setup::starting_at(1, &ids(size), start).build();
    leader.makes_snapshots = false;
    let (mut leader, appends) = elect(leader);
    for append in appends.iter().rev().take(size as usize / 2) {
        leader.step(accept(append));
    }
    assert_eq!((leader.raw.commit(), leader.wants_snapshot), (6, false));
    assert_eq!((leader.step(nothing_there(2)), leader.wants_snapshot), (Vec::new(), true));
    leader
}

/// The same, and the snapshot of entry 6 is on its way.
fn leader_that_sent_a_snapshot() -> Node {
    let mut leader = leader_that_wants_a_snapshot(3);
    assert_eq!(hand_over(&mut leader), [(2, 6)]);
    leader
}

/// Hands the present snapshot over and returns who is sent one, and its index.
fn hand_over(leader: &mut Node) -> Vec<(u64, u64)> {
    let made = leader.snapshot();
    hand_over_this(leader, made)
}

fn hand_over_this(leader: &mut Node, made: Snapshot) -> Vec<(u64, u64)> {
    leader.raw.on_snapshot(made);
    let sent = of_kind(leader.work(), MsgSnapshot);
    sent.iter().map(|message| (message.to, index_of(message.snapshot.as_ref().unwrap()))).collect()
}

fn pending(leader: &Node) -> bool {
    leader.raw.progress(2).unwrap().state() == &ProgressState::Snapshot { pending: 6 }
}

#[test]
fn a_pending_snapshot_pauses_replication() {
    let mut leader = leader_that_sent_a_snapshot();
    assert!(pending(&leader));
    let sent = propose(&mut leader, "x");
    assert_eq!(sent.iter().map(|append| append.to).collect::<Vec<_>>(), [3]);
    assert!(leader.step(message(MsgHeartbeatResponse, 2, 1, 6)).is_empty());
    // Neither a late rejection nor a lost connection ends it.
    assert!(leader.step(nothing_there(2)).is_empty());
    leader.raw.report_unreachable(2);
    assert!(pending(&leader) && !leader.raw.has_ready());
    // Heartbeats go on.
    assert_eq!(leader.step(message(MsgBeat, 1, 1, 0)).len(), 2);
}

#[test]
fn a_finished_snapshot_is_followed_by_a_probe_when_the_peer_shows_life() {
    let mut leader = leader_that_sent_a_snapshot();
    leader.raw.report_snapshot(2, SnapshotStatus::Finished);
    let progress = leader.raw.progress(2).unwrap();
    assert_eq!((progress.state(), progress.next()), (&ProgressState::Probe { paused: true }, 7));
    assert_eq!(propose(&mut leader, "x").len(), 1);
    let sent = leader.step(message(MsgHeartbeatResponse, 2, 1, 6));
    assert_eq!((sent[0].msg_type, sent[0].index, sent[0].log_term), (MsgAppend as i32, 6, 6));
    assert_eq!(sent[0].entries, [entry(7, 6, "x")]);
}

#[test]
fn a_failed_snapshot_is_wanted_again_when_the_peer_shows_life() {
    let mut leader = leader_that_sent_a_snapshot();
    leader.raw.report_snapshot(2, SnapshotStatus::Failed);
    let progress = leader.raw.progress(2).unwrap();
    assert_eq!((progress.state(), progress.next()), (&ProgressState::Probe { paused: true }, 1));
    assert!(!leader.raw.has_ready());
    assert!(leader.step(message(MsgHeartbeatResponse, 2, 1, 6)).is_empty());
    assert!(leader.wants_snapshot);
    assert_eq!(hand_over(&mut leader), [(2, 6)]);
}

#[test]
fn an_acknowledged_snapshot_resumes_replication() {
    let mut leader = leader_that_sent_a_snapshot();
    propose(&mut leader, "x");
    let sent = leader.step(Message { index: 6, ..message(MsgAppendResponse, 2, 1, 6) });
    assert_eq!(of_kind(sent, MsgAppend)[0].entries, [entry(7, 6, "x")]);
    let progress = leader.raw.progress(2).unwrap();
    assert!(progress.is_replicating());
    assert_eq!((progress.matched(), progress.next()), (6, 8));
}

#[test]
fn an_acknowledgement_ends_a_snapshot_only_if_the_log_goes_on_from_there() {
    for (index, ended) in [(4, false), (5, true)] {
        let mut leader = leader_that_sent_a_snapshot();
        let sent = leader.step(Message { index, ..message(MsgAppendResponse, 2, 1, 6) });
        assert_eq!(leader.raw.progress(2).unwrap().matched(), index);
        assert_eq!((pending(&leader), sent.is_empty()), (!ended, !ended), "acknowledged {index}");
    }
}

#[test]
fn reports_about_strangers_and_about_peers_without_a_snapshot_change_nothing() {
    let mut leader = settled_leader(3);
    let before: Vec<_> = leader.raw.progresses().map(|(id, progress)| (id, progress.clone())).collect();
    for status in [SnapshotStatus::Finished, SnapshotStatus::Failed] {
        leader.raw.report_snapshot(2, status);
        leader.raw.report_snapshot(9, status);
    }
    leader.raw.report_unreachable(9);
    let after: Vec<_> = leader.raw.progresses().map(|(id, progress)| (id, progress.clone())).collect();
    assert_eq!(before, after);
    // Who does not lead knows of nobody's snapshots.
    let mut follower = Node::in_role(Follower, 3);
    follower.raw.report_snapshot(2, SnapshotStatus::Failed);
    follower.raw.report_unreachable(2);
    assert!(!follower.raw.has_ready());
}

#[test]
fn one_snapshot_is_asked_for_and_serves_everybody_who_needs_it() {
    let mut leader = leader_that_wants_a_snapshot(5);
    leader.raw.step(nothing_there(3)).unwrap();
    leader.raw.step(message(MsgHeartbeatResponse, 2, 1, 6)).unwrap();
    assert!(!leader.raw.has_ready(), "it was said already");
    assert_eq!(hand_over(&mut leader), [(2, 6), (3, 6)]);
    assert!(!leader.wants_snapshot);
    // A second one has no takers.
    assert_eq!(hand_over(&mut leader), []);
}

#[test]
fn a_peer_that_fell_silent_waits_until_it_answers() {
    let setup = Setup::new(1, &[1, 2, 3]).with(|config| config.check_quorum = true);
    let mut node = setup.build();
    node.makes_snapshots = false;
    let (mut leader, appends) = elect(node);
    appends.iter().for_each(|append| drop(leader.step(accept(append))));
    // The quorum is checked, and from then on only 3 is heard from.
    leader.raw.tick_many(10);
    let sent = propose(&mut leader, "x");
    leader.step(accept(sent.iter().find(|sent| sent.to == 3 && sent.msg_type == MsgAppend as i32).unwrap()));
    leader.compact(2);
    leader.raw.report_unreachable(2);
    propose(&mut leader, "y");
    assert!(!leader.wants_snapshot, "it may not even exist any more");
    leader.step(message(MsgHeartbeatResponse, 2, 1, 1));
    assert!(leader.wants_snapshot);
}

/// The caller may have room for one only: it must not go to somebody who is not there.
#[test]
fn a_silent_peer_gets_no_snapshot_that_another_waits_for() {
    let setup = Setup::starting_at(1, &ids(5), EntryId { term: 5, index: 5 });
    let mut leader = setup.with(|config| config.check_quorum = true).build();
    leader.makes_snapshots = false;
    let (mut leader, appends) = elect(leader);
    appends.iter().filter(|append| append.to > 3).for_each(|append| drop(leader.step(accept(append))));
    leader.step(nothing_there(2));
    leader.step(nothing_there(3));
    assert_eq!(hand_over(&mut leader), [(2, 6), (3, 6)]);
    // From now on 3 is silent.
    leader.raw.tick_many(10);
    leader.work();
    for to in [2, 3] {
        leader.raw.report_snapshot(to, SnapshotStatus::Failed);
    }
    for from in [2, 4, 5] {
        leader.step(message(MsgHeartbeatResponse, from, 1, 6));
    }
    leader.step(nothing_there(2));
    assert!(leader.wants_snapshot);
    assert_eq!(hand_over(&mut leader), [(2, 6)]);
    leader.step(message(MsgHeartbeatResponse, 3, 1, 6));
    assert_eq!(hand_over(&mut leader), [(3, 6)]);
}

#[test]
fn a_peer_gets_no_second_snapshot_while_one_is_on_its_way() {
    let mut leader = leader_that_sent_a_snapshot();
    let sent = propose(&mut leader, "x");
    leader.step(accept(&sent[0]));
    // What follows the one on its way is gone as well, but it may bring the peer to life.
    leader.compact(7);
    assert_eq!(hand_over(&mut leader), []);
    assert!(pending(&leader) && !leader.wants_snapshot);
    leader.step(Message { index: 6, ..message(MsgAppendResponse, 2, 1, 6) });
    assert!(leader.wants_snapshot);
    assert_eq!(hand_over(&mut leader), [(2, 7)]);
}

#[test]
fn a_failed_attempt_to_make_one_is_repeated_on_the_peer_s_next_answer() {
    let mut leader = leader_that_wants_a_snapshot(3);
    leader.raw.on_snapshot_failed();
    assert!(!leader.raw.has_ready());
    leader.raw.step(message(MsgHeartbeatResponse, 2, 1, 6)).unwrap();
    assert!(leader.one_ready().wants_snapshot);
    assert_eq!(hand_over(&mut leader), [(2, 6)]);
}

#[test]
fn a_snapshot_that_the_log_does_not_follow_any_more_is_asked_for_again() {
    let mut leader = leader_that_wants_a_snapshot(3);
    let old = leader.snapshot();
    let sent = propose(&mut leader, "x");
    leader.step(accept(&sent[0]));
    leader.compact(7);
    assert_eq!(hand_over_this(&mut leader, old), []);
    assert!(leader.wants_snapshot);
    assert_eq!(hand_over(&mut leader), [(2, 7)]);
}

#[test]
fn a_snapshot_is_not_sent_to_a_member_that_it_does_not_know() {
    let mut leader = leader_that_wants_a_snapshot(3);
    // While it is made, 4 joins.
    let old = leader.snapshot();
    leader.raw.propose_conf_change(&change(&[(AddNode, 4)])).unwrap();
    leader.work();
    leader.step(Message { index: 7, ..message(MsgAppendResponse, 3, 1, 6) });
    assert_eq!(leader.raw.voters(), [1, 2, 3, 4]);
    leader.step(Message { index: 7, ..nothing_there(4) });
    // It would refuse the membership it is not in, and nobody would know.
    assert_eq!(hand_over_this(&mut leader, old), [(2, 6)]);
    assert!(leader.wants_snapshot);
    assert_eq!(hand_over(&mut leader), [(4, 7)]);
}

#[test]
fn a_leader_of_old_sends_no_snapshot() {
    let mut leader = leader_that_wants_a_snapshot(3);
    leader.step(message(MsgHeartbeat, 3, 1, 7));
    assert_eq!(hand_over(&mut leader), []);
    leader.raw.on_snapshot_failed();
    assert!(!leader.raw.has_ready());
}

// The follower's side.

#[test]
fn a_snapshot_replaces_a_longer_log_that_disagrees() {
    let mut node = Setup::new(1, &[1, 2, 3]).log(&[1, 1, 1, 1, 1, 1]).build();
    node.step(install(2, snapshot(4, 2, group(&[1, 2, 3]))));
    assert_eq!((node.raw.first_index(), node.raw.last()), (5, EntryId { term: 2, index: 4 }));
    assert!(node.raw.entry(5).is_none());
    assert_eq!((node.raw.commit(), node.disk.last_index()), (4, Ok(4)));
}

#[test]
fn a_snapshot_of_what_is_here_moves_the_commit_alone() {
    let mut node = Setup::new(1, &[1, 2, 3]).log(&[1, 1, 2, 2]).build();
    assert_eq!(node.step(install(2, snapshot(3, 2, group(&[1, 2])))), [acceptance(2, 2, 3)]);
    assert_eq!((node.log_terms(), node.raw.commit()), (vec![1, 1, 2, 2], 3));
    // The membership comes with the entries.
    assert_eq!((node.raw.voters(), node.restored.len()), (&[1, 2, 3][..], 0));
    assert_eq!(node.applied, entries(1, &[1, 1, 2]));
}

#[test]
fn the_membership_is_restored_with_all_of_its_parts() {
    let joint = ConfState {
        voters: vec![1, 2, 3],
        voters_outgoing: vec![2, 3, 4],
        learners: vec![5],
        learners_next: vec![4],
        auto_leave: true,
    };
    let mut node = Node::new(1, &[]);
    node.step(install(2, snapshot(7, 2, joint.clone())));
    assert_eq!(node.raw.conf_state(), joint);
    assert!(node.raw.promotable());
}

#[test]
fn a_snapshot_makes_voters_of_learners_and_learners_of_voters() {
    let learns = ConfState { learners: vec![1], ..group(&[2, 3]) };
    for (before, after) in [(learns.clone(), group(&[1, 2, 3])), (group(&[1, 2, 3]), learns)] {
        let votes = after.voters.contains(&1);
        let mut node = Setup::of_group(1, before, EntryId::default()).build();
        assert_eq!(node.raw.promotable(), !votes);
        assert_eq!(node.step(install(2, snapshot(7, 2, after.clone()))), [acceptance(2, 2, 7)]);
        assert_eq!((node.raw.conf_state(), node.raw.promotable()), (after, votes));
    }
}

#[test]
fn a_snapshot_of_a_group_without_this_replica_is_not_taken_up() {
    let mut node = Setup::new(1, &[1, 2, 3]).log(&[1, 1]).commit(1).build();
    node.work();
    assert_eq!(node.step(install(2, snapshot(7, 2, group(&[2, 3])))), [acceptance(2, 2, 1)]);
    assert_eq!((node.log_terms(), node.raw.voters()), (vec![1, 1], &[1, 2, 3][..]));
    assert_eq!(node.restored.len(), 0);
}

#[test]
fn a_senseless_snapshot_is_an_error() {
    let good = snapshot(7, 2, group(&[1, 2]));
    let twice = group(&[1, 1, 2]);
    for senseless in [
        Message { snapshot: None, ..install(2, good.clone()) },
        install(2, snapshot(7, 3, group(&[1, 2]))),
        install(2, snapshot(7, 0, group(&[1, 2]))),
        install(2, snapshot(7, 2, twice)),
    ] {
        let mut node = Node::new(1, &[1, 2]);
        assert_eq!(node.raw.step(senseless), Err(Error::Malformed(MsgSnapshot)));
        assert!(of_kind(node.work(), MsgAppendResponse).is_empty());
        assert_eq!((node.raw.last().index, node.restored.len()), (0, 0));
    }
}

#[test]
fn a_snapshot_taken_up_but_not_durable_acknowledges_nothing() {
    let mut node = Node::in_role(Follower, 3);
    node.step(append(1, 0, 0, entries(1, &[1; 6]), 0));
    node.raw.step(append(1, 6, 1, entries(7, &[1]), 0)).unwrap();
    let old = node.raw.ready();
    assert_eq!(node.raw.persisted(), 6);

    // Its leader has another entry 5 than is here, durable or on its way.
    let sent = snapshot(5, 2, group(&[1, 2, 3]));
    node.raw.step(install(2, sent.clone())).unwrap();
    let ready = node.raw.ready();
    assert_eq!((ready.snapshot, ready.must_sync), (Some(sent), true));
    assert_eq!(ready.hard_state, Some(HardState { term: 2, vote: 0, commit: 5 }));
    assert!(ready.messages.is_empty());
    assert_eq!(ready.persisted_messages, [acceptance(2, 2, 5)]);
    assert_eq!((node.raw.commit(), node.raw.persisted()), (5, 4));

    node.raw.on_persisted(old.number);
    assert_eq!(node.raw.persisted(), 4, "the disk is about to replace what it wrote");
    node.raw.on_persisted(ready.number);
    assert_eq!(node.raw.persisted(), 5);
}

#[test]
fn committed_entries_wait_for_the_snapshot_to_be_applied() {
    let mut node = Node::new(1, &[1, 2, 3]);
    node.raw.step(install(1, snapshot(5, 1, group(&[1, 2, 3])))).unwrap();
    node.raw.step(append(1, 5, 1, entries(6, &[1, 1]), 7)).unwrap();
    let ready = node.raw.ready();
    assert!(ready.snapshot.is_some() && ready.committed_entries.is_empty());
    assert_eq!(ready.entries, entries(6, &[1, 1]));
    node.raw.on_persisted(ready.number);
    assert_eq!((node.raw.persisted(), node.raw.applied()), (7, 0));
    assert!(!node.raw.has_ready());
    node.raw.on_applied(5);
    assert_eq!(node.raw.ready().committed_entries, entries(6, &[1, 1]));
}

#[test]
fn a_replica_does_not_campaign_before_its_snapshot_is_applied() {
    let mut node = Node::new(1, &[1, 2, 3]);
    node.raw.step(install(1, snapshot(5, 1, group(&[1, 2, 3])))).unwrap();
    let ready = node.raw.ready();
    node.raw.on_persisted(ready.number);
    assert!(!node.raw.promotable());
    assert_eq!(node.raw.idle_ticks(), u64::MAX);
    node.raw.campaign();
    node.raw.step(message(MsgTimeoutNow, 2, 1, 1)).unwrap();
    assert_eq!((node.raw.role(), node.raw.term()), (Follower, 1));
    node.raw.on_applied(5);
    assert!(node.raw.promotable());
    node.raw.campaign();
    assert_eq!((node.raw.role(), node.raw.term()), (Candidate, 2));
}

#[test]
fn the_membership_of_a_snapshot_takes_effect_when_it_is_applied() {
    let add = Entry {
        entry_type: EntryType::EntryConfChangeV2 as i32,
        data: prost::Message::encode_to_vec(&change(&[(AddNode, 4)])).into(),
        ..entry(1, 1, "")
    };
    let mut node = Node::in_role(Follower, 3);
    node.raw.step(append(1, 0, 0, vec![add], 1)).unwrap();
    let ready = node.raw.ready();
    node.raw.on_persisted(ready.number);
    assert_eq!(node.raw.ready().committed_entries.len(), 1);
    // Before that is applied a snapshot overtakes it: 4 was added, and removed since.
    node.raw.step(install(1, snapshot(5, 1, group(&[1, 2, 3])))).unwrap();
    let ready = node.raw.ready();
    assert!(ready.must_sync && ready.messages.is_empty(), "it is to be written like entries");
    node.raw.on_persisted(ready.number);

    assert_eq!(node.raw.apply_conf_change(&change(&[(AddNode, 4)])), Ok(group(&[1, 2, 3, 4])));
    node.raw.on_applied(1);
    assert_eq!((node.raw.applied(), node.raw.conf_state()), (1, group(&[1, 2, 3, 4])));
    assert!(!node.raw.promotable());
    node.raw.on_applied(5);
    assert_eq!((node.raw.applied(), node.raw.conf_state()), (5, group(&[1, 2, 3])));
}

#[test]
fn a_second_snapshot_may_follow_before_the_first_is_durable() {
    let mut node = Node::new(1, &[1, 2]);
    node.raw.step(install(1, snapshot(5, 1, group(&[1, 2])))).unwrap();
    let first = node.raw.ready();
    node.raw.step(append(1, 5, 1, entries(6, &[1]), 6)).unwrap();
    let second = node.raw.ready();
    node.raw.step(install(2, snapshot(9, 2, group(&[1, 2, 3])))).unwrap();
    let third = node.raw.ready();
    assert_eq!(
        [&first, &second, &third].map(|ready| ready.snapshot.as_ref().map(index_of)),
        [Some(5), None, Some(9)]
    );
    node.raw.on_persisted(second.number);
    assert!(node.raw.persisted() < 9);
    node.raw.on_applied(5);
    assert!(!node.raw.promotable() && !node.raw.has_ready());
    node.raw.on_persisted(third.number);
    node.raw.on_applied(9);
    assert_eq!((node.raw.persisted(), node.raw.applied()), (9, 9));
    assert_eq!(node.raw.voters(), [1, 2, 3]);
    assert!(node.raw.promotable());
}

#[test]
fn of_two_snapshots_in_one_batch_the_newer_is_handed_out() {
    let mut node = Node::new(1, &[1, 2]);
    node.raw.step(install(1, snapshot(5, 1, group(&[1, 2])))).unwrap();
    node.raw.step(install(1, snapshot(6, 1, group(&[1, 2, 3])))).unwrap();
    let ready = node.raw.ready();
    assert_eq!(ready.snapshot, Some(snapshot(6, 1, group(&[1, 2, 3]))));
    node.raw.advance(&ready);
    assert_eq!((node.raw.applied(), node.raw.persisted(), node.raw.voters()), (6, 6, &[1, 2, 3][..]));
}

// Asking for a snapshot.

/// Follower 1 of leader 2 in term 1, with two entries, applied.
fn damaged() -> Node {
    let mut node = Node::in_role(Follower, 3);
    node.step(append(1, 0, 0, entries(1, &[1, 1]), 2));
    assert_eq!(node.raw.applied(), 2);
    node
}

/// What a follower asks with, from 1 to 2, when its log ends at an index with an entry of term 1.
fn request(index: u64) -> Message {
    Message { index, log_term: 1, ..message(MsgRequestSnapshot, 1, 2, 1) }
}

#[test]
fn a_damaged_follower_gets_a_snapshot_and_follows_on() {
    let mut network = Network::new(3);
    network.campaign(1);
    network.propose(1, "x");
    network.node_mut(3).request_snapshot().unwrap();
    network.settle();
    assert_eq!(network.nodes[&3].restored.iter().map(index_of).collect::<Vec<_>>(), [2]);
    network.propose(1, "y");
    assert_eq!((network.node(3).commit(), network.node(3).applied()), (3, 3));
    assert!(network.node(1).progress(3).unwrap().is_replicating());
}

#[test]
fn a_request_needs_a_leader_and_a_log_that_ends_in_its_term() {
    let mut node = Node::new(1, &[1, 2, 3]);
    assert_eq!(node.raw.request_snapshot(), Err(Error::NotLeader { leader: None }));
    node.step(append(1, 0, 0, entries(1, &[1]), 0));
    assert_eq!(node.raw.request_snapshot(), Ok(()));
    let mut node = damaged();
    node.step(message(MsgHeartbeat, 2, 1, 2));
    assert_eq!(node.raw.request_snapshot(), Err(Error::RequestTooEarly));
    assert_eq!(Node::in_role(Leader, 3).raw.request_snapshot(), Err(Error::Leading));
}

#[test]
fn until_the_snapshot_comes_no_entries_are_taken_and_the_request_is_repeated() {
    let mut node = damaged();
    node.raw.request_snapshot().unwrap();
    assert_eq!(node.work(), [request(2)]);
    node.raw.request_snapshot().unwrap();
    assert!(!node.raw.has_ready(), "one request is enough");
    assert_eq!(node.step(append(1, 2, 1, entries(3, &[1]), 2)), [request(2)]);
    assert_eq!(node.raw.last().index, 2);
    // Of a group that is idle nothing comes but heartbeats.
    let answers = node.step(message(MsgHeartbeat, 2, 1, 1));
    assert_eq!(answers, [message(MsgHeartbeatResponse, 1, 2, 1), request(2)]);

    node.step(install(1, snapshot(2, 1, group(&[1, 2, 3]))));
    assert_eq!(node.restored.len(), 1);
    assert_eq!(node.step(append(1, 2, 1, entries(3, &[1]), 2)), [acceptance(2, 1, 3)]);
}

#[test]
fn a_request_ends_with_the_term() {
    let mut node = damaged();
    node.raw.request_snapshot().unwrap();
    assert!(node.raw.snapshot_requested());
    node.step(append(2, 2, 1, entries(3, &[2]), 2));
    assert!(!node.raw.snapshot_requested());
    assert_eq!(node.log_terms(), [1, 1, 2]);
}

#[test]
fn a_damaged_state_machine_is_given_no_entries_and_no_leadership() {
    let mut node = damaged();
    node.step(append(1, 2, 1, entries(3, &[1]), 2));
    node.raw.request_snapshot().unwrap();
    node.step(Message { commit: 3, ..message(MsgHeartbeat, 2, 1, 1) });
    assert_eq!((node.raw.commit(), node.raw.applied()), (3, 2));

    assert!(!node.raw.promotable());
    node.raw.campaign();
    assert_eq!(node.raw.role(), Follower);
    node.step(install(1, snapshot(3, 1, group(&[1, 2, 3]))));
    assert!(node.raw.promotable());
    assert_eq!(node.raw.applied(), 3);
}

#[test]
fn a_request_ends_when_the_leader_is_gone() {
    let mut node = damaged();
    node.raw.request_snapshot().unwrap();
    node.raw.tick_many(node.raw.idle_ticks());
    assert!(node.raw.snapshot_requested());
    node.raw.tick();
    // The only voter that is left would wait for ever otherwise.
    assert_eq!((node.raw.snapshot_requested(), node.raw.role()), (false, Candidate));
}

#[test]
fn a_request_waits_until_what_was_handed_out_is_applied() {
    let mut node = damaged();
    node.raw.step(append(1, 2, 1, entries(3, &[1]), 3)).unwrap();
    let ready = node.raw.ready();
    node.disk.save(&ready);
    node.raw.on_persisted(ready.number);
    assert_eq!(node.raw.ready().committed_entries.len(), 1);
    // "Applied up to 3" would say as much of a snapshot at 3 as of entry 3.
    assert_eq!(node.raw.request_snapshot(), Err(Error::RequestTooEarly));
    node.raw.on_applied(3);
    assert_eq!(node.raw.request_snapshot(), Ok(()));
}

#[test]
#[should_panic(expected = "snapshot of entry 3 of term 1, but applied is 1")]
fn a_snapshot_of_what_is_not_applied_is_a_panic() {
    let mut leader = settled_leader(3);
    leader.raw.on_snapshot(snapshot(3, 1, group(&[1, 2, 3])));
}

#[test]
fn an_old_leader_that_sends_a_snapshot_learns_that_its_term_is_over() {
    let mut node = Setup::new(1, &[1, 2, 3]).log(&[1, 1]).term(3).build();
    let answers = node.step(install(2, snapshot(9, 1, group(&[1, 2, 3]))));
    assert_eq!(answers, [message(MsgHeartbeatResponse, 1, 2, 3)]);
    assert!(node.restored.is_empty());
}

#[test]
fn a_restart_between_a_durable_snapshot_and_its_state_machine_is_refused() {
    let mut disk = MemStorage::new(&[1, 2, 3]);
    disk.restore(&snapshot(20, 2, group(&[1, 2, 3])));
    disk.set_hard_state(HardState { term: 2, vote: 0, commit: 20 });
    let refused = RawNode::new(&Config { applied: 5, ..Config::new(1) }, &disk);
    assert!(matches!(refused, Err(Error::Storage(raft::StorageError::Corrupt(_)))));
    assert_eq!(RawNode::new(&Config { applied: 20, ..Config::new(1) }, &disk).unwrap().applied(), 20);
}

#[test]
fn a_requested_snapshot_of_the_applied_index_is_waited_for_like_any_other() {
    let mut node = damaged();
    node.raw.request_snapshot().unwrap();
    node.work();
    node.raw.step(install(1, snapshot(2, 1, group(&[1, 2, 3])))).unwrap();
    node.raw.step(append(1, 2, 1, entries(3, &[1]), 3)).unwrap();
    assert!(!node.raw.promotable(), "the state machine is damaged");
    let ready = node.raw.ready();
    assert_eq!(ready.snapshot.as_ref().map(index_of), Some(2));
    node.raw.on_persisted(ready.number);
    assert!(!node.raw.has_ready(), "entry 3 must not be applied to it");
    node.raw.on_applied(2);
    assert_eq!(node.raw.ready().committed_entries, entries(3, &[1]));
    assert!(node.raw.promotable());
}

/// A request of 2 as the leader gets it.
fn requested(index: u64) -> Message {
    Message { from: 2, to: 1, ..request(index) }
}

/// Leader 1 of three in term 1 that makes no snapshots by itself.
fn leader_without_snapshots() -> Node {
    let mut leader = settled_leader(3);
    leader.makes_snapshots = false;
    leader
}

#[test]
fn a_request_acknowledges_the_log() {
    let mut leader = leader_without_snapshots();
    propose(&mut leader, "x");
    leader.step(requested(2));
    assert_eq!(leader.raw.commit(), 2);
    assert!(leader.raw.progress(2).unwrap().matched() == 2);
}

#[test]
fn a_requested_snapshot_must_reach_the_requested_index() {
    let mut leader = leader_without_snapshots();
    let old = leader.snapshot();
    propose(&mut leader, "x");
    leader.raw.step(requested(2)).unwrap();
    assert!(!leader.one_ready().wants_snapshot, "a snapshot of what is applied would not reach it");
    assert!(leader.one_ready().wants_snapshot);
    assert_eq!(hand_over_this(&mut leader, old), []);
    assert!(leader.wants_snapshot, "that one was too old");
    assert_eq!(hand_over(&mut leader), [(2, 2)]);
}

#[test]
fn a_peer_that_is_probed_may_ask_too() {
    let (mut leader, _) = elect(Node::new(1, &[1, 2, 3]));
    leader.makes_snapshots = false;
    assert!(!leader.raw.progress(2).unwrap().is_replicating());
    leader.raw.step(requested(1)).unwrap();
    leader.one_ready();
    assert!(leader.raw.has_ready() && leader.raw.clone().ready().wants_snapshot);
}

#[test]
fn a_rejection_does_not_take_a_request_back() {
    let mut leader = leader_without_snapshots();
    propose(&mut leader, "x");
    leader.step(requested(2));
    leader.step(Message { index: 9, reject: true, reject_hint: 2, ..message(MsgAppendResponse, 2, 1, 1) });
    assert_eq!(hand_over(&mut leader), [(2, 2)]);
}

#[test]
fn a_request_that_is_being_fulfilled_is_not_fulfilled_twice() {
    let mut leader = leader_without_snapshots();
    leader.step(requested(1));
    assert_eq!(hand_over(&mut leader), [(2, 1)]);
    // The same request in answer to an append that left before the snapshot.
    assert!(leader.step(requested(1)).is_empty());
    assert!(!leader.wants_snapshot);
    let pending = ProgressState::Snapshot { pending: 1 };
    assert_eq!(leader.raw.progress(2).unwrap().state(), &pending);
    assert!(of_kind(propose(&mut leader, "x"), MsgAppend).iter().all(|append| append.to == 3));
}

// Compaction.

#[test]
fn compaction_forgets_applied_entries_and_nothing_else() {
    let mut node = Setup::new(1, &[1, 2, 3]).log(&[1, 1, 2, 2, 3]).commit(4).build();
    node.work();
    node.compact(3);
    assert_eq!((node.raw.truncated(), node.raw.first_index()), (EntryId { term: 2, index: 3 }, 4));
    assert_eq!([2, 3, 4, 5].map(|index| node.raw.term_at(index)), [None, Some(2), Some(2), Some(3)]);
    assert!(node.raw.entry(3).is_none());
    assert_eq!(node.raw.entry(4), Some(&entries(4, &[2])[0]));
    assert_eq!((node.raw.commit(), node.raw.applied(), node.raw.persisted()), (4, 4, 5));
    node.compact(2);
    assert_eq!(node.raw.first_index(), 4, "it does not come back");
    // An append may begin at the truncated entry.
    assert_eq!(node.step(append(4, 4, 2, entries(5, &[4]), 4))[0].index, 5);

    let config = Config { election_ticks: 10, heartbeat_ticks: 1, ..Config::new(1) };
    node.restart(&config);
    assert_eq!((node.raw.first_index(), node.log_terms()), (4, vec![2, 4]));
}

#[test]
#[should_panic(expected = "compact to 3, but applied up to 2")]
fn what_is_not_applied_cannot_be_compacted() {
    let mut node = Setup::new(1, &[1, 2, 3]).log(&[1, 1, 1]).commit(2).build();
    node.work();
    node.raw.compact(3);
}
