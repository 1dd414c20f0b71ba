//! Reads that bypass the log: rounds of heartbeats, leases, and the promises of voters that leases rest on.

use crate::common::{
    self, ELECTION_TICKS, Network, Node, Setup, accept, append, elect, ids, message, of_kind, settled_leader,
};
use bytes::Bytes;
use raft::Role::{Candidate, Follower, Leader};
use raft::eraftpb::MessageType::*;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, Message};
use raft::{EntryId, Error, RawNode, ReadId, ReadMode, ReadState, Role};

/// How long a lease lasts without a margin, in ticks from when its round began.
const LEASE_TICKS: u64 = ELECTION_TICKS as u64 - 2;

/// An answer of `from` to leader 1 of term 1 about a round.
fn ack(from: u64, round: u64) -> Message {
    let context = Bytes::copy_from_slice(&round.to_be_bytes());
    Message { context, ..message(MsgHeartbeatResponse, from, 1, 1) }
}

/// The rounds of the heartbeats among these messages, with their receivers; 0 for none.
fn rounds(messages: &[Message]) -> Vec<(u64, u64)> {
    let round = |message: &Message| match &message.context[..] {
        [] => 0,
        context => u64::from_be_bytes(context.try_into().unwrap()),
    };
    let heartbeats = messages.iter().filter(|message| message.msg_type == MsgHeartbeat as i32);
    heartbeats.map(|message| (message.to, round(message))).collect()
}

fn served(id: ReadId, index: u64) -> ReadState {
    ReadState { id, index: Some(index) }
}

fn dropped(id: ReadId) -> ReadState {
    ReadState { id, index: None }
}

fn change(changes: &[(ConfChangeType, u64)]) -> ConfChangeV2 {
    let single =
        |&(kind, node_id): &(ConfChangeType, u64)| ConfChangeSingle { change_type: kind as i32, node_id };
    ConfChangeV2 { changes: changes.iter().map(single).collect(), ..ConfChangeV2::default() }
}

// Safe reads.

#[test]
fn read_only_option_safe() {
    for reader in 1..=3 {
        let mut net = Network::new(3);
        net.campaign(1);
        for round in 0..10 {
            net.propose(1, "x");
            let id = net.node_mut(reader).read_index().unwrap();
            net.settle();
            let commit = 2 + round;
            assert_eq!(net.nodes[&reader].reads.last(), Some(&served(id, commit)), "reader {reader}");
        }
        assert_eq!(net.nodes[&reader].reads.len(), 10);
    }
}

#[test]
fn a_read_waits_for_a_quorum_of_its_round() {
    let mut leader = settled_leader(5);
    let id = leader.raw.read_index().unwrap();
    assert_eq!(rounds(&leader.work()), [(2, 1), (3, 1), (4, 1), (5, 1)]);
    leader.step(ack(2, 1));
    leader.step(ack(2, 1));
    assert_eq!(leader.reads, [], "one voter that answers twice is one voter");
    leader.step(ack(3, 1));
    assert_eq!(leader.reads, [served(id, 1)]);
    leader.step(ack(4, 1));
    assert_eq!(leader.reads.len(), 1, "served once");
}

#[test]
fn a_read_is_about_the_commit_at_its_beginning() {
    let mut leader = settled_leader(3);
    let early = leader.raw.read_index().unwrap();
    leader.work();
    let appends = of_kind(common::propose(&mut leader, "x"), MsgAppend);
    leader.step(accept(&appends[0]));
    assert_eq!(leader.raw.commit(), 2);
    leader.step(ack(2, 1));
    assert_eq!(leader.reads, [served(early, 1)]);
}

#[test]
fn reads_of_one_batch_share_a_round() {
    let mut leader = settled_leader(3);
    let first: Vec<ReadId> = (0..3).map(|_| leader.raw.read_index().unwrap()).collect();
    assert_eq!(rounds(&leader.work()), [(2, 1), (3, 1)]);
    let later = leader.raw.read_index().unwrap();
    assert_eq!(rounds(&leader.work()), [(2, 2), (3, 2)], "the heartbeats of the first are out");
    leader.step(ack(3, 1));
    assert_eq!(leader.reads, first.iter().map(|&id| served(id, 1)).collect::<Vec<_>>());
    leader.step(ack(3, 2));
    assert_eq!(leader.reads.last(), Some(&served(later, 1)));
}

/// etcd raft 397: with one context for all heartbeats, a delayed answer confirmed a read that began after it.
#[test]
fn an_answer_to_an_old_round_confirms_no_newer_read() {
    let mut leader = settled_leader(3);
    let old = leader.raw.read_index().unwrap();
    leader.work();
    let new = leader.raw.read_index().unwrap();
    leader.work();
    leader.step(ack(2, 1));
    leader.step(ack(3, 1));
    assert_eq!(leader.reads, [served(old, 1)]);
    leader.step(message(MsgHeartbeatResponse, 2, 1, 1));
    leader.step(ack(2, 3));
    assert_eq!(leader.reads.len(), 1, "neither an answer without a round nor one to a round that was not");
    leader.step(ack(2, 2));
    assert_eq!(leader.reads, [served(old, 1), served(new, 1)]);
}

#[test]
fn a_lost_heartbeat_is_made_up_for_by_the_next() {
    let mut leader = settled_leader(3);
    let id = leader.raw.read_index().unwrap();
    leader.work();
    leader.raw.tick();
    assert_eq!(rounds(&leader.work()), [(2, 2), (3, 2)]);
    leader.step(ack(2, 2));
    assert_eq!(leader.reads, [served(id, 1)]);
    leader.raw.tick();
    assert_eq!(rounds(&leader.work()), [(2, 0), (3, 0)], "nothing waits, so nothing is counted");
}

#[test]
fn learners_read_but_do_not_confirm() {
    let group = ConfState { voters: vec![1, 2, 3], learners: vec![4], ..ConfState::default() };
    let nodes = (1..=4).map(|id| Setup::of_group(id, group.clone(), EntryId::default()).build());
    let mut net = Network::of(nodes.collect());
    net.campaign(1);
    let id = net.node_mut(4).read_index().unwrap();
    net.settle();
    assert_eq!(net.nodes[&4].reads, [served(id, 1)]);
    net.cut(1, 2);
    net.cut(1, 3);
    net.node_mut(4).read_index().unwrap();
    net.settle();
    assert_eq!(net.nodes[&4].reads.len(), 1, "1 and 4 are no quorum of (1 2 3)");
}

#[test]
fn in_a_joint_configuration_both_halves_confirm() {
    let group = ConfState { voters: vec![1, 2, 3], voters_outgoing: vec![1, 4, 5], ..ConfState::default() };
    let mut leader = Setup::of_group(1, group, EntryId::default()).build().into_role(Leader);
    for peer in 2..=5 {
        leader.step(Message { index: 1, ..message(MsgAppendResponse, peer, 1, 1) });
    }
    let id = leader.raw.read_index().unwrap();
    leader.work();
    leader.step(ack(2, 1));
    leader.step(ack(3, 1));
    assert_eq!(leader.reads, []);
    leader.step(ack(5, 1));
    assert_eq!(leader.reads, [served(id, 1)]);
}

#[test]
fn a_group_of_one_confirms_itself() {
    let mut node = Node::new(1, &[1]).into_role(Leader);
    let id = node.raw.read_index().unwrap();
    node.work();
    assert_eq!(node.reads, [served(id, 1)]);
}

#[test]
fn a_follower_passes_its_read_on() {
    let mut follower = Node::in_role(Follower, 3);
    let id = follower.raw.read_index().unwrap();
    let sent = follower.work();
    assert_eq!(sent, [Message { context: sent[0].context.clone(), ..message(MsgReadIndex, 1, 2, 0) }]);
    assert_eq!(sent[0].context.len(), 16);
    let answer =
        Message { index: 7, context: sent[0].context.clone(), ..message(MsgReadIndexResponse, 2, 1, 1) };
    follower.step(answer.clone());
    assert_eq!(follower.reads, [served(id, 7)]);
    let refusal = Message { index: 0, reject: true, ..answer };
    follower.step(refusal);
    assert_eq!(follower.reads[1..], [dropped(id)]);
}

#[test]
fn a_read_needs_a_leader() {
    for role in [Candidate, Role::PreCandidate] {
        let mut node = Setup::new(1, &ids(3)).with(|c| c.pre_vote = role == Role::PreCandidate).build();
        node.raw.campaign();
        assert_eq!(node.raw.role(), role);
        assert_eq!(node.raw.read_index(), Err(Error::NotLeader { leader: None }));
    }
    let mut follower = Node::in_role(Follower, 3);
    let context = Bytes::from_static(&[7; 16]);
    let asked = Message { context: context.clone(), ..message(MsgReadIndex, 3, 1, 0) };
    assert_eq!(
        follower.step(asked),
        [Message { reject: true, context, ..message(MsgReadIndexResponse, 1, 3, 1) }],
        "it does not lead: ask again"
    );
}

#[test]
fn a_repeated_request_is_answered_again() {
    let mut leader = settled_leader(3);
    let asked = Message { context: Bytes::from_static(&[7; 16]), ..message(MsgReadIndex, 3, 1, 0) };
    leader.step(asked.clone());
    leader.step(asked.clone());
    let answers = leader.step(ack(2, 2));
    let answer = Message { index: 1, context: asked.context, ..message(MsgReadIndexResponse, 1, 3, 1) };
    assert_eq!(answers, [answer.clone(), answer]);
    assert_eq!(leader.reads, []);
}

#[test]
fn a_request_without_an_id_is_malformed() {
    for length in [0, 8, 15, 17] {
        let asked = Message { context: vec![0; length].into(), ..message(MsgReadIndex, 3, 1, 0) };
        assert_eq!(settled_leader(3).raw.step(asked), Err(Error::Malformed(MsgReadIndex)), "{length} bytes");
    }
}

#[test]
fn an_answer_to_an_earlier_life_is_not_taken() {
    let mut follower = Node::in_role(Follower, 3);
    let first = follower.raw.read_index().unwrap();
    let asked = follower.work().remove(0);
    follower.restart(&Setup::new(1, &ids(3)).config);
    follower.step(message(MsgHeartbeat, 2, 1, 1));
    let second = follower.raw.read_index().unwrap();
    assert_ne!(first, second);
    follower.step(Message { index: 1, context: asked.context, ..message(MsgReadIndexResponse, 2, 1, 1) });
    assert_eq!(follower.reads, []);
}

#[test]
fn read_only_for_new_leader() {
    let (mut leader, appends) = elect(Setup::new(1, &ids(3)).log(&[1, 1]).build());
    let local = leader.raw.read_index().unwrap();
    let remote = Message { context: Bytes::from_static(&[7; 16]), ..message(MsgReadIndex, 3, 1, 0) };
    assert_eq!(leader.step(remote), [], "what earlier leaders committed is not known yet");
    // What is committed then is 3, not the 0 that was known when the reads began.
    let sent = leader.step(accept(&appends[0]));
    assert_eq!(leader.raw.commit(), 3);
    assert_eq!(rounds(&sent), [(2, 1), (3, 1)]);
    assert_eq!(leader.reads, []);
    let sent = leader.step(Message { term: 2, ..ack(3, 1) });
    assert_eq!(leader.reads, [served(local, 3)]);
    assert_eq!(of_kind(sent, MsgReadIndexResponse)[0].index, 3);
}

#[test]
fn a_change_of_leader_drops_reads() {
    // One that waits for the first commit of the term, and one that waits for its round.
    let mut fresh = elect(Node::new(1, &ids(3))).0;
    for leader in [&mut fresh, &mut settled_leader(3)] {
        let local = leader.raw.read_index().unwrap();
        let context = Bytes::from_static(&[7; 16]);
        leader.step(Message { context: context.clone(), ..message(MsgReadIndex, 3, 1, 0) });
        let sent = leader.step(message(MsgHeartbeat, 2, 1, 2));
        assert_eq!(leader.reads, [dropped(local)]);
        let refusal = Message { reject: true, context, ..message(MsgReadIndexResponse, 1, 3, 2) };
        assert_eq!(of_kind(sent, MsgReadIndexResponse), [refusal]);
        leader.step(ack(2, 1));
        assert_eq!(leader.reads.len(), 1);
    }
}

#[test]
fn a_leader_that_was_deposed_unawares_serves_nothing() {
    let mut net = Network::new(3);
    net.campaign(1);
    net.isolate(1);
    net.campaign(2);
    net.propose(2, "new");
    let id = net.node_mut(1).read_index().unwrap();
    net.settle();
    assert!(net.node(1).is_leader());
    assert_eq!(net.nodes[&1].reads, []);
    net.recover();
    net.beat(1);
    assert_eq!(net.nodes[&1].reads, [dropped(id)]);
}

#[test]
fn a_removed_leader_serves_others_only() {
    let nodes = ids(3)
        .into_iter()
        .map(|id| Setup::new(id, &ids(3)).with(|config| config.step_down_on_removal = false).build());
    let mut net = Network::of(nodes.collect());
    net.campaign(1);
    net.node_mut(1).propose_conf_change(&change(&[(ConfChangeType::RemoveNode, 1)])).unwrap();
    net.settle();
    assert!(net.node(1).is_leader() && net.node(1).voters() == [2, 3]);
    assert_eq!(net.node_mut(1).read_index(), Err(Error::NotMember));
    let id = net.node_mut(2).read_index().unwrap();
    net.settle();
    assert_eq!(net.nodes[&2].reads, [served(id, 2)]);
    // Not counting itself, it needs both.
    net.cut(1, 3);
    net.node_mut(2).read_index().unwrap();
    net.settle();
    assert_eq!(net.nodes[&2].reads.len(), 1);
}

#[test]
fn a_smaller_quorum_serves_what_waited_for_a_larger() {
    let mut leader = settled_leader(5);
    let waiting = leader.raw.read_index().unwrap();
    leader.work();
    leader.step(ack(2, 1));
    assert_eq!(leader.reads, []);
    for gone in [4, 5] {
        let index = leader.raw.propose_conf_change(&change(&[(ConfChangeType::RemoveNode, gone)])).unwrap();
        leader.work();
        for peer in [2, 3] {
            leader.step(Message { index: index.index, ..message(MsgAppendResponse, peer, 1, 1) });
        }
    }
    assert_eq!(leader.raw.voters(), [1, 2, 3]);
    assert_eq!(leader.reads, [served(waiting, 1)]);
}

// Leases.

fn leased(id: u64, voters: &[u64], margin_ticks: u32) -> Setup {
    Setup::new(id, voters).with(|config| {
        config.check_quorum = true;
        config.reads = ReadMode::Lease { margin_ticks };
    })
}

/// Waits until nothing of an earlier life can matter.
fn outlive_promises(mut node: Node) -> Node {
    assert!(node.raw.idle_ticks() >= u64::from(ELECTION_TICKS), "seed: it would campaign");
    node.raw.tick_many(u64::from(ELECTION_TICKS));
    node
}

/// Leader 1 of `size` in term 1, its empty entry committed, and no round answered.
fn leased_leader(size: u64, margin_ticks: u32) -> Node {
    let (mut leader, appends) = elect(outlive_promises(leased(1, &ids(size), margin_ticks).build()));
    for append in appends {
        leader.step(accept(&append));
    }
    assert!(leader.raw.commit() == 1 && !leader.raw.has_lease());
    leader
}

/// One tick passes, and with it a round, whose number is returned.
fn tick_round(leader: &mut Node) -> u64 {
    leader.raw.tick();
    rounds(&leader.work()).first().expect("a heartbeat a tick").1
}

fn leased_network(size: u64, margin_ticks: u32) -> Network {
    let nodes =
        ids(size).into_iter().map(|id| outlive_promises(leased(id, &ids(size), margin_ticks).build()));
    let mut net = Network::of(nodes.collect());
    net.campaign(1);
    net.node_mut(1).tick();
    net.settle();
    assert!(net.node(1).has_lease());
    net
}

#[test]
fn a_lease_lasts_as_long_as_documented() {
    for margin_ticks in 0..=7 {
        let mut leader = leased_leader(3, margin_ticks);
        let round = tick_round(&mut leader);
        leader.step(ack(2, round));
        for elapsed in 0..=LEASE_TICKS - u64::from(margin_ticks) {
            assert!(leader.raw.has_lease(), "margin {margin_ticks}, {elapsed} ticks after");
            leader.raw.tick();
            leader.work();
        }
        assert!(!leader.raw.has_lease(), "margin {margin_ticks}");
        assert!(leader.raw.is_leader());
    }
}

#[test]
fn a_lease_counts_from_when_its_round_began() {
    let mut leader = leased_leader(3, 0);
    let round = tick_round(&mut leader);
    for _ in 0..LEASE_TICKS {
        tick_round(&mut leader);
    }
    leader.step(ack(2, round));
    assert!(leader.raw.has_lease(), "as late as it can be");
    leader.raw.tick();
    assert!(!leader.raw.has_lease());
    leader.step(ack(3, round));
    assert!(!leader.raw.has_lease(), "another answer to the same round says nothing new");
    leader.step(ack(3, round + 2));
    assert!(leader.raw.has_lease(), "a later round began later");
    leader.raw.tick();
    assert!(leader.raw.has_lease());
    leader.raw.tick();
    assert!(!leader.raw.has_lease());
}

#[test]
fn a_lease_needs_a_quorum_of_voters() {
    let group = ConfState {
        voters: vec![1, 2, 3],
        voters_outgoing: vec![1, 4, 5],
        learners: vec![6],
        ..ConfState::default()
    };
    let setup = Setup::of_group(1, group, EntryId::default()).with(|config| {
        config.check_quorum = true;
        config.reads = ReadMode::Lease { margin_ticks: 0 };
    });
    let (mut leader, appends) = elect(outlive_promises(setup.build()));
    appends.iter().for_each(|append| {
        leader.step(accept(append));
    });
    let round = tick_round(&mut leader);
    for (peer, enough) in [(6, false), (2, false), (3, false), (4, true)] {
        leader.step(ack(peer, round));
        assert_eq!(leader.raw.has_lease(), enough, "{peer}");
    }
}

#[test]
fn read_only_option_lease() {
    let mut net = leased_network(3, 0);
    net.propose(1, "x");
    let local = net.node_mut(1).read_index().unwrap();
    assert_eq!(of_kind(net.nodes.get_mut(&1).unwrap().work(), MsgHeartbeat), [], "nobody is asked");
    assert_eq!(net.nodes[&1].reads, [served(local, 2)]);
    let remote = net.node_mut(3).read_index().unwrap();
    net.cut(1, 2);
    net.settle();
    assert_eq!(net.nodes[&3].reads, [served(remote, 2)]);
}

#[test]
fn without_a_lease_a_read_takes_a_round() {
    let mut leader = leased_leader(3, 0);
    let id = leader.raw.read_index().unwrap();
    assert_eq!(rounds(&leader.work()).len(), 2);
    assert_eq!(leader.reads, []);
    leader.step(ack(2, 1));
    assert_eq!(leader.reads, [served(id, 1)]);
    assert!(leader.raw.has_lease(), "and that round renews it");
}

#[test]
fn no_lease_before_a_commit_of_the_term() {
    let (mut leader, appends) = elect(outlive_promises(leased(1, &ids(3), 0).build()));
    let round = tick_round(&mut leader);
    leader.step(ack(2, round));
    assert!(!leader.raw.has_lease());
    let id = leader.raw.read_index().unwrap();
    leader.work();
    assert_eq!(leader.reads, []);
    leader.step(accept(&appends[0]));
    assert!(leader.raw.has_lease());
    assert_eq!(leader.reads, [served(id, 1)]);
}

#[test]
fn a_handed_over_lease_is_gone() {
    let mut leader = leased_leader(3, 0);
    let round = tick_round(&mut leader);
    leader.step(ack(2, round));
    common::propose(&mut leader, "x");
    leader.raw.transfer_leader(3).unwrap();
    leader.work();
    assert!(leader.raw.has_lease(), "3 has to catch up first, and may not campaign yet");
    let sent = leader.step(Message { index: 2, ..message(MsgAppendResponse, 3, 1, 1) });
    assert_eq!(of_kind(sent, MsgTimeoutNow).len(), 1);
    assert!(!leader.raw.has_lease());
    // The message may still arrive when the leader has long given up waiting (etcd raft 99).
    for _ in 0..ELECTION_TICKS {
        let round = tick_round(&mut leader);
        leader.step(ack(2, round));
        assert!(!leader.raw.has_lease());
    }
    assert_eq!(leader.raw.transferee(), None);
    let id = leader.raw.read_index().unwrap();
    leader.work();
    assert_eq!(leader.reads, []);
    leader.step(ack(2, round + u64::from(ELECTION_TICKS) + 1));
    assert_eq!(leader.reads, [served(id, 2)]);
}

#[test]
fn a_pause_ends_the_lease() {
    let mut leader = leased_leader(3, 0);
    let round = tick_round(&mut leader);
    leader.step(ack(2, round));
    let mut longer = Node { raw: leader.raw.clone(), ..Node::new(1, &ids(3)) };
    leader.raw.elapse(LEASE_TICKS);
    assert!(leader.raw.has_lease());
    longer.raw.elapse(LEASE_TICKS + 1);
    assert!(!longer.raw.has_lease());
    assert_eq!(rounds(&longer.work()).len(), 2, "one round for all the ticks");
}

#[test]
fn a_deposed_leader_has_no_lease() {
    let mut leader = leased_leader(3, 0);
    let round = tick_round(&mut leader);
    leader.step(ack(2, round));
    leader.step(message(MsgHeartbeat, 3, 1, 2));
    assert!(!leader.raw.has_lease());
    // And none from an earlier leadership when it leads again.
    leader.time_out();
    assert_eq!((leader.raw.role(), leader.raw.term()), (Candidate, 3));
    leader.work();
    let sent = leader.step(message(MsgRequestVoteResponse, 2, 1, 3));
    leader.step(accept(&of_kind(sent, MsgAppend)[0]));
    assert!(leader.raw.is_leader() && leader.raw.commit() == 2 && !leader.raw.has_lease());
}

// The promise.

fn vote_request(kind: raft::eraftpb::MessageType, from: u64, term: u64) -> Message {
    Message { index: 9, log_term: 1, ..message(kind, from, 1, term) }
}

#[test]
fn who_vouches_for_a_leader_elects_nobody() {
    for kind in [MsgRequestVote, MsgRequestPreVote] {
        for heard in [message(MsgHeartbeat, 2, 1, 1), append(1, 0, 0, Vec::new(), 0)] {
            let mut voter = outlive_promises(leased(1, &ids(3), 0).build());
            voter.step(heard);
            for _ in 0..ELECTION_TICKS {
                assert_eq!(voter.step(vote_request(kind, 3, 2)), []);
                assert_eq!((voter.raw.term(), voter.raw.leader()), (1, Some(2)));
                voter.raw.elapse(1);
            }
            assert!(!voter.step(vote_request(kind, 3, 2))[0].reject);
        }
    }
}

/// An answer of a candidate to what this voter sent it long ago brings the voter into the candidate's term.
/// The leader that it vouches for cannot know of that.
#[test]
fn the_promise_survives_a_change_of_term() {
    let mut voter = outlive_promises(leased(1, &ids(3), 0).build());
    voter.step(message(MsgHeartbeat, 2, 1, 1));
    voter.step(message(MsgHeartbeatResponse, 3, 1, 2));
    assert_eq!((voter.raw.term(), voter.raw.leader(), voter.raw.vote()), (2, None, None));
    for kind in [MsgRequestVote, MsgRequestPreVote] {
        let mut voter = Node { raw: voter.raw.clone(), ..Node::new(1, &ids(3)) };
        let refused = voter.step(vote_request(kind, 3, 2));
        assert!(refused.iter().all(|answer| answer.reject), "{refused:?}");
        assert_eq!(voter.step(vote_request(kind, 3, 3)), []);
        voter.raw.elapse(u64::from(ELECTION_TICKS));
        voter.work();
        assert!(!voter.step(vote_request(kind, 3, 2))[0].reject);
    }
    let forced = Message { context: "transfer".into(), ..vote_request(MsgRequestVote, 3, 2) };
    assert!(!voter.step(forced)[0].reject, "but for a candidate that the leader itself wants");
}

#[test]
fn who_just_started_vouches_for_its_earlier_life() {
    let mut voter = leased(1, &ids(3), 0).term(1).build();
    voter.raw.campaign();
    assert_eq!(voter.raw.role(), Follower);
    voter.raw.elapse(u64::from(ELECTION_TICKS) - 1);
    assert_eq!(voter.step(vote_request(MsgRequestVote, 3, 2)), []);
    voter.raw.elapse(1);
    assert!(!voter.step(vote_request(MsgRequestVote, 3, 2))[0].reject);
    // Without leases nothing depends on it.
    let mut voter = Setup::new(1, &ids(3)).term(1).with(|config| config.check_quorum = true).build();
    assert!(!voter.step(vote_request(MsgRequestVote, 3, 2))[0].reject);
}

#[test]
fn no_order_breaks_the_promise() {
    let mut voter = outlive_promises(leased(1, &ids(3), 0).build());
    voter.step(message(MsgHeartbeat, 2, 1, 1));
    voter.raw.tick_many(u64::from(ELECTION_TICKS) - 1);
    voter.raw.campaign();
    assert_eq!((voter.raw.role(), voter.raw.term()), (Follower, 1));
    assert_eq!(voter.raw.forget_leader(), Err(Error::Leased));
    assert_eq!(voter.raw.leader(), Some(2));
    voter.raw.tick();
    voter.raw.campaign();
    assert_eq!(voter.raw.role(), Candidate);
    // check_quorum alone makes no such promise.
    let mut voter = Setup::new(1, &ids(3)).with(|config| config.check_quorum = true).build();
    voter.step(message(MsgHeartbeat, 2, 1, 1));
    voter.raw.campaign();
    assert_eq!(voter.raw.role(), Candidate);
}

// Clocks.

/// A leader whose ticks take `leader_tick` units of time, and two voters whose ticks take `voter_tick`. Only
/// voter 2 can hear the leader, for the last time `sent` units after a tick of the leader and `phase` units
/// before its own next tick. Voter 3 campaigns whenever that could have become possible. True if at any
/// moment the leader has a lease although another leader was elected.
fn two_leaders(net: &Network, leader_tick: u64, voter_tick: u64, sent: u64, phase: u64) -> bool {
    let mut nodes: Vec<RawNode> = ids(3).iter().map(|&id| net.node(id).clone()).collect();
    nodes[0].tick();
    let exchange = |nodes: &mut Vec<RawNode>, pairs: &[(usize, usize)]| {
        while pairs.iter().any(|&(a, b)| nodes[a].has_ready() || nodes[b].has_ready()) {
            for id in 1..=3 {
                let Some(&(a, b)) = pairs.iter().find(|&&(a, b)| a + 1 == id || b + 1 == id) else {
                    continue;
                };
                let from = id - 1;
                let peer = if from == a { b } else { a };
                let ready = nodes[from].ready();
                nodes[from].advance(&ready);
                let sent = ready.messages.into_iter().chain(ready.persisted_messages);
                for message in sent.filter(|message| message.to == peer as u64 + 1) {
                    nodes[peer].step(message).unwrap();
                }
            }
        }
    };
    // The last thing that 2 hears of the leader.
    nodes[0].step(message(MsgBeat, 1, 1, 0)).unwrap();
    exchange(&mut nodes, &[(0, 1)]);
    assert!(nodes[0].has_lease());
    for time in 0.. {
        if (sent + time).is_multiple_of(leader_tick) && time > 0 {
            nodes[0].tick();
            // To nobody.
            let ready = nodes[0].ready();
            nodes[0].advance(&ready);
        }
        if !nodes[0].has_lease() {
            return false;
        }
        if time % voter_tick == phase {
            nodes[1].elapse(1);
            nodes[2].elapse(1);
            nodes[2].campaign();
            exchange(&mut nodes, &[(1, 2)]);
            if nodes[1].is_leader() || nodes[2].is_leader() {
                return nodes[0].has_lease();
            }
        }
    }
    unreachable!()
}

/// The documented bound: `(E - 1 - margin) * leader_tick <= (E - 1) * voter_tick`. Within it there is never a
/// second leader under a lease, whatever the phases; beyond it there can be one.
#[test]
fn a_lease_is_safe_exactly_up_to_the_documented_drift() {
    let full = u64::from(ELECTION_TICKS) - 1;
    let mut both = [0, 0];
    for margin in [0, 1, 2, 4] {
        let mut net = leased_network(3, margin);
        net.isolate(3);
        net.node_mut(3).elapse(u64::from(ELECTION_TICKS));
        net.settle();
        for (leader_tick, voter_tick) in
            [(9, 9), (9, 10), (9, 8), (8, 7), (9, 7), (10, 7), (8, 6), (4, 3), (9, 5), (7, 4), (9, 4)]
        {
            let documented = (full - u64::from(margin)) * leader_tick <= full * voter_tick;
            let broken = (0..leader_tick).any(|sent| {
                (0..voter_tick).any(|phase| two_leaders(&net, leader_tick, voter_tick, sent, phase))
            });
            assert_eq!(documented, !broken, "margin {margin}, ticks of {leader_tick} and {voter_tick}");
            both[usize::from(broken)] += 1;
        }
    }
    assert!(both[0] >= 10 && both[1] >= 10, "safe and unsafe settings: {both:?}");
}
