//! Membership changes: the tests of TinyKV's group 3A that are about them under their own names, then when
//! a change may be proposed, what it does to a leadership, and joint configurations.

use crate::common::{
    Network, Node, Setup, accept, append, change, elect, entries, entry, group, message, of_kind, propose,
    settled_leader,
};
use prost::Message as _;
use raft::Role::{Candidate, Follower, Leader};
use raft::eraftpb::ConfChangeTransition::Explicit;
use raft::eraftpb::ConfChangeType::{self, AddLearnerNode, AddNode, RemoveNode};
use raft::eraftpb::MessageType::*;
use raft::eraftpb::{ConfChange, ConfChangeV2, ConfState, Entry, EntryType, Message};
use raft::{ConfChangeError, Config, EntryId, Error, ProgressState, StorageError, conf_change_of};

/// An entry with a change, as it stands in a log.
fn change_entry(index: u64, term: u64, change: &ConfChangeV2) -> Entry {
    let entry_type = EntryType::EntryConfChangeV2 as i32;
    Entry { entry_type, data: change.encode_to_vec().into(), ..entry(index, term, "") }
}

/// The older form of a change, which still stands in old logs.
fn v1_entry(kind: ConfChangeType, node_id: u64) -> Entry {
    let change = ConfChange { change_type: kind as i32, node_id, ..ConfChange::default() };
    let entry_type = EntryType::EntryConfChange as i32;
    Entry { entry_type, data: change.encode_to_vec().into(), ..Entry::default() }
}

fn proposal(entries: Vec<Entry>) -> Message {
    Message { entries, ..message(MsgPropose, 0, 0, 0) }
}

fn acknowledgement(from: u64, to: u64, term: u64, index: u64) -> Message {
    Message { index, ..message(MsgAppendResponse, from, to, term) }
}

/// Proposes a change, which these followers acknowledge as far as the leader still leads.
fn make(leader: &mut Node, change: &ConfChangeV2, acknowledged_by: &[u64]) {
    let id = leader.raw.propose_conf_change(change).unwrap();
    leader.work();
    for &from in acknowledged_by {
        leader.step(acknowledgement(from, leader.raw.id(), id.term, id.index));
    }
}

/// A leader of itself alone, its empty entry applied.
fn lonely_leader() -> Node {
    let leader = elect_alone(Setup::new(1, &[1]));
    assert_eq!(leader.raw.applied(), 1);
    leader
}

fn elect_alone(setup: Setup) -> Node {
    let mut node = setup.build();
    node.raw.campaign();
    node.work();
    assert!(node.raw.is_leader());
    node
}

#[test]
fn raw_node_propose_and_conf_change() {
    let v2 = |changes: &[(ConfChangeType, u64)]| change_entry(0, 0, &change(changes));
    let learner = ConfState { learners: vec![2], ..group(&[1]) };
    let cases = [
        (v1_entry(AddNode, 2), group(&[1, 2])),
        (v1_entry(AddLearnerNode, 2), learner.clone()),
        (v2(&[(AddNode, 2)]), group(&[1, 2])),
        (v2(&[(AddLearnerNode, 2)]), learner),
    ];
    for (proposed, after) in cases {
        let mut leader = lonely_leader();
        leader.raw.propose("somedata".into()).unwrap();
        leader.raw.step(proposal(vec![proposed.clone()])).unwrap();
        let ready = leader.one_ready();
        assert_eq!(ready.entries, [entry(2, 1, "somedata"), Entry { index: 3, term: 1, ..proposed }]);
        assert_eq!(leader.raw.conf_state(), group(&[1]), "not before it is applied");
        leader.work();
        assert_eq!(leader.raw.conf_state(), after);
    }
}

#[test]
fn raw_node_propose_add_duplicate_node() {
    let mut leader = lonely_leader();
    for added in [1, 1, 2] {
        make(&mut leader, &change(&[(AddNode, added)]), &[]);
    }
    let changes: Vec<_> = (2..=4).map(|index| conf_change_of(leader.raw.entry(index).unwrap())).collect();
    assert_eq!(changes, [1, 1, 2].map(|added| Ok(change(&[(AddNode, added)]))));
    assert_eq!(leader.raw.voters(), [1, 2]);
}

#[test]
fn add_node() {
    let mut node = Node::new(1, &[1]);
    assert_eq!(node.raw.apply_conf_change(&change(&[(AddNode, 2)])), Ok(group(&[1, 2])));
    assert_eq!(node.raw.voters(), [1, 2]);
}

#[test]
fn remove_node() {
    let mut node = Node::new(1, &[1, 2]);
    assert_eq!(node.raw.apply_conf_change(&change(&[(RemoveNode, 2)])), Ok(group(&[1])));
    // TinyKV lets a group become empty; as in etcd, ours keeps its last voter.
    let last = change(&[(RemoveNode, 1)]);
    assert_eq!(node.raw.apply_conf_change(&last), Err(ConfChangeError::NoVoters));
    assert_eq!(node.raw.voters(), [1]);
}

#[test]
fn commit_after_remove_node() {
    let mut leader = settled_leader(2);
    leader.raw.propose_conf_change(&change(&[(RemoveNode, 2)])).unwrap();
    leader.raw.propose("hello".into()).unwrap();
    leader.work();
    assert_eq!(leader.raw.commit(), 1);
    // The removal needs both, what follows needs one.
    leader.step(acknowledgement(2, 1, 1, 2));
    assert_eq!((leader.raw.commit(), leader.raw.voters()), (3, &[1][..]));
    assert_eq!(leader.applied.last(), Some(&entry(3, 1, "hello")));
}

// Ours: when a change may be proposed.

#[test]
fn a_change_waits_until_the_one_before_is_applied() {
    let mut leader = settled_leader(3);
    leader.raw.propose_conf_change(&change(&[(AddNode, 4)])).unwrap();
    let pending = Error::ConfChangePending { index: 2 };
    let refused = |leader: &mut Node| leader.raw.propose_conf_change(&change(&[(AddNode, 5)])).unwrap_err();
    assert_eq!(refused(&mut leader), pending);
    leader.work();
    // Committed is not enough: the leader would judge it by a configuration that is going.
    leader.raw.step(acknowledgement(2, 1, 1, 2)).unwrap();
    let ready = leader.raw.ready();
    assert_eq!((leader.raw.commit(), ready.committed_entries.len()), (2, 1));
    assert_eq!(refused(&mut leader), pending);
    leader.raw.apply_conf_change(&change(&[(AddNode, 4)])).unwrap();
    assert_eq!(refused(&mut leader), pending);
    leader.raw.on_applied(2);
    assert!(leader.raw.propose_conf_change(&change(&[(AddNode, 5)])).is_ok());
}

#[test]
fn two_changes_in_one_forwarded_proposal_are_refused_as_one() {
    let mut leader = settled_leader(3);
    let both = [4, 5].map(|added| change_entry(0, 0, &change(&[(AddNode, added)]))).to_vec();
    let with_data = proposal(vec![both[0].clone(), entry(0, 0, "x"), both[1].clone()]);
    assert_eq!(leader.raw.step(with_data), Err(Error::ConfChangePending { index: 2 }));
    assert_eq!(leader.raw.last().index, 1, "all or nothing");
    assert_eq!(leader.raw.step(proposal(vec![both[0].clone(), entry(0, 0, "x")])), Ok(()));
}

#[test]
fn no_change_before_an_entry_of_the_term_is_committed() {
    // Entry 1 is of an earlier term; it might be a change.
    let (mut leader, appends) = elect(Setup::new(1, &[1, 2, 3]).log(&[1]).build());
    let add = change(&[(AddNode, 4)]);
    assert_eq!(leader.raw.propose_conf_change(&add), Err(Error::ConfChangePending { index: 1 }));
    // It is none, all is applied, and still another leader may know of a change that this one does not.
    let (mut settled, _) = elect({
        let mut node = Setup::new(1, &[1, 2, 3]).log(&[1]).commit(1).build();
        node.work();
        node
    });
    assert_eq!(settled.raw.propose_conf_change(&add), Err(Error::TermNotCommitted { term: 2 }));
    assert_eq!(settled.raw.last().index, 2);
    leader.step(accept(&appends[0]));
    assert!(leader.raw.propose_conf_change(&add).is_ok());
}

#[test]
fn a_senseless_change_is_refused_before_it_enters_the_log() {
    let mut leader = settled_leader(2);
    let refused = |leader: &mut Node, change: &ConfChangeV2| match leader.raw.propose_conf_change(change) {
        Err(Error::ConfChange(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&mut leader, &ConfChangeV2::default()), ConfChangeError::NotJoint);
    let nobody = change(&[(RemoveNode, 1), (RemoveNode, 2)]);
    assert_eq!(refused(&mut leader, &nobody), ConfChangeError::NoVoters);
    let unknown = ConfChangeV2 { transition: 9, ..change(&[(AddNode, 3)]) };
    assert_eq!(refused(&mut leader, &unknown), ConfChangeError::UnknownTransition(9));
    // One that does not even decode.
    let garbage = Entry { data: "\u{7f}".into(), ..v1_entry(AddNode, 3) };
    let error = leader.raw.step(proposal(vec![garbage.clone()])).unwrap_err();
    assert!(matches!(error, Error::Storage(StorageError::Corrupt(_))), "{error}");
    assert!(matches!(conf_change_of(&garbage), Err(StorageError::Corrupt(_))));
    assert_eq!((leader.raw.last().index, leader.raw.has_ready()), (1, false));
}

#[test]
fn a_follower_proposes_no_change_and_an_entry_with_data_holds_none() {
    let mut node = Node::in_role(Follower, 3);
    let refused = node.raw.propose_conf_change(&change(&[(AddNode, 4)]));
    assert_eq!(refused, Err(Error::NotLeader { leader: Some(2) }));
    assert!(matches!(conf_change_of(&entry(3, 1, "x")), Err(StorageError::Corrupt(_))));
}

#[test]
fn without_validation_the_caller_judges_when_it_applies() {
    let mut setup = Setup::new(1, &[1, 2, 3]);
    setup.config.validate_conf_changes = false;
    let (mut leader, appends) = elect(setup.build());
    leader.raw.propose_conf_change(&change(&[(RemoveNode, 3)])).unwrap();
    leader.raw.propose_conf_change(&ConfChangeV2::default()).unwrap();
    let both = [4, 5].map(|added| change_entry(0, 0, &change(&[(AddNode, added)])));
    leader.raw.step(proposal(both.to_vec())).unwrap();
    leader.work();
    leader.step(accept(&appends[0]));
    leader.step(acknowledgement(2, 1, 1, 5));
    // The second is not possible, and is passed over.
    assert_eq!((leader.raw.applied(), leader.raw.conf_state()), (5, group(&[1, 2, 4, 5])));
}

#[test]
fn a_change_may_be_cancelled_when_it_is_applied() {
    let mut node = Node::new(1, &[1, 2]);
    assert_eq!(node.raw.apply_conf_change(&change(&[(RemoveNode, 0)])), Ok(group(&[1, 2])));
}

#[test]
fn a_change_of_a_leader_that_was_replaced_is_no_longer_waited_for() {
    let mut node = Node::in_role(Leader, 3);
    node.step(acknowledgement(2, 1, 1, 1));
    node.raw.propose_conf_change(&change(&[(AddNode, 4)])).unwrap();
    node.work();
    // 2 leads without it.
    node.step(append(2, 1, 1, entries(2, &[2]), 2));
    let (mut leader, appends) = elect(node);
    leader.step(accept(&appends[0]));
    assert_eq!(leader.raw.voters(), [1, 2, 3]);
    assert!(leader.raw.propose_conf_change(&change(&[(AddNode, 5)])).is_ok());
}

// Candidates.

/// Follower 1 of leader 2 in term 1 that knows of a committed change, not yet applied.
fn with_unapplied_change() -> Node {
    let mut node = Node::in_role(Follower, 3);
    let added = change_entry(1, 1, &change(&[(AddNode, 4)]));
    node.raw.step(append(1, 0, 0, vec![added], 1)).unwrap();
    let ready = node.raw.ready();
    node.disk.save(&ready);
    node.raw.on_persisted(ready.number);
    assert_eq!((node.raw.commit(), node.raw.applied()), (1, 0));
    node
}

#[test]
fn nobody_campaigns_while_a_committed_change_is_not_applied() {
    let mut node = with_unapplied_change();
    node.raw.campaign();
    node.raw.tick_many(100);
    node.raw.step(message(MsgTimeoutNow, 2, 1, 1)).unwrap();
    assert_eq!((node.raw.role(), node.raw.term()), (Follower, 1));
    node.work();
    assert_eq!(node.raw.voters(), [1, 2, 3, 4]);
    node.raw.campaign();
    assert_eq!((node.raw.role(), node.raw.term()), (Candidate, 2));
    // It asks whom the change brought in.
    assert_eq!(
        of_kind(node.work(), MsgRequestVote).iter().map(|asked| asked.to).collect::<Vec<_>>(),
        [2, 3, 4]
    );
}

#[test]
fn a_restart_knows_of_the_change_it_has_not_applied() {
    let mut node = with_unapplied_change();
    node.restart(&Config { election_ticks: 10, heartbeat_ticks: 1, ..Config::new(1) });
    assert_eq!((node.raw.voters(), node.raw.commit()), (&[1, 2, 3][..], 1));
    node.raw.campaign();
    assert_eq!(node.raw.role(), Follower);
    node.work();
    assert_eq!(node.raw.voters(), [1, 2, 3, 4]);
    node.restart(&Config::new(1));
    assert_eq!((node.raw.voters(), node.raw.applied()), (&[1, 2, 3, 4][..], 1));
    assert!(!node.raw.has_ready(), "it is not handed out again");
}

#[test]
fn a_learner_follows_but_neither_stands_nor_counts() {
    let conf_state = ConfState { learners: vec![3], ..group(&[1, 2]) };
    let learner = Setup::of_group(3, conf_state.clone(), EntryId::default()).build();
    assert_eq!((learner.raw.promotable(), learner.raw.idle_ticks()), (false, u64::MAX));
    let mut network = Network::of(vec![
        Setup::of_group(1, conf_state.clone(), EntryId::default()).build(),
        Setup::of_group(2, conf_state, EntryId::default()).build(),
        learner,
    ]);
    network.campaign(3);
    assert_eq!((network.node(3).role(), network.node(3).term()), (Follower, 0));
    network.campaign(1);
    network.propose(1, "x");
    assert_eq!(network.node(3).applied(), 2);
    // A learner and the leader are no majority of two voters.
    network.isolate(2);
    network.propose(1, "y");
    assert_eq!((network.node(1).commit(), network.node(3).last().index), (2, 3));
    network.recover();
    network.beat(1);
    network.node_mut(1).propose_conf_change(&change(&[(AddNode, 3)])).unwrap();
    network.settle();
    assert_eq!(network.node(3).voters(), [1, 2, 3]);
    network.campaign(3);
    assert_eq!(network.node(3).role(), Leader);
}

// What a change does to a leadership.

#[test]
fn a_new_member_is_probed_at_once_and_counts_as_alive() {
    let mut setup = Setup::new(1, &[1]);
    setup.config.check_quorum = true;
    let mut leader = elect_alone(setup);
    leader.raw.propose_conf_change(&change(&[(AddNode, 2)])).unwrap();
    let sent = leader.work();
    let expected = Message { index: 2, log_term: 1, commit: 2, ..message(MsgAppend, 1, 2, 1) };
    assert_eq!(sent, [expected]);
    assert_eq!(leader.raw.progress(2).unwrap().state(), &ProgressState::Probe { paused: true });
    // The first check of the quorum lets it answer first.
    leader.raw.tick_many(10);
    assert_eq!(leader.raw.role(), Leader);
    leader.raw.tick_many(10);
    assert_eq!(leader.raw.role(), Follower);
}

#[test]
fn adding_a_member_again_keeps_what_is_known_of_it() {
    let mut leader = settled_leader(3);
    let before = leader.raw.progress(2).unwrap().clone();
    for kind in [AddNode, AddLearnerNode, AddNode] {
        leader.raw.apply_conf_change(&change(&[(kind, 2)])).unwrap();
        assert_eq!(leader.raw.progress(2), Some(&before), "{kind:?}");
    }
    // But one that was away starts anew.
    leader.raw.apply_conf_change(&change(&[(RemoveNode, 2)])).unwrap();
    assert_eq!(leader.raw.progress(2), None);
    leader.raw.apply_conf_change(&change(&[(AddNode, 2)])).unwrap();
    assert_eq!(leader.raw.progress(2).unwrap().matched(), 0);
}

#[test]
fn a_removed_peer_is_neither_heard_nor_told() {
    let mut leader = settled_leader(3);
    make(&mut leader, &change(&[(RemoveNode, 3)]), &[2]);
    assert_eq!(leader.raw.voters(), [1, 2]);
    let sent = propose(&mut leader, "x");
    assert_eq!(sent.iter().map(|append| append.to).collect::<Vec<_>>(), [2]);
    for late in [acknowledgement(3, 1, 1, 3), message(MsgHeartbeatResponse, 3, 1, 1)] {
        assert!(leader.step(late).is_empty());
    }
    assert_eq!(leader.raw.commit(), 2);
}

#[test]
fn a_smaller_quorum_may_confirm_a_read() {
    let mut leader = settled_leader(2);
    leader.raw.propose_conf_change(&change(&[(RemoveNode, 2)])).unwrap();
    let read = leader.raw.read_index().unwrap();
    leader.work();
    assert!(leader.reads.is_empty());
    leader.step(acknowledgement(2, 1, 1, 2));
    assert_eq!(leader.reads, [raft::ReadState { id: read, index: Some(1) }]);
}

/// Leader 1 of three removes itself, with this wish about stepping down.
fn removed_leader(step_down: bool) -> (Node, Vec<Message>) {
    let mut setup = Setup::new(1, &[1, 2, 3]);
    setup.config.step_down_on_removal = step_down;
    let (mut leader, appends) = elect(setup.build());
    appends.iter().for_each(|append| drop(leader.step(accept(append))));
    leader.raw.propose_conf_change(&change(&[(RemoveNode, 1)])).unwrap();
    leader.work();
    let sent = leader.step(acknowledgement(2, 1, 1, 2));
    (leader, sent)
}

#[test]
fn a_removed_leader_steps_down_after_it_said_so() {
    let (mut leader, sent) = removed_leader(true);
    assert_eq!(leader.raw.voters(), [2, 3]);
    assert_eq!((leader.raw.role(), leader.raw.leader(), leader.raw.term()), (Follower, None, 1));
    // The others hear that the removal is committed.
    assert_eq!(sent.iter().map(|append| append.commit).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(leader.raw.idle_ticks(), u64::MAX);
    assert_eq!(leader.raw.propose("x".into()), Err(Error::NotLeader { leader: None }));
}

#[test]
fn a_removed_leader_may_lead_on_without_counting_itself() {
    let (mut leader, _) = removed_leader(false);
    assert_eq!((leader.raw.role(), leader.raw.voters()), (Leader, &[2, 3][..]));
    for refused in [
        leader.raw.propose("x".into()).map(drop),
        leader.raw.step(proposal(vec![entry(0, 0, "x")])),
        leader.raw.read_index().map(drop),
        leader.raw.propose_conf_change(&change(&[(AddNode, 1)])).map(drop),
    ] {
        assert_eq!(refused, Err(Error::NotMember));
    }
    // What was proposed before that is committed by the others.
    let mut setup = Setup::new(1, &[1, 2, 3]);
    setup.config.step_down_on_removal = false;
    let (mut leader, appends) = elect(setup.build());
    appends.iter().for_each(|append| drop(leader.step(accept(append))));
    leader.raw.propose_conf_change(&change(&[(RemoveNode, 1)])).unwrap();
    leader.raw.propose("x".into()).unwrap();
    leader.work();
    leader.step(acknowledgement(2, 1, 1, 2));
    leader.step(acknowledgement(2, 1, 1, 3));
    assert_eq!(leader.raw.commit(), 2, "2 alone is no majority of 2 and 3");
    leader.step(acknowledgement(3, 1, 1, 3));
    assert_eq!(leader.raw.commit(), 3);
    assert_eq!(leader.step(message(MsgBeat, 1, 1, 0)).len(), 2);
}

#[test]
fn a_leader_that_becomes_a_learner_steps_down() {
    let mut leader = settled_leader(3);
    make(&mut leader, &change(&[(AddLearnerNode, 1)]), &[2]);
    assert_eq!(leader.raw.conf_state(), ConfState { learners: vec![1], ..group(&[2, 3]) });
    assert_eq!((leader.raw.role(), leader.raw.promotable()), (Follower, false));
}

// Joint configurations.

#[test]
fn a_joint_configuration_is_left_by_itself() {
    let mut leader = lonely_leader();
    leader.raw.propose_conf_change(&change(&[(AddNode, 2), (AddLearnerNode, 3)])).unwrap();
    leader.work();
    let joint = ConfState {
        voters: vec![1, 2],
        voters_outgoing: vec![1],
        learners: vec![3],
        auto_leave: true,
        ..ConfState::default()
    };
    assert_eq!(leader.raw.conf_state(), joint);
    assert_eq!(leader.raw.last().index, 3);
    assert_eq!(conf_change_of(leader.raw.entry(3).unwrap()), Ok(ConfChangeV2::default()));
    leader.step(acknowledgement(2, 1, 1, 3));
    assert_eq!(leader.raw.conf_state(), ConfState { learners: vec![3], ..group(&[1, 2]) });
    leader.work();
    assert_eq!(leader.raw.last().index, 3, "it is left once");
}

#[test]
fn a_joint_configuration_is_left_once_whatever_else_is_applied() {
    let setup = Setup::new(1, &[1, 2, 3]).with(|config| config.validate_conf_changes = false);
    let (mut leader, appends) = elect(setup.build());
    leader.step(accept(&appends[0]));
    leader.raw.propose_conf_change(&change(&[(AddNode, 4), (AddNode, 5)])).unwrap();
    leader.raw.propose("x".into()).unwrap();
    leader.work();
    leader.step(acknowledgement(2, 1, 1, 3));
    assert_eq!((leader.raw.applied(), leader.raw.last().index), (3, 4));
    assert_eq!(conf_change_of(leader.raw.entry(4).unwrap()), Ok(ConfChangeV2::default()));
}

#[test]
fn an_explicit_joint_configuration_is_left_on_demand() {
    let mut leader = settled_leader(3);
    let explicit = ConfChangeV2 { transition: Explicit as i32, ..change(&[(AddNode, 4)]) };
    make(&mut leader, &explicit, &[2]);
    assert!(leader.raw.configuration().is_joint());
    leader.work();
    assert_eq!(leader.raw.last().index, 2);
    let refused = leader.raw.propose_conf_change(&change(&[(AddNode, 5)]));
    assert_eq!(refused, Err(Error::ConfChange(ConfChangeError::AlreadyJoint)));
    leader.step(acknowledgement(3, 1, 1, 2));
    make(&mut leader, &ConfChangeV2::default(), &[2, 3]);
    assert_eq!(leader.raw.conf_state(), group(&[1, 2, 3, 4]));
}

#[test]
fn a_joint_configuration_commits_with_a_majority_of_each_half() {
    for (acknowledged_by, commits) in [(&[2, 3][..], false), (&[4, 5], false), (&[2, 4], true)] {
        let mut leader = settled_leader(3);
        let explicit = ConfChangeV2 {
            transition: Explicit as i32,
            ..change(&[(RemoveNode, 2), (RemoveNode, 3), (AddNode, 4), (AddNode, 5)])
        };
        make(&mut leader, &explicit, &[2, 3]);
        assert_eq!(leader.raw.configuration().to_string(), "(1 4 5)&&(1 2 3)");
        propose(&mut leader, "x");
        for &from in acknowledged_by {
            leader.step(acknowledgement(from, 1, 1, 3));
        }
        assert_eq!(leader.raw.commit() == 3, commits, "{acknowledged_by:?}");
    }
}

#[test]
fn a_leader_on_its_way_out_steps_down_when_the_joint_configuration_is_left() {
    let mut leader = settled_leader(3);
    make(&mut leader, &change(&[(RemoveNode, 1), (AddNode, 4)]), &[2, 3]);
    assert_eq!(leader.raw.configuration().to_string(), "(2 3 4)&&(1 2 3) auto_leave");
    assert_eq!((leader.raw.role(), leader.raw.promotable()), (Leader, true));
    for from in [2, 3] {
        leader.step(acknowledgement(from, 1, 1, 3));
    }
    assert_eq!((leader.raw.role(), leader.raw.conf_state()), (Follower, group(&[2, 3, 4])));
}

#[test]
fn the_next_leader_leaves_the_joint_configuration_after_its_first_commit() {
    let joint = ConfState { voters_outgoing: vec![1, 2], auto_leave: true, ..group(&[1, 2, 3]) };
    let start = EntryId { term: 5, index: 5 };
    let (mut leader, appends) = elect(Setup::of_group(1, joint, start).build());
    assert_eq!(leader.raw.last().index, 6, "not yet");
    leader.step(accept(&appends[0]));
    assert_eq!((leader.raw.applied(), leader.raw.last().index), (6, 7));
    assert_eq!(conf_change_of(leader.raw.entry(7).unwrap()), Ok(ConfChangeV2::default()));
    leader.step(acknowledgement(2, 1, 6, 7));
    assert_eq!(leader.raw.conf_state(), group(&[1, 2, 3]));
}

#[test]
fn a_joint_configuration_is_left_even_if_a_transfer_was_in_the_way() {
    type End = fn(&mut Node);
    let time_out: End = |leader| leader.raw.tick_many(10);
    let take_back: End = |leader| leader.raw.transfer_leader(1).unwrap();
    for end in [time_out, take_back] {
        let mut leader = settled_leader(3);
        leader.raw.propose_conf_change(&change(&[(AddNode, 4), (AddNode, 5)])).unwrap();
        leader.work();
        leader.raw.transfer_leader(3).unwrap();
        leader.step(acknowledgement(2, 1, 1, 2));
        assert!(leader.raw.configuration().is_joint());
        assert_eq!(leader.raw.last().index, 2, "no proposals, not even its own");
        end(&mut leader);
        leader.work();
        assert_eq!((leader.raw.transferee(), leader.raw.last().index), (None, 3));
        assert_eq!(conf_change_of(leader.raw.entry(3).unwrap()), Ok(ConfChangeV2::default()));
    }
}

#[test]
fn leaving_a_joint_configuration_is_not_held_up_by_the_bound_on_uncommitted_data() {
    let mut setup = Setup::new(1, &[1, 2, 3]);
    setup.config.max_uncommitted_size = 1;
    let (mut leader, appends) = elect(setup.build());
    leader.step(accept(&appends[0]));
    leader.raw.propose_conf_change(&change(&[(AddNode, 4), (AddNode, 5)])).unwrap();
    leader.work();
    leader.raw.step(acknowledgement(2, 1, 1, 2)).unwrap();
    let ready = leader.raw.ready();
    leader.raw.propose("xx".into()).unwrap();
    leader.raw.apply_conf_change(&conf_change_of(&ready.committed_entries[0]).unwrap()).unwrap();
    leader.raw.on_applied(2);
    assert_eq!(leader.raw.last().index, 4, "what it appends to leave has no data");
    assert_eq!(leader.raw.propose("y".into()), Err(Error::TooMuchUncommitted));
}

#[test]
fn changes_are_handed_out_within_the_size_of_a_batch() {
    let mut setup = Setup::new(1, &[1]);
    setup.config.max_committed_size_per_ready = 1;
    let mut leader = elect_alone(setup);
    leader.raw.propose("x".into()).unwrap();
    leader.raw.propose_conf_change(&change(&[(AddLearnerNode, 2)])).unwrap();
    leader.raw.propose("y".into()).unwrap();
    leader.one_ready();
    let mut batches = Vec::new();
    while leader.raw.has_ready() {
        let committed = leader.one_ready().committed_entries;
        batches.extend(Some(committed.len()).filter(|&count| count > 0));
    }
    assert_eq!((batches, leader.raw.applied()), (vec![1, 1, 1], 4));
    assert!(leader.raw.configuration().is_learner(2));
}

/// The leader is gone. Of the two voters that are left, one knows that the other was promoted and needs its vote; that
/// one has the longer log, so it must not give it, and does not know that it may stand itself.
#[test]
fn a_learner_hears_of_its_promotion_from_a_candidate_that_it_refuses() {
    for pre_vote in [false, true] {
        let start = EntryId { term: 5, index: 5 };
        let members = ConfState { learners: vec![3], ..group(&[1, 2]) };
        let log = [entry(6, 6, ""), change_entry(7, 6, &change(&[(AddNode, 3)])), entry(8, 6, "x")];
        let follower = |id, last, commit| {
            let setup = Setup::of_group(id, members.clone(), start).with(|config| config.pre_vote = pre_vote);
            let mut node = setup.build();
            node.step(Message { from: 1, to: id, ..append(6, 5, 5, log[..last].to_vec(), commit) });
            node
        };
        let mut network = Network::of(vec![follower(2, 2, 7), follower(3, 3, 6)]);
        assert!(network.node(2).configuration().is_voter(3) && !network.node(3).configuration().is_voter(3));
        for id in [2, 3, 2, 3] {
            network.campaign(id);
        }
        assert_eq!(network.node(3).role(), Leader, "pre-vote: {pre_vote}");
        assert_eq!(network.node(2).commit(), network.node(3).last().index);
    }
}
