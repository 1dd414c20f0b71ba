//! Elections, and what keeps them from disturbing a group that works.

use raft::Role::{Candidate, Follower, Leader, PreCandidate};
use raft::eraftpb::ConfChangeTransition::Auto;
use raft::eraftpb::{ConfState, MessageType};
use raft::{Error, ReadMode};

use crate::story::Story;

#[test]
fn campaign() {
    let mut story = Story::of(3, 2, |_| {});
    story.tell("1 asks for votes. Its own one is durable before the requests leave.");
    story.campaign(1);
    assert_eq!((story[1].role(), story[1].term(), story[1].vote()), (Candidate, 2, Some(1)));
    story.settle_all();
    story.tell("The empty entry of its term is committed, and everybody knows.");
    story.roles();
    for id in 1..=3 {
        assert_eq!((story[id].term(), story[id].leader()), (2, Some(1)));
        assert_eq!((story[id].commit(), story.log_terms(id)), (3, vec![2]));
    }
    insta::assert_snapshot!(story.text());
}

#[test]
fn single_node() {
    let mut story = Story::of(1, 3, |_| {});
    story.tell("A group of one elects itself when its vote is durable, not before.");
    story.campaign(1);
    assert_eq!(story[1].role(), Candidate);
    story.ready(1);
    assert_eq!((story[1].role(), story[1].commit()), (Leader, 3));
    story.tell("Nor does it commit an entry in the batch that writes it.");
    let ready = story.ready(1);
    assert_eq!((ready.entries.len(), ready.committed_entries.len()), (1, 0));
    assert_eq!(story[1].commit(), 4);
    story.settle_all();
    assert_eq!(story[1].applied(), 4);
    insta::assert_snapshot!(story.text());
}

#[test]
fn campaign_learner_must_vote() {
    let mut story = Story::default();
    story.group(
        1..=3,
        &ConfState { voters: vec![1, 2], learners: vec![3], ..ConfState::default() },
        2,
        |_| {},
    );
    story.elect(1);
    story.tell("3 is promoted, but does not hear of it.");
    story.change(1, "v3", Auto).unwrap();
    story.settle(&[1, 2]);
    story.lose(3);
    assert!(story[2].configuration().is_voter(3) && story[3].configuration().is_learner(3));
    story.tell(
        "1 is gone. 2 needs the vote of 3, which votes although it believes to be a learner (etcd 10998).",
    );
    story.campaign(2);
    story.ready(2);
    story.settle(&[3]);
    assert_eq!((story[3].term(), story[3].vote()), (3, Some(2)));
    story.tell("Elected, 2 brings it up to date.");
    story.settle(&[2, 3]);
    assert_eq!((story[2].role(), story[2].commit()), (Leader, 5));
    assert!(story[3].configuration().is_voter(3));
    insta::assert_snapshot!(story.text());
}

#[test]
fn checkquorum() {
    let mut story = Story::of(3, 10, |config| config.check_quorum = true);
    story.elect(1);
    story.tell("2 campaigns although there is a leader: the others do not even enter its term.");
    story.campaign(2);
    story.settle_all();
    assert_eq!([1, 2, 3].map(|id| story[id].term()), [2, 3, 2]);
    story.tell(
        "Nothing that 1 sends is answered in time. After a first interval, which began with answers, \
                it steps down.",
    );
    story.tick(1, 3);
    assert!(story[1].is_leader());
    story.tick(1, 3);
    assert_eq!((story[1].role(), story[1].term()), (Follower, 2));
    story.tell("The network was only slow. Now the answer of 2 tells its term.");
    story.settle_all();
    assert_eq!([1, 2, 3].map(|id| story[id].term()), [3, 3, 2]);
    story.tell("1 has no leader to stay with. 3 has: it heard from 1 a moment ago.");
    story.campaign(2);
    story.ready(2);
    story.deliver(1);
    story.deliver(3);
    assert_eq!([story[1].vote(), story[3].vote()], [Some(2), Some(1)]);
    story.settle_all();
    assert_eq!((story[2].role(), story[3].leader()), (Leader, Some(2)));
    insta::assert_snapshot!(story.text());
}

#[test]
fn prevote() {
    let mut story = Story::of(3, 10, |config| config.pre_vote = true);
    story.elect(1);
    story.tell("An entry that 3 does not get.");
    story.propose(1, "one").unwrap();
    story.settle(&[1, 2]);
    story.lose(3);
    story.tell("3 asks whether it could win, with a log that is behind. Both say no, so the term stays.");
    story.campaign(3);
    assert_eq!(story[3].role(), PreCandidate);
    story.settle_all();
    assert_eq!([1, 2, 3].map(|id| story[id].term()), [2, 2, 2]);
    assert_eq!((story[1].role(), story[3].role()), (Leader, Follower));
    story.tell("2 could win. A leader is known, but without check_quorum that is no reason to say no.");
    story.campaign(2);
    story.settle_all();
    assert_eq!((story[2].role(), story[2].term()), (Leader, 3));
    assert_eq!(story.log_terms(3), [2, 2, 3]);
    insta::assert_snapshot!(story.text());
}

#[test]
fn prevote_checkquorum() {
    let mut story = Story::of(3, 10, |config| (config.pre_vote, config.check_quorum) = (true, true));
    story.elect(1);
    story.tell("2 asks for pre-votes and is ignored: the others have a leader.");
    story.campaign(2);
    story.settle_all();
    assert_eq!((story[2].role(), story[2].term()), (PreCandidate, 2));
    story.tell(
        "It asked, so it gave up its leader itself, and 3 gets its pre-vote, and its vote. It is a quorum's \
                right to replace a leader that it believes dead.",
    );
    story.campaign(3);
    story.settle_all();
    assert_eq!((story[3].role(), story[3].term()), (Leader, 3));
    story.tell("An election timeout without a heartbeat frees a voter, too.");
    assert!(story[2].idle_ticks() >= 3, "2 itself does not stand meanwhile");
    story.tick(2, 2);
    story.campaign(1);
    story.settle(&[1, 2]);
    assert_eq!((story[1].role(), story[2].term()), (PreCandidate, 3));
    story.lose(3);
    story.tick(2, 1);
    story.campaign(1);
    story.settle_all();
    assert_eq!((story[1].role(), story[1].term()), (Leader, 4));
    insta::assert_snapshot!(story.text());
}

#[test]
fn forget_leader() {
    let mut story = Story::of(3, 10, |_| {});
    story.group(
        [4],
        &ConfState { voters: vec![1, 2, 3], learners: vec![4], ..ConfState::default() },
        10,
        |_| {},
    );
    story.elect(1);
    story.tell("A leader does not forget itself; followers and learners forget it, in the same term.");
    for id in [1, 2, 3] {
        story.forget_leader(id).unwrap();
    }
    story.roles();
    assert_eq!([1, 2, 3].map(|id| story[id].leader()), [Some(1), None, None]);
    story.tell("Without a leader, nothing can be passed on to it.");
    assert_eq!(story.transfer(2, 3), Err(Error::NotLeader { leader: None }));
    story.tell("Again is no harm, and the next heartbeat brings the leader back.");
    story.forget_leader(2).unwrap();
    story.tick(1, 1);
    story.settle_all();
    assert_eq!([2, 3].map(|id| (story[id].leader(), story[id].term())), [(Some(1), 2); 2]);
    insta::assert_snapshot!(story.text());
}

#[test]
fn forget_leader_prevote_checkquorum() {
    let mut story = Story::of(3, 10, |config| (config.pre_vote, config.check_quorum) = (true, true));
    story.elect(1);
    story.tell("2 has a leader, so it ignores 3.");
    story.campaign(3);
    story.ready(3);
    story.settle(&[1, 2]);
    assert!(story.wire_to(3).is_empty());
    story.tell("The leader asserts itself.");
    story.tick(1, 1);
    story.settle_all();
    assert_eq!([2, 3].map(|id| story[id].leader()), [Some(1); 2]);
    story.tell("2 is told that the leader is gone: now it takes part in an election.");
    story.forget_leader(2).unwrap();
    story.campaign(3);
    story.settle_all();
    assert_eq!((story[3].role(), story[3].term(), story[2].vote()), (Leader, 3, Some(3)));
    story.tell("To forget the leader is not to forget the rules. 1 lacks an entry, so it gets no pre-vote.");
    story.propose(3, "one").unwrap();
    story.ready(3);
    story.lose(1);
    story.settle(&[2]);
    story.forget_leader(2).unwrap();
    story.campaign(1);
    story.ready(1);
    story.settle(&[2]);
    assert!(story.wire_to(1).iter().any(|message| {
        message.msg_type == MessageType::MsgRequestPreVoteResponse as i32 && message.reject
    }));
    story.settle_all();
    assert_eq!((story[3].role(), story[3].term(), story[1].term()), (Leader, 3, 3));
    insta::assert_snapshot!(story.text());
}

#[test]
fn forget_leader_read_only_lease_based() {
    let mut story = Story::of(3, 10, |config| {
        config.seed += 20;
        config.check_quorum = true;
        config.reads = ReadMode::Lease { margin_ticks: 0 };
    });
    story.tell("Who just started may have vouched for a lease before, so nobody stands at once.");
    story.campaign(1);
    assert_eq!((story[1].role(), story[1].term()), (Follower, 1));
    story.tell("An election timeout later, 1 may stand and 2 may vote.");
    for id in 1..=2 {
        assert!(story[id].idle_ticks() >= 3, "{id} does not stand by itself");
        story.tick(id, 3);
    }
    story.elect(1);
    story.tell("With leases, voters must not forget what they promised.");
    assert_eq!(story.forget_leader(2), Err(Error::Leased));
    assert_eq!(story[2].leader(), Some(1));
    story.campaign(2);
    assert_eq!((story[2].role(), story[2].term()), (Follower, 2));
    insta::assert_snapshot!(story.text());
}
