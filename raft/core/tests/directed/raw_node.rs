//! The interface: the tests of TinyKV's group 2AC under their own names, then asynchronous persistence.

use crate::common::{Node, Setup, accept, append, entries, entry, message, of_kind, settled_leader};
use raft::Role::{Candidate, Follower, Leader};
use raft::eraftpb::MessageType::*;
use raft::eraftpb::{HardState, Message};
use raft::{Config, ConfigError, Error, MemStorage, RawNode, ReadState, Ready, SoftState, StorageError};

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

    // The answer to a heartbeat promises nothing but the term, which is durable.
    assert_eq!(node.raw.persisted(), 0);
    node.raw.step(message(MsgHeartbeat, 2, 1, 1)).unwrap();
    let second = node.raw.ready();
    assert_eq!((second.messages.len(), second.persisted_messages.len()), (1, 0));
    assert!(!second.must_sync);

    // An older append is answered at once neither: what it acknowledges is on its way to the disk.
    node.raw.step(append(1, 0, 0, entries(1, &[1]), 1)).unwrap();
    let third = node.raw.ready();
    assert_eq!((third.messages.len(), third.persisted_messages.len()), (0, 1));

    node.raw.on_persisted(third.number);
    let fourth = node.raw.ready();
    assert_eq!(fourth.committed_entries, entries(1, &[1]));

    // With nothing to wait for, everything leaves at once.
    node.raw.step(append(1, 0, 0, entries(1, &[1]), 1)).unwrap();
    let fifth = node.raw.ready();
    assert_eq!((fifth.messages.len(), fifth.persisted_messages.len()), (1, 0));
}

#[test]
fn an_answer_to_a_heartbeat_waits_for_its_term() {
    let mut node = follower();
    node.raw.step(message(MsgHeartbeat, 2, 1, 2)).unwrap();
    let ready = node.raw.ready();
    assert!(ready.must_sync);
    assert_eq!((ready.messages.len(), ready.persisted_messages.len()), (0, 1));
    node.raw.step(message(MsgHeartbeat, 2, 1, 2)).unwrap();
    let second = node.raw.ready();
    assert_eq!((second.messages.len(), second.persisted_messages.len()), (0, 1));
    node.raw.on_persisted(second.number);
    node.raw.step(message(MsgHeartbeat, 2, 1, 2)).unwrap();
    assert_eq!(node.raw.ready().messages.len(), 1);
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

// How much is handed out to be applied.

/// Counts the committed entries of each batch while everything is done at once.
fn committed_per_batch(node: &mut Node) -> Vec<usize> {
    let mut counts = Vec::new();
    while node.raw.has_ready() {
        counts.push(node.one_ready().committed_entries.len());
    }
    counts
}

#[test]
fn committed_entries_come_in_batches_of_bounded_size_each_once() {
    let data = [10, 10, 10, 100, 1, 1];
    let log: Vec<_> = (1..)
        .zip(data)
        .map(|(index, size)| raft::eraftpb::Entry {
            index,
            term: 1,
            data: vec![7; size].into(),
            ..Default::default()
        })
        .collect();
    let mut disk = MemStorage::new(&[1, 2]);
    disk.append(&log);
    disk.set_hard_state(HardState { term: 1, vote: 0, commit: 6 });
    // An entry of ten bytes takes sixteen.
    for (max, expected) in
        [(33, &[2, 1, 1, 2][..]), (31, &[1, 1, 1, 1, 2]), (0, &[1, 1, 1, 1, 1, 1]), (u64::MAX, &[6])]
    {
        let config = Config { max_committed_size_per_ready: max, ..Config::new(1) };
        let mut node = Setup::new(1, &[1, 2]).build();
        node.disk = disk.clone();
        node.raw = RawNode::new(&config, &disk).unwrap();
        assert_eq!(committed_per_batch(&mut node), expected, "at most {max}");
        assert_eq!(node.applied, log);
    }
}

#[test]
fn batches_may_be_taken_before_the_last_is_applied() {
    let mut node = Setup::new(1, &[1, 2]).log(&[1, 1, 1]).commit(3);
    node.config.max_committed_size_per_ready = 0;
    let mut node = node.build();
    let handed_out: Vec<_> = (0..3).flat_map(|_| node.raw.ready().committed_entries).collect();
    assert_eq!((handed_out, node.raw.has_ready()), (entries(1, &[1, 1, 1]), false));
    node.raw.on_applied(3);
    // A restart that knows what was applied goes on after that.
    let mut setup = Setup::new(1, &[1, 2]).log(&[1, 1, 1]).commit(3);
    setup.config.applied = 1;
    assert_eq!(setup.build().raw.ready().committed_entries, entries(2, &[1, 1]));
}

#[test]
fn with_apply_unpersisted_a_leader_applies_what_a_quorum_has() {
    let setup = Setup::new(1, &[1, 2, 3]).with(|config| config.apply_unpersisted = true);
    let mut leader = setup.build().into_role(Leader);
    leader.raw.propose("x".into()).unwrap();
    let ready = leader.raw.ready();
    for from in [2, 3] {
        leader.raw.step(Message { index: 2, ..message(MsgAppendResponse, from, 1, 1) }).unwrap();
    }
    assert_eq!((leader.raw.commit(), leader.raw.persisted()), (2, 1));
    let next = leader.raw.ready();
    assert_eq!(next.committed_entries, [entry(1, 1, ""), entry(2, 1, "x")]);
    leader.raw.on_applied(2);
    // And may forget it, whatever becomes of the write.
    leader.raw.compact(2);
    assert_eq!((leader.raw.first_index(), leader.raw.last().index), (3, 2));
    leader.raw.on_persisted(ready.number);
    assert_eq!(leader.raw.persisted(), 2);
}

#[test]
fn with_apply_unpersisted_a_follower_applies_in_the_batch_that_writes() {
    let setup = Setup::new(1, &[1, 2, 3]).with(|config| config.apply_unpersisted = true);
    let mut node = setup.build().into_role(Follower);
    node.raw.step(append(1, 0, 0, entries(1, &[1, 1]), 1)).unwrap();
    let ready = node.raw.ready();
    assert_eq!((ready.entries, ready.committed_entries), (entries(1, &[1, 1]), entries(1, &[1])));
    // Its word is still good for what is durable only.
    assert_eq!((ready.messages.len(), ready.persisted_messages.len()), (0, 1));
}

#[test]
fn a_group_of_one_commits_what_is_durable_even_with_apply_unpersisted() {
    let setup = Setup::new(1, &[1]).with(|config| config.apply_unpersisted = true);
    let mut node = setup.build();
    node.raw.campaign();
    node.work();
    node.raw.propose("x".into()).unwrap();
    let ready = node.raw.ready();
    assert_eq!((ready.entries.len(), ready.committed_entries.len()), (1, 0));
    assert!(!node.raw.has_ready());
    node.raw.on_persisted(ready.number);
    assert_eq!(node.raw.ready().committed_entries, [entry(2, 1, "x")]);
}

// Several batches on their way, and what a campaign makes of them.

#[test]
fn a_candidate_asks_when_all_that_it_boasts_of_is_durable() {
    let mut node = follower();
    node.raw.step(append(1, 0, 0, entries(1, &[1, 1]), 0)).unwrap();
    let first = node.raw.ready();
    node.raw.campaign();
    let second = node.raw.ready();
    assert_eq!((&second.messages, second.entries.len()), (&Vec::new(), 0));
    let requests = of_kind(second.persisted_messages, MsgRequestVote);
    assert_eq!(requests.iter().map(|request| request.index).collect::<Vec<_>>(), [2, 2]);
    node.raw.on_persisted(first.number);
    node.raw.step(message(MsgRequestVoteResponse, 2, 1, 2)).unwrap();
    assert_eq!(node.raw.role(), Candidate, "its own vote is not durable");
    // The skipped number was a batch of nothing that needs a disk.
    let third = node.raw.ready();
    assert!(!third.must_sync);
    node.raw.on_persisted(third.number);
    assert_eq!((node.raw.role(), node.raw.persisted()), (Leader, 2));
}

#[test]
fn what_a_leader_writes_in_several_batches_counts_as_they_become_durable() {
    let mut leader = Node::in_role(Leader, 3);
    let mut numbers = Vec::new();
    for data in ["x", "y", "z"] {
        leader.raw.propose(data.into()).unwrap();
        let ready = leader.raw.ready();
        assert_eq!(ready.entries.len(), 1);
        numbers.push(ready.number);
    }
    leader.raw.step(Message { index: 4, ..message(MsgAppendResponse, 2, 1, 1) }).unwrap();
    assert_eq!((leader.raw.persisted(), leader.raw.commit()), (1, 1));
    leader.raw.on_persisted(numbers[1]);
    assert_eq!((leader.raw.persisted(), leader.raw.commit()), (3, 3));
    assert_eq!(leader.raw.progress(1).unwrap().matched(), 3);
    // A report that comes late is none.
    leader.raw.on_persisted(numbers[0]);
    assert_eq!(leader.raw.persisted(), 3);
    leader.raw.on_persisted(numbers[2]);
    assert_eq!((leader.raw.persisted(), leader.raw.commit()), (4, 4));
}

// Reads, and forgetting who leads; more of both in their own files.

#[test]
fn a_read_comes_back_with_a_batch() {
    let mut leader = settled_leader(3);
    let read = leader.raw.read_index().unwrap();
    let ready = leader.raw.ready();
    assert!(ready.read_states.is_empty() && !ready.must_sync);
    let heartbeats = of_kind(ready.messages, MsgHeartbeat);
    assert_eq!(heartbeats.iter().map(|heartbeat| heartbeat.to).collect::<Vec<_>>(), [2, 3]);
    assert!(!leader.raw.has_ready());
    let context = heartbeats[0].context.clone();
    leader.raw.step(Message { context, ..message(MsgHeartbeatResponse, 2, 1, 1) }).unwrap();
    assert!(leader.raw.has_ready());
    assert_eq!(leader.raw.ready().read_states, [ReadState { id: read, index: Some(1) }]);
    assert!(!leader.raw.has_ready());
}

#[test]
fn a_read_that_comes_to_a_leader_of_old_is_sent_back() {
    let mut reader = Node::in_role(Follower, 3);
    let read = reader.raw.read_index().unwrap();
    let asked = reader.work().remove(0);
    let mut deposed = Node::in_role(Leader, 3);
    deposed.step(message(MsgHeartbeat, 3, 1, 2));
    let answers = deposed.step(Message { to: 1, from: 2, ..asked });
    assert_eq!(answers.len(), 1);
    reader.step(Message { from: 2, to: 1, ..answers[0].clone() });
    assert_eq!(reader.reads, [ReadState { id: read, index: None }]);
}

#[test]
fn forgetting_the_leader_changes_nothing_else() {
    let mut node = follower();
    node.raw.forget_leader().unwrap();
    let ready = node.raw.ready();
    assert_eq!(ready.soft_state, Some(SoftState { role: Follower, leader: None }));
    assert_eq!((ready.hard_state, node.raw.term()), (None, 1));
    // It hears of the leader again with the next heartbeat.
    node.step(message(MsgHeartbeat, 2, 1, 1));
    assert_eq!(node.raw.leader(), Some(2));
    for role in [Candidate, Leader] {
        let mut node = Node::in_role(role, 3);
        let leader = node.raw.leader();
        node.raw.forget_leader().unwrap();
        assert_eq!((node.raw.role(), node.raw.leader()), (role, leader));
    }
}
