//! Elections: the tests of TinyKV's group 2AA under their own names, then a few of ours.

use crate::common::{ELECTION_TICKS, Network, Node, Setup, append, ids, message, of_kind};
use raft::Role::{self, Candidate, Follower, Leader};
use raft::eraftpb::Message;
use raft::eraftpb::MessageType::*;
use raft::{Config, EntryId, Error};

fn update_term_from_message(role: Role) {
    let mut node = Node::in_role(role, 3);
    assert_eq!(node.raw.term(), 1);
    node.step(append(2, 0, 0, Vec::new(), 0));
    assert_eq!((node.raw.term(), node.raw.role()), (2, Follower));
}

#[test]
fn follower_update_term_from_message() {
    update_term_from_message(Follower);
}

#[test]
fn candidate_update_term_from_message() {
    update_term_from_message(Candidate);
}

#[test]
fn leader_update_term_from_message() {
    update_term_from_message(Leader);
}

#[test]
fn start_as_follower() {
    let node = Node::new(1, &[1, 2, 3]);
    assert_eq!((node.raw.role(), node.raw.leader(), node.raw.vote()), (Follower, None, None));
}

#[test]
fn leader_bcast_beat() {
    let mut node = Node::in_role(Leader, 3);
    node.raw.propose("x".into()).unwrap();
    node.work();
    node.raw.tick();
    // Nothing is acknowledged, so there is no commit the followers may take over.
    assert_eq!(node.work(), [message(MsgHeartbeat, 1, 2, 1), message(MsgHeartbeat, 1, 3, 1)]);
}

fn start_election(role: Role) {
    let mut node = Node::in_role(role, 3);
    for _ in 1..2 * ELECTION_TICKS {
        node.raw.tick();
    }
    assert_eq!((node.raw.term(), node.raw.role(), node.raw.vote()), (2, Candidate, Some(1)));
    assert_eq!(node.work(), [message(MsgRequestVote, 1, 2, 2), message(MsgRequestVote, 1, 3, 2)]);
}

#[test]
fn follower_start_election() {
    start_election(Follower);
}

#[test]
fn candidate_start_new_election() {
    start_election(Candidate);
}

#[test]
fn leader_election_in_one_round_rpc() {
    let (yes, no) = (true, false);
    type Case<'a> = (u64, &'a [(u64, bool)], Role);
    let cases: [Case<'_>; 10] = [
        (1, &[], Leader),
        (3, &[(2, yes), (3, yes)], Leader),
        (3, &[(2, yes)], Leader),
        (5, &[(2, yes), (3, yes), (4, yes), (5, yes)], Leader),
        (5, &[(2, yes), (3, yes), (4, yes)], Leader),
        (5, &[(2, yes), (3, yes)], Leader),
        (3, &[], Candidate),
        (5, &[(2, yes)], Candidate),
        (5, &[(2, no), (3, no)], Candidate),
        (5, &[], Candidate),
    ];
    for (size, votes, role) in cases {
        let mut node = Node::new(1, &ids(size));
        node.raw.campaign();
        node.work();
        for &(from, granted) in votes {
            node.step(Message { reject: !granted, ..message(MsgRequestVoteResponse, from, 1, 1) });
        }
        assert_eq!((node.raw.role(), node.raw.term()), (role, 1), "{size} voters, votes {votes:?}");
    }
}

#[test]
fn follower_vote() {
    for (vote, candidate, reject) in
        [(0, 2, false), (0, 3, false), (2, 2, false), (3, 3, false), (2, 3, true), (3, 2, true)]
    {
        let mut node = Setup::new(1, &[1, 2, 3]).term(1).vote(vote).build();
        let answer = Message { reject, ..message(MsgRequestVoteResponse, 1, candidate, 1) };
        assert_eq!(
            node.step(message(MsgRequestVote, candidate, 1, 1)),
            [answer],
            "voted for {vote}, asked by {candidate}"
        );
        assert_eq!(node.raw.vote(), Some(if reject { vote } else { candidate }));
    }
}

#[test]
fn candidate_fallback() {
    for term in [1, 2] {
        let mut node = Node::in_role(Candidate, 3);
        node.step(append(term, 0, 0, Vec::new(), 0));
        assert_eq!((node.raw.role(), node.raw.term(), node.raw.leader()), (Follower, term, Some(2)));
    }
}

fn election_timeout_randomized(role: Role) {
    let mut node = Node::new(1, &[1, 2, 3]);
    let mut seen = vec![false; 2 * ELECTION_TICKS as usize];
    for _ in 0..50 * ELECTION_TICKS {
        node = node.into_role(role);
        let mut ticks = 0;
        while node.work().is_empty() {
            node.raw.tick();
            ticks += 1;
        }
        seen[ticks] = true;
    }
    let (early, late) = seen.split_at(ELECTION_TICKS as usize);
    assert!(!early.contains(&true), "no timeout is shorter than the configured one: {seen:?}");
    assert!(!late.contains(&false), "every timeout up to twice that happens: {seen:?}");
}

#[test]
fn follower_election_timeout_randomized() {
    election_timeout_randomized(Follower);
}

#[test]
fn candidate_election_timeout_randomized() {
    election_timeout_randomized(Candidate);
}

fn election_timeout_nonconflict(role: Role) {
    let mut nodes: Vec<Node> = (1..=5).map(|id| Node::new(id, &ids(5))).collect();
    let mut conflicts = 0;
    for _ in 0..1000 {
        for node in &mut nodes {
            match role {
                Follower => {
                    let (id, term) = (node.raw.id(), node.raw.term());
                    node.step(message(MsgHeartbeat, id % 5 + 1, id, term + 1));
                }
                _ => node.raw.campaign(),
            }
            node.work();
        }
        let mut timeouts = 0;
        while timeouts == 0 {
            for node in &mut nodes {
                node.raw.tick();
                timeouts += usize::from(!node.work().is_empty());
            }
        }
        conflicts += usize::from(timeouts > 1);
    }
    assert!(conflicts <= 300, "{conflicts} of 1000 elections had several candidates at once");
}

#[test]
fn followers_election_timeout_nonconflict() {
    election_timeout_nonconflict(Follower);
}

#[test]
fn candidates_election_timeout_nonconflict() {
    election_timeout_nonconflict(Candidate);
}

#[test]
fn leader_election() {
    let cases: [(u64, &[u64], Role); 5] = [
        (3, &[], Leader),
        (3, &[3], Leader),
        (3, &[2, 3], Candidate),
        (4, &[2, 3], Candidate),
        (5, &[2, 3], Leader),
    ];
    for (size, silent, role) in cases {
        let mut network = Network::with_silent(size, silent);
        network.campaign(1);
        let node = network.node(1);
        assert_eq!((node.role(), node.term()), (role, 1), "{size} voters, silent {silent:?}");
    }
}

#[test]
fn leader_cycle() {
    let mut network = Network::new(3);
    for campaigner in 1..=3 {
        network.campaign(campaigner);
        for id in 1..=3 {
            let role = if id == campaigner { Leader } else { Follower };
            let node = network.node(id);
            assert_eq!((node.role(), node.leader()), (role, Some(campaigner)), "{id}");
        }
    }
}

#[test]
fn vote_from_any_state() {
    for role in [Follower, Candidate, Leader] {
        let mut node = Node::in_role(role, 3);
        let term = node.raw.term() + 1;
        let request = Message { index: 42, log_term: term, ..message(MsgRequestVote, 2, 1, term) };
        assert_eq!(node.step(request), [message(MsgRequestVoteResponse, 1, 2, term)]);
        assert_eq!((node.raw.role(), node.raw.term(), node.raw.vote()), (Follower, term, Some(2)));
    }
}

#[test]
fn single_node_candidate() {
    let mut network = Network::new(1);
    network.campaign(1);
    assert_eq!(network.node(1).role(), Leader);
}

/// An isolated candidate hears from the leader of a term it has not reached, or has.
fn candidate_reset_term(from_leader: impl Fn(u64) -> Message) {
    let mut network = Network::new(3);
    network.campaign(1);
    assert_eq!([1, 2, 3].map(|id| network.node(id).role()), [Leader, Follower, Follower]);

    network.isolate(3);
    network.campaign(2);
    network.campaign(1);
    assert_eq!([1, 2].map(|id| network.node(id).role()), [Leader, Follower]);
    network.nodes.get_mut(&3).unwrap().time_out();
    network.settle();
    assert_eq!(network.node(3).role(), Candidate);

    network.recover();
    network.send(from_leader(network.node(1).term()));
    network.settle();
    assert_eq!(network.node(3).role(), Follower);
    assert_eq!(network.node(3).term(), network.node(1).term());
    assert_eq!(network.node(3).leader(), Some(1));
}

#[test]
fn candidate_reset_term_message_type_msg_heartbeat() {
    candidate_reset_term(|term| message(MsgHeartbeat, 1, 3, term));
}

#[test]
fn candidate_reset_term_message_type_msg_append() {
    candidate_reset_term(|term| message(MsgAppend, 1, 3, term));
}

#[test]
fn disruptive_follower() {
    let nodes = (1..=3).map(|id| Setup::new(id, &[1, 2, 3]).term(1).build()).collect();
    let mut network = Network::of(nodes);
    network.campaign(1);
    assert_eq!([1, 2, 3].map(|id| network.node(id).role()), [Leader, Follower, Follower]);

    // 3 hears nothing for too long, and its vote requests are lost.
    network.ignore(MsgRequestVote);
    network.nodes.get_mut(&3).unwrap().time_out();
    network.settle();
    assert_eq!([1, 2, 3].map(|id| network.node(id).role()), [Leader, Follower, Candidate]);
    assert_eq!([1, 2, 3].map(|id| network.node(id).term()), [2, 2, 3]);

    // The leader's heartbeat arrives late. The answer to it is all that can tell the leader.
    network.send(message(MsgHeartbeat, 1, 3, 2));
    network.settle();
    assert_eq!((network.node(1).role(), network.node(1).term()), (Follower, 3));
}

#[test]
fn recv_message_type_msg_beat() {
    for (role, count) in [(Leader, 2), (Candidate, 0), (Follower, 0)] {
        let mut node = Node::in_role(role, 3);
        let sent = node.step(message(MsgBeat, 1, 1, 0));
        assert_eq!(sent.len(), count, "{role:?}");
        assert_eq!(of_kind(sent, MsgHeartbeat).len(), count, "{role:?}");
    }
}

#[test]
fn campaign_while_leader() {
    let mut node = Node::new(1, &[1]);
    assert_eq!(node.raw.role(), Follower);
    node.step(message(MsgHup, 1, 1, 0));
    assert_eq!((node.raw.role(), node.raw.term()), (Leader, 1));
    node.step(message(MsgHup, 1, 1, 0));
    assert_eq!((node.raw.role(), node.raw.term()), (Leader, 1));
}

#[test]
fn split_vote() {
    let mut network = Network::new(3);
    network.campaign(1);
    network.isolate(1);
    // Both vote for themselves before they hear from each other.
    network.node_mut(2).campaign();
    network.node_mut(3).campaign();
    network.settle();
    assert_eq!([2, 3].map(|id| (network.node(id).role(), network.node(id).term())), [(Candidate, 2); 2]);

    network.campaign(2);
    assert_eq!([2, 3].map(|id| network.node(id).role()), [Leader, Follower]);
    assert_eq!([2, 3].map(|id| network.node(id).term()), [3, 3]);
}

// Ours.

#[test]
fn a_replica_outside_of_its_group_never_campaigns() {
    let mut node = Node::new(4, &[1, 2, 3]);
    assert_eq!(node.raw.idle_ticks(), u64::MAX);
    node.raw.tick_many(1_000_000);
    node.raw.campaign();
    assert_eq!((node.raw.role(), node.raw.term(), node.raw.has_ready()), (Follower, 0, false));
}

#[test]
fn a_majority_of_rejections_ends_the_candidacy() {
    let mut node = Node::in_role(Candidate, 3);
    for from in [2, 3] {
        node.step(Message { reject: true, ..message(MsgRequestVoteResponse, from, 1, 1) });
    }
    assert_eq!((node.raw.role(), node.raw.term()), (Follower, 1));
}

#[test]
fn votes_of_strangers_and_repeated_votes_do_not_count() {
    let mut node = Node::in_role(Candidate, 5);
    for from in [2, 2, 2, 9] {
        node.step(message(MsgRequestVoteResponse, from, 1, 1));
    }
    assert_eq!(node.raw.role(), Candidate);
    // A late grant does not replace a rejection either.
    node.step(Message { reject: true, ..message(MsgRequestVoteResponse, 3, 1, 1) });
    node.step(message(MsgRequestVoteResponse, 3, 1, 1));
    assert_eq!(node.raw.role(), Candidate);
    node.step(message(MsgRequestVoteResponse, 4, 1, 1));
    assert_eq!(node.raw.role(), Leader);
}

#[test]
fn no_vote_while_the_leader_of_the_term_is_known() {
    let mut node = Node::in_role(Follower, 3);
    assert_eq!((node.raw.leader(), node.raw.vote()), (Some(2), None));
    let answer = node.step(message(MsgRequestVote, 3, 1, 1));
    assert_eq!(answer, [Message { reject: true, ..message(MsgRequestVoteResponse, 1, 3, 1) }]);
}

#[test]
fn a_granted_vote_restarts_the_timeout_and_a_refused_one_does_not() {
    let mut node = Setup::new(1, &[1, 2, 3]).log(&[1]).build();
    node.raw.tick_many(node.raw.idle_ticks());
    assert_eq!(node.raw.idle_ticks(), 0);
    // Candidates that lack our entry, one in our term and one in a higher term.
    for term in [1, 2] {
        node.step(message(MsgRequestVote, 2, 1, term));
        assert_eq!((node.raw.term(), node.raw.vote(), node.raw.idle_ticks()), (term, None, 0));
    }
    node.step(Message { index: 1, log_term: 1, ..message(MsgRequestVote, 3, 1, 2) });
    assert!(node.raw.idle_ticks() >= u64::from(ELECTION_TICKS) - 1);
}

#[test]
fn a_candidate_that_cannot_win_does_not_keep_others_from_standing() {
    let mut node = Setup::new(1, &[1, 2, 3]).log(&[1]).build();
    let mut term = 1;
    // It asks more often than any timeout runs out.
    for _ in 0..2 * ELECTION_TICKS {
        if node.raw.role() == Candidate {
            return;
        }
        term += 1;
        node.step(message(MsgRequestVote, 2, 1, term));
        node.raw.tick();
    }
    panic!("no candidacy by term {term}");
}

#[test]
fn a_defeat_does_not_restart_the_timeout_and_leading_does() {
    let mut loser = Node::in_role(Candidate, 3);
    loser.raw.tick_many(loser.raw.idle_ticks());
    for from in [2, 3] {
        loser.step(Message { reject: true, ..message(MsgRequestVoteResponse, from, 1, 1) });
    }
    assert_eq!((loser.raw.role(), loser.raw.idle_ticks()), (Follower, 0));

    let mut leader = Node::in_role(Candidate, 3);
    leader.raw.tick_many(leader.raw.idle_ticks());
    leader.step(message(MsgRequestVoteResponse, 2, 1, 1));
    leader.raw.tick_many(100);
    leader.step(message(MsgRequestVoteResponse, 3, 1, 2));
    assert_eq!((leader.raw.role(), leader.raw.term()), (Follower, 2));
    assert!(leader.raw.idle_ticks() >= u64::from(ELECTION_TICKS) - 1);
}

#[test]
#[should_panic(expected = "both 1 and 2 lead term 1")]
fn a_leader_does_not_bear_another_in_its_term() {
    Node::in_role(Leader, 3).step(append(1, 0, 0, Vec::new(), 0));
}

#[test]
#[should_panic(expected = "1 hears from both 2 and 3 as leader of term 1")]
fn a_follower_does_not_bear_two_leaders_of_one_term() {
    Node::in_role(Follower, 3).step(message(MsgHeartbeat, 3, 1, 1));
}

#[test]
fn messages_that_make_no_sense_are_refused() {
    let mut node = Node::new(1, &[1, 2, 3]);
    assert_eq!(node.raw.step(message(MsgHup, 2, 1, 0)), Err(Error::LocalMessage(MsgHup)));
    assert_eq!(node.raw.step(message(MsgBeat, 2, 1, 0)), Err(Error::LocalMessage(MsgBeat)));
    assert_eq!(node.raw.step(message(MsgHeartbeat, 2, 3, 9)), Err(Error::WrongReceiver { to: 3, id: 1 }));
    assert_eq!(node.raw.step(Message { msg_type: 99, ..Message::default() }), Err(Error::UnknownMessage(99)));
    assert_eq!((node.raw.term(), node.raw.has_ready()), (0, false));
}

#[test]
fn a_group_that_starts_later_elects_on_its_truncated_entry() {
    let start = EntryId { term: 5, index: 5 };
    let nodes = (1..=3).map(|id| Setup::starting_at(id, &[1, 2, 3], start).build()).collect();
    let mut network = Network::of(nodes);
    network.campaign(2);
    network.propose(2, "x");
    for id in 1..=3 {
        assert_eq!(network.nodes[&id].log(), [(6, 6), (7, 6)], "{id}");
        assert_eq!(network.node(id).commit(), 7, "{id}");
    }
    // One that knows less than the truncated entry is not electable.
    let mut node = Setup::starting_at(1, &[1, 2, 3], start).build();
    let request = Message { index: 4, log_term: 5, ..message(MsgRequestVote, 2, 1, 6) };
    assert!(node.step(request)[0].reject);
}

#[test]
fn the_same_seed_gives_the_same_timeouts() {
    let timeouts = |seed: u64| {
        let mut setup = Setup::new(1, &[1, 2, 3]);
        setup.config = Config { seed, ..setup.config };
        let mut node = setup.build();
        let timeout = |_| {
            let ticks = node.raw.idle_ticks() + 1;
            node.time_out();
            ticks
        };
        (0..20).map(timeout).collect::<Vec<u64>>()
    };
    assert_eq!(timeouts(1), timeouts(1));
    assert_ne!(timeouts(1), timeouts(2));
}
