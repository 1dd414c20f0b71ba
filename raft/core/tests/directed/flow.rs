//! Replication under losses, delays and limits: what TinyKV's tests do not ask for.

use crate::common::{
    Network, Node, Setup, accept, append, applied_data, elect, entries, entry, message, of_kind, propose,
    settled_leader,
};
use raft::Role::{Follower, Leader};
use raft::eraftpb::MessageType::*;
use raft::eraftpb::{Message, MessageType};
use raft::{Config, EntryId, Error};

#[test]
fn a_delayed_append_does_not_cut_off_what_a_later_one_brought() {
    let mut node = Node::in_role(Follower, 3);
    node.step(append(1, 0, 0, entries(1, &[1, 1, 1]), 0));
    let answers = node.step(append(1, 0, 0, entries(1, &[1]), 0));
    assert_eq!(node.log_terms(), [1, 1, 1]);
    // Nor does it acknowledge more than it covers.
    assert_eq!(answers[0].index, 1);
}

#[test]
fn what_no_correct_replica_says_is_refused_and_changes_nothing() {
    let mut node = Setup::new(1, &[1, 2, 3]).log(&[1, 1]).build();
    node.step(append(1, 2, 1, Vec::new(), 2));
    let before = (node.log_terms(), node.raw.hard_state(), node.raw.leader());
    let heartbeat = message(MsgHeartbeat, 2, 1, 3);
    for malformed in [
        // Entries with a gap, onto what is committed, in falling terms, of a later term, without end.
        append(3, 2, 1, entries(4, &[3]), 0),
        append(3, 2, 1, entries(2, &[2]), 0),
        append(3, 2, 1, entries(3, &[2, 1]), 0),
        append(3, 2, 1, entries(3, &[4]), 0),
        append(3, u64::MAX, 1, Vec::new(), 0),
        append(0, 2, 0, Vec::new(), 0),
        // From nobody, from this replica itself, of the last term there is.
        Message { from: 0, ..heartbeat.clone() },
        Message { from: 1, ..heartbeat.clone() },
        Message { term: u64::MAX, ..heartbeat.clone() },
        Message { term: u64::MAX, ..message(MsgRequestVote, 2, 1, 3) },
        Message { from: 1, index: 2, ..message(MsgAppendResponse, 2, 1, 3) },
    ] {
        let kind = MessageType::try_from(malformed.msg_type).unwrap();
        assert_eq!(node.raw.step(malformed.clone()), Err(Error::Malformed(kind)), "{malformed:?}");
    }
    assert_eq!((node.log_terms(), node.raw.hard_state(), node.raw.leader()), before);
    assert!(!node.raw.has_ready());
}

#[test]
#[should_panic(expected = "commit 7 is past the last index 2")]
fn a_commit_past_the_log_is_a_panic() {
    let mut node = Setup::new(1, &[1, 2, 3]).log(&[1, 1]).build();
    node.raw.step(Message { commit: 7, ..message(MsgHeartbeat, 2, 1, 1) }).unwrap();
}

#[test]
fn rejections_skip_a_term_a_round_trip() {
    // The follower's tail of term 2 is as long as the leader's of term 3, so walking back by one index a
    // round trip would take 20 of them.
    let mut leader_log = vec![1; 5];
    leader_log.extend([3; 20]);
    let mut follower_log = vec![1; 5];
    follower_log.extend([2; 20]);
    let (mut leader, appends) = elect(Setup::new(1, &[1, 2, 3]).log(&leader_log).build());
    let mut follower = Setup::new(2, &[1, 2, 3]).log(&follower_log).build();
    let mut to_follower = of_kind(appends, MsgAppend);
    to_follower.retain(|append| append.to == 2);
    let mut round_trips = 0;
    while follower.log() != leader.log() {
        round_trips += 1;
        let answers: Vec<Message> = to_follower.drain(..).flat_map(|m| follower.step(m)).collect();
        to_follower = answers.into_iter().flat_map(|answer| leader.step(answer)).collect();
        to_follower.retain(|append| append.to == 2);
        assert!(round_trips < 5, "{:?} against {:?}", follower.log_terms(), leader.log_terms());
    }
    assert_eq!(round_trips, 2);
}

#[test]
fn an_old_rejection_is_ignored() {
    let mut leader = settled_leader(3);
    let before = leader.raw.progress(2).unwrap().clone();
    let old = Message { index: 1, reject: true, ..message(MsgAppendResponse, 2, 1, 1) };
    assert!(leader.step(old).is_empty());
    assert_eq!(leader.raw.progress(2), Some(&before));
}

#[test]
fn an_unreachable_peer_is_probed_with_one_append_at_a_time() {
    let mut leader = Node::in_role(Leader, 3);
    // The append of the empty entry went out and was not answered.
    for _ in 0..3 {
        assert!(propose(&mut leader, "x").is_empty());
    }
    // A heartbeat's answer lets one more go, with everything that is missing.
    let sent = leader.step(message(MsgHeartbeatResponse, 2, 1, 1));
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].to, sent[0].index, sent[0].entries.len()), (2, 0, 4));
    assert!(propose(&mut leader, "x").is_empty());
}

/// A leader of two with this window, its empty entry acknowledged.
fn leader_with(change: impl Fn(&mut Config)) -> Node {
    let mut setup = Setup::new(1, &[1, 2]);
    change(&mut setup.config);
    let (mut leader, appends) = elect(setup.build());
    leader.step(accept(&appends[0]));
    assert!(leader.raw.progress(2).unwrap().is_replicating());
    leader
}

#[test]
fn a_full_window_stops_appends_until_an_answer() {
    let mut leader = leader_with(|config| config.max_inflight_messages = 3);
    let sent: Vec<Vec<Message>> = (0..5).map(|_| propose(&mut leader, "x")).collect();
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 0, 0]);
    // One answer frees its place and the ones before it, and what waited goes in one append.
    let next = leader.step(accept(&sent[1][0]));
    let carried: Vec<usize> = next.iter().map(|append| append.entries.len()).collect();
    assert_eq!(carried.iter().sum::<usize>(), 2);
    assert!(leader.raw.progress(2).unwrap().next() == 7);
}

#[test]
fn a_peer_far_behind_gets_a_window_of_appends_at_once() {
    let mut setup = Setup::new(1, &[1, 2]).log(&[1; 20]);
    setup.config = Config { max_inflight_messages: 4, max_size_per_message: 0, ..setup.config };
    let (mut leader, appends) = elect(setup.build());
    // The logs turn out to agree up to 3.
    let answer = message(MsgAppendResponse, 2, 1, 2);
    leader.step(Message {
        index: appends[0].index,
        reject: true,
        reject_hint: 3,
        log_term: 1,
        ..answer.clone()
    });
    let sent = leader.step(Message { index: 3, ..answer });
    let carried: Vec<(u64, usize)> = sent.iter().map(|append| (append.index, append.entries.len())).collect();
    assert_eq!(carried, [(3, 1), (4, 1), (5, 1), (6, 1)]);
}

#[test]
fn a_window_lost_as_a_whole_is_recovered_by_a_heartbeat() {
    let mut leader = leader_with(|config| config.max_inflight_messages = 2);
    let mut follower = Node::new(2, &[1, 2]);
    follower.step(Message { to: 2, from: 1, ..append(1, 0, 0, entries(1, &[1]), 1) });
    for _ in 0..4 {
        propose(&mut leader, "x");
    }
    let mut to_follower = leader.step(message(MsgHeartbeatResponse, 2, 1, 1));
    assert_eq!(to_follower.len(), 1);
    assert!(to_follower[0].entries.is_empty());
    while let Some(message) = to_follower.pop() {
        let answers = follower.step(message);
        to_follower.extend(answers.into_iter().flat_map(|answer| leader.step(answer)));
    }
    assert_eq!(follower.log(), leader.log());
    assert_eq!(leader.raw.commit(), 5);
}

#[test]
fn appends_are_cut_at_the_size_limit_but_carry_one_entry_at_least() {
    let mut leader = leader_with(|config| {
        config.max_inflight_messages = 1;
        config.max_size_per_message = 250;
    });
    let first = propose(&mut leader, "first");
    for size in [100, 100, 100, 1000, 1] {
        leader.raw.propose(vec![7; size].into()).unwrap();
    }
    leader.work();
    let mut carried = Vec::new();
    let mut next = first;
    while let Some(append) = next.into_iter().find(|append| !append.entries.is_empty()) {
        carried.push(append.entries.len());
        next = leader.step(accept(&append));
    }
    assert_eq!(carried, [1, 2, 1, 1, 1]);
}

#[test]
fn a_follower_forwards_a_proposal_and_a_replica_without_leader_refuses_it() {
    let mut network = Network::new(3);
    let proposal = Message { entries: vec![entry(0, 0, "x")], ..message(MsgPropose, 0, 0, 0) };
    assert_eq!(network.node_mut(2).step(proposal.clone()), Err(Error::NotLeader { leader: None }));
    network.campaign(1);
    network.node_mut(2).step(proposal).unwrap();
    network.settle();
    for node in network.nodes.values() {
        assert_eq!(applied_data(node), [b"x"]);
    }
    // The direct way tells whom to ask instead.
    assert_eq!(network.node_mut(2).propose("y".into()), Err(Error::NotLeader { leader: Some(1) }));
}

#[test]
fn a_peer_behind_the_truncated_entry_makes_the_leader_want_a_snapshot() {
    let start = EntryId { term: 5, index: 5 };
    let mut leader = Setup::starting_at(1, &[1, 2, 3], start).build().into_role(Leader);
    leader.makes_snapshots = false;
    let empty = Message { index: 5, reject: true, ..message(MsgAppendResponse, 2, 1, 6) };
    assert_eq!((leader.step(empty), leader.wants_snapshot), (Vec::new(), true));
    // It is sent no appends meanwhile.
    assert!(leader.step(message(MsgHeartbeatResponse, 2, 1, 6)).is_empty());
    assert_eq!(leader.raw.progress(2).unwrap().next(), 1);
    // The others are not held up by it.
    leader.step(Message { index: 6, ..message(MsgAppendResponse, 3, 1, 6) });
    assert_eq!(leader.raw.commit(), 6);
}

// The window.

/// How many appends a proposal of so many bytes leads to.
fn appends_of(leader: &mut Node, bytes: usize) -> Vec<Message> {
    leader.raw.propose(vec![7; bytes].into()).unwrap();
    of_kind(leader.work(), MsgAppend)
}

#[test]
fn a_window_full_of_bytes_stops_appends_until_an_answer() {
    let mut leader = leader_with(|config| config.max_inflight_bytes = 10);
    let first = appends_of(&mut leader, 6);
    // The one that crosses the bound still goes.
    assert_eq!((first.len(), appends_of(&mut leader, 6).len()), (1, 1));
    assert_eq!((appends_of(&mut leader, 1).len(), appends_of(&mut leader, 1).len()), (0, 0));
    let sent = leader.step(accept(&first[0]));
    assert_eq!(sent.iter().map(|append| append.entries.len()).sum::<usize>(), 2);
    // 6 + 1 + 1 are on their way now.
    assert_eq!((appends_of(&mut leader, 2).len(), appends_of(&mut leader, 0).len()), (1, 0));
}

#[test]
fn an_old_answer_frees_no_place_in_the_window() {
    let mut leader = leader_with(|config| config.max_inflight_messages = 3);
    let sent: Vec<Message> = (0..3).flat_map(|_| appends_of(&mut leader, 1)).collect();
    leader.step(accept(&sent[1]));
    let more: Vec<usize> = (0..3).map(|_| appends_of(&mut leader, 1).len()).collect();
    assert_eq!(more, [1, 1, 0]);
    for old in &sent[..2] {
        assert!(leader.step(accept(old)).is_empty());
        assert!(appends_of(&mut leader, 1).is_empty());
    }
}

#[test]
fn with_a_full_window_each_answer_to_a_heartbeat_lets_one_empty_append_go() {
    let mut leader = leader_with(|config| config.max_inflight_messages = 2);
    for _ in 0..3 {
        appends_of(&mut leader, 1);
    }
    for _ in 0..5 {
        let sent = leader.step(message(MsgHeartbeatResponse, 2, 1, 1));
        // After what was sent last, and it moves nothing.
        let expected = Message { index: 3, log_term: 1, commit: 1, ..message(MsgAppend, 1, 2, 1) };
        assert_eq!(sent, [expected]);
        assert!(appends_of(&mut leader, 1).is_empty());
    }
}

#[test]
fn an_unreachable_peer_starts_again_from_what_it_has() {
    let mut leader = leader_with(|_| ());
    let lost = appends_of(&mut leader, 1);
    assert_eq!(lost[0].index, 1);
    leader.raw.report_unreachable(2);
    let again = appends_of(&mut leader, 1);
    assert_eq!((again.len(), again[0].index, again[0].entries.len()), (1, 1, 2));
    assert!(appends_of(&mut leader, 1).is_empty(), "one probe at a time");
    leader.step(accept(&again[0]));
    assert!(leader.raw.progress(2).unwrap().is_replicating());
}

// Batching, and who hears of a commit.

#[test]
fn proposals_leave_together_one_append_a_peer() {
    let mut leader = settled_leader(3);
    for data in ["a", "b", "c"] {
        leader.raw.propose(data.into()).unwrap();
    }
    let ready = leader.one_ready();
    let batch = vec![entry(2, 1, "a"), entry(3, 1, "b"), entry(4, 1, "c")];
    let append = |to| Message {
        index: 1,
        log_term: 1,
        entries: batch.clone(),
        commit: 1,
        ..message(MsgAppend, 1, to, 1)
    };
    assert_eq!(ready.messages, [append(2), append(3)]);
    assert!(!leader.raw.has_ready());
}

#[test]
fn a_commit_is_told_once_and_together_with_entries_if_there_are_any() {
    let mut leader = settled_leader(3);
    let sent = propose(&mut leader, "x");
    let told = leader.step(accept(&sent[0]));
    assert_eq!(told.iter().map(|append| (append.to, append.commit)).collect::<Vec<_>>(), [(2, 2), (3, 2)]);
    assert!(leader.step(accept(&sent[1])).is_empty(), "nothing new about 3");
    assert!(told.iter().all(|append| leader.step(accept(append)).is_empty()));

    let sent = propose(&mut leader, "y");
    leader.raw.step(accept(&sent[0])).unwrap();
    leader.raw.propose("z".into()).unwrap();
    let told = leader.work();
    let told: Vec<_> = told.iter().map(|append| (append.to, append.commit, append.entries.len())).collect();
    assert_eq!(told, [(2, 3, 1), (3, 3, 1)]);
}

#[test]
fn a_freed_window_tells_no_commit_that_is_told_already() {
    let setup = Setup::new(1, &[1, 2, 3, 4, 5]).with(|config| config.max_inflight_messages = 1);
    let (mut leader, appends) = elect(setup.build());
    for append in &appends {
        let told = leader.step(accept(append));
        told.iter().for_each(|append| assert!(append.entries.is_empty()));
    }
    let sent = propose(&mut leader, "x");
    assert_eq!(sent.len(), 4);
    assert!(leader.step(accept(&sent[0])).is_empty(), "two of five have it");
    // The next one commits it; for who answers later the window frees and there is something to tell.
    let told: Vec<_> =
        leader.step(accept(&sent[1])).iter().map(|append| (append.to, append.commit)).collect();
    assert_eq!(told, [(2, 2), (3, 2)]);
    assert_eq!(leader.step(accept(&sent[2])).len(), 1);
}

#[test]
fn a_commit_that_got_lost_comes_with_a_heartbeat() {
    let mut network = Network::new(3);
    network.campaign(1);
    network.node_mut(1).propose("x".into()).unwrap();
    // The entry reaches both; the append that tells of the commit is lost.
    for message in network.nodes.get_mut(&1).unwrap().work() {
        let answers = network.nodes.get_mut(&message.to).unwrap().step(message);
        answers.into_iter().for_each(|answer| network.node_mut(1).step(answer).unwrap());
    }
    assert_eq!(network.nodes.get_mut(&1).unwrap().work().len(), 2);
    assert_eq!([1, 2, 3].map(|id| network.node(id).commit()), [2, 1, 1]);
    network.ignore(MsgAppend);
    network.beat(1);
    assert_eq!([1, 2, 3].map(|id| network.node(id).commit()), [2, 2, 2]);
}

#[test]
fn a_peer_hears_after_a_probe_what_was_committed_meanwhile() {
    let (mut leader, appends) = elect(Node::new(1, &[1, 2, 3]));
    leader.step(accept(&appends[0]));
    assert_eq!(leader.raw.commit(), 1);
    let told = leader.step(accept(&appends[1]));
    assert_eq!(told, [Message { index: 1, log_term: 1, commit: 1, ..message(MsgAppend, 1, 3, 1) }]);
}

// Bounds on what is uncommitted.

/// Leader 1 of two with this bound, its empty entry committed.
fn bounded(max_uncommitted_size: u64) -> Node {
    leader_with(|config| config.max_uncommitted_size = max_uncommitted_size)
}

fn take(leader: &mut Node, bytes: usize) -> Result<(), Error> {
    leader.raw.propose(vec![7; bytes].into()).map(|_| ())
}

#[test]
fn a_leader_that_cannot_commit_refuses_more_data() {
    let mut leader = bounded(10);
    assert_eq!((take(&mut leader, 6), take(&mut leader, 4)), (Ok(()), Ok(())));
    assert_eq!(take(&mut leader, 1), Err(Error::TooMuchUncommitted));
    assert_eq!(leader.raw.last().index, 3);
    // What is empty passes.
    assert_eq!(take(&mut leader, 0), Ok(()));
    // A commit frees the bytes of its entries.
    leader.work();
    leader.step(Message { index: 2, ..message(MsgAppendResponse, 2, 1, 1) });
    assert_eq!(take(&mut leader, 7), Err(Error::TooMuchUncommitted));
    assert_eq!(take(&mut leader, 6), Ok(()));
}

#[test]
fn one_proposal_is_taken_whatever_its_size() {
    let mut leader = bounded(10);
    assert_eq!(take(&mut leader, 100), Ok(()));
    assert_eq!(take(&mut leader, 1), Err(Error::TooMuchUncommitted));
    leader.work();
    leader.step(Message { index: 2, ..message(MsgAppendResponse, 2, 1, 1) });
    assert_eq!(take(&mut leader, 100), Ok(()));
}

#[test]
fn the_entries_of_one_message_are_bounded_as_a_whole() {
    let mut leader = bounded(10);
    let proposal =
        Message { entries: vec![entry(0, 0, "123456"), entry(0, 0, "1234")], ..message(MsgPropose, 2, 1, 0) };
    assert_eq!(take(&mut leader, 1), Ok(()));
    assert_eq!(leader.raw.step(proposal.clone()), Err(Error::TooMuchUncommitted));
    assert_eq!(leader.raw.last().index, 2);
    let mut leader = bounded(11);
    assert_eq!((take(&mut leader, 1), leader.raw.step(proposal)), (Ok(()), Ok(())));
}

#[test]
fn a_new_leadership_starts_with_nothing_uncommitted() {
    let mut leader = bounded(10);
    assert_eq!(take(&mut leader, 10), Ok(()));
    leader.work();
    leader.step(message(MsgHeartbeat, 2, 1, 2));
    let (mut leader, appends) = elect(leader);
    assert_eq!(take(&mut leader, 10), Ok(()));
    assert_eq!(take(&mut leader, 1), Err(Error::TooMuchUncommitted));
    // The entries of the term before were not counted, so their commit frees nothing.
    leader.work();
    leader.step(accept(&appends[0]));
    assert_eq!((leader.raw.commit(), leader.raw.last().index), (3, 4));
    assert_eq!(take(&mut leader, 1), Err(Error::TooMuchUncommitted));
    leader.step(Message { index: 4, ..message(MsgAppendResponse, 2, 1, 3) });
    assert_eq!((leader.raw.commit(), take(&mut leader, 10)), (4, Ok(())));
}

// Forwarding.

#[test]
fn a_proposal_is_passed_on_as_it_is_or_refused_if_so_configured() {
    let proposal = Message { entries: vec![entry(0, 0, "x")], ..message(MsgPropose, 0, 0, 0) };
    let mut node = Node::in_role(Follower, 3);
    assert_eq!(node.step(proposal.clone()), [Message { from: 1, to: 2, ..proposal.clone() }]);
    // One of somebody else keeps its sender.
    let of_3 = Message { from: 3, to: 1, ..proposal.clone() };
    assert_eq!(node.step(of_3.clone()), [Message { to: 2, ..of_3 }]);

    let mut proud = Setup::new(1, &[1, 2, 3]).with(|config| config.forward_proposals = false).build();
    proud.step(message(MsgHeartbeat, 2, 1, 1));
    assert_eq!(proud.raw.step(proposal), Err(Error::NotLeader { leader: Some(2) }));
    assert!(!proud.raw.has_ready());
}
