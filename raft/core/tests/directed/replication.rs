//! Replication: the tests of TinyKV's group 2AB under their own names.

use crate::common::{
    Network, Node, Setup, accept, append, applied_data, elect, entries, entry, ids, message, propose,
    settled_leader,
};
use raft::EntryId;
use raft::Role::{self, Candidate, Follower, Leader};
use raft::eraftpb::MessageType::*;
use raft::eraftpb::{Entry, Message};

#[test]
fn leader_start_replication() {
    let mut leader = settled_leader(3);
    let id = leader.raw.propose("some data".into()).unwrap();
    assert_eq!(id, EntryId { term: 1, index: 2 });
    assert_eq!((leader.raw.last(), leader.raw.commit()), (id, 1));

    let ready = leader.raw.ready();
    let appended = entry(2, 1, "some data");
    assert_eq!(ready.entries, vec![appended.clone()]);
    assert!(ready.committed_entries.is_empty());
    let expected = [2, 3].map(|to| {
        let entries = vec![appended.clone()];
        Message { index: 1, log_term: 1, entries, commit: 1, ..message(MsgAppend, 1, to, 1) }
    });
    assert_eq!(ready.messages, expected);
}

#[test]
fn leader_commit_entry() {
    let mut leader = settled_leader(3);
    leader.applied.clear();
    let appends = propose(&mut leader, "some data");
    let after_first = leader.step(accept(&appends[0]));
    assert_eq!(leader.raw.commit(), 2);
    assert_eq!(leader.applied, [entry(2, 1, "some data")]);
    // The others hear of it at once, and by appends.
    let told: Vec<(u64, i32, u64)> =
        after_first.iter().map(|message| (message.to, message.msg_type, message.commit)).collect();
    assert_eq!(told, [(2, MsgAppend as i32, 2), (3, MsgAppend as i32, 2)]);
}

#[test]
fn leader_acknowledge_commit() {
    let cases: [(u64, &[u64], bool); 9] = [
        (1, &[], true),
        (3, &[], false),
        (3, &[2], true),
        (3, &[2, 3], true),
        (5, &[], false),
        (5, &[2], false),
        (5, &[2, 3], true),
        (5, &[2, 3, 4], true),
        (5, &[2, 3, 4, 5], true),
    ];
    for (size, acceptors, committed) in cases {
        let mut leader = settled_leader(size);
        for append in propose(&mut leader, "some data") {
            if acceptors.contains(&append.to) {
                leader.step(accept(&append));
            }
        }
        assert_eq!(leader.raw.commit() > 1, committed, "{size} voters, accepted by {acceptors:?}");
    }
}

#[test]
fn leader_commit_preceding_entries() {
    for terms in [&[][..], &[2], &[1, 2], &[1]] {
        let setup = Setup::new(1, &[1, 2, 3]).log(terms).term(2);
        let (mut leader, appends) = elect(setup.build());
        assert_eq!(leader.raw.term(), 3);
        assert!(leader.applied.is_empty());
        propose(&mut leader, "some data");
        // Probing sends one append at a time, and the proposal follows when it is answered.
        for append in leader.step(accept(&appends[0])) {
            leader.step(accept(&append));
        }
        let last = terms.len() as u64;
        let mut expected = entries(1, terms);
        expected.extend([entry(last + 1, 3, ""), entry(last + 2, 3, "some data")]);
        assert_eq!(leader.applied, expected, "{terms:?}");
    }
}

#[test]
fn follower_commit_entry() {
    let (a, b) = ("some data", "some data2");
    for (data, commit) in [(vec![a], 1), (vec![a, b], 2), (vec![b, a], 2), (vec![a, b], 1)] {
        let mut node = Node::in_role(Follower, 3);
        let entries: Vec<Entry> = (1..).zip(&data).map(|(index, data)| entry(index, 1, data)).collect();
        node.step(append(1, 0, 0, entries.clone(), commit));
        assert_eq!(node.raw.commit(), commit);
        assert_eq!(node.applied, entries[..commit as usize]);
    }
}

#[test]
fn follower_check_message_type_msg_append() {
    // The log has terms 1 and 2, and is committed up to 1. Each case: the index and term before the
    // append, and whether it must be rejected.
    for (index, term, reject) in [(0, 0, false), (1, 1, false), (2, 2, false), (2, 1, true), (3, 3, true)] {
        let mut node = Setup::new(1, &[1, 2, 3]).log(&[1, 2]).commit(1).term(3).build();
        let answers = node.step(append(3, index, term, Vec::new(), 0));
        assert_eq!(answers.len(), 1);
        let answer = &answers[0];
        assert_eq!((answer.msg_type, answer.to, answer.term), (MsgAppendResponse as i32, 2, 3));
        assert_eq!(answer.reject, reject, "after {index} of term {term}");
        // What is committed matches in any case.
        assert_eq!(answer.index, if reject { index } else { index.max(1) });
    }
}

#[test]
fn follower_append_entries() {
    // The log has terms 1 and 2. Each case: index and term before the append, its entries' terms, the
    // terms of the log after it, and how many entries are to be written.
    type Case = (u64, u64, &'static [u64], &'static [u64], usize);
    let cases: [Case; 4] = [
        (2, 2, &[3], &[1, 2, 3], 1),
        (1, 1, &[3, 4], &[1, 3, 4], 2),
        (0, 0, &[1], &[1, 2], 0),
        (0, 0, &[3], &[3], 1),
    ];
    for (index, term, sent, log, written) in cases {
        let mut node = Setup::new(1, &[1, 2, 3]).log(&[1, 2]).term(4).build();
        node.raw.step(append(4, index, term, entries(index + 1, sent), 0)).unwrap();
        assert_eq!(node.log_terms(), log);
        let ready = node.raw.ready();
        assert_eq!(ready.entries, entries(1, log)[log.len() - written..], "after {index}: {sent:?}");
        assert_eq!(ready.must_sync, written > 0);
    }
}

#[test]
fn leader_sync_follower_log() {
    // Figure 7 of the Raft paper: the leader's log, and those of followers that miss entries, have
    // entries that were never committed, or both.
    let leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let followers: [&[u64]; 6] = [
        &[1, 1, 1, 4, 4, 5, 5, 6, 6],
        &[1, 1, 1, 4],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        &[1, 1, 1, 4, 4, 4, 4],
        &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    for log in followers {
        let one = Setup::new(1, &[1, 2, 3]).log(&leader).term(8).commit(10).build();
        let two = Setup::new(2, &[1, 2, 3]).log(log).term(7).build();
        let mut network = Network::of(vec![one, two]);
        network.campaign(1);
        // 2 may have the longer log; then 1 needs the vote of 3, which is silent otherwise.
        network.send(message(MsgRequestVoteResponse, 3, 1, 9));
        network.settle();
        assert_eq!(network.node(1).role(), Leader);
        network.propose(1, "");
        assert_eq!(network.nodes[&1].log(), network.nodes[&2].log(), "from {log:?}");
        assert_eq!((network.node(1).commit(), network.node(2).commit()), (12, 12));
    }
}

#[test]
fn vote_request() {
    for terms in [&[1][..], &[1, 2]] {
        let last = terms.len() as u64;
        let mut node = Node::new(1, &[1, 2, 3]);
        node.step(append(last, 0, 0, entries(1, terms), 0));
        node.time_out();
        let expected = [2, 3].map(|to| {
            let request = message(MsgRequestVote, 1, to, last + 1);
            Message { index: last, log_term: last, ..request }
        });
        assert_eq!(node.work(), expected);
    }
}

#[test]
fn voter() {
    // The voter's log, the candidate's last term and index, and whether the vote is refused.
    let cases: [(&[u64], u64, u64, bool); 9] = [
        (&[1], 1, 1, false),
        (&[1], 1, 2, false),
        (&[1, 1], 1, 1, true),
        (&[1], 2, 1, false),
        (&[1], 2, 2, false),
        (&[1, 1], 2, 1, false),
        (&[2], 1, 1, true),
        (&[2], 1, 2, true),
        (&[1, 2], 1, 1, true),
    ];
    for (log, log_term, index, reject) in cases {
        let mut node = Setup::new(1, &[1, 2]).log(log).build();
        let answers = node.step(Message { index, log_term, ..message(MsgRequestVote, 2, 1, 3) });
        let expected = Message { reject, ..message(MsgRequestVoteResponse, 1, 2, 3) };
        assert_eq!(answers, [expected], "{log:?}, asked with {index} of term {log_term}");
    }
}

#[test]
fn leader_only_commits_log_from_current_term() {
    for (acknowledged, commit) in [(1, 0), (2, 0), (3, 3)] {
        let node = Setup::new(1, &[1, 2]).log(&[1, 2]).build();
        let mut leader = node.into_role(Leader);
        assert_eq!(leader.raw.term(), 3);
        propose(&mut leader, "");
        leader.step(Message { index: acknowledged, ..message(MsgAppendResponse, 2, 1, 3) });
        assert_eq!(leader.raw.commit(), commit, "2 has {acknowledged}");
    }
}

#[test]
fn progress_leader() {
    let mut leader = Node::in_role(Leader, 2);
    for index in 1..=5 {
        let own = leader.raw.progress(1).unwrap();
        assert_eq!((own.matched(), own.next()), (index, index + 1));
        // Appended, it is to be sent next to last; matched, it is only when durable.
        leader.raw.propose("foo".into()).unwrap();
        let own = leader.raw.progress(1).unwrap();
        assert_eq!((own.matched(), own.next()), (index, index + 2));
        leader.work();
    }
}

#[test]
fn leader_election_overwrite_newer_logs() {
    // 1 won term 1 and replicated to 2 alone. 3 won term 2 with the votes of 4 and 5 and replicated to
    // nobody. So 1, 2 and 3 each have an entry that is not committed.
    let voters = ids(5);
    let mut network = Network::of(vec![
        Setup::new(1, &voters).log(&[1]).build(),
        Setup::new(2, &voters).log(&[1]).build(),
        Setup::new(3, &voters).log(&[2]).build(),
        Setup::new(4, &voters).term(2).vote(3).build(),
        Setup::new(5, &voters).term(2).vote(3).build(),
    ]);
    // A quorum knows of the election in term 2.
    network.campaign(1);
    assert_eq!((network.node(1).role(), network.node(1).term()), (Follower, 2));
    // In term 3 it wins, and its entry of term 1 replaces the one of term 2.
    network.campaign(1);
    assert_eq!((network.node(1).role(), network.node(1).term()), (Leader, 3));
    for (id, node) in &network.nodes {
        assert_eq!(node.log(), [(1, 1), (2, 3)], "{id}");
    }
}

#[test]
fn log_replication() {
    let mut network = Network::new(3);
    network.campaign(1);
    network.propose(1, "first");
    for node in network.nodes.values() {
        assert_eq!(node.raw.commit(), 2);
        assert_eq!(applied_data(node), [b"first"]);
    }
    network.campaign(2);
    network.propose(2, "second");
    for node in network.nodes.values() {
        assert_eq!(node.raw.commit(), 4);
        assert_eq!(applied_data(node), [&b"first"[..], b"second"]);
    }
}

#[test]
fn single_node_commit() {
    let mut network = Network::new(1);
    network.campaign(1);
    network.propose(1, "some data");
    network.propose(1, "some data");
    assert_eq!(network.node(1).commit(), 3);
}

/// Leader 1 of five, with three entries of which only its own empty one is committed: 3, 4 and 5 could not
/// be reached, and then could again.
fn uncommitted_tail() -> Network {
    let mut network = Network::new(5);
    network.campaign(1);
    (3..=5).for_each(|id| network.cut(1, id));
    network.propose(1, "some data");
    network.propose(1, "some data");
    assert_eq!(network.node(1).commit(), 1);
    network.recover();
    network
}

#[test]
fn commit_without_new_term_entry() {
    let mut network = uncommitted_tail();
    // 2 has all of it, and commits it by committing the empty entry of its own term.
    network.campaign(2);
    assert_eq!(network.node(1).commit(), 4);
}

#[test]
fn commit_with_heartbeat() {
    let mut network = uncommitted_tail();
    // The answers show who is behind; sending them what they miss commits it.
    network.beat(1);
    for id in 1..=5 {
        assert_eq!(network.node(id).commit(), 3, "{id}");
    }
}

#[test]
fn dueling_candidates() {
    let mut network = Network::new(3);
    network.cut(1, 3);
    network.campaign(1);
    network.campaign(3);
    // 1 has the vote of 2; 3 has a rejection of 2 and nothing from 1.
    assert_eq!([1, 2, 3].map(|id| network.node(id).role()), [Leader, Follower, Candidate]);

    network.recover();
    // The higher term deposes 1, but the log of 3 is too short for anybody's vote.
    network.campaign(3);
    let expected: [(Role, u64, &[u64], u64); 3] =
        [(Follower, 2, &[1], 1), (Follower, 2, &[1], 1), (Follower, 2, &[], 0)];
    for (id, expected) in (1..).zip(expected) {
        let node = network.node(id);
        let log = network.nodes[&id].log_terms();
        assert_eq!((node.role(), node.term(), &log[..], node.commit()), expected, "{id}");
    }
}

#[test]
fn candidate_concede() {
    let mut network = Network::new(3);
    network.isolate(1);
    network.campaign(1);
    network.campaign(3);
    assert_eq!([1, 2, 3].map(|id| network.node(id).role()), [Candidate, Follower, Leader]);
    network.recover();
    network.beat(3);
    network.propose(3, "force follower");
    network.beat(3);
    assert_eq!((network.node(1).role(), network.node(1).term()), (Follower, 1));
    for (id, node) in &network.nodes {
        assert_eq!(node.log(), [(1, 1), (2, 1)], "{id}");
        assert_eq!(applied_data(node), [b"force follower"], "{id}");
    }
}

#[test]
fn old_messages() {
    let mut network = Network::new(3);
    for id in [1, 2, 1] {
        network.campaign(id);
    }
    assert_eq!((network.node(1).role(), network.node(1).term()), (Leader, 3));
    // As if from 2 when it led term 2.
    network.send(append(2, 2, 2, entries(3, &[2]), 3));
    network.settle();
    assert_eq!((network.node(1).role(), network.node(1).term()), (Leader, 3));
    network.propose(1, "somedata");
    for (id, node) in &network.nodes {
        assert_eq!(node.log_terms(), [1, 2, 3, 3], "{id}");
        assert_eq!(node.raw.commit(), 4, "{id}");
    }
}

#[test]
fn proposal() {
    let cases: [(u64, &[u64], bool); 5] =
        [(3, &[], true), (3, &[3], true), (3, &[2, 3], false), (4, &[2, 3], false), (5, &[2, 3], true)];
    for (size, silent, success) in cases {
        let mut network = Network::with_silent(size, silent);
        network.campaign(1);
        let proposed = network.node_mut(1).propose("somedata".into());
        network.settle();
        assert_eq!(proposed.is_ok(), success);
        for (id, node) in &network.nodes {
            let (log, commit): (&[u64], u64) = if success { (&[1, 1], 2) } else { (&[], 0) };
            assert_eq!((&node.log_terms()[..], node.raw.commit()), (log, commit), "{id} of {size}");
        }
        assert_eq!(network.node(1).term(), 1);
    }
}

#[test]
fn handle_message_type_msg_append() {
    // The log has terms 1 and 2. Each case: index and term before the append, its entries' terms, its
    // commit; then the last index and commit after it, and whether it was rejected.
    type Case = (u64, u64, &'static [u64], u64, u64, u64, bool);
    let cases: [Case; 11] = [
        // No entry of that index and term.
        (2, 3, &[], 3, 2, 0, true),
        (3, 3, &[], 3, 2, 0, true),
        // Conflicting entries go, new ones are added.
        (1, 1, &[], 1, 2, 1, false),
        (0, 0, &[2], 1, 1, 1, false),
        (2, 2, &[2, 2], 3, 4, 3, false),
        (2, 2, &[2], 4, 3, 3, false),
        (1, 1, &[2], 4, 2, 2, false),
        // Commit goes up to what the append covers, not to the end of the log.
        (1, 1, &[], 3, 2, 1, false),
        (1, 1, &[2], 3, 2, 2, false),
        (2, 2, &[], 3, 2, 2, false),
        (2, 2, &[], 4, 2, 2, false),
    ];
    for (index, term, sent, leader_commit, last, commit, reject) in cases {
        let mut node = Setup::new(1, &[1, 2]).log(&[1, 2]).build();
        let answers = node.step(append(3, index, term, entries(index + 1, sent), leader_commit));
        let what = format!("after {index} of term {term}: {sent:?}, commit {leader_commit}");
        assert_eq!((node.raw.last().index, node.raw.commit()), (last, commit), "{what}");
        assert_eq!(answers.iter().map(|answer| answer.reject).collect::<Vec<_>>(), [reject], "{what}");
    }
}

#[test]
fn recv_message_type_msg_request_vote() {
    // The log has two entries of term 2. A candidate with `index` and `log_term` as its last entry asks a
    // voter that has voted for `vote`.
    let mut cases = Vec::new();
    for index in 0..=3 {
        for log_term in 0..=3 {
            let up_to_date = log_term > 2 || log_term == 2 && index >= 2;
            cases.push((Follower, index, log_term, 0, !up_to_date));
        }
    }
    cases.push((Follower, 3, 2, 2, false));
    cases.push((Follower, 3, 2, 1, true));
    cases.push((Leader, 3, 3, 1, true));
    cases.push((Candidate, 3, 3, 1, true));
    assert_eq!(cases.len(), 20);

    for (role, index, log_term, vote, reject) in cases {
        let term = log_term.max(2);
        let setup = Setup::new(1, &[1, 2]).log(&[2, 2]);
        let mut node = match role {
            Follower => setup.term(term).vote(vote).build(),
            role => setup.term(term - 1).build().into_role(role),
        };
        assert_eq!((node.raw.role(), node.raw.term()), (role, term));
        let answers = node.step(Message { index, log_term, ..message(MsgRequestVote, 2, 1, term) });
        let expected = Message { reject, ..message(MsgRequestVoteResponse, 1, 2, term) };
        assert_eq!(answers, [expected], "{role:?}, {index} of term {log_term}, voted for {vote}");
    }
}

#[test]
fn all_server_stepdown() {
    for (role, last) in [(Follower, 0), (Candidate, 0), (Leader, 1)] {
        for (kind, leader) in [(MsgRequestVote, None), (MsgAppend, Some(2))] {
            let mut node = Node::in_role(role, 3);
            node.step(Message { log_term: 3, ..message(kind, 2, 1, 3) });
            assert_eq!((node.raw.role(), node.raw.term()), (Follower, 3), "{role:?}, {kind:?}");
            assert_eq!((node.raw.last().index, node.raw.leader()), (last, leader), "{role:?}, {kind:?}");
            assert!(node.raw.progress(1).is_none() && node.raw.progresses().next().is_none());
        }
    }
}

#[test]
fn heartbeat_update_commit() {
    for (failed, succeeded) in [(1, 1), (5, 3), (5, 10)] {
        let mut network = Network::new(3);
        network.campaign(1);
        network.isolate(1);
        (0..failed).for_each(|_| network.propose(1, ""));
        assert_eq!(network.node(1).commit(), 1);

        network.campaign(2);
        (0..succeeded).for_each(|_| network.propose(2, ""));
        assert_eq!([2, 3].map(|id| network.node(id).commit()), [2 + succeeded; 2]);

        // 1 has entries at those indexes, but others.
        network.recover();
        network.ignore(MsgAppend);
        network.beat(2);
        assert_eq!((network.node(1).term(), network.node(1).commit()), (2, 1));
    }
}

#[test]
fn leader_increase_next() {
    let one = Setup::new(1, &[1, 2, 3]).log(&[1, 1, 1]).build();
    let mut network = Network::of(vec![one, Node::new(2, &[1, 2, 3]), Node::new(3, &[1, 2, 3])]);
    network.campaign(1);
    network.propose(1, "somedata");
    // Three entries, the empty one, the proposal.
    assert_eq!(network.node(1).progress(2).unwrap().next(), 3 + 1 + 1 + 1);
}
