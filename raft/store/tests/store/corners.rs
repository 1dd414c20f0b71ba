//! Corners that few histories come to: what a restart, a late message or a strange one must not do.

use crate::common::regions::add;
use crate::common::{Cluster, REGION, config, envelope, get, put};
use raftstore::proto::eraftpb::{Message, MessageType};
use raftstore::proto::metapb::{Peer, RegionEpoch};
use raftstore::proto::raft_cmdpb::{GetResponse, RaftCmdRequest, Request, response::Result as Answer};
use raftstore::proto::raft_serverpb::{RaftMessage, StoreMessage, store_message::Payload};
use raftstore::{Config, Db, Reads};

fn no_snapshots_to_store_3(_: u64, to: u64, message: &StoreMessage) -> bool {
    to == 3 && matches!(message.payload, Some(Payload::Chunk(_)))
}

/// A candidate on a store asks the replica `to` for its vote in a term, with a log that nobody's is ahead of.
fn request_vote(cluster: &mut Cluster, from_store: u64, to: Peer, term: u64) {
    let epoch = cluster.peer(from_store, REGION).unwrap().region().region_epoch.unwrap();
    request_vote_at(cluster, from_store, to, term, epoch);
}

fn request_vote_at(cluster: &mut Cluster, from_store: u64, to: Peer, term: u64, epoch: RegionEpoch) {
    let candidate = cluster.peer(from_store, REGION).unwrap();
    let from = Peer { id: candidate.peer_id(), store_id: from_store, role: 0 };
    let vote = Message {
        msg_type: MessageType::MsgRequestVote as i32,
        from: from.id,
        to: to.id,
        term,
        log_term: term - 1,
        index: 1_000,
        ..Message::default()
    };
    let message = RaftMessage {
        region_id: REGION,
        from_peer: Some(from),
        to_peer: Some(to),
        region_epoch: Some(epoch),
        message: Some(vote),
        ..RaftMessage::default()
    };
    cluster.with(to.store_id, |store, env, now| store.on_message(env, now, envelope(message)));
    cluster.finish_sync(to.store_id, Db::Raft);
}

/// The answers to candidates that a store has sent: to whom, and whether it refused.
fn votes(cluster: &mut Cluster, id: u64) -> Vec<(u64, bool)> {
    let sent = cluster.nodes.get_mut(&id).unwrap().env.sent.drain(..);
    let messages = sent.filter_map(|message| message.message);
    let answers = messages.filter(|message| message.msg_type() == MessageType::MsgRequestVoteResponse);
    answers.map(|answer| (answer.to, answer.reject)).collect()
}

/// A voter that takes the place of one that was removed from its store, and has no data yet.
fn voter_without_data_after_a_tombstone() -> (Cluster, Peer) {
    let mut cluster = Cluster::led(3);
    cluster.remove_peer(REGION, 3);
    cluster.run(3_000);
    cluster.lost = no_snapshots_to_store_3;
    let id = cluster.allocate();
    cluster.change(REGION, vec![add(Peer { id, store_id: 3, role: 0 })]);
    cluster.run(1_000);
    let peer = cluster.peer(3, REGION).expect("the heartbeat made it");
    assert_eq!((peer.peer_id(), peer.is_initialized()), (id, false));
    (cluster, Peer { id, store_id: 3, role: 0 })
}

#[test]
fn a_voter_without_data_remembers_its_vote_beside_a_tombstone() {
    let (mut cluster, voter) = voter_without_data_after_a_tombstone();
    request_vote(&mut cluster, 1, voter, 50);
    assert_eq!(votes(&mut cluster, 3), [(10, false)]);
    cluster.crash(3, usize::MAX, usize::MAX);
    cluster.boot(3);
    request_vote(&mut cluster, 2, voter, 50);
    assert_eq!(votes(&mut cluster, 3), [(20, true)]);
}

#[test]
fn a_voter_without_data_remembers_its_vote_when_a_message_for_an_older_one_comes_first() {
    let mut cluster = Cluster::led_with_spares(2, 1, config(0));
    cluster.lost = no_snapshots_to_store_3;
    let (older, newer) = (cluster.allocate(), cluster.allocate());
    cluster.change(REGION, vec![add(Peer { id: newer, store_id: 3, role: 0 })]);
    cluster.run(3_000);
    let newer = Peer { id: newer, store_id: 3, role: 0 };
    request_vote(&mut cluster, 1, newer, 50);
    assert_eq!(votes(&mut cluster, 3), [(10, false)]);
    cluster.crash(3, usize::MAX, usize::MAX);
    cluster.boot(3);
    // The older one was a member once, and gets to know that it is none any more.
    let then = RegionEpoch { conf_ver: 1, version: 1 };
    request_vote_at(&mut cluster, 2, Peer { id: older, ..newer }, 40, then);
    assert_eq!(cluster.peer(3, REGION).unwrap().peer_id(), older);
    request_vote(&mut cluster, 2, newer, 50);
    cluster.deliver_from(3);
    cluster.deliver_from(2);
    assert!(cluster.peer(3, REGION).is_none());
    cluster.finish_sync(3, Db::Kv);
    cluster.finish_sync(3, Db::Raft);
    request_vote(&mut cluster, 2, newer, 50);
    assert_eq!(cluster.peer(3, REGION).unwrap().peer_id(), newer.id);
    assert_eq!(votes(&mut cluster, 3), [(20, true)]);
}

#[test]
fn a_read_that_is_confirmed_late_waits_for_the_snapshot_that_becomes_data() {
    let settings = Config { reads: Reads::Index, kv_sync_interval_ticks: 1, ..config(0) };
    let mut cluster = Cluster::led_with_spares(3, 0, settings);
    cluster.execute(1, vec![put("a", "1")]);
    cluster.run(300);
    assert_eq!(cluster.value(3, "a").as_deref(), Some("1"));
    // A follower's read: the leader's answer is on its way for long.
    let mut header = cluster.header(3);
    header.replica_read = true;
    let requests = vec![Request { command: Some(get("a")) }];
    let read = cluster.raw_request(3, RaftCmdRequest { header: Some(header), requests, admin_request: None });
    for from in [3, 1, 2] {
        cluster.deliver_from(from);
    }
    let sent = &mut cluster.nodes.get_mut(&1).unwrap().env.sent;
    let is_answer = |message: &RaftMessage| {
        message
            .message
            .as_ref()
            .is_some_and(|message| message.msg_type() == MessageType::MsgReadIndexResponse)
    };
    let place = sent.iter().position(is_answer).expect("the leader answers");
    let answer = sent.remove(place).unwrap();
    // The follower falls behind, and a snapshot comes.
    cluster.isolated.insert(3);
    cluster.execute(1, vec![put("b", "2")]);
    cluster.compact(REGION);
    cluster.isolated.clear();
    cluster.idle.insert(3);
    cluster.run(400);
    assert!(cluster.peer(3, REGION).unwrap().is_applying());
    cluster.finish_task(3);
    assert_eq!(cluster.value(3, "a"), None);
    cluster.with(3, |store, env, now| store.on_message(env, now, envelope(answer)));
    assert_eq!(cluster.reply(read), None);
    cluster.idle.clear();
    cluster.settle();
    assert_eq!(cluster.results(read), [Answer::Get(GetResponse { value: Some("1".into()) })]);
}

#[test]
fn the_log_after_a_snapshot_that_is_being_made_stays() {
    // With pre-votes the follower that comes back does not depose the leader.
    let limits = Config {
        pre_vote: true,
        kv_sync_interval_ticks: 1,
        log_gc_interval_ticks: 1,
        log_gc_count_limit: 10,
        ..config(0)
    };
    let mut cluster = Cluster::led_with_spares(3, 0, limits);
    let write = |cluster: &mut Cluster, count: u64| {
        for _ in 0..count {
            cluster.execute(1, vec![put("a", "1")]);
            cluster.run(100);
        }
    };
    cluster.isolated.insert(3);
    write(&mut cluster, 20);
    // The task takes its time, and the region has no rest.
    cluster.idle.insert(1);
    cluster.isolated.clear();
    cluster.run(1_000);
    assert_eq!(cluster.nodes[&1].env.tasks.len(), 1);
    let index = cluster.nodes[&1].peer().storage().applied_index();
    write(&mut cluster, 20);
    let truncated = cluster.nodes[&1].peer().storage().truncated().index;
    assert!(truncated <= index, "the log starts after {truncated}, and the snapshot is of {index}");
    cluster.idle.clear();
    cluster.run(1_000);
    assert_eq!(cluster.nodes[&3].peer().snapshots(), 1);
    assert!(cluster.nodes[&1].peer().storage().truncated().index > index);
}

#[test]
fn a_message_of_nobody_or_for_nobody_does_nothing() {
    let mut cluster = Cluster::led_with_spares(2, 1, config(0));
    let vote = |region_id, from, to| {
        let message =
            Message { msg_type: MessageType::MsgRequestVote as i32, from, to, term: 9, ..Message::default() };
        RaftMessage {
            region_id,
            from_peer: Some(Peer { id: from, store_id: 1, role: 0 }),
            to_peer: Some(Peer { id: to, store_id: 3, role: 0 }),
            message: Some(message),
            ..RaftMessage::default()
        }
    };
    for (region, from, to) in [(0, 10, 30), (7, 0, 30), (7, 10, 0)] {
        cluster.with(3, |store, env, now| store.on_message(env, now, envelope(vote(region, from, to))));
        let store = cluster.nodes[&3].store();
        assert_eq!((store.failed(), store.peers().count()), (None, 0));
    }
}
