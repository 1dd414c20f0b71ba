//! What keeps elections from disturbing a group that works: asking before standing (pre-vote), staying with a
//! leader that is heard from, and leaders that step down when they are not (check quorum).

use crate::common::{ELECTION_TICKS, Network, Node, Setup, accept, append, elect, ids, message, of_kind};
use raft::Role::{self, Candidate, Follower, Leader, PreCandidate};
use raft::eraftpb::MessageType::{self, *};
use raft::eraftpb::{ConfState, Message};
use raft::{Config, EntryId};

fn pre_vote(config: &mut Config) {
    config.pre_vote = true;
}

fn check_quorum(config: &mut Config) {
    config.check_quorum = true;
}

fn both(config: &mut Config) {
    (config.pre_vote, config.check_quorum) = (true, true);
}

fn network(size: u64, change: fn(&mut Config)) -> Network {
    Network::of(ids(size).into_iter().map(|id| Setup::new(id, &ids(size)).with(change).build()).collect())
}

fn roles(net: &Network) -> Vec<Role> {
    net.nodes.values().map(|node| node.raw.role()).collect()
}

fn terms(net: &Network) -> Vec<u64> {
    net.nodes.values().map(|node| node.raw.term()).collect()
}

/// Time passes for a follower as if its leader were silent, but not enough for it to stand.
fn miss_the_leader(net: &mut Network, id: u64) {
    let ticks = u64::from(ELECTION_TICKS);
    assert!(net.node(id).idle_ticks() >= ticks, "seed: {id} would stand");
    net.node_mut(id).tick_many(ticks);
}

/// A request for a vote for a log that is as new as `node`'s.
fn request(kind: MessageType, from: u64, term: u64, node: &Node) -> Message {
    let EntryId { term: log_term, index } = node.raw.last();
    Message { index, log_term, ..message(kind, from, node.raw.id(), term) }
}

// Pre-vote.

#[test]
fn pre_candidate_keeps_term_and_vote() {
    let mut node = Setup::new(1, &ids(3)).with(pre_vote).log(&[1]).term(2).vote(3).build();
    node.time_out();
    assert_eq!((node.raw.role(), node.raw.term(), node.raw.vote()), (PreCandidate, 2, Some(3)));
    let ready = node.one_ready();
    assert!(!ready.must_sync && ready.hard_state.is_none(), "it promises nothing");
    let asks = |to| Message { index: 1, log_term: 1, ..message(MsgRequestPreVote, 1, to, 3) };
    assert_eq!(ready.messages, [asks(2), asks(3)]);
    let sent = node.step(message(MsgRequestPreVoteResponse, 3, 1, 3));
    assert_eq!((node.raw.role(), node.raw.term(), node.raw.vote()), (Candidate, 3, Some(1)));
    let asks = |to| Message { index: 1, log_term: 1, ..message(MsgRequestVote, 1, to, 3) };
    assert_eq!(sent, [asks(2), asks(3)]);
}

#[test]
fn pre_candidate_needs_a_quorum() {
    for (size, grants, refusals, role) in [
        (1, 0, 0, Leader),
        (2, 0, 0, PreCandidate),
        (3, 0, 0, PreCandidate),
        (3, 1, 0, Candidate),
        (3, 0, 1, PreCandidate),
        (3, 0, 2, Follower),
        (5, 1, 2, PreCandidate),
        (5, 2, 2, Candidate),
        (5, 1, 3, Follower),
    ] {
        let mut node = Setup::new(1, &ids(size)).with(pre_vote).build();
        node.raw.campaign();
        node.work();
        for from in 2..2 + grants {
            node.step(message(MsgRequestPreVoteResponse, from, 1, 1));
        }
        for from in 2 + grants..2 + grants + refusals {
            node.step(Message { reject: true, ..message(MsgRequestPreVoteResponse, from, 1, 0) });
        }
        let term = u64::from(matches!(role, Candidate | Leader));
        assert_eq!((node.raw.role(), node.raw.term()), (role, term), "{size}: {grants} yes, {refusals} no");
    }
}

#[test]
fn a_granted_pre_vote_changes_nothing() {
    let mut voter = Setup::new(1, &ids(3)).with(pre_vote).log(&[1]).build();
    let left = voter.raw.idle_ticks();
    voter.raw.tick_many(5);
    let asked = request(MsgRequestPreVote, 2, 2, &voter);
    assert_eq!(voter.step(asked.clone()), [message(MsgRequestPreVoteResponse, 1, 2, 2)]);
    assert_eq!(voter.step(Message { from: 3, ..asked }), [message(MsgRequestPreVoteResponse, 1, 3, 2)]);
    assert_eq!((voter.raw.term(), voter.raw.vote()), (1, None));
    assert_eq!(voter.raw.idle_ticks(), left - 5, "nor does it restart the timer");
}

/// etcd's table of who gets a pre-vote or vote, with this library's order: a higher term first.
#[test]
fn pre_votes_follow_the_rules_of_votes() {
    for (log_term, index, up_to_date) in
        [(1, 9, false), (2, 2, false), (2, 3, true), (2, 4, true), (3, 1, true)]
    {
        for vote in [0, 2, 3] {
            let mut voter = Setup::new(1, &ids(3)).with(pre_vote).log(&[2, 2, 2]).term(3).vote(vote).build();
            let asked = Message { index, log_term, ..message(MsgRequestPreVote, 2, 1, 4) };
            let answer = voter.step(asked.clone()).remove(0);
            assert_eq!(answer.reject, !up_to_date, "{log_term}/{index}: a later term is open to all");
            assert_eq!(answer.term, if up_to_date { 4 } else { 3 });
            let answer = voter.step(Message { term: 3, ..asked }).remove(0);
            assert_eq!(
                answer.reject,
                !up_to_date || vote == 3,
                "{log_term}/{index}: the own term may be taken"
            );
            assert_eq!(answer.term, 3);
        }
    }
}

#[test]
fn pre_vote_is_refused_in_a_term_with_a_leader() {
    let mut follower = Setup::new(1, &ids(3)).with(pre_vote).build().into_role(Follower);
    let asked = request(MsgRequestPreVote, 3, 1, &follower);
    assert!(follower.step(asked.clone())[0].reject);
    // Without check_quorum a leader is no reason to keep out of the next term.
    assert!(!follower.step(Message { term: 2, ..asked })[0].reject);
}

/// etcd d4471b2: with the term that was asked for, the pre-candidate would have entered a term without leader.
#[test]
fn refusals_carry_the_own_term() {
    let mut net = network(3, pre_vote);
    net.campaign(1);
    net.isolate(3);
    net.propose(1, "x");
    net.recover();
    net.campaign(3);
    assert_eq!((roles(&net), terms(&net)), (vec![Leader, Follower, Follower], vec![1, 1, 1]));
    // A pre-candidate of an older term follows into the term that it is told.
    let mut stale = Setup::new(1, &ids(3)).with(pre_vote).build();
    stale.raw.campaign();
    stale.work();
    stale.step(Message { reject: true, ..message(MsgRequestPreVoteResponse, 2, 1, 7) });
    assert_eq!((stale.raw.role(), stale.raw.term()), (Follower, 7));
}

/// A refusal of a later term ends the candidacy, and tells a commit all the same: the voter may not be able to stand.
#[test]
fn a_refusal_of_any_term_tells_how_far_the_log_is_committed() {
    let kinds = [MsgRequestVoteResponse, MsgRequestPreVoteResponse];
    for (kind, term) in kinds.into_iter().flat_map(|kind| [1, 2, 7].map(|term| (kind, term))) {
        let mut node = Setup::new(1, &ids(3)).with(pre_vote).log(&[1, 1]).term(2).build();
        node.raw.campaign();
        node.work();
        let refusal =
            |commit_term| Message { reject: true, commit: 2, commit_term, ..message(kind, 2, 1, term) };
        node.raw.step(refusal(2)).unwrap();
        assert_eq!(node.raw.commit(), 0, "{kind:?} of term {term}: another entry is committed there");
        node.raw.step(refusal(1)).unwrap();
        assert_eq!((node.raw.commit(), node.raw.term()), (2, term.max(2)), "{kind:?} of term {term}");
    }
}

#[test]
fn a_candidate_of_an_older_term_is_answered() {
    let mut voter = Setup::new(1, &ids(3)).with(pre_vote).term(5).build();
    let refusal = |kind| Message { reject: true, ..message(kind, 1, 2, 5) };
    assert_eq!(voter.step(message(MsgRequestPreVote, 2, 1, 3)), [refusal(MsgRequestPreVoteResponse)]);
    assert_eq!(voter.step(message(MsgRequestVote, 2, 1, 3)), [refusal(MsgRequestVoteResponse)]);
}

#[test]
fn grants_of_an_earlier_term_do_not_count() {
    let mut node = Setup::new(1, &ids(3)).with(pre_vote).term(1).build();
    node.raw.campaign();
    node.work();
    node.step(message(MsgHeartbeat, 2, 1, 2));
    node.raw.campaign();
    node.work();
    assert_eq!((node.raw.role(), node.raw.term()), (PreCandidate, 2));
    node.step(message(MsgRequestPreVoteResponse, 3, 1, 2));
    assert_eq!(node.raw.role(), PreCandidate, "that was for term 2");
    node.step(message(MsgRequestPreVoteResponse, 3, 1, 4));
    assert_eq!((node.raw.role(), node.raw.term()), (PreCandidate, 2), "and nobody asked about term 4");
    node.step(message(MsgRequestPreVoteResponse, 3, 1, 3));
    assert_eq!(node.raw.role(), Candidate);
    node.step(message(MsgRequestPreVoteResponse, 2, 1, 3));
    assert_eq!(node.raw.role(), Candidate, "a pre-vote is no vote");
}

#[test]
fn a_pre_candidate_follows_a_leader_of_its_term() {
    let mut node = Setup::new(1, &ids(3)).with(pre_vote).build().into_role(Follower);
    node.time_out();
    assert_eq!((node.raw.role(), node.raw.leader()), (PreCandidate, None));
    node.step(message(MsgHeartbeat, 2, 1, 1));
    assert_eq!((node.raw.role(), node.raw.leader(), node.raw.term()), (Follower, Some(2), 1));
}

#[test]
fn a_pre_candidate_tries_again() {
    let mut node = Setup::new(1, &ids(3)).with(pre_vote).build();
    for _ in 0..3 {
        node.time_out();
        assert_eq!(of_kind(node.work(), MsgRequestPreVote).len(), 2);
        assert_eq!((node.raw.role(), node.raw.term()), (PreCandidate, 0));
    }
}

#[test]
fn a_replica_that_was_cut_off_does_not_disturb() {
    let mut net = network(3, pre_vote);
    net.campaign(1);
    net.isolate(3);
    for _ in 0..5 {
        net.node_mut(3).tick_many(2 * u64::from(ELECTION_TICKS));
        net.settle();
    }
    net.recover();
    net.beat(1);
    assert_eq!((roles(&net), terms(&net)), (vec![Leader, Follower, Follower], vec![1, 1, 1]));
}

#[test]
fn pre_vote_with_split_vote() {
    let mut net = network(3, pre_vote);
    net.campaign(1);
    net.nodes.remove(&1);
    // Both ask at once, both may stand, each votes for itself.
    net.node_mut(2).campaign();
    net.node_mut(3).campaign();
    net.settle();
    assert_eq!((roles(&net), terms(&net)), (vec![Candidate, Candidate], vec![2, 2]));
    net.campaign(2);
    assert_eq!((roles(&net), terms(&net)), (vec![Leader, Follower], vec![3, 3]));
}

#[test]
fn pre_vote_with_check_quorum() {
    let mut net = network(3, both);
    net.campaign(1);
    net.isolate(1);
    // 2 has heard from 1 lately, so it refuses 3; when it gives up 1 itself, it does not.
    net.campaign(3);
    assert_eq!(terms(&net), [1, 1, 1]);
    net.campaign(2);
    assert_eq!((net.node(2).role(), terms(&net)), (Leader, vec![1, 2, 2]));
    net.recover();
    net.beat(2);
    assert_eq!(roles(&net), [Follower, Leader, Follower]);
}

/// Replicas 1 and 2 ask for pre-votes, 3 does not yet; it was cut off and is a candidate of term 3.
fn migration() -> Network {
    let nodes =
        ids(3).into_iter().map(|id| Setup::new(id, &ids(3)).with(|config| config.pre_vote = id != 3).build());
    let mut net = Network::of(nodes.collect());
    net.campaign(1);
    net.isolate(3);
    net.propose(1, "x");
    net.campaign(3);
    net.campaign(3);
    assert_eq!((roles(&net), terms(&net)), (vec![Leader, Follower, Candidate], vec![1, 1, 3]));
    // It changes over by a restart.
    let mut config = Setup::new(3, &ids(3)).config;
    config.pre_vote = true;
    net.nodes.get_mut(&3).unwrap().restart(&config);
    net.recover();
    net
}

#[test]
fn pre_vote_migration_can_complete_election() {
    let mut net = migration();
    net.isolate(1);
    // 3 is behind in the log, 2 in the term. That of a candidate's own does not count, so 2 is not disturbed;
    // but it asks 3 in turn, and the refusal tells it the term.
    net.campaign(3);
    net.campaign(2);
    assert_eq!(terms(&net)[1..], [3, 3]);
    assert_eq!(roles(&net)[1..], [Follower, PreCandidate]);
    net.campaign(2);
    assert_eq!((net.node(2).role(), net.node(3).leader()), (Leader, Some(2)));
    assert_eq!(terms(&net), [1, 4, 4]);
}

#[test]
fn pre_vote_migration_with_free_stuck_pre_candidate() {
    let mut net = migration();
    // 3 cannot win, and it follows no leader of an older term. Its answer to a heartbeat ends the deadlock.
    net.campaign(3);
    assert_eq!((roles(&net), terms(&net)), (vec![Leader, Follower, PreCandidate], vec![1, 1, 3]));
    net.beat(1);
    assert_eq!((net.node(1).role(), net.node(1).term()), (Follower, 3));
    net.campaign(1);
    assert_eq!((roles(&net), terms(&net)), (vec![Leader, Follower, Follower], vec![4, 4, 4]));
    assert_eq!(net.node(3).commit(), net.node(1).commit());
}

#[test]
fn node_with_smaller_term_can_complete_election() {
    let mut net = network(3, pre_vote);
    net.campaign(1);
    net.isolate(3);
    // 3 neither votes nor learns of the terms that 1 and 2 go through.
    net.campaign(2);
    net.campaign(3);
    assert_eq!((roles(&net), terms(&net)), (vec![Follower, Leader, PreCandidate], vec![2, 2, 1]));
    net.recover();
    net.nodes.remove(&2);
    net.campaign(3);
    assert_eq!(terms(&net), [2, 2]);
    net.campaign(3);
    assert_eq!(roles(&net), [Follower, PreCandidate], "it lacks an entry");
    net.campaign(1);
    assert_eq!((roles(&net), terms(&net)), (vec![Leader, Follower], vec![3, 3]));
}

#[test]
fn learners_do_not_stand() {
    for pre in [false, true] {
        let group = ConfState { voters: vec![2, 3], learners: vec![1], ..ConfState::default() };
        let mut node = Setup::of_group(1, group, EntryId::default()).with(|c| c.pre_vote = pre).build();
        assert!(!node.raw.promotable());
        assert_eq!(node.raw.idle_ticks(), u64::MAX);
        node.raw.tick_many(100);
        node.raw.campaign();
        node.step(message(MsgTimeoutNow, 2, 1, 1));
        assert_eq!((node.raw.role(), node.raw.term()), (Follower, 1));
        // But they vote: see the interaction test `campaign_learner_must_vote`.
        assert!(!node.step(request(MsgRequestPreVote, 2, 1, &node))[0].reject);
        assert!(!node.step(request(MsgRequestVote, 2, 1, &node))[0].reject);
    }
}

#[test]
fn votes_of_learners_and_strangers_are_not_counted() {
    let group = ConfState { voters: vec![1, 2, 3], learners: vec![4], ..ConfState::default() };
    for pre in [false, true] {
        let mut node =
            Setup::of_group(1, group.clone(), EntryId::default()).with(|c| c.pre_vote = pre).build();
        node.raw.campaign();
        let role = node.raw.role();
        assert_eq!(node.work().iter().map(|request| request.to).collect::<Vec<_>>(), [2, 3]);
        let grant = if pre { MsgRequestPreVoteResponse } else { MsgRequestVoteResponse };
        for from in [4, 9] {
            node.step(message(grant, from, 1, 1));
            assert_eq!(node.raw.role(), role, "{from}");
        }
    }
}

// Staying with a leader.

#[test]
fn voters_ignore_candidates_while_they_hear_from_a_leader() {
    for kind in [MsgRequestVote, MsgRequestPreVote] {
        for heard in
            [message(MsgHeartbeat, 2, 1, 1), append(1, 0, 0, Vec::new(), 0), append(1, 5, 1, Vec::new(), 0)]
        {
            let mut voter = Setup::new(1, &ids(3)).with(check_quorum).build();
            voter.step(heard);
            assert!(voter.raw.idle_ticks() >= u64::from(ELECTION_TICKS), "seed");
            for _ in 0..ELECTION_TICKS {
                assert_eq!(voter.step(request(kind, 3, 2, &voter)), []);
                assert_eq!(voter.raw.term(), 1);
                voter.raw.tick();
            }
            assert!(!voter.step(request(kind, 3, 2, &voter))[0].reject);
        }
        // A leader stays with itself.
        let mut leader = Setup::new(1, &ids(3)).with(check_quorum).build().into_role(Leader);
        assert_eq!(leader.step(request(kind, 3, 2, &leader)), []);
        assert!(leader.raw.is_leader());
    }
}

#[test]
fn leader_superseding_with_check_quorum() {
    let mut net = network(3, check_quorum);
    net.campaign(1);
    net.campaign(3);
    assert_eq!((roles(&net), terms(&net)), (vec![Leader, Follower, Candidate], vec![1, 1, 2]));
    // 1 does not hear of that and would lead on; 2 has missed it long enough.
    miss_the_leader(&mut net, 2);
    net.campaign(3);
    assert_eq!((net.node(3).role(), net.node(3).term()), (Leader, 3));
    assert_eq!(net.node(2).leader(), Some(3));
    assert_eq!(roles(&net), [Follower, Follower, Leader]);
}

#[test]
fn leader_election_with_check_quorum() {
    let mut net = network(3, check_quorum);
    // Who never heard of a leader votes at once.
    net.campaign(1);
    assert_eq!(roles(&net), [Leader, Follower, Follower]);
    net.isolate(1);
    net.campaign(3);
    assert_eq!(net.node(3).role(), Candidate);
    miss_the_leader(&mut net, 2);
    net.campaign(3);
    assert_eq!((net.node(3).role(), net.node(2).leader()), (Leader, Some(3)));
}

/// A candidate of a higher term that nobody votes for must not stay one: its answer to the leader's heartbeat
/// makes the group catch up with its term.
#[test]
fn free_stuck_candidate_with_check_quorum() {
    let mut net = network(3, check_quorum);
    net.campaign(1);
    net.cut(1, 3);
    net.campaign(3);
    net.campaign(3);
    assert_eq!((roles(&net), terms(&net)), (vec![Leader, Follower, Candidate], vec![1, 1, 3]));
    net.recover();
    net.beat(1);
    assert_eq!((net.node(1).role(), net.node(1).term()), (Follower, 3));
    miss_the_leader(&mut net, 2);
    net.campaign(3);
    assert_eq!((roles(&net), terms(&net)), (vec![Follower, Follower, Leader], vec![4, 4, 4]));
}

#[test]
fn non_promotable_voter_with_check_quorum() {
    let leader = Setup::new(1, &[1, 2]).with(check_quorum).build();
    // 2 believes that it is not in the group.
    let voter = Setup::new(2, &[1]).with(check_quorum).build();
    let mut net = Network::of(vec![leader, voter]);
    assert!(!net.node(2).promotable());
    net.node_mut(2).tick_many(100);
    net.campaign(1);
    assert_eq!((net.node(1).role(), net.node(1).commit()), (Leader, 1));
    assert_eq!((net.node(2).role(), net.node(2).leader()), (Follower, Some(1)));
}

#[test]
fn disruptive_follower() {
    // 3 times out because the leader's heartbeats are delayed.
    let mut net = network(3, check_quorum);
    net.campaign(1);
    net.node_mut(1).tick();
    let delayed = net.nodes.get_mut(&1).unwrap().work();
    net.nodes.get_mut(&3).unwrap().time_out();
    net.settle();
    assert_eq!((roles(&net), terms(&net)), (vec![Leader, Follower, Candidate], vec![1, 1, 2]));
    // They arrive. It is in a term of its own now, so it tells, and the leader gives up.
    delayed.into_iter().for_each(|message| net.send(message));
    net.settle();
    assert_eq!((roles(&net), terms(&net)), (vec![Follower, Follower, Candidate], vec![2, 1, 2]));
}

#[test]
fn disruptive_follower_pre_vote() {
    let mut net = network(3, both);
    net.campaign(1);
    net.isolate(3);
    net.propose(1, "x");
    net.nodes.get_mut(&3).unwrap().time_out();
    net.settle();
    net.recover();
    assert_eq!((roles(&net), terms(&net)), (vec![Leader, Follower, PreCandidate], vec![1, 1, 1]));
    net.beat(1);
    assert_eq!((roles(&net), terms(&net)), (vec![Leader, Follower, Follower], vec![1, 1, 1]));
    assert_eq!(net.node(3).commit(), net.node(1).commit());
}

#[test]
fn a_transfer_needs_no_leave_of_anybody() {
    let mut net = network(3, both);
    net.campaign(1);
    net.node_mut(1).transfer_leader(3).unwrap();
    net.settle();
    assert_eq!((roles(&net), terms(&net)), (vec![Follower, Follower, Leader], vec![2, 2, 2]));
    // The request says that it is forced; without that it is one like any other.
    let mut target = Setup::new(1, &ids(3)).with(both).build().into_role(Follower);
    let sent = target.step(message(MsgTimeoutNow, 2, 1, 1));
    let forced = |to| Message { context: "transfer".into(), ..message(MsgRequestVote, 1, to, 2) };
    assert_eq!(sent, [forced(2), forced(3)]);
    let mut voter = Setup::new(3, &ids(3)).with(both).build();
    voter.step(message(MsgHeartbeat, 2, 3, 1));
    assert_eq!(voter.step(message(MsgRequestVote, 1, 3, 2)), []);
    assert!(!voter.step(forced(3))[0].reject);
}

// A leader that is not heard.

fn leader_with_check_quorum(size: u64) -> Node {
    let (mut leader, appends) = elect(Setup::new(1, &ids(size)).with(check_quorum).build());
    for append in appends {
        leader.step(accept(&append));
    }
    // The answers so far count for the first interval.
    leader.raw.tick_many(u64::from(ELECTION_TICKS));
    leader.work();
    assert!(leader.raw.is_leader());
    leader
}

#[test]
fn leader_stepdown_when_quorum_active() {
    for answer in [MsgHeartbeatResponse, MsgAppendResponse] {
        let mut leader = leader_with_check_quorum(5);
        for _ in 0..5 {
            leader.step(message(answer, 2, 1, 1));
            leader.step(message(answer, 4, 1, 1));
            leader.raw.tick_many(u64::from(ELECTION_TICKS));
            leader.work();
            assert!(leader.raw.is_leader());
        }
    }
}

#[test]
fn leader_stepdown_when_quorum_lost() {
    let mut leader = leader_with_check_quorum(5);
    leader.step(message(MsgHeartbeatResponse, 2, 1, 1));
    leader.raw.tick_many(u64::from(ELECTION_TICKS) - 1);
    assert!(leader.raw.is_leader());
    leader.raw.tick();
    assert_eq!((leader.raw.role(), leader.raw.term(), leader.raw.leader()), (Follower, 1, None));
    // Without check_quorum it never learns.
    let mut leader = Node::in_role(Leader, 5);
    leader.raw.tick_many(10 * u64::from(ELECTION_TICKS));
    assert!(leader.raw.is_leader());
}

#[test]
fn answers_of_learners_are_no_quorum() {
    let group = ConfState {
        voters: vec![1, 2, 3],
        voters_outgoing: vec![1, 4, 5],
        learners: vec![6, 7],
        ..ConfState::default()
    };
    for (answering, leads) in [(&[6, 7][..], false), (&[2, 3], false), (&[4, 5, 6], false), (&[2, 4], true)] {
        let setup = Setup::of_group(1, group.clone(), EntryId::default()).with(check_quorum);
        let mut leader = setup.build().into_role(Leader);
        for &peer in answering {
            leader.step(message(MsgHeartbeatResponse, peer, 1, 1));
        }
        leader.raw.tick_many(u64::from(ELECTION_TICKS));
        assert_eq!(leader.raw.is_leader(), leads, "{answering:?}");
    }
}

#[test]
fn a_pause_is_one_interval() {
    let mut leader = leader_with_check_quorum(3);
    leader.step(message(MsgHeartbeatResponse, 2, 1, 1));
    leader.raw.elapse(100 * u64::from(ELECTION_TICKS));
    assert!(leader.raw.is_leader(), "it was heard before the pause, and nobody can have answered since");
    leader.work();
    leader.raw.elapse(u64::from(ELECTION_TICKS));
    assert!(!leader.raw.is_leader());
}

#[test]
fn forgetting_the_leader_frees_a_voter() {
    let mut voter = Setup::new(1, &ids(3)).with(both).build().into_role(Follower);
    assert_eq!(voter.step(request(MsgRequestPreVote, 3, 2, &voter)), []);
    voter.raw.forget_leader().unwrap();
    assert_eq!((voter.raw.leader(), voter.raw.term()), (None, 1));
    assert!(!voter.step(request(MsgRequestPreVote, 3, 2, &voter))[0].reject);
    assert!(!voter.step(request(MsgRequestVote, 3, 2, &voter))[0].reject);
    // A leader and a candidate have none to forget.
    for role in [Leader, Candidate] {
        let mut node = Node::in_role(role, 3);
        node.raw.forget_leader().unwrap();
        assert_eq!((node.raw.role(), node.raw.leader()), (role, Some(1).filter(|_| role == Leader)));
    }
}
