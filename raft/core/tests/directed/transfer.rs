//! Leader transfer: the tests of TinyKV's group 3A that are about it under their own names, then what it
//! means for proposals and for voters, and election priorities.

use crate::common::{
    ELECTION_TICKS, Network, Node, Setup, accept, append, applied_data, change, elect, entries, entry, group,
    message, of_kind, propose, settled_leader,
};
use raft::Role::{Candidate, Follower, Leader};
use raft::eraftpb::ConfChangeType::{AddLearnerNode, RemoveNode};
use raft::eraftpb::MessageType::*;
use raft::eraftpb::{ConfState, Message};
use raft::{EntryId, Error, Role};

/// Three replicas, led by 1.
fn led() -> Network {
    let mut network = Network::new(3);
    network.campaign(1);
    network
}

fn roles(network: &Network) -> [Role; 3] {
    [1, 2, 3].map(|id| network.node(id).role())
}

fn transfer(network: &mut Network, by: u64, to: u64) {
    network.node_mut(by).transfer_leader(to).unwrap();
    network.settle();
}

fn assert_leader(network: &Network, leader: u64, term: u64) {
    for id in 1..=3 {
        assert_eq!((network.node(id).leader(), network.node(id).term()), (Some(leader), term), "{id}");
    }
    assert_eq!((network.node(leader).role(), network.node(leader).transferee()), (Leader, None));
}

#[test]
fn leader_transfer_to_up_to_date_node() {
    let mut network = led();
    transfer(&mut network, 1, 2);
    assert_leader(&network, 2, 2);
    network.propose(2, "x");
    transfer(&mut network, 2, 1);
    assert_leader(&network, 1, 3);
}

#[test]
fn leader_transfer_to_up_to_date_node_from_follower() {
    let mut network = led();
    network.node_mut(2).transfer_leader(2).unwrap();
    let asked = Message { index: 2, ..message(MsgTransferLeader, 2, 1, 0) };
    assert_eq!(network.nodes.get_mut(&2).unwrap().work(), std::slice::from_ref(&asked));
    network.send(asked);
    network.settle();
    assert_leader(&network, 2, 2);
    network.propose(2, "x");
    transfer(&mut network, 1, 1);
    assert_leader(&network, 1, 3);
}

#[test]
fn leader_transfer_to_slow_follower() {
    let mut network = led();
    network.isolate(3);
    network.propose(1, "x");
    network.recover();
    assert!(network.node(1).progress(3).unwrap().matched() < network.node(1).last().index);
    transfer(&mut network, 1, 3);
    assert_leader(&network, 3, 2);
    assert_eq!(applied_data(&network.nodes[&3]), [b"x"]);
}

#[test]
fn leader_transfer_after_snapshot() {
    let mut network = led();
    network.isolate(3);
    network.propose(1, "x");
    network.nodes.get_mut(&1).unwrap().compact(2);
    network.recover();
    transfer(&mut network, 1, 3);
    assert_leader(&network, 3, 2);
    assert_eq!(network.nodes[&3].restored.len(), 1);
}

#[test]
fn leader_transfer_to_self() {
    let mut network = led();
    transfer(&mut network, 1, 1);
    assert_leader(&network, 1, 1);
}

#[test]
fn leader_transfer_to_non_existing_node() {
    let mut network = led();
    transfer(&mut network, 1, 4);
    assert_leader(&network, 1, 1);
    assert!(network.node_mut(1).propose("x".into()).is_ok());
}

#[test]
fn leader_transfer_remove_node() {
    let mut network = led();
    network.ignore(MsgTimeoutNow);
    transfer(&mut network, 1, 3);
    assert_eq!(network.node(1).transferee(), Some(3));
    network.node_mut(1).apply_conf_change(&change(&[(RemoveNode, 3)])).unwrap();
    assert_eq!((network.node(1).role(), network.node(1).transferee()), (Leader, None));
    assert!(network.node_mut(1).propose("x".into()).is_ok());
}

#[test]
fn leader_transfer_receive_higher_term_vote() {
    let mut network = led();
    network.isolate(3);
    transfer(&mut network, 1, 3);
    assert_eq!(network.node(1).transferee(), Some(3));
    network.campaign(2);
    assert_eq!(roles(&network), [Follower, Leader, Follower]);
    assert_eq!((network.node(1).term(), network.node(1).transferee()), (2, None));
}

#[test]
fn leader_transfer_back() {
    let mut network = led();
    network.isolate(3);
    transfer(&mut network, 1, 3);
    assert_eq!(network.node(1).transferee(), Some(3));
    transfer(&mut network, 1, 1);
    assert_eq!(network.node(1).transferee(), None);
    network.propose(1, "x");
    assert_eq!((roles(&network), network.node(1).commit()), ([Leader, Follower, Follower], 2));
}

#[test]
fn leader_transfer_second_transfer_to_another_node() {
    let mut network = led();
    network.isolate(3);
    transfer(&mut network, 1, 3);
    transfer(&mut network, 1, 2);
    assert_eq!(roles(&network), [Follower, Leader, Follower]);
    assert_eq!(network.node(1).term(), 2);
}

#[test]
fn transfer_non_member() {
    let mut node = Node::new(1, &[2, 3, 4]);
    assert_eq!(node.step(message(MsgTimeoutNow, 2, 1, 1)), []);
    for from in [2, 3] {
        node.step(message(MsgRequestVoteResponse, from, 1, 1));
    }
    assert_eq!(node.raw.role(), Follower);
}

// Ours.

#[test]
fn an_up_to_date_target_is_told_at_once_and_a_lagging_one_when_it_caught_up() {
    let mut leader = settled_leader(3);
    leader.raw.transfer_leader(2).unwrap();
    assert_eq!(leader.work(), [message(MsgTimeoutNow, 1, 2, 1)]);

    let mut leader = settled_leader(3);
    let sent = propose(&mut leader, "x");
    leader.raw.transfer_leader(3).unwrap();
    // The append to it may be lost, so another asks how far it is.
    let asks = Message { index: 2, log_term: 1, commit: 1, ..message(MsgAppend, 1, 3, 1) };
    assert_eq!(leader.work(), [asks]);
    let to_3 = sent.iter().find(|append| append.to == 3).unwrap();
    assert_eq!(of_kind(leader.step(accept(to_3)), MsgTimeoutNow), [message(MsgTimeoutNow, 1, 3, 1)]);
    // Told once; what another peer says has nothing to do with it.
    assert!(of_kind(leader.step(accept(&sent[0])), MsgTimeoutNow).is_empty());
}

#[test]
fn no_proposals_during_a_transfer() {
    let mut leader = settled_leader(3);
    leader.raw.transfer_leader(2).unwrap();
    leader.work();
    let forwarded = Message { entries: vec![entry(0, 0, "x")], ..message(MsgPropose, 3, 1, 0) };
    for refused in [
        leader.raw.propose("x".into()).map(drop),
        leader.raw.propose_conf_change(&change(&[(RemoveNode, 3)])).map(drop),
        leader.raw.step(forwarded),
    ] {
        assert_eq!(refused, Err(Error::Transferring { to: 2 }));
    }
    assert_eq!((leader.raw.last().index, leader.raw.has_ready()), (1, false));
}

#[test]
fn a_transfer_ends_after_an_election_timeout() {
    let mut leader = settled_leader(3);
    leader.raw.tick_many(7);
    leader.raw.transfer_leader(3).unwrap();
    leader.raw.tick_many(5);
    // The same wish again changes nothing, not even the time it has.
    leader.work();
    leader.raw.transfer_leader(3).unwrap();
    assert!(!leader.raw.has_ready());
    leader.raw.tick_many(u64::from(ELECTION_TICKS) - 6);
    assert_eq!(leader.raw.transferee(), Some(3));
    assert_eq!(leader.raw.idle_ticks(), 0);
    leader.raw.tick();
    assert_eq!((leader.raw.role(), leader.raw.transferee()), (Leader, None));
    assert!(leader.raw.propose("x".into()).is_ok());
}

#[test]
fn only_a_voter_can_be_handed_to() {
    let conf_state = ConfState { learners: vec![3], ..group(&[1, 2]) };
    let (mut leader, appends) = elect(Setup::of_group(1, conf_state, EntryId::default()).build());
    appends.iter().for_each(|append| drop(leader.step(accept(append))));
    leader.raw.transfer_leader(3).unwrap();
    assert_eq!((leader.raw.transferee(), leader.raw.has_ready()), (None, false));
    // A senseless wish does not take back a good one.
    leader.raw.transfer_leader(2).unwrap();
    for senseless in [3, 9] {
        leader.raw.transfer_leader(senseless).unwrap();
        assert_eq!(leader.raw.transferee(), Some(2));
    }
}

#[test]
fn a_transfer_ends_when_its_target_becomes_a_learner() {
    let mut leader = settled_leader(3);
    leader.raw.transfer_leader(3).unwrap();
    leader.raw.apply_conf_change(&change(&[(AddLearnerNode, 2)])).unwrap();
    assert_eq!(leader.raw.transferee(), Some(3));
    leader.raw.apply_conf_change(&change(&[(AddLearnerNode, 3)])).unwrap();
    assert_eq!(leader.raw.transferee(), None);
}

#[test]
fn a_wish_needs_a_leader() {
    let mut node = Node::new(1, &[1, 2, 3]);
    assert_eq!(node.raw.transfer_leader(2), Err(Error::NotLeader { leader: None }));
    // One that comes to somebody who does not lead any more is dropped.
    let asked = Message { index: 3, ..message(MsgTransferLeader, 2, 1, 0) };
    assert_eq!(Node::in_role(Follower, 3).step(asked), []);
}

#[test]
fn only_a_follower_that_may_stand_obeys() {
    let mut follower = Node::in_role(Follower, 3);
    let sent = follower.step(message(MsgTimeoutNow, 2, 1, 1));
    let forced = Message { context: "transfer".into(), ..message(MsgRequestVote, 1, 2, 2) };
    assert_eq!(sent, [forced.clone(), Message { to: 3, ..forced }]);

    for role in [Candidate, Leader] {
        let mut node = Node::in_role(role, 3);
        assert_eq!(node.step(message(MsgTimeoutNow, 2, 1, 1)), []);
        assert_eq!((node.raw.role(), node.raw.term()), (role, 1));
    }
    let learns = ConfState { learners: vec![1], ..group(&[2, 3]) };
    let mut learner = Setup::of_group(1, learns, EntryId::default()).build();
    assert_eq!(learner.step(message(MsgTimeoutNow, 2, 1, 1)), []);
    // One of a term that is over.
    let mut node = Setup::new(1, &[1, 2, 3]).term(2).build();
    assert_eq!(node.step(message(MsgTimeoutNow, 2, 1, 1)), []);
    assert_eq!((node.raw.role(), node.raw.term()), (Follower, 2));
}

#[test]
fn a_transfer_asks_no_pre_votes_and_is_not_kept_up_by_loyalty() {
    let nodes = (1..=3).map(|id| {
        let setup = Setup::new(id, &[1, 2, 3]);
        setup.with(|config| (config.pre_vote, config.check_quorum) = (true, true)).build()
    });
    let mut network = Network::of(nodes.collect());
    network.campaign(1);
    network.ignore(MsgRequestPreVote);
    transfer(&mut network, 1, 2);
    assert_leader(&network, 2, 2);
}

// Priority.

/// What a voter of this priority answers to a candidate of another, both with this log.
fn refuses(priority: i64, candidate: i64, log: &[u64], last: EntryId) -> bool {
    let mut voter = Setup::new(1, &[1, 2, 3]).log(log).with(|config| config.priority = priority).build();
    let mut stands = Setup::new(2, &[1, 2, 3]).with(|config| config.priority = candidate).build();
    stands.step(Message {
        to: 2,
        from: 3,
        ..append(last.term, 0, 0, entries(1, &vec![last.term; last.index as usize]), 0)
    });
    stands.raw.campaign();
    let request = stands.work().into_iter().find(|request| request.to == 1).unwrap();
    let answer = voter.step(request).remove(0);
    assert_eq!(answer.msg_type, MsgRequestVoteResponse as i32);
    assert_eq!(voter.raw.vote(), Some(2).filter(|_| !answer.reject));
    answer.reject
}

#[test]
fn of_equal_logs_a_higher_priority_wins() {
    let equal = EntryId { term: 1, index: 2 };
    for (voter, candidate, refused) in [
        (0, 0, false),
        (1, 0, true),
        (1, 1, false),
        (1, 2, false),
        (0, -1, true),
        (-1, 0, false),
        (-1, -2, true),
    ] {
        assert_eq!(refuses(voter, candidate, &[1, 1], equal), refused, "{voter} asked by {candidate}");
    }
}

#[test]
fn a_newer_log_wins_whatever_the_priority() {
    for last in [EntryId { term: 1, index: 3 }, EntryId { term: 2, index: 1 }] {
        assert!(!refuses(9, 0, &[1, 1], last));
    }
    // Nor does priority make up for entries that are missing.
    assert!(refuses(0, 9, &[1, 1], EntryId { term: 1, index: 1 }));
}

#[test]
fn a_transfer_passes_over_priorities() {
    let nodes =
        (1..=3).map(|id| Setup::new(id, &[1, 2, 3]).with(|config| config.priority = 4 - id as i64).build());
    let mut network = Network::of(nodes.collect());
    network.campaign(3);
    assert_eq!(network.node(3).role(), Follower, "nobody's first choice");
    network.campaign(1);
    transfer(&mut network, 1, 3);
    assert_eq!(network.node(3).role(), Leader);
}

#[test]
fn priorities_count_in_pre_votes_and_may_change() {
    let nodes = (1..=3).map(|id| Setup::new(id, &[1, 2, 3]).with(|config| config.pre_vote = true).build());
    let mut network = Network::of(nodes.collect());
    for id in [1, 2] {
        network.node_mut(id).set_priority(5);
    }
    network.campaign(3);
    assert_eq!((network.node(3).role(), network.node(3).term()), (Follower, 0));
    network.node_mut(3).set_priority(5);
    network.campaign(3);
    assert_eq!((network.node(3).role(), network.node(3).term()), (Leader, 1));
}

#[test]
fn a_caller_that_sleeps_wakes_for_the_deadline_of_a_transfer() {
    let (mut leader, _) = elect(Setup::new(1, &[1, 2, 3]).with(|config| config.heartbeat_ticks = 9).build());
    leader.raw.tick_many(5);
    leader.raw.transfer_leader(2).unwrap();
    let mut passed = 0;
    while leader.raw.transferee().is_some() {
        let ticks = leader.raw.idle_ticks() + 1;
        leader.raw.elapse(ticks);
        leader.work();
        passed += ticks;
    }
    assert_eq!(passed, u64::from(ELECTION_TICKS));
}
