//! The interface: the tests of TinyKV's group 2AC under their own names, then asynchronous persistence.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use common::{Node, Setup, accept, append, entries, entry, message, of_kind};
use raft::Role::{Candidate, Follower, Leader};
use raft::eraftpb::MessageType::*;
use raft::eraftpb::{HardState, Message};
use raft::{Config, ConfigError, Error, MemStorage, RawNode, Ready, SoftState, StorageError};

#[test]
fn raw_node_start() {
    let mut node = Node::new(1, &[1]);
    node.raw.campaign();
    node.work();
    node.applied.clear();

    // TinyKV expects entry and committed entry in one batch here. That would apply what a crash can
    // still take away (etcd issue 14370), so the entry is applied by the batch after its own.
    node.raw.propose("foo".into()).unwrap();
    let ready = node.one_ready();
    assert_eq!(ready.entries, [entry(2, 1, "foo")]);
    assert!(ready.committed_entries.is_empty() && ready.must_sync);
    let ready = node.one_ready();
    assert_eq!(ready.committed_entries, [entry(2, 1, "foo")]);
    assert!(ready.entries.is_empty() && !ready.must_sync);
    assert!(!node.raw.has_ready());
    assert_eq!((node.raw.applied(), node.raw.persisted()), (2, 2));
}

#[test]
fn raw_node_restart() {
    let mut node = Setup::new(1, &[1]).log(&[1, 1]).commit(1).build();
    let expected = Ready { number: 1, committed_entries: entries(1, &[1]), ..Ready::default() };
    assert!(node.raw.has_ready());
    assert_eq!(node.one_ready(), expected);
    assert!(!node.raw.has_ready());
}

// Ours.

/// Follower 1 of term 1 under leader 2, with nothing left to do.
fn follower() -> Node {
    Node::in_role(Follower, 3)
}

#[test]
fn a_restart_continues_after_the_applied_index_even_past_the_written_commit() {
    let mut setup = Setup::new(1, &[1]).log(&[1, 1, 1]).commit(1);
    setup.config.applied = 2;
    let mut node = setup.build();
    assert_eq!((node.raw.commit(), node.raw.applied()), (2, 2));
    let ready = node.raw.ready();
    assert!(ready.committed_entries.is_empty());
    // The commit is news for the disk, but none that must not be lost.
    assert_eq!(ready.hard_state, Some(HardState { term: 1, vote: 0, commit: 2 }));
    assert!(!ready.must_sync);
}

#[test]
fn a_replica_does_not_start_from_a_state_that_contradicts_itself() {
    let start = |setup: fn(&mut MemStorage)| {
        let mut disk = MemStorage::new(&[1]);
        setup(&mut disk);
        RawNode::new(&Config::new(1), &disk).map(|_| ())
    };
    let corrupt = |result: Result<(), Error>| {
        matches!(result, Err(Error::Storage(StorageError::Corrupt(_)))).then_some(()).ok_or(result)
    };
    assert_eq!(
        corrupt(start(|disk| disk.set_hard_state(HardState { commit: 1, ..HardState::default() }))),
        Ok(())
    );
    // An entry of a term that was never entered: the hard state was lost, and with it maybe a vote.
    assert_eq!(corrupt(start(|disk| disk.append(&entries(1, &[1])))), Ok(()));
    assert_eq!(start(|_| ()), Ok(()));
    let zero = RawNode::new(&Config::default(), &MemStorage::new(&[1])).map(|_| ());
    assert_eq!(zero, Err(Error::Config(ConfigError::ZeroId)));
}

#[test]
fn a_candidates_own_vote_counts_when_it_is_durable() {
    let mut node = Node::new(1, &[1]);
    node.raw.campaign();
    assert_eq!(node.raw.role(), Candidate);
    let ready = node.raw.ready();
    assert!(ready.must_sync);
    assert_eq!(ready.hard_state, Some(HardState { term: 1, vote: 1, commit: 0 }));
    assert_eq!(ready.soft_state, Some(SoftState { role: Candidate, leader: None }));
    node.raw.tick();
    assert_eq!(node.raw.role(), Candidate);
    node.raw.on_persisted(ready.number);
    assert_eq!(node.raw.role(), Leader);
}

#[test]
fn the_votes_of_others_do_not_replace_a_durable_one_of_its_own() {
    let mut node = Node::new(1, &[1, 2, 3]);
    node.raw.campaign();
    let ready = node.raw.ready();
    assert!(ready.messages.is_empty());
    // Only a candidate that forgot its vote in a crash could get this answer so early.
    node.raw.step(message(MsgRequestVoteResponse, 2, 1, 1)).unwrap();
    assert_eq!(node.raw.role(), Candidate);
    node.raw.on_persisted(ready.number);
    assert_eq!(node.raw.role(), Leader);
}

#[test]
fn a_durable_vote_does_not_count_in_a_later_term() {
    let mut node = Node::new(1, &[1]);
    node.raw.campaign();
    let first = node.raw.ready();
    node.raw.campaign();
    let second = node.raw.ready();
    node.raw.on_persisted(first.number);
    assert_eq!((node.raw.role(), node.raw.term()), (Candidate, 2));
    node.raw.on_persisted(second.number);
    assert_eq!((node.raw.role(), node.raw.term()), (Leader, 2));
}

#[test]
fn a_leader_does_not_count_its_entry_before_it_is_durable() {
    let mut leader = Node::in_role(Leader, 3);
    leader.step(Message { index: 1, ..message(MsgAppendResponse, 2, 1, 1) });
    leader.step(Message { index: 1, ..message(MsgAppendResponse, 3, 1, 1) });
    leader.raw.propose("x".into()).unwrap();
    let ready = leader.raw.ready();
    // The followers write in parallel with the leader.
    assert_eq!(of_kind(ready.messages.clone(), MsgAppend).len(), 2);
    assert!(ready.persisted_messages.is_empty());
    leader.raw.step(accept(&ready.messages[0])).unwrap();
    assert_eq!(leader.raw.commit(), 1, "one of three has it durably");
    leader.raw.on_persisted(ready.number);
    assert_eq!(leader.raw.commit(), 2);
}

#[test]
fn followers_can_commit_without_the_leader_but_it_applies_only_what_it_has() {
    let mut leader = Node::in_role(Leader, 3);
    leader.raw.propose("x".into()).unwrap();
    let ready = leader.raw.ready();
    for from in [2, 3] {
        leader.raw.step(Message { index: 2, ..message(MsgAppendResponse, from, 1, 1) }).unwrap();
    }
    // 2 and 3 are a majority.
    assert_eq!(leader.raw.commit(), 2);
    let next = leader.raw.ready();
    assert_eq!(next.committed_entries, [entry(1, 1, "")]);
    leader.raw.on_persisted(ready.number);
    assert_eq!(leader.raw.ready().committed_entries, [entry(2, 1, "x")]);
}

#[test]
fn a_followers_promises_wait_for_its_disk() {
    let mut node = follower();
    node.raw.step(append(1, 0, 0, entries(1, &[1]), 1)).unwrap();
    let ready = node.raw.ready();
    assert!(ready.messages.is_empty() && ready.must_sync);
    assert_eq!(of_kind(ready.persisted_messages, MsgAppendResponse).len(), 1);
    // Committed, but not durable here yet.
    assert_eq!(node.raw.commit(), 1);
    assert!(ready.committed_entries.is_empty());

    // An answer that promises nothing new still waits its turn while a write is on its way.
    node.raw.step(message(MsgHeartbeat, 2, 1, 1)).unwrap();
    let second = node.raw.ready();
    assert_eq!((second.messages.len(), second.persisted_messages.len()), (0, 1));
    assert!(!second.must_sync);

    node.raw.on_persisted(second.number);
    let third = node.raw.ready();
    assert_eq!(third.committed_entries, entries(1, &[1]));

    // With nothing to wait for, it leaves at once.
    node.raw.step(message(MsgHeartbeat, 2, 1, 1)).unwrap();
    let fourth = node.raw.ready();
    assert_eq!((fourth.messages.len(), fourth.persisted_messages.len()), (1, 0));
}

#[test]
fn a_vote_waits_for_its_disk() {
    let mut node = Node::new(1, &[1, 2, 3]);
    node.raw.step(message(MsgRequestVote, 2, 1, 1)).unwrap();
    let ready = node.raw.ready();
    assert_eq!(ready.hard_state, Some(HardState { term: 1, vote: 2, commit: 0 }));
    assert!(ready.must_sync && ready.messages.is_empty());
    assert_eq!(ready.persisted_messages, [message(MsgRequestVoteResponse, 1, 2, 1)]);
}

#[test]
fn several_batches_may_be_on_their_way() {
    let mut node = follower();
    let mut numbers = Vec::new();
    for index in 1..=4 {
        let before = index - 1;
        node.raw.step(append(1, before, before.min(1), entries(index, &[1]), 4)).unwrap();
        let ready = node.raw.ready();
        assert_eq!(ready.entries, entries(index, &[1]));
        assert!(ready.committed_entries.is_empty());
        numbers.push(ready.number);
    }
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    // The second implies the first.
    node.raw.on_persisted(numbers[1]);
    assert_eq!(node.raw.persisted(), 2);
    assert_eq!(node.raw.ready().committed_entries, entries(1, &[1, 1]));
    node.raw.on_persisted(numbers[3]);
    assert_eq!(node.raw.persisted(), 4);
    assert_eq!(node.raw.ready().committed_entries, entries(3, &[1, 1]));
}

#[test]
fn a_write_that_was_overwritten_proves_nothing() {
    let mut node = follower();
    node.raw.step(append(1, 0, 0, entries(1, &[1, 1, 1]), 0)).unwrap();
    let old = node.raw.ready();
    node.raw.step(append(2, 1, 1, entries(2, &[2, 2]), 0)).unwrap();
    let new = node.raw.ready();
    assert_eq!(new.entries, entries(2, &[2, 2]));
    node.raw.on_persisted(old.number);
    assert_eq!(node.raw.persisted(), 1);
    node.raw.on_persisted(new.number);
    assert_eq!(node.raw.persisted(), 3);
}

#[test]
fn a_write_that_was_overwritten_proves_nothing_even_if_the_entry_came_back() {
    let mut node = follower();
    node.raw.step(append(1, 0, 0, entries(1, &[1, 1]), 0)).unwrap();
    let first = node.raw.ready();
    // A leader of term 2 without entry 2 replaces it, then one of term 3 brings it back.
    node.raw.step(append(2, 1, 1, entries(2, &[2]), 0)).unwrap();
    let second = node.raw.ready();
    node.raw.step(append(3, 1, 1, entries(2, &[1, 3]), 0)).unwrap();
    let third = node.raw.ready();
    assert_eq!(node.log_terms(), [1, 1, 3]);

    // On the disk is entry 2 of term 1, as in the log. But the disk is about to replace it, too, and if
    // it crashes after that, it is gone.
    node.raw.on_persisted(first.number);
    assert_eq!(node.raw.persisted(), 1);
    node.raw.on_persisted(second.number);
    assert_eq!(node.raw.persisted(), 1);
    node.raw.on_persisted(third.number);
    assert_eq!(node.raw.persisted(), 3);
}

#[test]
fn an_overwritten_durable_entry_is_not_durable() {
    let mut node = follower();
    node.step(append(1, 0, 0, entries(1, &[1, 1, 1]), 0));
    assert_eq!(node.raw.persisted(), 3);
    node.raw.step(append(2, 1, 1, entries(2, &[2]), 2)).unwrap();
    assert_eq!((node.raw.persisted(), node.raw.commit()), (1, 2));
    assert_eq!(node.one_ready().committed_entries, entries(1, &[1]));
    assert_eq!(node.one_ready().committed_entries, entries(2, &[2]));
}

#[test]
fn a_commit_alone_needs_no_sync() {
    let mut node = follower();
    node.step(append(1, 0, 0, entries(1, &[1]), 0));
    node.raw.step(append(1, 1, 1, Vec::new(), 1)).unwrap();
    let ready = node.raw.ready();
    assert_eq!(ready.hard_state, Some(HardState { term: 1, vote: 0, commit: 1 }));
    assert!(!ready.must_sync);
    assert_eq!(ready.committed_entries, entries(1, &[1]));
    // So the answer need not wait either.
    assert_eq!(ready.messages.len(), 1);
}

#[test]
fn applying_goes_its_own_pace() {
    let mut node = follower();
    node.step(append(1, 0, 0, entries(1, &[1, 1, 1]), 0));
    assert_eq!(node.raw.applied(), 0);
    node.raw.step(append(1, 3, 1, Vec::new(), 3)).unwrap();
    assert_eq!(node.raw.ready().committed_entries.len(), 3);
    node.raw.on_applied(2);
    assert_eq!((node.raw.applied(), node.raw.commit()), (2, 3));
    node.raw.on_applied(3);
    assert!(!node.raw.has_ready());
}

#[test]
#[should_panic(expected = "applied 1, which is not in 0..=0")]
fn applying_what_was_not_handed_out_is_a_panic() {
    follower().raw.on_applied(1);
}

#[test]
#[should_panic(expected = "batch 9 is durable")]
fn persisting_what_was_not_handed_out_is_a_panic() {
    Node::new(1, &[1]).raw.on_persisted(9);
}

#[test]
fn a_copy_goes_its_own_way() {
    let mut leader = Node::in_role(Leader, 3);
    let before = leader.raw.clone();
    leader.raw.propose("x".into()).unwrap();
    assert_eq!(leader.raw.last().index, before.last().index + 1);
    assert!(!before.has_ready());
    let mut copy = before;
    copy.propose("y".into()).unwrap();
    assert_eq!(leader.raw.entry(2).unwrap().data, "x");
    assert_eq!(copy.entry(2).unwrap().data, "y");
}
